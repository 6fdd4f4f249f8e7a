"""A command's result, as a person reads it. Writes to the console it is given."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.text import Text

from rover_spark.face.console import hanging, plain, problems
from rover_spark.face.console.tables import (
    batches_table,
    checks_table,
    quarantine_table,
    quarantined_row,
    schemas_table,
    status_table,
)
from rover_spark.face.result import Result
from rover_spark.model.head import BatchRecord
from rover_spark.model.wording import counted, size


def show(console: Console, result: Result) -> None:
    """A command's result."""
    _SHOWS.get(result.command, _batches)(console, result)
    if result.command in {"schemas", "check", "quarantine"}:
        return
    problems(console, result.problems, color="yellow" if result.ok else "red")
    if not result.problems or result.result == "nothing to do":
        console.print(
            plain("all of it is as the ledger says" if result.command == "verify" else result.result)
        )


def batches(console: Console, records: tuple[BatchRecord, ...], *, planned: bool = False) -> None:
    """Batches, and below them what is worth a remark."""
    _out(console, batches_table(records, console.width, planned=planned))
    for batch in records:
        noticed = "; ".join(batch.plan.remarks(batch.counts)) if batch.plan else ""
        for remark in filter(None, (batch.note, noticed)):
            for line in hanging(plain(f"{batch.batch}: {remark}"), console.width):
                _out(console, line)


def _batches(console: Console, result: Result) -> None:
    if result.batches:
        batches(console, result.batches, planned="planned" in result.more)
    for dataset, columns in result.more.get("accepted", {}).items():
        console.print(plain(f"{dataset}: columns accepted: {', '.join(columns)}"))


def _demo(console: Console, result: Result) -> None:
    """It told its story as it went."""


def _status(console: Console, result: Result) -> None:
    _out(console, status_table(result.more["datasets"], console.width))
    if result.batches:
        console.print()
        _out(console, batches_table(result.batches, console.width))


def _verify(console: Console, result: Result) -> None:
    done = result.more["verified"]
    read = f"{counted(done['files'], 'file')}, {counted(done['records'], 'record')}, {size(done['bytes'])}"
    console.print(plain(f"{read} read back from the bucket"))
    if done["elsewhere"]:
        were = "was" if done["elsewhere"] == 1 else "were"
        console.print(
            f"{counted(done['elsewhere'], 'file')} {were} delivered to the destination of another day: not read"
        )


def _schemas(console: Console, result: Result) -> None:
    if not result.more["schemas"]:
        console.print("no schemas yet: the first export gives them")
        return
    _out(console, schemas_table(result.more["schemas"], console.width))
    for key in result.more.get("published", ()):
        _out(console, Text.assemble("put ", plain(key)))
    if "place" in result.more:
        _out(console, Text.assemble("all of it in ", plain(result.more["place"])))


def _check(console: Console, result: Result) -> None:
    _out(console, checks_table(result.more["checks"], console.width))
    console.print("nothing stands in the way" if result.ok else "delivery would fail")


def _sweep(console: Console, result: Result) -> None:
    for reference in result.more["removed"]:
        _out(console, Text.assemble("removed ", plain(reference)))


def _rerun(console: Console, result: Result) -> None:
    dataset = result.more["dataset"]
    console.print(plain(f"{dataset}: the next export delivers the outstanding changes, then begins anew"))


def _accept(console: Console, result: Result) -> None:
    accepted = f"{result.more['dataset']}: columns accepted: {', '.join(result.more['columns'])}"
    console.print(plain(f"{accepted}; they count from the next batch on"))


def _quarantine(console: Console, result: Result) -> None:
    found = result.more["quarantine"]
    if not found["total"]:
        console.print("no rows in quarantine")
        return
    _out(console, quarantine_table(found["reasons"], console.width))
    console.print()
    for row in found["rows"]:
        _out(console, quarantined_row(row, console.width if console.is_terminal else None))
    shown = len(found["rows"])
    newest = "" if shown == found["total"] else f", the newest {shown:,} here"
    console.print(plain(f"{counted(found['total'], 'row')} in quarantine{newest}; all of it in"))
    _out(console, plain(found["place"]))


def _out(console: Console, text: Text) -> None:
    """Lines that fit already, or that are one thing to copy: never wrapped."""
    console.print(text, soft_wrap=True)


_SHOWS: dict[str, Callable[[Console, Result], None]] = {
    "demo": _demo,
    "status": _status,
    "verify": _verify,
    "schemas": _schemas,
    "check": _check,
    "sweep": _sweep,
    "rerun": _rerun,
    "accept": _accept,
    "quarantine": _quarantine,
}
