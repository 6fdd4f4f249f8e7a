"""Progress on a terminal: bars for long work, a line for each step that ends a batch."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from rover_spark.console import plain, size
from rover_spark.progress import Counter, LoggedProgress

_REFRESH_SECONDS = 0.5
_NAMES = {"batch", "dataset"}


class TerminalProgress(LoggedProgress):
    """Bars for long work, one per dataset under way; a line for each step that ends a batch."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._lock = threading.Lock()
        self._watched = 0
        self._bars = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("records  {task.fields[seen]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )

    def step(self, event: str, **fields: object) -> None:
        """Shows what a person waits for; single files are the tree's matter."""
        if event in {"published", "planned"}:
            return
        about = fields.get("batch", fields.get("dataset", ""))
        told = (
            f"{value} {name.replace('_', ' ')}"
            for name, value in fields.items()
            if name not in _NAMES and value
        )
        color = "green" if event == "committed" else "dim"
        self._console.print(Text.assemble((f"  {event:<10}", color), plain(f"{about}  {', '.join(told)}")))

    @contextmanager
    def watch(self, label: str, total: int, done: Counter) -> Iterator[None]:
        """Records, files, bytes, rate and time left, refreshed twice a second."""
        ended = threading.Event()
        with self._lock:  # one live display, however many datasets
            self._watched += 1
            if self._watched == 1:
                self._bars.start()
            task = self._bars.add_task(f"staging {label}", total=total, seen="")

        def refresh() -> None:
            seconds = 0.0
            while not ended.wait(_REFRESH_SECONDS):
                seconds += _REFRESH_SECONDS
                files, records, octets = done()
                seen = f"{files} files  {size(octets)}  {records / seconds:,.0f}/s"
                self._bars.update(task, completed=records, seen=seen)

        thread = threading.Thread(target=refresh, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            with self._lock:
                self._bars.remove_task(task)
                self._watched -= 1
                if self._watched == 0:
                    self._bars.stop()
