"""Progress on a terminal: one line for each thing under way, with a bar where its length is known, and one a batch's step.

Draws below all that is printed and removes it at the end. Code that prints to the same terminal meanwhile does so in
``quiet``; what is written to ``sys.stderr`` appears above by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.text import Text

from rover_spark.deliver.progress import Counter, LoggedProgress
from rover_spark.face.console import hanging, plain
from rover_spark.model.manifest import OUTCOMES
from rover_spark.model.wording import counted, duration, size

_REFRESH_SECONDS = 0.5
_NARROW, _WIDE, _WIDER = 100, 120, 140  # columns of the terminal from which more is shown
_COLORS = {"committed": "green", "aborted": "yellow", "lost": "yellow"}


class TerminalProgress(LoggedProgress):
    """Draws one line for each thing under way, at the foot of the terminal."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._lock = threading.RLock()
        # the thread of each task, and whether it is always drawn; an outer task comes before its inner ones
        self._under_way: dict[TaskID, tuple[int, bool]] = {}
        self._drawn = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            _Bar(6 if console.width < _NARROW else 16),
            TextColumn("{task.fields[seen]}", markup=False, style="cyan"),
            _Elapsed(),
            console=console,
            transient=True,
            redirect_stdout=False,  # it belongs to --json
        )

    def step(self, event: str, **fields: object) -> None:
        """Prints a batch's step; the bar shows single files."""
        if event in {"published", "publishing", "redelivering"}:
            return
        about = fields.get("batch", fields.get("dataset", ""))
        line = Text.assemble(
            (f"  {event:<10}", _COLORS.get(event, "dim")), plain(f"{about}  {_happened(event, fields)}")
        )
        for each in hanging(line, self._console.width, 12):
            self._console.print(each, soft_wrap=True)

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Draws a spinner, what is done and the time."""
        task = self._begin(what)
        try:
            yield
        finally:
            self._end(task)

    @contextmanager
    def watch(self, what: str, total: int, done: Counter, unit: str = "rows") -> Iterator[None]:
        """Draws a bar that moves with the rows, twice a second; until the first row arrives it says that they are read."""
        ended = threading.Event()
        first = what.replace("staging", "reading", 1) if unit == "rows" else what
        task = self._begin(first, shown=True, seen=f"{total:,} {unit}")

        def refresh() -> None:
            seconds = 0.0
            while not ended.wait(_REFRESH_SECONDS):
                now = done()
                if not now.rows:
                    continue
                seconds += _REFRESH_SECONDS  # from the first rows on
                rows = min(now.rows, total)  # a task that Spark runs again counts its rows again
                seen = f"{rows:,} of {total:,} {unit}"
                if self._console.width >= _WIDER:
                    seen += f"  {counted(now.files, 'file')}  {size(now.bytes)}"
                if self._console.width >= _WIDE:
                    left = duration((total - rows) * seconds / rows)
                    seen += f"  {rows / seconds:,.0f}/s  {left} left"
                word = plain(what).plain
                self._drawn.update(task, description=word, total=total, completed=rows, seen=seen)

        thread = threading.Thread(target=refresh, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self._end(task)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Removes what is drawn while the block runs."""
        with self._lock:
            self._drawn.stop()
            try:
                yield
            finally:
                if self._under_way:
                    self._drawn.start()

    def _begin(self, what: str, *, shown: bool = False, seen: str = "") -> TaskID:
        with self._lock:  # one display, however many datasets
            task = self._drawn.add_task(plain(what).plain, total=None, seen=seen)
            self._under_way[task] = (threading.get_ident(), shown)
            self._settle()
            self._drawn.start()
            return task

    def _end(self, task: TaskID) -> None:
        with self._lock:
            self._drawn.remove_task(task)
            del self._under_way[task]
            self._settle()
            if not self._under_way:
                self._drawn.stop()

    def _settle(self) -> None:
        """Hides a task that only waits for an inner one, in its own thread or in the threads that it started."""
        innermost = {thread: task for task, (thread, _) in self._under_way.items()}
        first = next(iter(innermost), None)
        for task, (thread, shown) in self._under_way.items():
            waits = task != innermost[thread] or (thread == first and len(innermost) > 1)
            self._drawn.update(task, visible=shown or not waits)


class _Bar(ProgressColumn):
    """A bar where the length is known, else nothing."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self._bar = BarColumn(width)

    def render(self, task: Task) -> RenderableType:
        return Text() if task.total is None else self._bar.render(task)


class _Elapsed(ProgressColumn):
    """The time that a task has taken, from the first second on."""

    def render(self, task: Task) -> Text:
        seconds = task.elapsed or 0
        return Text(duration(seconds) if seconds >= 1 else "", style="dim")


def _happened(event: str, fields: dict[str, object]) -> str:
    """A step in words: rows are of the source, records are in files."""
    if "why" in fields:
        return str(fields["why"])
    counts = {name: count for name, count in fields.items() if isinstance(count, int) and count}
    if event == "planned":
        return counted(counts.get("rows", 0), "row")
    files = f"in {counted(counts['files'], 'file')}" if "files" in counts else ""
    records = f"{counted(counts.get('delivered', 0), 'record')} {files}".strip()
    if event != "staged":
        return records if files else "no file"
    before = counts.get("rows", 0) - counts.get("read", 0)
    others = [
        f"{count:,} {name.replace('_', ' ')}"
        for name, count in counts.items()
        if name in OUTCOMES and name != "delivered"
    ]
    if before > 0:
        others.append(counted(before, "before-image"))
    return f"{counted(counts.get('rows', 0), 'row')}: {', '.join([records, *others])}"
