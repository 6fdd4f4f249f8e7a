"""Source values as JSON text: maps, structs, VARIANT and JSON text all give the same object.

Promises canonical text: map keys sorted at every depth, each with the text that its value has in JSON, integers and
decimals digit for digit, timestamps in UTC with six decimals. JSON text is spliced unchanged once it is valid. What
cannot be kept exactly, and what JSON readers would take in different ways, is reported as a problem, never rounded or
picked from. Nothing here raises for a value. All Column -> Column; nothing here reads a row.
"""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, DoubleType, FloatType, MapType, StringType, StructType

from rover_spark.produce.columns.json_text import (
    REPLACEMENT,
    is_object_text,
    names_twice,
    one_line,
    too_deep,
    well_formed,
    without_null_members,
)
from rover_spark.produce.columns.maps import (
    JSON_OPTIONS,
    any_of,
    each_inside,
    fields_of,
    has,
    is_variant,
    key_twice,
    last_of_each,
    or_false,
    readable,
)

DUPLICATE_KEY = "duplicate_key"


def not_finite(column: Column, dtype: DataType) -> Column | None:
    """True where the value holds a NaN or an infinity, which JSON cannot express; None for types without them."""
    if not has(dtype, DoubleType, FloatType):
        return None
    if isinstance(dtype, ArrayType):
        element = dtype.elementType
        return or_false(F.exists(column, lambda item: or_false(not_finite(item, element))))
    if isinstance(dtype, MapType):
        value = dtype.valueType
        return or_false(F.exists(F.map_values(column), lambda item: or_false(not_finite(item, value))))
    if isinstance(dtype, StructType):

        def in_a_field(whole: Column) -> Column:
            numbers, conditions = [], []
            for field, value in fields_of(whole, dtype):
                if isinstance(field.dataType, DoubleType | FloatType):
                    numbers.append(value.cast("double"))
                elif (found := not_finite(value, field.dataType)) is not None:
                    conditions.append(found)
            if numbers:
                conditions.append(F.exists(F.array(*numbers), _is_not_finite))
            return any_of(conditions)

        return each_inside(column, dtype, in_a_field)
    return _is_not_finite(column)


def _is_not_finite(number: Column) -> Column:
    return or_false(F.isnan(number) | (F.abs(number) == float("inf")))


def raw_text(column: Column, dtype: DataType) -> Column | None:
    """The stored text of a value, invalid UTF-8 included; None for types that are not checked."""
    if isinstance(dtype, StringType):
        return column
    if (
        isinstance(dtype, MapType)
        and isinstance(dtype.keyType, StringType)
        and isinstance(dtype.valueType, StringType)
    ):
        return F.concat_ws(" ", F.map_keys(column), F.map_values(column))
    if isinstance(dtype, ArrayType) and isinstance(dtype.elementType, StringType):
        return F.concat_ws(" ", column)
    return None


def holds_replacement(text: Column) -> Column:
    """Whether a text holds U+FFFD; false for a null text."""
    return F.coalesce(text.contains(REPLACEMENT), F.lit(False))


def mended(emitted: Column, types: dict[str, DataType]) -> Column:
    """True where U+FFFD is ``emitted`` and these columns hold none: it replaced invalid UTF-8."""
    raw = (raw_text(F.col(name), dtype) for name, dtype in types.items())
    return emitted & ~any_of([holds_replacement(text) for text in raw if text is not None])


# -- JSON ----------------------------------------------------------------------------------------------------


def written(column: Column, dtype: DataType) -> Column:
    """The value as ``{"value": …}`` JSON; null if a map in it has a duplicate key."""
    twice = key_twice(column, dtype)
    value = readable(column, dtype)
    return F.to_json(
        F.struct((value if twice is None else F.when(~twice, value)).alias("value")), JSON_OPTIONS
    )


def json_text(column: Column, dtype: DataType, *, last: bool = False) -> Column:
    """The value as one line of JSON text, valid where ``json_object`` finds no problem; null where it is null.

    Of a map that has a key twice there is none either, at any depth; with ``last`` it has the last of the entries.
    """
    if isinstance(dtype, StringType) or is_variant(dtype):
        return well_formed(one_line(F.to_json(column) if is_variant(dtype) else column))
    text = F.to_json(readable(column, dtype), JSON_OPTIONS)
    twice = key_twice(column, dtype)
    if twice is None:
        return text
    kept = F.when(~twice, text)
    return (
        kept.otherwise(F.to_json(readable(last_of_each(column, dtype), dtype), JSON_OPTIONS))
        if last
        else kept
    )


def some_twice(text: Column, column: Column, dtype: DataType) -> Column | None:
    """True where an object in the value has a key or a name twice; None for types that cannot. ``text`` as in ``json_object``."""
    if not isinstance(dtype, StringType):
        return key_twice(column, dtype)
    return or_false(F.when(text.rlike(r"^[ \t]*\{"), names_twice(text)))


def json_object(
    text: Column, column: Column, dtype: DataType, *, drop_nulls: bool, twice: Column | None = None
) -> tuple[Column, Column]:
    """The object's JSON text, and the problem that keeps it from being one, or null.

    ``text`` is what ``json_text`` made of the value, by name: it is asked for several times. A null column is the empty
    object: a fan without traits has none. ``drop_nulls`` takes out top-level nulls.

    Where ``twice`` is given, what ``some_twice`` found by name, that is no problem. JSON text keeps all of its members then,
    nulls too: which of a name is the last one is decided later.
    """
    if is_variant(dtype):
        problem = F.when(~text.rlike(r"^\{"), F.lit("no_json_object"))
    elif isinstance(dtype, StringType):
        problem = F.when(~is_object_text(column), F.lit("no_json_object"))
        problem = problem if twice is not None else problem.when(names_twice(text), F.lit(DUPLICATE_KEY))
    else:
        problem = F.when(or_false(not_finite(column, dtype)), F.lit("number_not_finite"))
        problem = problem.when(column.isNotNull() & text.isNull(), F.lit(DUPLICATE_KEY))
    if not drop_nulls or isinstance(dtype, StructType):  # a struct's nulls are absent already
        return text, problem
    plain = without_null_members(text)
    if twice is not None and isinstance(dtype, StringType):
        plain = F.when(twice, text).otherwise(plain)
    return plain, problem.when(too_deep(text), F.lit("nested_too_deeply"))
