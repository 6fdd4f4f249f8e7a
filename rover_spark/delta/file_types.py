"""A column's type as Arrow has it, and whether a Parquet file holds the column in exactly that type.

Refuses (NotNative) types that Spark alone reads or writes as text. A file's column that has another type than the table
says, or another structure, is Spark's too: what it makes of such a file is its own affair. Pure.
Source: Parquet format, "Logical Types"; Delta transaction log protocol, "Schema Serialization Format".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from rover_spark.delta.storage import NotNative

_INSTANT, _LOCAL = pa.timestamp("us", tz="UTC"), pa.timestamp("us")
_ATOMS = {
    "string": pa.string(),
    "byte": pa.int8(),
    "short": pa.int16(),
    "integer": pa.int32(),
    "long": pa.int64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": _INSTANT,
    "timestamp_ntz": _LOCAL,
    "binary": pa.binary(),
}
_DECIMAL = re.compile(r"decimal\((\d+),\s*(\d+)\)")
# Spark fills a column that a file lacks by the one, pads texts by the other, compares them by the third
_SAYS_MORE = ("EXISTS_DEFAULT", "__CHAR_VARCHAR_TYPE_STRING", "__COLLATIONS")
_MOST_LEVELS = 40
_ITEM = {"element", "item"}
_WHOLE = {pa.int8(): (8, 32), pa.int16(): (16, 32), pa.int32(): (32, 32), pa.int64(): (64, 64)}
_UNITS = {"milliseconds": "ms", "microseconds": "us"}


def column_type(field: dict[str, Any]) -> pa.DataType:
    """The Arrow type of a field of a schema, as Delta's log writes one.

    Raises:
        NotNative: values of the type are Spark's to read.
    """
    return _column_type(field, field["name"], 0)


def _column_type(field: dict[str, Any], path: str, level: int) -> pa.DataType:
    more = next((name for name in _SAYS_MORE if name in (field.get("metadata") or {})), None)
    if more is not None:
        raise NotNative(f"column {path} has the property {more}")
    if "." in field["name"]:
        raise NotNative(f"column {path} has a point in its name")
    return _type(field["type"], path, level)


def _type(dtype: Any, path: str, level: int) -> pa.DataType:
    if level > _MOST_LEVELS:
        raise NotNative(f"column {path} is nested more than {_MOST_LEVELS} levels deep")
    if not isinstance(dtype, dict):
        if dtype in _ATOMS:
            return _ATOMS[dtype]
        decimal = _DECIMAL.fullmatch(dtype)
        if decimal:
            return pa.decimal128(int(decimal[1]), int(decimal[2]))
        raise NotNative(f"column {path} holds a {dtype}, which only Spark writes as text")
    if dtype["type"] == "array":
        return pa.list_(_type(dtype["elementType"], path, level + 1))
    if dtype["type"] == "map":
        key = _type(dtype["keyType"], path, level + 1)
        return pa.map_(key, _type(dtype["valueType"], path, level + 1))
    names = [each["name"] for each in dtype["fields"]]
    if len({name.casefold() for name in names}) < len(names):
        raise NotNative(f"column {path} has fields whose names differ by their case only")
    parts = [
        pa.field(each["name"], _column_type(each, f"{path}.{each['name']}", level + 1))
        for each in dtype["fields"]
    ]
    return pa.struct(parts)


def misfit(schema: Any, name: str, wanted: pa.DataType) -> str | None:
    """Why the column of a Parquet file's schema is not of the wanted type, or None where it is; the file has the column."""
    found = [schema.column(number) for number in range(len(schema.names))]
    inside = [each for each in found if each.path == name or each.path.startswith(f"{name}.")]
    leaves = list(_leaves(wanted, (name,)))
    if len(inside) != len(leaves):
        return f"column {name} has other fields"
    for column, (path, dtype) in zip(inside, leaves, strict=True):
        parts = column.path.split(".")
        if len(parts) != len(path) or not all(map(_alike, parts, path)):
            return f"column {name} is stored as {column.path}"
        if not _holds(column, dtype):
            kind = column.logical_type.type
            stored = column.physical_type if kind == "NONE" else kind
            return f"column {'.'.join(path)} is stored as {stored}, and is {dtype}"
    return None


def holds_times(wanted: pa.DataType) -> bool:
    """Whether values of a type hold days or instants, at any depth."""
    return any(
        pa.types.is_date(leaf) or pa.types.is_timestamp(leaf) for _, leaf in _leaves(wanted, ("value",))
    )


def _alike(stored: str, wanted: str) -> bool:
    return stored == wanted or (wanted == "element" and stored in _ITEM)


def _leaves(dtype: pa.DataType, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], pa.DataType]]:
    """The columns of Parquet that a type is stored in, with their paths as Spark writes them."""
    if pa.types.is_map(dtype):
        yield from _leaves(dtype.key_type, (*path, "key_value", "key"))
        yield from _leaves(dtype.item_type, (*path, "key_value", "value"))
    elif pa.types.is_list(dtype):
        yield from _leaves(dtype.value_type, (*path, "list", "element"))
    elif pa.types.is_struct(dtype):
        for number in range(dtype.num_fields):
            field = dtype.field(number)
            yield from _leaves(field.type, (*path, field.name))
    else:
        yield path, dtype


def _holds(column: Any, wanted: pa.DataType) -> bool:
    physical, logical = column.physical_type, json.loads(column.logical_type.to_json())
    kind = logical["Type"]
    if pa.types.is_string(wanted):
        return bool(physical == "BYTE_ARRAY" and kind == "String")
    if pa.types.is_binary(wanted):
        return bool(physical == "BYTE_ARRAY" and kind == "None")
    if wanted in _WHOLE:
        bits, stored = _WHOLE[wanted]
        plain = kind == "None" and bits == stored
        said = kind == "Int" and logical["bitWidth"] == bits and logical["isSigned"]
        return bool(physical == f"INT{stored}" and (plain or said))
    if pa.types.is_boolean(wanted):
        return bool(physical == "BOOLEAN")
    if pa.types.is_date(wanted):
        return bool(physical == "INT32" and kind == "Date")
    if pa.types.is_decimal(wanted):
        same = kind == "Decimal" and (logical["precision"], logical["scale"]) == (
            wanted.precision,
            wanted.scale,
        )
        return bool(same)
    if physical == "INT96":
        return wanted.tz is not None
    if physical != "INT64" or kind != "Timestamp" or logical["timeUnit"] not in _UNITS:
        return False
    return bool(logical["isAdjustedToUTC"] == (wanted.tz is not None))
