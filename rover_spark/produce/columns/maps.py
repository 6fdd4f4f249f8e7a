"""Maps as JSON has them: keys that are text, each once, in their order; at any depth of a value.

Promises a key the text that JSON has of such a value (a date as 2026-01-31, octets in base64, a struct as its JSON), and
that no value raises: ``key_twice`` finds those that have a key twice. All Column -> Column.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    DataType,
    MapType,
    StringType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
)

_INSTANT, _LOCAL = "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'", "yyyy-MM-dd'T'HH:mm:ss.SSSSSS"
JSON_OPTIONS = {
    "ignoreNullFields": "true",
    "timestampFormat": _INSTANT,
    "timestampNTZFormat": _LOCAL,
    "timeZone": "UTC",
}
_WIDE = 100  # fields


def is_variant(dtype: DataType) -> bool:
    """True for VARIANT, which only Spark 4 knows."""
    return dtype.typeName() == "variant"


def _parts(dtype: DataType) -> list[DataType]:
    if isinstance(dtype, ArrayType):
        return [dtype.elementType]
    if isinstance(dtype, MapType):
        return [dtype.keyType, dtype.valueType]
    return [field.dataType for field in dtype.fields] if isinstance(dtype, StructType) else []


def has(dtype: DataType, *kinds: type[DataType]) -> bool:
    """Whether the type holds one of these kinds at any depth."""
    return isinstance(dtype, kinds) or any(has(part, *kinds) for part in _parts(dtype))


def _is_ordered(dtype: DataType) -> bool:
    """Whether Spark can sort such values."""
    unordered = isinstance(dtype, MapType) or is_variant(dtype) or dtype.typeName() == "interval"
    return not unordered and all(_is_ordered(part) for part in _parts(dtype))


def fields_of(column: Column, dtype: StructType) -> list[tuple[StructField, Column]]:
    """A struct's fields with their values, also where names differ by their case only, which Spark takes for one."""
    names = [field.name for field in dtype.fields]
    if len({name.casefold() for name in names}) < len(names):
        names = [f"_{n}" for n in range(len(names))]
        numbered = (
            StructField(name, field.dataType) for name, field in zip(names, dtype.fields, strict=True)
        )
        column = column.cast(StructType(list(numbered)))
    return [(field, column[name]) for name, field in zip(names, dtype.fields, strict=True)]


def name_twice(dtype: DataType) -> str | None:
    """A name that two fields of one struct have, anywhere in the type; None where there is none."""
    if isinstance(dtype, StructType):
        names = [field.name for field in dtype.fields]
        if found := next((name for n, name in enumerate(names) if name in names[:n]), None):
            return found
    return next(filter(None, map(name_twice, _parts(dtype))), None)


def or_false(condition: Column | None) -> Column:
    """The condition, false where it is null or there is none."""
    return F.lit(False) if condition is None else F.coalesce(condition, F.lit(False))


def any_of(conditions: Sequence[Column]) -> Column:
    """True where one of them is. However many there are, the expression does not nest: Spark would walk it by recursion."""
    if not conditions:
        return F.lit(False)
    if len(conditions) > 8:
        return F.coalesce(F.array_contains(F.array(*conditions), F.lit(True)), F.lit(False))
    return reduce(lambda left, right: left | right, conditions)


# -- keys ----------------------------------------------------------------------------------------------------


def characters(text: Column) -> Column:
    """Text with U+FFFD in place of octets that are no UTF-8: a reader would stop at them."""
    if hasattr(F, "make_valid_utf8"):
        return F.make_valid_utf8(text)
    return F.regexp_replace(text, "^", "")  # Spark 3.5: through Java's strings and back


def ill_formed(text: Column) -> Column:
    """Whether ``characters`` puts U+FFFD into a text; false where there is none."""
    if hasattr(F, "is_valid_utf8"):
        return ~F.coalesce(F.is_valid_utf8(text), F.lit(True))
    return F.coalesce(characters(text) != text, F.lit(False))


def key_text(key: Column, dtype: DataType) -> Column:
    """A map key's text: the JSON of such a value, without quotes. Spark's JSON writer would print the key object's memory
    address.
    """
    if isinstance(dtype, TimestampType):
        return F.date_format(key, _INSTANT)
    if isinstance(dtype, TimestampNTZType):
        return F.date_format(key, _LOCAL)
    if isinstance(dtype, BinaryType):
        return F.translate(F.base64(key), "\r\n", "")  # some versions break lines
    if isinstance(dtype, StructType | ArrayType):
        return F.to_json(readable(key, dtype), JSON_OPTIONS)
    return key.cast("string")


def key_twice(column: Column, dtype: DataType) -> Column | None:
    """True where a map in the value has two keys of one text, which only other writers than Spark make; None without maps."""
    if not has(dtype, MapType):
        return None
    if isinstance(dtype, ArrayType):
        element = dtype.elementType
        return or_false(F.exists(column, lambda item: or_false(key_twice(item, element))))
    if isinstance(dtype, StructType):

        def in_a_field(whole: Column) -> Column:
            found = (key_twice(value, field.dataType) for field, value in fields_of(whole, dtype))
            return any_of([each for each in found if each is not None])

        return each_inside(column, dtype, in_a_field)
    assert isinstance(dtype, MapType)
    key, value = dtype.keyType, dtype.valueType
    keys = F.map_keys(column)
    twice = or_false(F.size(keys) != F.size(F.array_distinct(_key_texts(keys, key))))
    if not has(value, MapType):
        return twice
    return twice | or_false(F.exists(F.map_values(column), lambda item: or_false(key_twice(item, value))))


def _key_texts(keys: Column, dtype: DataType) -> Column:
    texts = F.transform(keys, lambda each: characters(key_text(each, dtype)))
    # text is almost always valid: two checks of all keys joined cost less than one per key
    return (
        F.when(~ill_formed(F.concat_ws(" ", keys)), keys).otherwise(texts) if dtype == StringType() else texts
    )


def last_of_each(column: Column, dtype: DataType) -> Column:
    """The value with one entry of a key's text in each map, at any depth: the last one, as it is stored."""
    if not has(dtype, MapType):
        return column
    if not isinstance(dtype, MapType):
        return _rebuilt(column, dtype, last_of_each)
    key, value = dtype.keyType, dtype.valueType
    texts = _key_texts(F.map_keys(column), key)

    def no_later_one(_: Column, place: Column) -> Column:
        return ~F.array_contains(F.slice(texts, place + 2, F.size(texts)), F.element_at(texts, place + 1))

    entries = F.filter(F.map_entries(column), no_later_one)
    if has(value, MapType):
        entries = F.transform(
            entries,
            lambda entry: F.struct(
                entry["key"].alias("key"), last_of_each(entry["value"], value).alias("value")
            ),
        )
    return F.map_from_entries(entries)


# -- values --------------------------------------------------------------------------------------------------


def each_inside(column: Column, dtype: StructType, build: Callable[[Column], Column]) -> Column:
    """Applies ``build`` to a struct.

    A struct of more than 100 fields is bound to a lambda variable first; otherwise Catalyst repeats the whole struct
    expression at every field reference, which takes minutes.
    """
    if len(dtype.fields) <= _WIDE:
        return build(column)
    return F.element_at(F.transform(F.array(column), build), 1)


def _rebuilt(column: Column, dtype: DataType, of: Callable[[Column, DataType], Column]) -> Column:
    """An array or a struct with what ``of`` makes of each of its values, by their type."""
    if isinstance(dtype, ArrayType):
        element = dtype.elementType
        return F.transform(column, lambda item: of(item, element))
    assert isinstance(dtype, StructType)

    def struct(whole: Column) -> Column:
        fields = [of(value, field.dataType).alias(field.name) for field, value in fields_of(whole, dtype)]
        return F.when(whole.isNotNull(), F.struct(*fields))

    return each_inside(column, dtype, struct)


def readable(column: Column, dtype: DataType) -> Column:
    """The value as Spark's JSON writer can take it: every map with its keys as text, in the order of the keys.

    Not to be evaluated where ``key_twice``: Spark refuses to make such a map.
    """
    if not has(dtype, MapType):
        return column
    if not isinstance(dtype, MapType):
        return _rebuilt(column, dtype, readable)
    key, value = dtype.keyType, dtype.valueType
    if _is_ordered(value) and _is_ordered(key):
        entries = F.sort_array(F.map_entries(column))
        if key != StringType():
            entries = F.transform(entries, lambda entry: _entry(entry["key"], key, entry["value"]))
        return F.map_from_entries(entries)
    keys, values = F.map_keys(column), F.map_values(column)

    def place(each: Column, number: Column) -> Column:
        return F.struct((each if _is_ordered(key) else key_text(each, key)).alias("by"), number.alias("at"))

    in_order = F.sort_array(F.transform(keys, place))
    return F.map_from_entries(
        F.transform(in_order, lambda of: _entry(keys[of["at"]], key, readable(values[of["at"]], value)))
    )


def _entry(key: Column, dtype: DataType, value: Column) -> Column:
    return F.struct(key_text(key, dtype).alias("key"), value.alias("value"))


def as_stored(column: Column, dtype: DataType) -> Column:
    """The value as Spark's JSON writer can take it, whatever it holds: maps of other keys than text as their entries."""
    if not has(dtype, MapType):
        return column
    if not isinstance(dtype, MapType):
        return _rebuilt(column, dtype, as_stored)
    key, value = dtype.keyType, dtype.valueType
    if isinstance(key, StringType):
        within = has(value, MapType)
        return F.transform_values(column, lambda _, item: as_stored(item, value)) if within else column
    return F.transform(
        F.map_entries(column),
        lambda entry: F.struct(entry["key"].alias("key"), as_stored(entry["value"], value).alias("value")),
    )
