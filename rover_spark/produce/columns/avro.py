"""Spark columns ↔ Avro types: a schema for columns, or columns in the shape that a schema asks for.

``derived`` gives a schema in which everything but the required fields may be null. ``shaped`` gives a column that
``to_avro`` takes with that schema, and what keeps a row out: a null where none may be, a value that does not fit.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegralType,
    LongType,
    MapType,
    NumericType,
    StringType,
    StructType,
    TimestampNTZType,
    TimestampType,
)

from rover_spark.contract.avro import LOGICAL
from rover_spark.produce.columns.maps import characters, fields_of, is_variant, key_twice
from rover_spark.produce.columns.times import in_range
from rover_spark.produce.columns.values import DUPLICATE_KEY, json_text, not_finite

_ATOMS: tuple[tuple[type[DataType], Any], ...] = (
    (BooleanType, "boolean"),
    (LongType, "long"),
    (IntegralType, "int"),
    (FloatType, "float"),
    (DoubleType, "double"),
    (StringType, "string"),
    (BinaryType, "bytes"),
    (DateType, {"type": "int", "logicalType": "date"}),
    (TimestampType, {"type": "long", "logicalType": "timestamp-micros"}),
    (TimestampNTZType, {"type": "long", "logicalType": "timestamp-micros"}),
)
# what Spark may be asked to cast to, by the Avro type without its logical type
_CASTS = {"boolean": "boolean", "int": "int", "long": "bigint", "float": "float", "double": "double"}
_INSTANTS = {"timestamp-micros", "timestamp-millis"}
_UUID = r"\A[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\z"  # $ would let a line's end follow
_LOCAL = {"local-timestamp-micros", "local-timestamp-millis"}
# of the years 1 to 9999: a reader in Python stops at any other, with the rest of the file
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896


class Misfit(ValueError):
    """A column whose type cannot become the Avro type; the text says which."""


def derived(name: str, namespace: str, fields: Mapping[str, DataType], required: Mapping[str, Any]) -> str:
    """An Avro schema for columns, as JSON: ``required`` fields have the type given, all others may be null."""
    members = [
        {"name": field, "type": required[field]}
        if field in required
        else {"name": field, "type": _optional(dtype, (name, field)), "default": None}
        for field, dtype in fields.items()
    ]
    tree = {"type": "record", "name": name, **({"namespace": namespace} if namespace else {})}
    return json.dumps({**tree, "fields": members})


def _optional(dtype: DataType, path: tuple[str, ...]) -> list[Any]:
    return ["null", _derived(dtype, path)]


def _derived(dtype: DataType, path: tuple[str, ...]) -> Any:
    if isinstance(dtype, DecimalType):
        return {"type": "bytes", "logicalType": "decimal", "precision": dtype.precision, "scale": dtype.scale}
    for kind, avro in _ATOMS:
        if isinstance(dtype, kind):
            return avro
    if is_variant(dtype):
        return "string"
    if isinstance(dtype, ArrayType):
        return {"type": "array", "items": _optional(dtype.elementType, (*path, "item"))}
    if isinstance(dtype, MapType) and isinstance(dtype.keyType, StringType):
        return {"type": "map", "values": _optional(dtype.valueType, (*path, "value"))}
    if isinstance(dtype, StructType):
        members = [
            {"name": each.name, "type": _optional(each.dataType, (*path, each.name)), "default": None}
            for each in dtype.fields
        ]
        # a record's name must be told apart from all others in the schema
        return {"type": "record", "name": "_".join(path), "fields": members}
    if isinstance(dtype, MapType):
        how = "write transform_keys(…, (k, v) -> cast(k AS string))"
        raise Misfit(
            f"{'.'.join(path)}: the keys of a map are text in Avro, not {dtype.keyType.simpleString()}: {how}"
        )
    raise Misfit(f"{'.'.join(path)}: a column of type {dtype.simpleString()} has no Avro type")


def spelled_out(tree: Any, space: str = "", known: dict[str, Any] | None = None) -> Any:
    """The schema with every reference to a named type replaced by that type: what a column is held against."""
    known = {} if known is None else known
    if isinstance(tree, str):
        return known.get(tree if "." in tree or not space else f"{space}.{tree}", known.get(tree, tree))
    if isinstance(tree, list):
        return [spelled_out(each, space, known) for each in tree]
    if not isinstance(tree, dict):
        return tree
    if "name" in tree and tree.get("type") in {"record", "enum", "fixed"}:
        inside = tree.get("namespace", tree["name"].rpartition(".")[0] or space)
        full = tree["name"] if "." in tree["name"] or not inside else f"{inside}.{tree['name']}"
        whole = {**tree, "name": full}
        if tree["type"] == "record":
            space = full.rpartition(".")[0]
            whole["fields"] = [
                {**each, "type": spelled_out(each["type"], space, known)} for each in tree["fields"]
            ]
        known[full] = whole
        return whole
    return {
        **tree,
        **{part: spelled_out(tree[part], space, known) for part in ("items", "values") if part in tree},
    }


def shaped(value: Column, dtype: DataType, avro: Any, where: str) -> tuple[Column, Column]:
    """The column as the Avro type asks for it, and why a row's value cannot be that (null where it can).

    Integers are kept digit for digit. A double is rounded where the type is float, a time where it counts milliseconds
    or seconds: the coarser value is what such a schema asks for. Days and instants are of the years 1 to 9999.

    Raises:
        Misfit: no value of this column type can.
    """
    nullable, inner = _branch(avro)
    if inner is None:
        raise Misfit("a union takes one type besides null")
    given, wrong = _shaped(value, dtype, inner, where)
    if nullable:
        return given, wrong
    return given, F.when(value.isNull(), F.lit(f"{where}: null")).otherwise(wrong)


def _branch(avro: Any) -> tuple[bool, Any]:
    if not isinstance(avro, list):
        return False, avro
    others = [each for each in avro if each != "null"]
    return "null" in avro, others[0] if len(others) == 1 else None


def _shaped(value: Column, dtype: DataType, avro: Any, where: str) -> tuple[Column, Column]:
    kind = avro["type"] if isinstance(avro, dict) else avro
    logical = avro.get("logicalType") if isinstance(avro, dict) else None
    if logical not in LOGICAL.get(kind, ()):
        logical = None  # unknown to Avro: readers pass over it
    fine = F.lit(None).cast("string")
    unfit = F.lit(f"{where}: does not fit {kind}")
    if kind == "array" and isinstance(dtype, ArrayType):
        return _each(value, dtype.elementType, avro["items"], where)
    if kind == "map" and isinstance(dtype, MapType) and isinstance(dtype.keyType, StringType):
        keys = F.transform(F.map_keys(value), characters)
        values, wrong = _each(F.map_values(value), dtype.valueType, avro["values"], where)
        given = F.when(value.isNotNull(), F.map_from_arrays(keys, values))
        return given, F.coalesce(_twice(value, MapType(dtype.keyType, BooleanType()), where), wrong)
    if kind == "record" and isinstance(dtype, StructType):
        return _record(value, dtype, avro, where)
    if kind == "string" and logical == "uuid" and isinstance(dtype, StringType):
        return value, F.when(value.isNotNull() & ~value.rlike(_UUID), F.lit(f"{where}: no UUID"))
    if kind == "string" and isinstance(dtype, StringType):
        return characters(value), fine
    if kind == "string" and logical is None:
        if isinstance(dtype, MapType | StructType | ArrayType) or is_variant(dtype):
            lost = not_finite(value, dtype)
            wrong = fine if lost is None else F.when(lost, F.lit(f"{where}: a number that JSON has not"))
            return json_text(value, dtype), F.coalesce(_twice(value, dtype, where), wrong)
        if isinstance(dtype, NumericType | BooleanType | DateType):
            return value.cast("string"), fine
    if kind == "enum" and isinstance(dtype, StringType):
        return value, F.when(
            value.isNotNull() & ~value.isin(*avro["symbols"]), F.lit(f"{where}: no such symbol")
        )
    if kind in {"bytes", "fixed"} and logical == "decimal" and isinstance(dtype, DecimalType | IntegralType):
        exact = _try_cast(value, dtype, f"decimal({avro['precision']},{avro.get('scale', 0)})")
        kept = exact.isNotNull() & (exact == value)
        return exact, F.when(value.isNotNull() & ~kept, unfit)
    if kind == "bytes" and isinstance(dtype, BinaryType):
        return value, fine
    if kind == "fixed" and isinstance(dtype, BinaryType):
        return value, F.when(value.isNotNull() & (F.octet_length(value) != avro["size"]), unfit)
    if kind == "int" and logical == "date" and isinstance(dtype, DateType):
        day = F.unix_date(value)
        return value, F.when((day < _FIRST_DAY) | (day > _LAST_DAY), unfit)
    if kind in {"int", "long"} and isinstance(dtype, TimestampType | TimestampNTZType):
        micros = F.unix_micros(value.cast("timestamp"))
        beyond = F.when(micros.isNotNull() & in_range(micros).isNull(), unfit)
        if logical in _INSTANTS:
            return value.cast("timestamp"), beyond
        if logical in _LOCAL and isinstance(dtype, TimestampNTZType):
            return value, beyond
        if logical is None:
            seconds = F.unix_seconds(value.cast("timestamp"))
            given = _try_cast(seconds, LongType(), _CASTS[kind])
            return given, F.when(value.isNotNull() & given.isNull(), unfit)
    numbers = (IntegralType,) if kind in {"int", "long"} else (IntegralType, FloatType, DoubleType)
    if kind in {"int", "long", "float", "double"} and logical is None and isinstance(dtype, numbers):
        given = _try_cast(value, dtype, _CASTS[kind])
        kept = given.isNotNull() & _keeps(value, dtype, given, kind)
        return given, F.when(value.isNotNull() & ~kept, unfit)
    if kind == "boolean" and isinstance(dtype, BooleanType):
        return value, fine
    told = f"{kind} ({logical})" if logical else kind
    raise Misfit(f"{where}: a column of type {dtype.simpleString()} cannot become {told}")


def _each(value: Column, dtype: DataType, avro: Any, where: str) -> tuple[Column, Column]:
    """Of every element; the first that is wrong tells why."""
    given = F.transform(value, lambda one: shaped(one, dtype, avro, where)[0])
    wrong = F.filter(F.transform(value, lambda one: shaped(one, dtype, avro, where)[1]), _told)
    return given, F.when(F.size(wrong) > 0, wrong[0])


def _twice(value: Column, dtype: DataType, where: str) -> Column:
    found = key_twice(value, dtype)
    return F.lit(None).cast("string") if found is None else F.when(found, F.lit(f"{where}: {DUPLICATE_KEY}"))


def _told(reason: Column) -> Column:
    return reason.isNotNull()


def _record(value: Column, dtype: StructType, avro: Any, where: str) -> tuple[Column, Column]:
    there = {field.name: (each, field.dataType) for field, each in fields_of(value, dtype)}
    members: list[Column] = []
    reasons: list[Column] = []
    for field in avro["fields"]:
        name = field["name"]
        path = f"{where}.{name}"
        if name not in there:
            if not _branch(field["type"])[0]:
                raise Misfit(f"{path}: is not there, and may not be null")
            members.append(F.lit(None).cast(_nothing(field["type"])).alias(name))
            continue
        given, wrong = shaped(*there[name], field["type"], path)
        members.append(given.alias(name))
        reasons.append(wrong)
    whole: Callable[[Column], Column] = lambda column: F.when(value.isNotNull(), column)  # noqa: E731
    return whole(F.struct(*members)), whole(F.coalesce(*reasons)) if reasons else F.lit(None).cast("string")


def _nothing(avro: Any) -> str:
    """A Spark type for a null of this Avro type: the simplest that ``to_avro`` takes."""
    inner = _branch(avro)[1]
    kind = inner["type"] if isinstance(inner, dict) else inner
    if kind in {"array", "map", "record", "fixed", "enum"}:
        raise Misfit(f"a missing {kind} cannot be made up: give it a column")
    return {"long": "bigint", "bytes": "binary"}.get(str(kind), str(kind))


def is_text(avro: Any) -> bool:
    """Whether values of that Avro type are text, or arrays or maps of it: what else may hold text is not looked into."""
    inner = _branch(avro)[1]
    kind = inner["type"] if isinstance(inner, dict) else inner
    if kind in {"array", "map"}:
        return is_text(inner["items" if kind == "array" else "values"])
    return bool(kind == "string")


def _keeps(value: Column, dtype: DataType, given: Column, kind: str) -> Column:
    """Whether a float or double is the integer that it was made of, digit for digit, or as finite as the double."""
    if isinstance(dtype, IntegralType) and kind in {"float", "double"}:
        # a cast of 2^63 gives the highest bigint, which it is not
        return F.when(given < 2.0**63, given.cast("bigint") == value).otherwise(F.lit(False))
    if isinstance(dtype, DoubleType) and kind == "float":
        return (F.abs(given) != math.inf) | (F.abs(value) == math.inf)
    return F.lit(True)


def _try_cast(value: Column, dtype: DataType, wanted: str) -> Column:
    if dtype.simpleString() == wanted:
        return value
    if isinstance(dtype, IntegralType) and wanted == "int":  # not ANSI: a cast would wrap around
        return F.when(value.cast("bigint").between(-(2**31), 2**31 - 1), value.cast("int"))
    return value.cast(wanted)
