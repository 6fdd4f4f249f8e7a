"""An Avro schema made of Spark columns, for event types without a schema of their own. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

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
    StringType,
    StructType,
    TimestampNTZType,
    TimestampType,
)

from rover_spark.produce.columns.avro import Misfit
from rover_spark.produce.columns.maps import is_variant

_MICROS = {"type": "long", "logicalType": "timestamp-micros"}
_ATOMS: tuple[tuple[type[DataType], Any], ...] = (  # the first that a type is an instance of
    (BooleanType, "boolean"),
    (LongType, "long"),
    (IntegralType, "int"),
    (FloatType, "float"),
    (DoubleType, "double"),
    (StringType, "string"),
    (BinaryType, "bytes"),
    (DateType, {"type": "int", "logicalType": "date"}),
    (TimestampType, _MICROS),
    (TimestampNTZType, _MICROS),
)


def derived(name: str, namespace: str, fields: Mapping[str, DataType], required: Mapping[str, Any]) -> str:
    """A schema for these columns, as JSON: ``required`` fields have the type given, all others may be null.

    Raises:
        Misfit: a column whose type has no Avro type.
    """
    members = [
        {"name": field, "type": required[field]}
        if field in required
        else {"name": field, "type": _optional(dtype, (name, field)), "default": None}
        for field, dtype in fields.items()
    ]
    tree = {"type": "record", "name": name, **({"namespace": namespace} if namespace else {})}
    return json.dumps({**tree, "fields": members})


def _optional(dtype: DataType, path: tuple[str, ...]) -> list[Any]:
    return ["null", _type(dtype, path)]


def _type(dtype: DataType, path: tuple[str, ...]) -> Any:
    if isinstance(dtype, DecimalType):
        return {"type": "bytes", "logicalType": "decimal", "precision": dtype.precision, "scale": dtype.scale}
    for kind, avro in _ATOMS:
        if isinstance(dtype, kind):
            return avro
    if is_variant(dtype):
        return "string"
    if isinstance(dtype, ArrayType):
        return {"type": "array", "items": _optional(dtype.elementType, (*path, "item"))}
    if isinstance(dtype, MapType):
        return _map(dtype, path)
    if isinstance(dtype, StructType):
        return _record(dtype, path)
    raise Misfit(f"{'.'.join(path)}: a column of type {dtype.simpleString()} has no Avro type")


def _map(dtype: MapType, path: tuple[str, ...]) -> Any:
    if not isinstance(dtype.keyType, StringType):
        how = "write transform_keys(…, (k, v) -> cast(k AS string))"
        raise Misfit(
            f"{'.'.join(path)}: the keys of a map are text in Avro, not {dtype.keyType.simpleString()}: {how}"
        )
    return {"type": "map", "values": _optional(dtype.valueType, (*path, "value"))}


def _record(dtype: StructType, path: tuple[str, ...]) -> Any:
    members = [
        {"name": each.name, "type": _optional(each.dataType, (*path, each.name)), "default": None}
        for each in dtype.fields
    ]
    # the path makes the record's name differ from all others in the schema
    return {"type": "record", "name": "_".join(path), "fields": members}
