"""Source values as JSON text: maps, structs, VARIANT and JSON text all give the same object.

Promises canonical text: map keys sorted at every depth, integers and decimals digit for digit, timestamps in UTC
with six decimals. JSON text is spliced as it stands once it is valid. What cannot be kept exactly is reported as a
problem, never rounded. All Column -> Column; nothing here reads a row.
"""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, DoubleType, FloatType, MapType, StringType, StructType

JSON_OPTIONS = {
    "ignoreNullFields": "true",
    "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'",
    "timestampNTZFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS",
    "timeZone": "UTC",
}
REPLACEMENT = "\ufffd"
# A surrogate escape without its other half. An even number of backslashes before it would be backslashes themselves.
_ODD = r"((?<!\\)(?:\\\\)*+)"
_HIGH, _LOW = r"\\u[dD][89abAB][0-9a-fA-F]{2}", r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_LONE_HIGH = rf"{_ODD}{_HIGH}(?!{_LOW})"
_LONE_LOW = rf"(?<!(?<!\\)(?:\\\\){{0,64}}{_HIGH}){_ODD}{_LOW}"
_STRICT = {
    "allowSingleQuotes": "false",
    "allowNonNumericNumbers": "false",
    "allowUnquotedControlChars": "false",
    "mode": "PERMISSIVE",
}
# Possessive quantifiers throughout: Java matches them in a loop, so a hostile text cannot exhaust the stack.
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_DEPTH = 48


def _nested(depth: int) -> str:
    inner = r"[^\"{}\[\]]++|" + _STRING
    pattern = rf"[{{\[](?:{inner})*+[}}\]]"
    for _ in range(depth - 1):
        pattern = rf"[{{\[](?:{inner}|{pattern})*+[}}\]]"
    return pattern


_NESTED = _nested(_DEPTH)
# Strings and nested values are consumed whole, so a null member can only match at the top level.
_NULL_MEMBER = rf"{_STRING}\s*+:\s*+null\s*+,?+|({_STRING}|{_NESTED})"
_FLAT_ENOUGH = rf"\s*+\{{(?:[^\"{{}}\[\]]++|{_STRING}|{_NESTED})*+\}}\s*+"


def is_variant(dtype: DataType) -> bool:
    """True for VARIANT, which only Spark 4 knows."""
    return dtype.typeName() == "variant"


def _has(dtype: DataType, kinds: tuple[type[DataType], ...]) -> bool:
    if isinstance(dtype, kinds):
        return True
    if isinstance(dtype, ArrayType):
        return _has(dtype.elementType, kinds)
    if isinstance(dtype, MapType):
        return _has(dtype.keyType, kinds) or _has(dtype.valueType, kinds)
    if isinstance(dtype, StructType):
        return any(_has(field.dataType, kinds) for field in dtype.fields)
    return False


def sorted_maps(column: Column, dtype: DataType) -> Column:
    """The same value with the entries of every map in the order of their keys."""
    if not _has(dtype, (MapType,)):
        return column
    if isinstance(dtype, ArrayType):
        element = dtype.elementType
        return F.transform(column, lambda item: sorted_maps(item, element))
    if isinstance(dtype, MapType):
        value = dtype.valueType
        if not _has(value, (MapType,)):
            return F.map_from_entries(F.sort_array(F.map_entries(column)))
        entries = F.transform(
            F.sort_array(F.map_keys(column)),
            lambda key: F.struct(key.alias("key"), sorted_maps(column[key], value).alias("value")),
        )
        return F.map_from_entries(entries)
    assert isinstance(dtype, StructType)
    fields = [sorted_maps(column[field.name], field.dataType).alias(field.name) for field in dtype.fields]
    return F.when(column.isNotNull(), F.struct(*fields))


def not_finite(column: Column, dtype: DataType) -> Column | None:
    """True where a NaN or an infinity stands anywhere in the value, which JSON cannot say; None where it never can."""
    if not _has(dtype, (DoubleType, FloatType)):
        return None
    if isinstance(dtype, ArrayType):
        element = dtype.elementType
        return F.coalesce(F.exists(column, lambda item: _or_false(not_finite(item, element))), F.lit(False))
    if isinstance(dtype, MapType):
        value = dtype.valueType
        return F.coalesce(
            F.exists(F.map_values(column), lambda item: _or_false(not_finite(item, value))), F.lit(False)
        )
    if isinstance(dtype, StructType):
        found = F.lit(False)
        for field in dtype.fields:
            found = found | _or_false(not_finite(column[field.name], field.dataType))
        return found
    return F.coalesce(F.isnan(column) | (F.abs(column) == float("inf")), F.lit(False))


def _or_false(condition: Column | None) -> Column:
    return F.lit(False) if condition is None else F.coalesce(condition, F.lit(False))


def is_object_text(text: Column) -> Column:
    """True where the text is strict JSON and exactly one object; null where it is null.

    The text is read beside a marker it cannot hold, its own SHA-256: whatever it might close, open or append, the
    marker is the second of two elements only if the text is one whole value.
    """
    marker = F.sha2(text, 256)
    read = F.from_json(F.concat(F.lit("["), text, F.lit(',"'), marker, F.lit('"]')), "array<string>", _STRICT)
    whole = (F.size(read) == 2) & (F.element_at(read, -1) == marker)
    return F.when(text.isNotNull(), F.coalesce(text.rlike(r"^[ \t\r\n]*\{") & whole, F.lit(False)))


def one_line(text: Column) -> Column:
    """Valid JSON text without line breaks: between tokens a blank says the same, inside strings none can stand."""
    return F.translate(text, "\r\n", "  ")


def too_deep(text: Column) -> Column:
    """True where a valid object's top-level nulls cannot be told from nested ones."""
    return text.contains("null") & ~text.rlike(rf"^{_FLAT_ENOUGH}$")


def without_null_members(text: Column) -> Column:
    """Valid object text without its top-level nulls; null where it is nested ``too_deep`` to tell."""
    stripped = F.regexp_replace(F.regexp_replace(_body(text), _NULL_MEMBER, "$1"), r",\s*+$", "")
    removed = F.when(~too_deep(text), F.concat(F.lit("{"), stripped, F.lit("}")))
    return F.when(text.contains("null"), removed).otherwise(text)


def _body(text: Column) -> Column:
    return F.regexp_replace(F.regexp_replace(text, r"^\s*+\{", ""), r"\}\s*+$", "")


def well_formed(text: Column) -> Column:
    """Valid JSON text whose surrogate escapes come in pairs: one alone is no character, and becomes U+FFFD."""
    mended = text
    for pattern in (_LONE_HIGH, _LONE_LOW):
        mended = F.regexp_replace(mended, pattern, f"$1{REPLACEMENT}")
    return F.when(text.rlike(r"\\u[dD][89a-fA-F]"), mended).otherwise(text)


def raw_text(column: Column, dtype: DataType) -> Column | None:
    """The text in a value as it lies in the table, ill-formed octets included; None for types that are not looked into."""
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
    """Whether U+FFFD stands in a text; false where there is none."""
    return F.coalesce(text.contains(REPLACEMENT), F.lit(False))


def mended(emitted: Column, types: dict[str, DataType]) -> Column:
    """True where U+FFFD is ``emitted`` and does not stand in these columns: what is no character was replaced."""
    there = F.lit(False)
    for name, dtype in types.items():
        if (raw := raw_text(F.col(name), dtype)) is not None:
            there = there | holds_replacement(raw)
    return emitted & ~there


def json_text(column: Column, dtype: DataType) -> Column:
    """The value as one line of JSON text, valid where ``json_object`` finds no problem; null where it is null."""
    if isinstance(dtype, StringType) or is_variant(dtype):
        return well_formed(one_line(F.to_json(column) if is_variant(dtype) else column))
    return F.to_json(sorted_maps(column, dtype), JSON_OPTIONS)


def json_object(text: Column, column: Column, dtype: DataType, *, drop_nulls: bool) -> tuple[Column, Column]:
    """The object's JSON text, and the problem that keeps it from being one, or null.

    ``text`` is what ``json_text`` made of the value, by name: it is asked for several times. A null column is the empty
    object: a fan without traits has none. ``drop_nulls`` takes out top-level nulls.
    """
    if is_variant(dtype):
        problem = F.when(~text.rlike(r"^\{"), F.lit("no_json_object"))
    elif isinstance(dtype, StringType):
        problem = F.when(~is_object_text(column), F.lit("no_json_object"))
    else:
        problem = F.when(_or_false(not_finite(column, dtype)), F.lit("number_not_finite"))
    if not drop_nulls or isinstance(dtype, StructType):  # a struct's nulls are absent already
        return text, problem
    return without_null_members(text), problem.when(too_deep(text), F.lit("nested_too_deeply"))
