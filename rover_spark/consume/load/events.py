"""Events of an Avro container as Arrow columns, by the types of its schema.

A field of a logical type becomes what it means: a date, an instant, a decimal. Records, maps, arrays and unions of several
types become JSON. An event with a value that cannot be kept is refused by its number.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from decimal import Context, Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa

from rover_spark.consume.containers import Event
from rover_spark.consume.ddl.tables import Column, of_field
from rover_spark.consume.load.lines import ADDITIONAL, Place
from rover_spark.consume.load.port import TEXT
from rover_spark.consume.records import BadLine, Wrong
from rover_spark.contract.avro import Schema

BATCH = 5000  # events
OBJECT = "object_key"
# DuckDB numbers rows by rowid, unless a column has its name
_RESERVED = (OBJECT, ADDITIONAL, "rowid")
_LONGEST_NAME = 120
_PLAIN: dict[str, pa.DataType] = {
    "key": pa.string(), "text": pa.string(), "integer": pa.int64(), "real": pa.float64(), "flag": pa.bool_(),
    "time": pa.timestamp("us"), "day": pa.date32(), "octets": pa.binary(), "json": pa.string(), "any": pa.string(),
}  # fmt: skip
_SMALLEST, _GREATEST = -(2**63), 2**63 - 1


def columns_of(schema: Schema, taken: Iterable[str] = ()) -> tuple[Column, ...]:
    """The columns of a schema's fields. Fields whose names a table cannot hold beside the others are none.

    ``taken`` are names that columns have already: no warehouse tells names apart by case. A name that begins with ``_`` is
    left to the warehouse: Delta merges, and tells changes, by columns of such names.
    """
    held = {each.casefold(): each for each in taken}
    found = []
    for field in schema.fields:
        name = field.name
        folded = name.casefold()
        if len(name) > _LONGEST_NAME or name.startswith("_") or folded in _RESERVED:
            continue
        if held.setdefault(folded, name) == name:
            found.append(of_field(name, field.type))
    return tuple(found)


def arrow(
    events: Sequence[tuple[int, Event]], columns: Sequence[Column]
) -> tuple[pa.Table, list[Place], list[tuple[int, BadLine]]]:
    """The columns of events, each with the number of its object; where each row stands, and the events that are refused."""
    names = {each.name for each in columns}
    makers = [(each.name, _maker(each)) for each in columns]
    rows: list[list[Any]] = []
    places, refused = [], []
    for number, event in events:
        fields = event.fields
        try:
            row = [None if fields[name] is None else make(fields[name]) for name, make in makers]
            rest = {name: value for name, value in fields.items() if name not in names and value is not None}
            row.append(_json(rest) if rest else None)
        except (ValueError, OverflowError, ArithmeticError, RecursionError) as error:
            refused.append((number, refusal(event, str(error))))
        else:
            rows.append(row)
            places.append((number, event.number))
    types = [*(_type(each) for each in columns), pa.string()]
    turned = list(zip(*rows, strict=True)) or [()] * len(types)
    arrays = [pa.array(values, kind) for values, kind in zip(turned, types, strict=True)]
    return pa.table(arrays, names=[*(each.name for each in columns), ADDITIONAL]), places, refused


def refusal(event: Event, why: str = "") -> BadLine:
    """An event that is right by its schema and cannot be kept."""
    message = f"holds a value that no table can keep{': ' if why else ''}{why}"
    return BadLine(event.number, (Wrong("value_refused", message),), shown(event))


def shown(event: Event) -> bytes:
    """An event as text, for the quarantine."""
    return repr(event.fields)[: 4 * TEXT].encode(errors="replace")


def _type(column: Column) -> pa.DataType:
    if column.kind == "decimal":
        return pa.decimal128(column.precision, column.scale)
    return _PLAIN[column.kind]


def _maker(column: Column) -> Callable[[Any], Any]:
    """What a stored value becomes in its column."""
    value = column.avro.besides_null if column.avro is not None else None
    logical = value.known_logical if value is not None else ""
    match column.kind:
        case "json" | "any":
            return _json
        case "time":
            factor = {"timestamp-millis": (1000, 1), "timestamp-nanos": (1, 1000)}.get(logical, (1, 1))
            return lambda found: _whole(found * factor[0] // factor[1])
        case "decimal" | "text" if logical == "decimal" and value is not None:
            scale, digits = value.scale, value.precision
            as_text = column.kind == "text"
            return lambda found: _decimal(found, digits, scale, as_text)
        case "text" if logical == "uuid" and value is not None and value.kind == "fixed":
            return lambda found: str(UUID(bytes=found))
    return _same


def _same(found: Any) -> Any:
    return found


def _whole(found: int) -> int:
    if not _SMALLEST <= found <= _GREATEST:
        raise ValueError(f"{found} is no instant")
    return found


def _decimal(found: bytes, digits: int, scale: int, as_text: bool) -> Any:
    number = Decimal(int.from_bytes(found, "big", signed=True)).scaleb(-scale, Context(prec=10_000))
    if len(number.as_tuple().digits) > digits:
        raise ValueError(f"a decimal has more than {digits} digits")
    return f"{number:f}" if as_text else number


def _json(found: Any) -> str:
    return json.dumps(found, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_octets)


def _octets(found: Any) -> str:
    """Bytes inside of JSON: base64."""
    if isinstance(found, bytes):
        return base64.b64encode(found).decode()
    raise ValueError(f"{type(found).__name__} is no JSON")
