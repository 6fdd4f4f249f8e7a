"""Text that breaks some loads: what a task mends in the lines of a plan, whoever made them, before they are cut into files.

Nothing but lines is mended: a record's id is that of the values in the table, so a change of ``[text]`` changes no id, and rows are
compared as the table holds them. Plans that keep everything have no such step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import pyarrow as pa

from rover_spark.encode.mended_lines import mended
from rover_spark.produce.port import Mark, Part, Rows
from rover_spark.produce.rover.plan import BatchPlan, Text

# by the setting: the count of the records that it mended, and the column that says which they are
_MARKS = {
    "duplicate_keys": Mark("duplicate_keys", "twice"),
    "nul": Mark("nul", "nul"),
    "big_integers": Mark("big_integers", "big_integers"),
}
_TRAITS = "traits"


def marks(text: Text) -> tuple[Mark, ...]:
    """What is counted of a plan's records: those that each setting mended, but for settings that keep."""
    return tuple(mark for name, mark in _MARKS.items() if getattr(text, name) != "keep")


def with_mended_lines(part: Part, plan: BatchPlan) -> Part:
    """The part, its lines mended as the plan says."""
    if not plan.text.mends:
        return part
    without_nulls = _TRAITS if any(field.name == _TRAITS for field in plan.definition.own) else None
    return replace(part, rows=Mending(plan.text, without_nulls, part.rows))


@dataclass(frozen=True)
class Mending:
    """What a task runs on the rows of ``layout``, or on what ``made`` makes of a frame's rows: the same rows, lines mended.

    ``without_nulls`` names the object of a record that has no members without a value.
    """

    text: Text
    without_nulls: str | None
    made: Rows | None = None

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Adds the columns of ``marks``. Raises what ``made`` raises."""
        for rows in batches if self.made is None else self.made(batches):
            yield self._mended(rows)

    def _mended(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        twice = rows.column("twice").to_numpy(zero_copy_only=False) if self.text.last else None
        done = mended(
            rows.column("line"),
            twice,
            nul=self.text.nul == "replace",
            integers=self.text.big_integers == "string",
            without_nulls=self.without_nulls,
        )
        made = {name: rows.column(name) for name in rows.schema.names} | {"line": done.lines}
        found = {"twice": done.names, "nul": done.nul, "big_integers": done.integers}
        made |= {mark.column: pa.array(found[mark.column]) for mark in marks(self.text)}
        return pa.RecordBatch.from_pydict(made)
