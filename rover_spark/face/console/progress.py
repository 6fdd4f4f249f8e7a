"""Progress on a terminal: what is under way, each with its bar where its length is known; a line for each step of a batch.

Draws below all that is printed, and leaves nothing behind. Whoever writes to the same terminal meanwhile does so in
``quiet``; what goes to ``sys.stderr`` finds its place by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.text import Text

from rover_spark.deliver.progress import Counter, LoggedProgress
from rover_spark.face.console import hanging, plain
from rover_spark.model.wording import counted, duration, size

_REFRESH_SECONDS = 0.5
_NARROW, _WIDE, _WIDER = 100, 120, 140  # columns that there must be, so that nothing is cut
_BESIDE = (
    "replaced",
    "late",
    "max_lateness_s",
    "timezone_dropped",
)  # counts of what was delivered: told at the end
_COLORS = {"committed": "green", "aborted": "yellow", "lost": "yellow"}


class TerminalProgress(LoggedProgress):
    """One line for each thing under way, at the foot of the terminal."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._lock = threading.RLock()
        # the thread of each, and whether it always has a line; the outer before the inner
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
        """Shows what became of a batch; single files are the bar's matter."""
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
        """A spinner, its word and the time."""
        task = self._begin(what)
        try:
            yield
        finally:
            self._end(task)

    @contextmanager
    def watch(self, what: str, total: int, done: Counter, unit: str = "rows") -> Iterator[None]:
        """A bar that moves with rows, refreshed twice a second; until the first of them has come, that they are read."""
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
                rows = min(now.rows, total)  # a task that Spark ran again is counted again
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
        """Takes what is drawn off the terminal while the block runs."""
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
        """What only waits for something that has a line of its own has none: in its thread, or in those that it started."""
        innermost = {thread: task for task, (thread, _) in self._under_way.items()}
        first = next(iter(innermost), None)
        for task, (thread, shown) in self._under_way.items():
            waits = task != innermost[thread] or (thread == first and len(innermost) > 1)
            self._drawn.update(task, visible=shown or not waits)


class _Bar(BarColumn):
    """A bar where the length is known; nothing where it is not."""

    def render(self, task: Task) -> Text:  # type: ignore[override]
        return Text() if task.total is None else super().render(task)  # type: ignore[return-value]


class _Elapsed(ProgressColumn):
    """How long it has taken, once that is worth telling."""

    def render(self, task: Task) -> Text:
        seconds = task.elapsed or 0
        return Text(duration(seconds) if seconds >= 1 else "", style="dim")


def _happened(event: str, fields: dict[str, object]) -> str:
    """What a step says of its batch, in the words of all others: rows of the source, records in files."""
    if "why" in fields:
        return str(fields["why"])
    told = {name: count for name, count in fields.items() if isinstance(count, int) and count}
    if event == "planned":
        return counted(told.get("rows", 0), "row")
    files = f"in {counted(told['files'], 'file')}" if "files" in told else ""
    records = f"{counted(told.get('delivered', 0), 'record')} {files}".strip()
    if event != "staged":
        return records if files else "no file"
    before = told.get("rows", 0) - told.get("read", 0)
    others = [
        f"{count:,} {name.replace('_', ' ')}"
        for name, count in told.items()
        if name not in {"rows", "files", "read", "delivered", *_BESIDE}
    ]
    if before > 0:
        others.append(counted(before, "before-image"))
    return f"{counted(told.get('rows', 0), 'row')}: {', '.join([records, *others])}"
