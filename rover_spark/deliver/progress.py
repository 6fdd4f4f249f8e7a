"""The protocol that steps and progress are reported by, and the plain implementation that logs a line a step.

Fields are structured (batch, dataset, key, …). A terminal shows more (``console.progress``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Done:
    """How far long work has got: rows of the total, files that are whole, and their bytes."""

    rows: int = 0
    files: int = 0
    bytes: int = 0


Counter = Callable[[], Done]


class Progress(Protocol):
    """Gets what happens, in order."""

    def step(self, event: str, **fields: object) -> None:
        """One thing is done."""
        ...

    def doing(self, what: str) -> AbstractContextManager[None]:
        """Work whose length nobody knows, while the block runs; ``what`` begins with a verb: ``counting fan_profiles``."""
        ...

    def watch(self, what: str, total: int, done: Counter, unit: str = "rows") -> AbstractContextManager[None]:
        """Long work, while the block runs: ``total`` rows are expected (or what ``unit`` says), ``done()`` says how far it is."""
        ...

    def quiet(self) -> AbstractContextManager[None]:
        """Nothing is drawn while the block runs: it writes to the same terminal."""
        ...


@contextmanager
def file_by_file(progress: Progress, what: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """Watches work that ends file by file, in several threads; the block calls what it gets with records and bytes of each."""
    ended: list[tuple[int, int]] = []

    def more(records: int, size: int) -> None:
        ended.append((records, size))

    def done() -> Done:
        now = tuple(ended)
        return Done(sum(records for records, _ in now), len(now), sum(size for _, size in now))

    with progress.watch(what, total, done, "records"):
        yield more


class LoggedProgress:
    """One line a step on the logger ``rover_spark``, as ``event key=value …``."""

    def __init__(self) -> None:
        self._log = logging.getLogger("rover_spark")

    def step(self, event: str, **fields: object) -> None:
        """Logs at INFO; the record also holds the fields, for structured handlers."""
        text = " ".join(f"{name}={value}" for name, value in fields.items())
        self._log.info("%s %s", event, text, extra={"fields": {"event": event, **fields}})

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Nothing between the steps."""
        yield

    @contextmanager
    def watch(self, what: str, total: int, done: Counter, unit: str = "rows") -> Iterator[None]:
        """Nothing between the steps."""
        yield

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Nothing is drawn anyway."""
        yield
