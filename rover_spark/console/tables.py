"""Tables of batches, datasets, schemas and checks, as rich draws them. Prints nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.table import Table
from rich.text import Text

from rover_spark.console import plain, size
from rover_spark.eventplan import EventPlan
from rover_spark.heads import BatchRecord
from rover_spark.plan import BatchPlan
from rover_spark.records.changes import OUTCOMES
from rover_spark.result import iso

_WIDE = 110


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


def schemas_table(found: list[dict[str, Any]]) -> Table:
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


def checks_table(found: list[dict[str, str]]) -> Table:
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


def status_table(rows: Iterable[dict[str, Any]]) -> Table:
    """One row a dataset."""
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
    for row in rows:
        values = (row[name] for name in ("epoch", "delivered_version", "latest_version", "lag", "days_left"))
        numbers = ["-" if value is None else str(value) for value in values]
        phase = row["phase"] + (", rerun asked for" if row["rerun_requested"] else "")
        table.add_row(row["dataset"], phase, *numbers, (row["last_instant"] or "-")[:19])
    return table
