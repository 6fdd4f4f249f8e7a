"""What the tasks of a load do: each reads its objects strictly and gives their rows, what is refused, and how each object ended.

One Arrow schema carries all three: the columns of the raw table, and beside them the marks. Rows of an object that turns
out to be damaged are given too; its end says so, and the driver leaves them out.
"""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from heapq import heapreplace
from math import inf, isfinite
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rover_spark.consume.containers import Event, Header
from rover_spark.consume.ddl.tables import Column
from rover_spark.consume.load.due import Due
from rover_spark.consume.load.objects import Damaged, Whole, why_unread
from rover_spark.consume.load.port import Read, reason_of, shown, text_of
from rover_spark.consume.load.taking import taking
from rover_spark.consume.records import BadLine
from rover_spark.errors import RunError, StoreError

# beside the columns, by names that no field has
PART, NUMBER, LINE, CODE, REASON, SHOWN = (
    "load part",
    "load object",
    "load line",
    "load code",
    "load reason",
    "load text",
)
BYTES, SHA256, RECORDS, BAD_LINES = "load bytes", "load sha256", "load records", "load bad lines"
ROW, REFUSED, END = 0, 1, 2
MARKS: dict[str, pa.DataType] = {
    PART: pa.int8(), NUMBER: pa.int32(), LINE: pa.int64(), CODE: pa.string(), REASON: pa.string(), SHOWN: pa.string(),
    BYTES: pa.int64(), SHA256: pa.string(), RECORDS: pa.int64(), BAD_LINES: pa.int64(),
}  # fmt: skip
GONE, UNREAD, GIVEN_UP = "gone", "unread", "given_up"  # codes of ends that are neither whole nor damaged
_HELD = 10_000  # refused lines
_ESCAPED = re.compile(r"\\(?:u00([01].)|.)")


@dataclass(frozen=True)
class Reading:
    """What ``mapInArrow`` runs. ``tasks`` has the objects of each task, by their numbers in the group.

    ``fields`` are the columns of the raw table with their Arrow types, ``json`` those that hold JSON, ``lowered`` those whose
    text is kept in lower case.
    """

    read: Read
    tasks: Sequence[Sequence[tuple[int, Due]]]
    fields: Sequence[tuple[str, pa.DataType]]
    json: Collection[str]
    lowered: Collection[str]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The parts of all objects of the tasks whose numbers come in."""
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield from _run(self, self.tasks[number])


@dataclass(frozen=True)
class Schemas:
    """The same for a look at the beginnings of containers: gives the text of each schema once.

    An object without an event that can be read has none, so it widens no table. One that is damaged behind its first event
    does: that shows only at its end, and objects are read to their ends once.
    """

    read: Read
    tasks: Sequence[Sequence[tuple[int, Due]]]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The schemas of all objects of the tasks whose numbers come in. What cannot be read has none."""
        found: set[str] = set()
        for batch in batches:
            for number in batch.column(0).to_pylist():
                found.update(filter(None, (_schema(self.read, due) for _, due in self.tasks[number])))
        yield pa.RecordBatch.from_pydict({"schema": pa.array(sorted(found), pa.string())})


def _schema(read: Read, due: Due) -> str | None:
    try:
        text = None
        for part in read(due):
            if isinstance(part, Header):
                text = part.text
            elif isinstance(part, Event):
                return text
    except (Damaged, StoreError, OSError, RunError):
        pass
    return None


def _run(reading: Reading, objects: Sequence[tuple[int, Due]]) -> Iterator[pa.RecordBatch]:
    if not objects:
        return
    rows = _Rows(reading, {number: due.key for number, due in objects})
    taken = taking(objects[0][1].contract, objects[0][1].dataset, rows)
    ends: list[dict[str, Any]] = []
    given_up = ""
    for number, due in objects:
        if given_up:
            ends.append(_end(number, due.bytes, GIVEN_UP, given_up))
            continue
        try:
            for part in reading.read(due):
                if isinstance(part, Whole):
                    ends.append(_end(number, part.bytes, sha256=part.sha256))
                elif isinstance(part, BadLine):
                    rows.refuse(part, number)
                else:
                    taken.add(number, part)
                yield from rows.popped()
            continue
        except Damaged as error:
            ends.append(_end(number, due.bytes, error.code, str(error)))
        except FileNotFoundError:
            ends.append(_end(number, due.bytes, GONE))
        except (StoreError, OSError) as error:  # a StoreError is a RunError, too
            ends.append(_end(number, due.bytes, UNREAD, why_unread(error)))
        except RunError as error:
            given_up = error.message
            ends.append(_end(number, due.bytes, GIVEN_UP, given_up))
        taken.drop(number)
        rows.drop(number)
    taken.flush()
    yield from rows.popped(all_of_it=True)
    for each in ends:
        each[RECORDS], each[BAD_LINES] = rows.kept[each[NUMBER]], rows.bad[each[NUMBER]]
    yield from rows.marks(ends)


def _end(
    number: int, size: int, code: str | None = None, reason: str = "", sha256: str | None = None
) -> dict[str, Any]:
    found = {PART: END, NUMBER: number, BYTES: size, SHA256: sha256, CODE: code}
    return {**found, REASON: shown(reason) if code else None}


@dataclass
class _Rows:
    """Rows on their way out of a task, with the types of the raw table."""

    reading: Reading
    keys: dict[int, str]
    kept: Counter[int] = field(default_factory=Counter)
    bad: Counter[int] = field(default_factory=Counter)
    _out: list[pa.RecordBatch] = field(default_factory=list)
    _refused: list[dict[str, Any]] = field(default_factory=list)

    @property
    def columns(self) -> Collection[str]:
        return [name for name, _ in self.reading.fields]

    def evolve(self, columns: Sequence[Column]) -> None:
        """Raises OSError where the driver has not met these columns: the object could not be read then, or was another one."""
        if not {each.name for each in columns} <= set(self.columns):
            raise OSError("its schema was not there when the tables were widened")

    def add(self, rows: pa.Table, as_json: Collection[str], numbers: Sequence[int]) -> set[int]:
        columns, unkept = {}, set()
        for name, kind in self.reading.fields:
            if name == "object_key":
                columns[name] = pa.array([self.keys[each] for each in numbers], kind)
            elif name not in rows.column_names:
                columns[name] = pa.nulls(rows.num_rows, kind)
            else:
                found = rows.column(name).combine_chunks()
                if name in self.reading.json and name not in as_json:
                    found, wrong = _as_json(found)
                    unkept |= wrong
                if name in self.reading.lowered:
                    found = pc.utf8_lower(found)
                columns[name], wrong = _cast(found, kind)
                unkept |= wrong
        marks = {
            PART: pa.repeat(pa.scalar(ROW, pa.int8()), rows.num_rows),
            NUMBER: pa.array(numbers, pa.int32()),
        }
        batch = self._batch(rows.num_rows, {**columns, **marks})
        if unkept:
            places = [place for place in range(rows.num_rows) if place not in unkept]
            batch, numbers = batch.take(pa.array(places, pa.int64())), [numbers[place] for place in places]
        self.kept.update(numbers)
        self._out.append(batch)
        return unkept

    def refuse(self, bad: BadLine, number: int) -> None:
        self.bad[number] += 1
        found = {PART: REFUSED, NUMBER: number, LINE: bad.number, CODE: bad.wrong[0].code}
        self._refused.append({**found, REASON: reason_of(bad), SHOWN: text_of(bad)})

    def drop(self, number: int) -> None:
        """Forgets what is counted and refused of an object; its rows are left out by its end."""
        self._refused = [each for each in self._refused if each[NUMBER] != number]
        self.kept[number] = self.bad[number] = 0

    def popped(self, *, all_of_it: bool = False) -> Iterator[pa.RecordBatch]:
        """What is ready."""
        out, self._out = self._out, []
        yield from out
        if len(self._refused) >= _HELD or all_of_it:
            refused, self._refused = self._refused, []
            yield from self.marks(refused)

    def marks(self, found: Sequence[dict[str, Any]]) -> Iterator[pa.RecordBatch]:
        """Rows that have marks only."""
        if found:
            columns = {
                name: pa.array([each.get(name) for each in found], kind) for name, kind in MARKS.items()
            }
            yield self._batch(len(found), columns)

    def _batch(self, count: int, columns: dict[str, pa.Array]) -> pa.RecordBatch:
        fields = [*self.reading.fields, *MARKS.items()]
        arrays = [columns[name] if name in columns else pa.nulls(count, kind) for name, kind in fields]
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _cast(found: pa.Array, kind: pa.DataType) -> tuple[pa.Array, set[int]]:
    """Values as another type, and the places of those that it cannot hold."""
    if found.type == kind:
        return found, set()
    try:
        return found.cast(kind), set()
    except pa.ArrowInvalid:
        pass
    values: list[Any] = []
    wrong = set()
    for place in range(len(found)):
        try:
            values.append(found.slice(place, 1).cast(kind)[0])
        except pa.ArrowInvalid:
            values.append(None)
            wrong.add(place)
    return pa.array([None if each is None else each.as_py() for each in values], kind), wrong


def _as_json(found: pa.Array) -> tuple[pa.Array, set[int]]:
    """Values of a column that has become JSON, and the places of those that Python does not know: years above 9999."""
    texts: list[str | None] = []
    wrong = set()
    for place, each in enumerate(found):
        try:
            texts.append(json_text(each.as_py()) if each.is_valid else None)
        except (ValueError, OverflowError):
            texts.append(None)
            wrong.add(place)
    return pa.array(texts, pa.string()), wrong


def json_text(value: Any) -> str:
    """As Spark's ``to_json`` writes it: the column may have become JSON before this value came, or after it."""
    match value:
        case Decimal():
            return str(value)
        case datetime():
            value = f"{value.isoformat(timespec='microseconds')}Z"
        case date():
            value = value.isoformat()
        case bytes():
            value = base64.b64encode(value).decode()
        case float() if not isfinite(value):
            value = {inf: "Infinity", -inf: "-Infinity"}.get(value, "NaN")
        case float():
            return _java(value)
    # Java's hexadecimal digits are capitals
    return _ESCAPED.sub(
        lambda found: f"\\u00{found[1].upper()}" if found[1] else found[0],
        json.dumps(value, ensure_ascii=False),
    )


def _java(value: float) -> str:
    """A number as Java writes it, from 19 on: with an exponent below a thousandth and from ten millions on."""
    if not value or 1e-3 <= abs(value) < 1e7:
        return repr(value)
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    shown = "".join(map(str, digits)).rstrip("0")
    power = int(exponent) + len(digits) - 1
    return f"{'-' * sign}{shown[0]}.{shown[1:] or '0'}E{power}"


def spread(objects: Sequence[Due], tasks: int, task_bytes: int) -> list[list[tuple[int, Due]]]:
    """Objects among tasks: at least ``tasks`` of them where there are as many, the largest objects first, none of much more than ``task_bytes``."""
    total = sum(each.bytes for each in objects)
    count = max(1, min(len(objects), max(tasks, -(-total // task_bytes))))
    found: list[list[tuple[int, Due]]] = [[] for _ in range(count)]
    least = [(0, task) for task in range(count)]
    for number, due in sorted(enumerate(objects), key=lambda each: -each[1].bytes):
        size, task = least[0]
        found[task].append((number, due))
        heapreplace(least, (size + due.bytes, task))
    return found
