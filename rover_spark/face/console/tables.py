"""Tables of batches, datasets, schemas, checks and quarantined rows, as text that fits a width. Prints nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from rich.text import Text

from rover_spark.audit.found import DatasetStatus, Finding
from rover_spark.consume.conform.report import Breach, HeldDataset
from rover_spark.consume.load.report import LoadedDataset
from rover_spark.face.console import hanging, indented, plain
from rover_spark.face.console.grid import Column, fits, grid, natural
from rover_spark.face.document import iso
from rover_spark.model.dataset_state import BatchRecord
from rover_spark.model.manifest import OUTCOMES
from rover_spark.model.quarantine import QuarantineCount, QuarantinedRow
from rover_spark.model.schema import RegisteredSchema
from rover_spark.model.wording import size

_WIDE = 110
_STATE = 9  # width of a try's state
_COLORS = {"ok": "green", "warning": "yellow", "failed": "bold red"}


def batches_table(records: Iterable[BatchRecord], width: int = _WIDE, *, planned: bool = False) -> Text:
    """One row a batch. A count that is 0 in every batch has no column."""
    records = list(records)
    usual = "PLANNED" if planned else "COMMITTED"
    state = [r.phase if r.state == usual else f"{r.phase} {r.state}" for r in records]
    columns = [
        Column("batch", [r.batch for r in records]),
        Column("state", state),
        Column("versions", [r.plan.span if r.plan else "" for r in records], spare=2),
        Column("written (UTC)", [iso(r.instant)[:19] for r in records], spare=3),
    ]
    rows = [r.plan.source_rows if r.plan else 0 for r in records]
    if planned:
        columns.append(_numbers("rows", rows))
        columns.append(_numbers("chunks", [r.plan.chunks if r.plan else 0 for r in records]))
        how = [r.plan.arrangement if r.plan else "" for r in records]
        return grid(columns, width, [[plain(text)] if text else [] for text in how])
    read = [r.counts.get("read", 0) for r in records]
    if rows != read and any(rows):
        columns.append(_numbers("rows", rows, spare=2))
    columns.append(_numbers("read", read, spare=1))
    columns.append(_numbers("delivered", [r.counts.get("delivered", 0) for r in records]))
    others = [name for name in OUTCOMES if name != "delivered" and any(r.counts.get(name) for r in records)]
    beside = [_numbers(_words(name), [r.counts.get(name, 0) for r in records]) for name in others]
    files = [
        _numbers("files", [len(r.files) for r in records]),
        Column("size", [size(sum(file.bytes for file in r.files)) for r in records], right=True),
    ]
    if fits([*columns, *beside, *files], width):
        return grid([*columns, *beside, *files], width)
    below = [[f"{r.counts[name]:,} {_words(name)}" for name in others if r.counts.get(name)] for r in records]
    return grid([*columns, *files], width, [[Text(", ".join(counts))] if counts else [] for counts in below])


def _words(name: str) -> str:
    return name.replace("_", " ")


def _numbers(name: str, counts: Sequence[int | None], spare: int = 0) -> Column:
    cells = ["-" if count is None else f"{count:,}" for count in counts]
    return Column(name, cells, right=True, spare=spare)


def schemas_table(found: Sequence[RegisteredSchema], width: int = _WIDE) -> Text:
    """Builds a table with one row per schema id; what changed is listed below it."""
    columns = [
        Column("id", [str(each.id) for each in found], right=True),
        Column("event type", [each.event_type for each in found]),
        Column("fields", [str(len(json.loads(each.text)["fields"])) for each in found], right=True),
        Column("since batch", [each.batch for each in found]),
    ]
    changes = ["; ".join(each.changes) or "the first" for each in found]
    beside = Column("changes", changes)
    if natural([*columns, beside]) <= width:
        return grid([*columns, beside], width)
    return grid(columns, width, [[plain(text)] if text != "the first" else [] for text in changes])


def checks_table(found: Sequence[Finding], width: int = _WIDE) -> Text:
    """One row a try, its remedy below it; where four columns are too wide, its state and one sentence."""
    columns = [
        Column("", [each.about for each in found]),
        Column("tried", [each.tried for each in found]),
        Column("result", [_state(each) for each in found]),
        Column("found", [each.found for each in found]),
    ]
    if natural(columns) <= width:
        return grid(columns, width, [[_remedy(each)] if each.remedy else [] for each in found])
    lines: list[Text] = []
    for each in found:
        sentence = plain(f"{each.about}, {each.tried}: {each.found}")
        first, *rest = indented(sentence, width, _STATE)
        lines += [Text.assemble(_state(each), first[len(each.state) :]), *rest]
        lines += indented(_remedy(each), width, _STATE) if each.remedy else []
    return Text("\n").join(lines)


def _state(found: Finding) -> Text:
    return Text(found.state, _COLORS[found.state])


def _remedy(found: Finding) -> Text:
    return Text.assemble(("→ ", "bold"), plain(found.remedy))


def status_table(rows: Sequence[DatasetStatus], width: int = _WIDE) -> Text:
    """Builds a table with one row per dataset or event type."""
    instants = [None if row.last_instant is None else iso(row.last_instant) for row in rows]
    minutes = ["-" if row.oldest_minutes is None else f"{row.oldest_minutes:,.0f} min" for row in rows]
    days = ["-" if row.days_left is None else f"{row.days_left:g}" for row in rows]
    return grid(
        [
            Column("dataset", [row.dataset for row in rows]),
            Column("phase", [row.phase for row in rows]),
            _numbers("epoch", [row.epoch for row in rows], spare=5),
            _numbers("delivered", [row.delivered_version for row in rows], spare=3),
            _numbers("newest", [row.latest_version for row in rows], spare=4),
            _numbers("behind", [row.lag for row in rows]),
            Column("waiting", minutes, right=True),
            Column("days left", days, right=True, spare=1),
            _numbers("quarantine", [row.quarantined for row in rows]),
            Column("last batch (UTC)", [(at or "-")[:19] for at in instants], spare=2),
        ],
        width,
        [_noticed(row) for row in rows],
    )


def _noticed(row: DatasetStatus) -> list[Text]:
    if row.rerun_requested:
        return [Text("rerun asked for: it comes with the next export")]
    return [Text("waits for a confirmation: its settings changed")] if row.waits else []


def quarantine_table(reasons: Sequence[QuarantineCount], width: int = _WIDE) -> Text:
    """Builds a table with one row per dataset and reason."""
    columns = [
        Column("dataset", [each.dataset for each in reasons]),
        Column("reason", [each.reason for each in reasons]),
        _numbers("rows", [each.rows for each in reasons]),
    ]
    return grid(columns, width)


def quarantined_row(row: QuarantinedRow, width: int | None) -> Text:
    """Where a row comes from and the reason; below it the row itself, cut to the width where there is one."""
    about = f"{row.batch}  version {row.source_version}  {row.reason}"
    text = plain(row.row)
    if width is not None:
        text.truncate(max(width - 4, 20), overflow="ellipsis")
    name = f"{row.dataset}  " if not row.batch.startswith(f"{row.dataset}.") else ""
    return Text.assemble(plain(name + about), "\n    ", text)


def held_table(rows: Sequence[HeldDataset], width: int = _WIDE) -> Text:
    """Builds a table with one row per dataset or event type that a bucket holds; one for each place where there are several."""
    places = dict.fromkeys(row.place for row in rows)
    if len(places) < 2:
        return _held(rows, width)
    parts = []
    for place in places:
        if place:
            parts.append(Text.assemble(plain(place), "/"))
        parts.append(_held([row for row in rows if row.place == place], width))
    return Text("\n").join(parts)


def _held(rows: Sequence[HeldDataset], width: int) -> Text:
    whole = all(row.read == row.files for row in rows)
    hours = [
        f"{row.first:%m-%d %H}h" + (f"…{row.last:%m-%d %H}h" if row.last > row.first else "") for row in rows
    ]
    columns = [
        Column("dataset", [row.dataset for row in rows]),
        _numbers("files", [row.files for row in rows]),
        *([] if whole else [_numbers("read", [row.read for row in rows])]),
        _numbers("records", [row.records for row in rows]),
        _numbers("repeats", [row.repeats for row in rows], spare=2),
        Column("size", [size(row.bytes) for row in rows], right=True, spare=3),
        Column("text", [size(row.text_bytes) for row in rows], right=True, spare=4),
        Column("hours (UTC)", hours, spare=5),
        _numbers("breaches", [row.breaches for row in rows]),
    ]
    return grid(columns, width)


def loaded_table(rows: Sequence[LoadedDataset], width: int = _WIDE) -> Text:
    """Builds a table with one row per dataset or event type that was loaded."""
    gone = any(row.gone for row in rows)
    columns = [
        Column("dataset", [row.dataset for row in rows]),
        _numbers("objects", [row.objects for row in rows]),
        _numbers("new", [row.new for row in rows]),
        _numbers("repeated", [row.repeated for row in rows]),
        _numbers("bad lines", [row.bad_lines for row in rows]),
        _numbers("damaged", [row.damaged for row in rows]),
        *([_numbers("gone", [row.gone for row in rows])] if gone else []),
    ]
    return grid(columns, width)


def breaches_table(found: Sequence[Breach], width: int = _WIDE, style: str = "bold red") -> Text:
    """Each breach with its count and its sentence; below it the example."""
    lines: list[Text] = []
    for each in found:
        where = f"{each.place}/: {each.dataset}" if each.place else each.dataset
        often = f", {each.count:,} times: " if each.count > 1 else ": "
        head = Text.assemble((f"{each.code}: ", style), plain(where + often + each.message))
        example = each.example
        key = f"{example.key}, line {example.line}" if example.line else example.key
        lines += hanging(head, width)
        lines.append(Text.assemble("    ", plain(f"{key} {example.found}".strip())))
    return Text("\n").join(lines)
