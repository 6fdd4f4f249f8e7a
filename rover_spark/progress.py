"""Where steps and progress go: a protocol, and the plain one that logs a line per step.

Fields are structured (batch, dataset, key, …). A terminal shows more (``console``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Counter = Callable[[], tuple[int, int, int]]


class Progress(Protocol):
    """Told what happens, in order."""

    def step(self, event: str, **fields: object) -> None:
        """One thing is done."""
        ...

    def watch(self, label: str, total: int, done: Counter) -> AbstractContextManager[None]:
        """Long work: ``done()`` gives (files, records, bytes) so far, ``total`` the records that are expected."""
        ...


class LoggedProgress:
    """One line a step on the logger ``rover_spark``, as ``event key=value …``."""

    def __init__(self) -> None:
        self._log = logging.getLogger("rover_spark")

    def step(self, event: str, **fields: object) -> None:
        """Logs at INFO; the fields also stand in the record, for structured handlers."""
        text = " ".join(f"{name}={value}" for name, value in fields.items())
        self._log.info("%s %s", event, text, extra={"fields": {"event": event, **fields}})

    @contextmanager
    def watch(self, label: str, total: int, done: Counter) -> Iterator[None]:
        """Nothing between the steps."""
        yield
