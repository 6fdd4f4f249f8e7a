"""What Spark and Delta raise becomes an error of ours: with what was read, what is true now, and what to do.

``reading`` wraps actions that read source rows, ``engine`` all others. ``causes`` decides what an error's
text means. The engine's own exception stays as the cause.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from rover_spark.delta.causes import cause_of, first_line, most_telling, then
from rover_spark.delta.task_errors import problem_in
from rover_spark.errors import ReaderRefused, RunError, SourceGap, SourceUnread, StoreError

ENGINE_ERRORS = (PySparkException, Py4JJavaError)
T = TypeVar("T")
# the remedy where one version cannot be read: no range is given up for it
MEND = (
    "Run export again: it takes the newest version. Where that cannot be read either, mend the table first."
)


@contextmanager
def reading(dataset: str, what: str, *, remedy: str) -> Iterator[None]:
    """Names the source rows that an action reads, ``what``, in the error that it raises.

    ``remedy`` says what to do where they stay unreadable.

    Raises:
        SourceGap: the rows stay unreadable.
        SourceUnread: nobody knows whether the failure passes.
        StoreError: a task met a problem of the destination; it has the task's own remedy.
        ReaderRefused: a task met a data file that only Spark can read.
        RunError: the failure passes, or the operator has to mend something first.
    """
    try:
        yield
    except ENGINE_ERRORS as error:
        text = text_of(error)
        problem = problem_in(most_telling(text))
        if problem is not None:
            after = "" if "export again" in problem.remedy else " Then run export again."
            kind = ReaderRefused if problem.code == "reader_refused" else StoreError
            raise kind(
                f"{dataset}: {problem.message}; nothing new is visible",
                code=problem.code,
                remedy=f"{problem.remedy}{after}".strip(),
            ) from error
        raise _unread(dataset, what, text, remedy) from error


def _unread(dataset: str, what: str, text: str, remedy: str) -> RunError:
    cause = cause_of(text)
    if cause.kind == "stays":
        return SourceGap(
            f"{dataset}: {what} cannot be read whole ({cause.word}): {cause.why}. Nothing of it was staged",
            code="source_gap",
            remedy=remedy,
        )
    message = f"{dataset}: Spark failed on {what}: {first_line(text)}"
    if cause.kind == "unknown":
        again = f"Run export again. Where it says the same again, it stays: {remedy} Nothing new is visible."
        return SourceUnread(message, code="spark_failed", remedy=again)
    again = f"Run export again: this passes ({cause.why})." if cause.kind == "passes" else then(cause)
    return RunError(message, code="spark_failed", remedy=f"{again} Nothing new is visible.")


@contextmanager
def engine(doing: str, holds: str = "what the ledger holds is still true") -> Iterator[None]:
    """Names what is done, ``doing``, in the error that an action on a ledger or a table's history raises, and what ``holds``.

    Raises:
        RunError: Spark failed; its message ends with the first line of Spark's.
    """
    try:
        yield
    except ENGINE_ERRORS as error:
        text = text_of(error)
        raise RunError(
            f"{doing}: Spark failed: {first_line(text)}",
            code="spark_failed",
            remedy=f"{then(cause_of(text))} {holds[:1].upper()}{holds[1:]}.",
        ) from error


def text_of(error: Exception) -> str:
    """The whole text of an engine's error, its causes included."""
    return str(error.java_exception) if isinstance(error, Py4JJavaError) else str(error)


def second_look(read: Callable[[], T]) -> T:
    """What ``read`` gives. It is tried twice where it failed and nobody knows why, before a rerun gives its range up.

    Raises:
        SourceUnread: it failed again.
    """
    try:
        return read()
    except SourceUnread:
        return read()
