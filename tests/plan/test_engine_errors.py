"""What is told of a long error of Spark's: the one line that says most."""

from __future__ import annotations

import pytest

from rover_spark.source import first_line

WORKER = """
  An exception was thrown from the Python worker. Please see the stack trace below.
Traceback (most recent call last):
  File "/x/pyspark/worker.py", line 1, in main
    raise
ModuleNotFoundError: No module named 'rover_spark'

\tat org.apache.spark.api.python.BasePythonRunner.handle
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no message"),
        ("\n  one line  \n", "one line"),
        (
            "Job aborted\n\tat x.y\nCaused by: a.B: first\nCaused by: c.D: disk full\n\tat z",
            "Caused by: c.D: disk full",
        ),
        (WORKER, "ModuleNotFoundError: No module named 'rover_spark'"),
        ("Job aborted\nTraceback (most recent call last):\n  File", "Job aborted"),
        ("x" * 400, "x" * 300),
    ],
)
def test_the_line_that_says_most(text: str, said: str) -> None:
    assert first_line(text) == said
