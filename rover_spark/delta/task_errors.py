"""Our errors on their way from a task to the driver: Spark carries the text of an exception and nothing else.

``sent_as_text`` runs in the task, ``problem_in`` on the driver.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from rover_spark.errors import Problem, RoverSparkError

_MARK = "rover_spark problem: "
_LONGEST = 1_500  # characters of a message or a remedy: a key has 1,024 octets at the most


@contextmanager
def sent_as_text() -> Iterator[None]:
    """Raises a RoverSparkError again as a RuntimeError whose text holds its problem, and none of its causes."""
    try:
        yield
    except RoverSparkError as error:
        parts = {name: text[:_LONGEST] for name, text in asdict(error.problem).items()}
        raise RuntimeError(_MARK + json.dumps(parts)) from None


def problem_in(line: str) -> Problem | None:
    """The problem that a line of an engine's error holds, or None where no task sent one."""
    _, found, text = line.partition(_MARK)
    if not found:
        return None
    try:
        return Problem(**json.JSONDecoder().raw_decode(text)[0])
    except (TypeError, ValueError):  # the line was cut, or is not ours
        return None
