"""Tables of batches, datasets, schemas, checks and quarantined rows, as text that fits a width. Prints nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.text import Text

from rover_spark.face.console import indented, plain
from rover_spark.face.console.grid import Column, fits, grid, natural
from rover_spark.face.result import iso
from rover_spark.model.head import BatchRecord
from rover_spark.model.manifest import OUTCOMES
from rover_spark.model.wording import size

_WIDE = 110
_STATE = 9  # columns for how a try ended
_COLORS = {"ok": "green", "warning": "yellow", "failed": "bold red"}


def batches_table(records: Iterable[BatchRecord], width: int = _WIDE, *, planned: bool = False) -> Text:
    """One row a batch. Counts that are nought everywhere have no column."""
    records = list(records)
    state = [r.phase if r.state in {"COMMITTED", "PLANNED"} else f"{r.phase} {r.state}" for r in records]
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
        return grid(columns, width)
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
    return grid([*columns, *files], width, [[Text(", ".join(told))] if told else [] for told in below])


def _words(name: str) -> str:
    return name.replace("_", " ")


def _numbers(name: str, counts: Sequence[int | None], spare: int = 0) -> Column:
    cells = ["-" if count is None else f"{count:,}" for count in counts]
    return Column(name, cells, right=True, spare=spare)


def schemas_table(found: Sequence[Mapping[str, Any]], width: int = _WIDE) -> Text:
    """One row a schema id; what changed stands below it."""
    columns = [
        Column("id", [str(each["id"]) for each in found], right=True),
        Column("event type", [each["event_type"] for each in found]),
        Column("fields", [str(len(each["schema"]["fields"])) for each in found], right=True),
        Column("since batch", [each["first_batch"] for each in found]),
    ]
    changes = ["; ".join(each["changes"]) or "the first" for each in found]
    beside = Column("changes", changes)
    if natural([*columns, beside]) <= width:
        return grid([*columns, beside], width)
    return grid(columns, width, [[plain(text)] if text != "the first" else [] for text in changes])


def checks_table(found: Sequence[Mapping[str, str]], width: int = _WIDE) -> Text:
    """One row a try, what to do below it; where four columns are too wide, how it ended stands before one sentence."""
    columns = [
        Column("", [each["about"] for each in found]),
        Column("tried", [each["tried"] for each in found]),
        Column("result", [_state(each) for each in found]),
        Column("found", [each["found"] for each in found]),
    ]
    if natural(columns) <= width:
        return grid(columns, width, [[_remedy(each)] if each["remedy"] else [] for each in found])
    lines: list[Text] = []
    for each in found:
        said = plain(f"{each['about']}, {each['tried']}: {each['found']}")
        first, *rest = indented(said, width, _STATE)
        lines += [Text.assemble(_state(each), first[len(each["state"]) :]), *rest]
        lines += indented(_remedy(each), width, _STATE) if each["remedy"] else []
    return Text("\n").join(lines)


def _state(each: Mapping[str, str]) -> Text:
    return Text(each["state"], _COLORS[each["state"]])


def _remedy(each: Mapping[str, str]) -> Text:
    return Text.assemble(("→ ", "bold"), plain(each["remedy"]))


def status_table(rows: Sequence[Mapping[str, Any]], width: int = _WIDE) -> Text:
    """One row a dataset, or an event type."""

    def of(name: str) -> list[Any]:
        return [row[name] for row in rows]

    below = [
        [Text("rerun asked for: it comes with the next export")]
        if row["rerun_requested"]
        else [Text("waits for a confirmation: its settings changed")]
        if row["waits"]
        else []
        for row in rows
    ]
    minutes = ["-" if age is None else f"{age:,.0f} min" for age in of("oldest_minutes")]
    days = ["-" if left is None else f"{left:g}" for left in of("days_left")]
    return grid(
        [
            Column("dataset", of("dataset")),
            Column("phase", of("phase")),
            _numbers("epoch", of("epoch"), spare=5),
            _numbers("delivered", of("delivered_version"), spare=3),
            _numbers("newest", of("latest_version"), spare=4),
            _numbers("behind", of("lag")),
            Column("waiting", minutes, right=True),
            Column("days left", days, right=True, spare=1),
            _numbers("quarantine", of("quarantined")),
            Column("last batch (UTC)", [(at or "-")[:19] for at in of("last_instant")], spare=2),
        ],
        width,
        below,
    )


def quarantine_table(reasons: Sequence[Mapping[str, Any]], width: int = _WIDE) -> Text:
    """One row a dataset and reason."""
    columns = [
        Column("dataset", [each["dataset"] for each in reasons]),
        Column("reason", [each["reason"] for each in reasons]),
        _numbers("rows", [each["rows"] for each in reasons]),
    ]
    return grid(columns, width)


def quarantined_row(row: Mapping[str, Any], width: int | None) -> Text:
    """Where a row came from and why it was set aside; below it the row, cut to the width where there is one."""
    about = f"{row['batch']}  version {row['source_version']}  {row['reason']}"
    text = plain(row["row"])
    if width is not None:
        text.truncate(max(width - 4, 20), overflow="ellipsis")
    name = f"{row['dataset']}  " if not row["batch"].startswith(f"{row['dataset']}.") else ""
    return Text.assemble(plain(name + about), "\n    ", text)
