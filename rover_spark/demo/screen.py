"""What the demo shows: a heading a step, and at the end the buckets, one fan, all batches and what to try next.

Prints nothing where there is no console.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from rover_spark.deliver.progress import Progress
from rover_spark.demo.company import Lived
from rover_spark.face.console import hanging
from rover_spark.face.console.results import batches
from rover_spark.model.dataset_state import BatchRecord

_INDENT = 4


class Screen:
    """Prints above the progress that is drawn on the same terminal."""

    def __init__(self, console: Console | None, progress: Progress) -> None:
        self._console, self._progress = console, progress

    def heading(self, text: str) -> None:
        """Prints the heading of a step."""
        self._wrapped(Text(text, "bold"))

    def line(self, text: str) -> None:
        """Prints a line below a heading."""
        self._wrapped(Text(" " * _INDENT + text))

    def lived(self, days: Lived) -> None:
        """Prints what happened in the company, in counts."""
        counts = asdict(days).items()
        self.line(", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts if count))

    def parts(self, *made: Callable[[int], Text | Tree | None]) -> None:
        """Prints parts one below the other; each is made for the console's width, and may be None."""
        if self._console is None:
            return
        for make in made:
            if (part := make(self._console.width)) is not None:
                with self._progress.quiet():
                    self._console.print(part, soft_wrap=True)

    def batches(self, delivered: tuple[BatchRecord, ...]) -> None:
        """Prints the table of all batches."""
        if self._console is not None:
            with self._progress.quiet():
                batches(self._console, delivered)

    def _wrapped(self, text: Text) -> None:
        if self._console is None:
            return
        with self._progress.quiet():
            for line in hanging(text, self._console.width, _INDENT):
                self._console.print(line, soft_wrap=True)
