"""Rows of a table → rows of records, over whole Arrow batches: the second spelling of ``fields`` and ``envelope``.

Equal to Spark's, byte for byte; a property test holds them to it. Serves rows of which each stands alone: a snapshot's, or
inserted events. ``records_of`` refuses (NotNative) every plan that is more, and every type whose text is Spark's. Who reads
the rows, and who evaluates expressions, does not matter here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rover_spark.contract.ids import canonical
from rover_spark.contract.rover import CONTRACT, OVERHEAD, VERSION, Field
from rover_spark.delta.storage import NotNative
from rover_spark.encode.digests import digests32
from rover_spark.encode.instants import instants_in_range, instants_text
from rover_spark.encode.json_integers import quoted_integers
from rover_spark.encode.json_strings import REPLACEMENT
from rover_spark.encode.json_values import Json, any_twice, json_of, members
from rover_spark.encode.pieces import (
    Mask,
    Part,
    Piece,
    column,
    constant,
    gathered,
    lengths,
    longest,
    rows_with,
    sums_before,
)
from rover_spark.encode.uuids import WIDTH, uuids
from rover_spark.errors import ReaderRefused
from rover_spark.produce.rover.plain import PLAIN_SCALE, Condition, Value, text_of
from rover_spark.produce.rover.plan import BatchPlan

_CREATE = "create"


@dataclass(frozen=True)
class Records:
    """What makes records of a plan's rows: per field and additional field its expression, and the filter."""

    plan: BatchPlan
    fields: dict[str, Value]
    extra: dict[str, Value]
    where: Condition | None

    def of(self, rows: pa.RecordBatch, chunks: pa.Array, what: str) -> pa.RecordBatch:
        """(chunk, outcome, floor, mended, id, line) of the rows that count; ``twice`` where the plan asks for it.

        ``chunks`` are those of all rows.

        Raises:
            ReaderRefused: only Spark can make the records of ``what``.
        """
        try:
            if self.where is not None:
                wanted = self.where.of(rows)
                rows, chunks = rows.filter(wanted), chunks.filter(wanted)
            return _Batch(self, rows).records(chunks)
        except ReaderRefused:
            raise
        except Exception as error:
            raise ReaderRefused(f"{what}: {type(error).__name__}") from error


class _Batch:
    """One batch of rows on its way."""

    def __init__(self, of: Records, rows: pa.RecordBatch) -> None:
        self._plan, self._dataset, self._last = of.plan, of.plan.definition, of.plan.text.last
        self._rows = len(rows)
        self._fields = {name: value.of(rows) for name, value in of.fields.items()}
        self._extra = {name: value.of(rows) for name, value in of.extra.items()}
        self._uuids = {
            field.name: uuids(self._fields[field.name])
            for field in self._dataset.fields
            if field.kind == "uuid"
        }
        time = self._fields[self._dataset.event_time]
        self._micros = time.cast(pa.int64()).fill_null(0).to_numpy()
        self._good = _valid(time) & instants_in_range(self._micros) & self._whole_key()

    def records(self, chunks: pa.Array) -> pa.RecordBatch:
        own = [(field.name, self._own(field)) for field in self._dataset.own if field.name in self._fields]
        more = [(name, json_of(values, last=self._last)) for name, values in self._extra.items()]
        inner, tail = members(own, self._rows), members(more, self._rows)
        good = self._good & self._small((*inner, *tail))
        twice = any_twice([value for _, value in (*own, *more)])
        if twice is not None and not self._last:
            good = good & ~twice
        delivered = None if good.all() else good
        operation = [("operation", Json((constant(b'"create"'),)))] if self._dataset.operation else []
        ids = self._ids(delivered)
        lines = gathered(
            self._rows, self._line(ids, members([*own, *operation, *more], self._rows)), delivered
        )
        made = {
            "chunk": chunks,
            "outcome": _outcomes(good),
            "floor": pa.repeat(pa.scalar(False), self._rows),
            "mended": pa.array(self._mended((*inner, *tail)) & good),
            "id": _texts(ids, delivered),
            "line": _texts(lines, delivered),
        }
        if self._last:
            made["twice"] = pa.array(np.zeros(self._rows, bool) if twice is None else twice & good)
        return pa.RecordBatch.from_pydict(made)

    def _small(self, parts: tuple[Part, ...]) -> Mask:
        """The rows whose record is not too large, with the quotes that its integers get."""
        limit = self._plan.files.max_record_bytes - OVERHEAD
        quotes = self._plan.text.big_integers == "string"
        # an integer of 17 octets, its comma included, takes 2 more
        surely = limit * 17 // 19 if quotes else limit
        if not self._rows or longest(parts) <= surely:
            return np.ones(self._rows, bool)
        sizes = lengths(self._rows, parts)
        near = (sizes > surely) & (sizes <= limit)
        if quotes and near.any():
            # the members of one text are those of an object without its braces
            texts, _ = quoted_integers(gathered(self._rows, parts, near).view(pa.string()))
            sizes = np.where(near, pc.binary_length(texts).to_numpy(), sizes)
        return sizes <= limit

    def _whole_key(self) -> Mask:
        """The rows whose key and required texts are there, and are UUIDs where they have to be."""
        good = np.ones(self._rows, bool)
        in_key = {*self._dataset.key, *self._plan.source.natural_key}
        for field in self._dataset.fields:
            required = field.required and field.kind in {"text", "uuid"}
            if field.kind != "time" and (required or field.name in in_key):
                good &= _valid(self._fields[field.name])
        for name, values in self._extra.items():
            if name in in_key:
                good &= _valid(values)
        for _, are_uuids in self._uuids.values():
            good &= are_uuids
        return good

    def _own(self, field: Field) -> Json:
        if field.kind == "uuid":
            texts, there = self._uuids[field.name]
            quote = constant(b'"')
            return Json((quote, column(texts), quote), None if there.all() else there)
        values = self._fields[field.name]
        value = json_of(values, null_members=field.name != "traits", last=self._last)
        if field.kind == "json" and field.required and value.there is not None:
            return Json((*value.present, constant(b"{}").where(~value.there)), None, value.twice)
        return value

    def _ids(self, delivered: Mask | None) -> pa.Array:
        plan = self._plan
        prefix = canonical([CONTRACT, plan.export, plan.epoch, plan.dataset])
        pieces: list[Part] = [constant(prefix.encode())]
        for name in plan.source.natural_key:
            if name == self._dataset.event_time:
                pieces += _encoded(pa.array(self._micros).cast(pa.string()))
            elif name == "operation":
                pieces.append(constant(canonical([_CREATE]).encode()))
            elif name in self._uuids:
                pieces += [constant(f"{WIDTH}:".encode()), column(self._uuids[name][0])]
            else:
                values = self._fields[name] if name in self._fields else self._extra[name]
                pieces += _encoded(_id_text(values))
        return digests32(gathered(self._rows, pieces, delivered))

    def _line(self, ids: pa.Array, inside: tuple[Part, ...]) -> list[Part]:
        plan = self._plan
        emitted_at = plan.emitted_at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{plan.instant % 1000:03d}Z"
        return [
            constant(b'{"id":"'),
            column(ids),
            constant(f'","version":{VERSION},"roverID":"'.encode()),
            column(self._uuids["roverID"][0]),
            constant(f'","emittedAt":"{emitted_at}",'.encode()),
            *inside,
            constant(f',"{self._dataset.event_time}":"'.encode()),
            column(instants_text(self._micros)),
            constant(b'"}\n'),
        ]

    def _mended(self, emitted: tuple[Part, ...]) -> Mask:
        """The rows whose record holds U+FFFD although none of their texts does."""
        found = rows_with(REPLACEMENT, self._rows, emitted)
        if found.any():
            for values in (*self._fields.values(), *self._extra.values()):
                found &= ~_holds_replacement(values)
        return found


def records_of(
    plan: BatchPlan, fields: Mapping[str, Value], extra: Mapping[str, Value], where: Condition | None = None
) -> Records:
    """What makes records of a plan's rows: per field and additional field the value that gives it, and the filter.

    Raises:
        NotNative: only Spark can make them; the message says why.
    """
    dataset, source = plan.definition, plan.source
    if not plan.stand_alone:
        raise NotNative("changes are compared with what was there before")
    if plan.floors:
        raise NotNative("earlier batches left floors")
    for field in dataset.fields:
        if field.name in fields:
            _check_field(field, fields[field.name].kind)
        elif field.required or field.name in source.natural_key:
            raise NotNative(f"no column gives {field.name}")
    for name in source.natural_key:
        if name in extra:
            _check_key(name, extra[name].kind)
        elif name not in fields and name != "operation":
            raise NotNative(f"no column gives {name}")
    for name, value in (*fields.items(), *extra.items()):
        _check_json(name, value.kind)
    return Records(plan, dict(fields), dict(extra), where)


def _check_field(field: Field, kind: pa.DataType) -> None:
    fits = {
        "uuid": pa.types.is_string,
        "text": pa.types.is_string,
        "time": pa.types.is_timestamp,
        "json": lambda kind: pa.types.is_map(kind) or pa.types.is_struct(kind),
        "scalar": lambda kind: True,
    }[field.kind]
    if not fits(kind):
        raise NotNative(f"{field.name} is a {kind}, which Spark reads")
    if field.kind == "scalar":
        _check_key(field.name, kind)


def _check_key(name: str, kind: pa.DataType) -> None:
    nested = pa.types.is_nested(kind) or pa.types.is_binary(kind)
    if nested:
        raise NotNative(f"{name} is a {kind}, which has no exact text")


def _check_json(name: str, kind: pa.DataType) -> None:
    """Raises NotNative for a value whose JSON is Spark's."""
    if pa.types.is_decimal(kind) and kind.scale > PLAIN_SCALE:
        raise NotNative(f"{name} holds a {kind}, whose small numbers Spark writes as 1E-7")
    if pa.types.is_map(kind) and not pa.types.is_string(kind.key_type):
        raise NotNative(f"{name} holds a map with keys of {kind.key_type}")
    if pa.types.is_nested(kind):
        parts = (
            [kind.item_type]
            if pa.types.is_map(kind)
            else [kind.field(n).type for n in range(kind.num_fields)]
        )
        for part in parts:
            _check_json(name, part)


def _valid(values: pa.Array) -> Mask:
    return values.is_valid().to_numpy(zero_copy_only=False)


def _id_text(values: pa.Array) -> pa.Array:
    return values.cast(pa.int64()) if pa.types.is_timestamp(values.type) else values


def _encoded(values: pa.Array) -> list[Piece]:
    texts = text_of(values)
    sizes = pc.binary_length(texts)
    return [column(sizes.cast(pa.string())), constant(b":"), column(texts)]


def _outcomes(good: Mask) -> pa.Array:
    if good.all():
        return pa.repeat(pa.scalar("delivered"), len(good))
    return pc.if_else(pa.array(good), "delivered", "quarantined")


def _texts(texts: pa.Array, delivered: Mask | None) -> pa.Array:
    """The texts, null in rows that are not delivered: there they are empty."""
    if delivered is None:
        return texts.view(pa.string())
    return pc.if_else(pa.array(delivered), texts.view(pa.string()), pa.scalar(None, pa.string()))


def _holds_replacement(values: pa.Array) -> Mask:
    """The rows whose stored texts hold U+FFFD themselves: of texts, lists and maps of texts, as Spark looks at them."""
    kind = values.type
    if pa.types.is_map(kind) and pa.types.is_string(kind.item_type):
        found = [_in_items(values, part) for part in (values.keys, values.items)]
        return found[0] | found[1]
    if pa.types.is_list(kind) and pa.types.is_string(kind.value_type):
        return _in_items(values, values.values)
    if pa.types.is_string(kind):
        return rows_with(REPLACEMENT, len(values), [column(values)])
    return np.zeros(len(values), bool)


def _in_items(values: pa.Array, items: pa.Array) -> Mask:
    """The rows of which an item holds U+FFFD; ``items`` are all of a list's values, a map's keys or its values."""
    found = rows_with(REPLACEMENT, len(items), [column(items)])
    return np.diff(sums_before(values.offsets.to_numpy(), found)) > 0
