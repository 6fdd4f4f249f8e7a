"""Spark columns in the shape that an Avro schema asks for: ``shaped`` gives what ``to_avro`` takes, and what keeps a row out.

One function for each kind of Avro type, in one table. Each takes a cell and gives it shaped, or None where no value of the
cell's column type can become the type. All Column -> Column.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

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

from rover_spark.contract.avro_tree import Schema
from rover_spark.produce.columns.maps import characters, fields_of, is_variant, key_twice
from rover_spark.produce.columns.times import in_range
from rover_spark.produce.columns.values import DUPLICATE_KEY, json_text, not_finite

Shaped = tuple[Column, Column]  # the value, and why a row's value cannot be that: null where it can
_NUMBERS = {"int": "int", "long": "bigint", "float": "float", "double": "double"}  # Spark's types by Avro's
_INSTANTS = {"timestamp-micros", "timestamp-millis"}
_LOCAL = {"local-timestamp-micros", "local-timestamp-millis"}
_UUID = r"\A[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\z"  # $ would let a line's end follow
# of the years 1 to 9999: a reader in Python stops at any other, with the rest of the file
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896


class Misfit(ValueError):
    """A column whose type cannot become the Avro type; the text says which."""


@dataclass(frozen=True)
class _Cell:
    """A column on its way to an Avro type, no union; ``where`` is its path in the schema, for messages.

    ``mend`` puts U+FFFD in place of octets that are no UTF-8.
    """

    value: Column
    dtype: DataType
    avro: Schema
    where: str
    mend: Callable[[Column], Column]

    def whole(self, given: Column) -> Shaped:
        """Every value fits."""
        return given, _no_reason()

    def unless(self, wrong: Column, given: Column, reason: str = "") -> Shaped:
        """Values fit where ``wrong`` is not true."""
        return given, F.when(wrong, F.lit(f"{self.where}: {reason or f'does not fit {self.avro.kind}'}"))

    def where_kept(self, kept: Column, given: Column) -> Shaped:
        """Values fit where they are null, or ``given`` keeps them."""
        return self.unless(self.value.isNotNull() & ~kept, given)


def shaped(
    value: Column,
    dtype: DataType,
    avro: Schema,
    where: str,
    mend: Callable[[Column], Column] = characters,
) -> Shaped:
    """The column as the Avro type asks for it, and why a row's value cannot be that (null where it can).

    ``mend`` puts U+FFFD in place of octets of a text that are no UTF-8; a caller may know which rows have any.

    Integers are kept digit for digit. A double is rounded where the type is float, a time where it counts milliseconds
    or seconds: the coarser value is what such a schema asks for. Days and instants are of the years 1 to 9999.

    Raises:
        Misfit: no value of this column type can.
    """
    inner = avro.besides_null
    if inner is None:
        raise Misfit("a union takes one type besides null")
    found = _KINDS[inner.kind](_Cell(value, dtype, inner, where, mend))
    if found is None:
        logical = inner.known_logical
        wanted = f"{inner.kind} ({logical})" if logical else inner.kind
        raise Misfit(f"{where}: a column of type {dtype.simpleString()} cannot become {wanted}")
    given, wrong = found
    if avro.nullable:
        return given, wrong
    return given, F.when(value.isNull(), F.lit(f"{where}: null")).otherwise(wrong)


def is_text(avro: Schema) -> bool:
    """Whether values of a type are text, or arrays or maps of text. A record does not count as text."""
    inner = avro.besides_null
    if inner is not None and inner.kind in {"array", "map"}:
        return is_text(inner.parts[0])
    return inner is not None and inner.kind == "string"


# -- one function a kind -------------------------------------------------------------------------------------


def _null(cell: _Cell) -> Shaped | None:
    return None


def _boolean(cell: _Cell) -> Shaped | None:
    return cell.whole(cell.value) if isinstance(cell.dtype, BooleanType) else None


def _integer(cell: _Cell) -> Shaped | None:
    if isinstance(cell.dtype, TimestampType | TimestampNTZType):
        return _time(cell)
    if cell.avro.known_logical == "date" and isinstance(cell.dtype, DateType):
        day = F.unix_date(cell.value)
        return cell.unless((day < _FIRST_DAY) | (day > _LAST_DAY), cell.value)
    if cell.avro.known_logical or not isinstance(cell.dtype, IntegralType):
        return None
    given = _try_cast(cell.value, cell.dtype, _NUMBERS[cell.avro.kind])
    return cell.where_kept(given.isNotNull(), given)


def _time(cell: _Cell) -> Shaped | None:
    """An instant, a local time, or whole seconds where the schema does not say what it counts."""
    instant, logical = cell.value.cast("timestamp"), cell.avro.known_logical
    micros = F.unix_micros(instant)
    out_of_range = micros.isNotNull() & in_range(micros).isNull()
    if logical in _INSTANTS:
        return cell.unless(out_of_range, instant)
    if logical in _LOCAL and isinstance(cell.dtype, TimestampNTZType):
        return cell.unless(out_of_range, cell.value)
    if logical:
        return None
    given = _try_cast(F.unix_seconds(instant), LongType(), _NUMBERS[cell.avro.kind])
    return cell.where_kept(given.isNotNull(), given)


def _floating(cell: _Cell) -> Shaped | None:
    if not isinstance(cell.dtype, IntegralType | FloatType | DoubleType):
        return None
    given = _try_cast(cell.value, cell.dtype, _NUMBERS[cell.avro.kind])
    return cell.where_kept(given.isNotNull() & _keeps(cell, given), given)


def _keeps(cell: _Cell, given: Column) -> Column:
    """Whether a float or double is the integer that it was made of, digit for digit, or as finite as the double."""
    if isinstance(cell.dtype, IntegralType):
        # a cast of 2^63 gives the highest bigint, which it is not
        return F.when(given < 2.0**63, given.cast("bigint") == cell.value).otherwise(F.lit(False))
    if isinstance(cell.dtype, DoubleType) and cell.avro.kind == "float":
        return (F.abs(given) != math.inf) | (F.abs(cell.value) == math.inf)
    return F.lit(True)


def _string(cell: _Cell) -> Shaped | None:
    if cell.avro.known_logical == "uuid":
        return _uuid(cell)
    if isinstance(cell.dtype, StringType):
        return cell.whole(cell.mend(cell.value))
    if isinstance(cell.dtype, MapType | StructType | ArrayType) or is_variant(cell.dtype):
        return _json(cell)
    if isinstance(cell.dtype, NumericType | BooleanType | DateType):
        return cell.whole(cell.value.cast("string"))
    return None


def _uuid(cell: _Cell) -> Shaped | None:
    if not isinstance(cell.dtype, StringType):
        return None
    return cell.unless(cell.value.isNotNull() & ~cell.value.rlike(_UUID), cell.value, "no UUID")


def _json(cell: _Cell) -> Shaped:
    """A nested value as JSON text."""
    not_json = not_finite(cell.value, cell.dtype)
    text = json_text(cell.value, cell.dtype)
    _, wrong = (
        cell.whole(text) if not_json is None else cell.unless(not_json, text, "a number that JSON has not")
    )
    return text, F.coalesce(_duplicate_key(cell, cell.dtype), wrong)


def _enum(cell: _Cell) -> Shaped | None:
    if not isinstance(cell.dtype, StringType):
        return None
    unknown = cell.value.isNotNull() & ~cell.value.isin(*cell.avro.symbols)
    return cell.unless(unknown, cell.value, "no such symbol")


def _bytes(cell: _Cell) -> Shaped | None:
    if isinstance(cell.dtype, BinaryType):
        return cell.whole(cell.value)
    return _decimal(cell)


def _fixed(cell: _Cell) -> Shaped | None:
    if isinstance(cell.dtype, BinaryType):
        size = F.octet_length(cell.value)
        return cell.unless(cell.value.isNotNull() & (size != cell.avro.size), cell.value)
    return _decimal(cell)


def _decimal(cell: _Cell) -> Shaped | None:
    if cell.avro.known_logical != "decimal" or not isinstance(cell.dtype, DecimalType | IntegralType):
        return None
    exact = _try_cast(cell.value, cell.dtype, f"decimal({cell.avro.precision},{cell.avro.scale})")
    return cell.where_kept(exact.isNotNull() & (exact == cell.value), exact)


def _array(cell: _Cell) -> Shaped | None:
    if not isinstance(cell.dtype, ArrayType):
        return None
    return _elements(cell, cell.value, cell.dtype.elementType)


def _map(cell: _Cell) -> Shaped | None:
    if not isinstance(cell.dtype, MapType) or not isinstance(cell.dtype.keyType, StringType):
        return None
    keys = F.transform(F.map_keys(cell.value), cell.mend)
    values, wrong = _elements(cell, F.map_values(cell.value), cell.dtype.valueType)
    given = F.when(cell.value.isNotNull(), F.map_from_arrays(keys, values))
    # maps inside values are checked when the value type is shaped
    bare = MapType(cell.dtype.keyType, BooleanType())
    return given, F.coalesce(_duplicate_key(cell, bare), wrong)


def _elements(cell: _Cell, array: Column, dtype: DataType) -> Shaped:
    """Every element shaped; the reason is that of the first that does not fit."""
    part = cell.avro.parts[0]
    given = F.transform(array, lambda one: shaped(one, dtype, part, cell.where, cell.mend)[0])
    wrong = F.filter(
        F.transform(array, lambda one: shaped(one, dtype, part, cell.where, cell.mend)[1]), _is_reason
    )
    return given, F.when(F.size(wrong) > 0, wrong[0])


def _record(cell: _Cell) -> Shaped | None:
    if not isinstance(cell.dtype, StructType):
        return None
    columns = {field.name: (each, field.dataType) for field, each in fields_of(cell.value, cell.dtype)}
    members: list[Column] = []
    reasons: list[Column] = []
    for field in cell.avro.fields:
        path = f"{cell.where}.{field.name}"
        if field.name not in columns:
            members.append(_missing(field.type, path).alias(field.name))
            continue
        given, wrong = shaped(*columns[field.name], field.type, path, cell.mend)
        members.append(given.alias(field.name))
        reasons.append(wrong)
    there = cell.value.isNotNull()
    reason = F.when(there, F.coalesce(*reasons)) if reasons else _no_reason()
    return F.when(there, F.struct(*members)), reason


def _missing(avro: Schema, path: str) -> Column:
    """A null for a field that no column gives, of the simplest Spark type that ``to_avro`` takes."""
    inner = avro.besides_null
    if not avro.nullable:
        raise Misfit(f"{path}: is not there, and may not be null")
    if inner is None or inner.kind in {"array", "map", "record", "fixed", "enum"}:
        raise Misfit(f"a missing {inner.kind if inner else 'union'} cannot be made up: give it a column")
    return F.lit(None).cast({"long": "bigint", "bytes": "binary"}.get(inner.kind, inner.kind))


_KINDS: dict[str, Callable[[_Cell], Shaped | None]] = {
    "null": _null,
    "boolean": _boolean,
    "int": _integer,
    "long": _integer,
    "float": _floating,
    "double": _floating,
    "string": _string,
    "bytes": _bytes,
    "enum": _enum,
    "fixed": _fixed,
    "array": _array,
    "map": _map,
    "record": _record,
}


# -- what they share -----------------------------------------------------------------------------------------


def _no_reason() -> Column:
    return F.lit(None).cast("string")


def _is_reason(reason: Column) -> Column:
    return reason.isNotNull()


def _duplicate_key(cell: _Cell, dtype: DataType) -> Column:
    """The reason of values in which a map has a key twice; ``dtype`` limits how deep maps are checked."""
    twice = key_twice(cell.value, dtype)
    return _no_reason() if twice is None else F.when(twice, F.lit(f"{cell.where}: {DUPLICATE_KEY}"))


def _try_cast(value: Column, dtype: DataType, wanted: str) -> Column:
    if dtype.simpleString() == wanted:
        return value
    if isinstance(dtype, IntegralType) and wanted == "int":  # not ANSI: a cast would wrap around
        return F.when(value.cast("bigint").between(-(2**31), 2**31 - 1), value.cast("int"))
    return value.cast(wanted)
