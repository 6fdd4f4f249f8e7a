"""What a person sees: tables, progress on a terminal. Writes to the console it is given.

Everything that comes from outside (keys, messages) is printed as plain text: no markup, no control characters.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from rover_spark.errors import Problem
from rover_spark.eventplan import EventPlan
from rover_spark.heads import BatchRecord
from rover_spark.plan import BatchPlan
from rover_spark.progress import Counter, LoggedProgress
from rover_spark.records.changes import OUTCOMES
from rover_spark.result import Result, iso

_REFRESH_SECONDS = 0.5
_WIDE = 110
_NAMES = {"batch", "dataset"}


def plain(text: object) -> Text:
    """Text without markup; control characters become visible escapes."""
    return Text("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text)))


def size(octets: float) -> str:
    """Octets for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if octets < 1000 or unit == "GB":
            return f"{octets:.0f} {unit}" if unit == "B" else f"{octets:.1f} {unit}"
        octets /= 1000
    raise AssertionError("unreachable")


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


def show(console: Console, result: Result) -> None:
    """A command's result."""
    if result.command == "status":
        _status(console, result)
    elif result.command == "verify":
        done = result.more["verified"]
        console.print(
            plain(
                f"{done['files']} files, {done['records']:,} records, {size(done['bytes'])} read back from the bucket"
            )
        )
        if done["elsewhere"]:
            console.print(
                f"{done['elsewhere']} files were delivered to the destination of another day: not read"
            )
    elif result.command == "schemas":
        console.print(_schemas(result.more["schemas"]))
        for key in result.more.get("published", ()):
            console.print(Text.assemble("put ", plain(key)))
        if "place" in result.more:
            console.print(Text.assemble("all of it in ", plain(result.more["place"])))
        return
    elif result.command == "check":
        console.print(_checks(result.more["checks"]))
        console.print(plain("nothing stands in the way" if result.ok else "delivery would fail"))
        return
    elif result.command == "sweep":
        for reference in result.more["removed"]:
            console.print(Text.assemble("removed ", plain(reference)))
    elif result.command == "rerun":
        console.print(
            plain(
                f"{result.more['dataset']}: the next export delivers the outstanding changes, then begins anew"
            )
        )
    if result.batches and result.command != "status":
        console.print(batches_table(result.batches, result.more.get("planned"), console.width))
        for batch in result.batches:
            for told in filter(None, (batch.note, _of_events(batch.counts))):
                console.print(plain(f"{batch.batch}: {told}"), soft_wrap=True)
    problems(console, result.problems)
    if not result.problems or result.result == "nothing to do":
        console.print(
            plain("all of it is as the ledger says" if result.command == "verify" else result.result)
        )


def _of_events(counts: dict[str, int]) -> str:
    """What was noticed of events that were delivered all the same."""
    late, zones = counts.get("late"), counts.get("timezone_dropped")
    told = [f"{late:,} were told over an hour late, at most {counts['max_lateness_s']:,} s"] if late else []
    told += [f"{zones:,} had a time zone that is none, and have null now"] if zones else []
    return "; ".join(told)


def problems(console: Console, found: Iterable[Problem]) -> None:
    """What went wrong, and what to do."""
    for problem in found:
        console.print(
            Text.assemble((f"{problem.code}: ", "bold red"), plain(problem.message)), soft_wrap=True
        )
        if problem.remedy:
            console.print(Text.assemble(("  → ", "bold"), plain(problem.remedy)), soft_wrap=True)


def batches_table(
    records: Iterable[BatchRecord], planned: dict[str, dict[str, int]] | None = None, width: int = _WIDE
) -> Table:
    """One row a batch. Counts that are nought everywhere have no column; a narrow terminal gets fewer columns."""
    records = list(records)
    told = [outcome for outcome in OUTCOMES if any(record.counts.get(outcome) for record in records)]
    wide = width >= _WIDE
    numbers = ["source rows", "chunks"] if planned else [*told, "files", "size"]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("batch", "state", *(("versions", "written (UTC)") if wide else ())):
        table.add_column(name, no_wrap=True)
    for name in numbers if planned or not wide else ["read", *numbers]:
        table.add_column(name.replace("_", " "), justify="right", no_wrap=True)
    for record in records:
        if planned:
            cells = [f"{planned[record.batch]['source_rows']:,}", str(planned[record.batch]["chunks"])]
        else:
            cells = [f"{record.counts.get(name, 0):,}" for name in (["read", *told] if wide else told)]
            cells += [str(len(record.files)), size(sum(file.bytes for file in record.files))]
        state = record.phase if record.state in {"COMMITTED", "PLANNED"} else f"{record.phase} {record.state}"
        where = (_versions(record), iso(record.instant)[:19]) if wide else ()
        table.add_row(plain(record.batch), state, *where, *cells)
    return table


def _versions(record: BatchRecord) -> str:
    if isinstance(record.plan, EventPlan):
        return f"{len(record.plan.delivering)} types"
    if not isinstance(record.plan, BatchPlan):
        return ""
    first, last = record.plan.from_version, record.plan.to_version
    return f"{last}" if first in {None, last} else f"{first}-{last}"


def _schemas(found: list[dict[str, Any]]) -> Table:
    """One row a schema id."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("id", justify="right")
    for name in ("event type", "fields", "since batch", "changes"):
        table.add_column(name, justify="right" if name == "fields" else "left", overflow="fold")
    for each in found:
        changes = "; ".join(each["changes"]) or "the first"
        fields = str(len(each["schema"]["fields"]))
        table.add_row(str(each["id"]), plain(each["event_type"]), fields, each["first_batch"], plain(changes))
    return table


def _checks(found: list[dict[str, str]]) -> Table:
    """One row a try; what to do stands below it."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "tried", "result", "found"):
        table.add_column(name, overflow="fold")
    color = {"ok": "green", "warning": "yellow", "failed": "bold red"}
    for each in found:
        table.add_row(
            plain(each["about"]),
            each["tried"],
            Text(each["state"], color[each["state"]]),
            plain(each["found"]),
        )
        if each["remedy"]:
            table.add_row("", "", "", Text.assemble(("→ ", "bold"), plain(each["remedy"])))
    return table


def _status(console: Console, result: Result) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in (
        "dataset",
        "phase",
        "epoch",
        "delivered",
        "newest",
        "behind",
        "days left",
        "last batch (UTC)",
    ):
        table.add_column(
            name,
            justify="right" if name in {"epoch", "delivered", "newest", "behind", "days left"} else "left",
        )
    for row in result.more["datasets"]:
        values = (row[name] for name in ("epoch", "delivered_version", "latest_version", "lag", "days_left"))
        numbers = ["-" if value is None else str(value) for value in values]
        phase = row["phase"] + (", rerun asked for" if row["rerun_requested"] else "")
        table.add_row(row["dataset"], phase, *numbers, (row["last_instant"] or "-")[:19])
    console.print(table)
    if result.batches:
        console.print()
        console.print(batches_table(result.batches, width=console.width))
