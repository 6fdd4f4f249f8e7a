"""JSON text stored in a column: one object, checked strictly as RFC 8259 says, spliced digit for digit.

Promises that what passes ``is_object_text`` and not ``names_twice`` means one object to every reader, and that nothing of
it is rounded or reordered: line breaks become blanks, a surrogate without its other half U+FFFD, top-level nulls may go.
All Column -> Column. Source: RFC 8259.
"""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

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
_LARGEST = "9007199254740991"  # 2^53 - 1
# text inside of strings is consumed whole, and extracts nothing
_LONG_INTEGER = rf"{_STRING}|(?<![0-9.eE+-])-?([0-9]{{{len(_LARGEST)},}}+)(?![.eE])"
_DEPTH = 48
_MOST_LEVELS = 1000  # that Spark's own reader follows


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
    """Valid JSON text without line breaks: between tokens a blank means the same, and strings cannot hold any."""
    return F.translate(text, "\r\n", "  ")


def added_quotes(text: Column) -> Column:
    """How many octets valid JSON text grows by where its integers beyond ±(2^53 - 1) become strings."""
    found = F.regexp_extract_all(text, F.lit(_LONG_INTEGER), F.lit(1))
    beyond = F.filter(found, lambda digits: (F.length(digits) > len(_LARGEST)) | (digits > _LARGEST))
    return F.lit(2) * F.size(beyond)


def too_deep(text: Column) -> Column:
    """True where a valid object's top-level nulls cannot be distinguished from nested ones."""
    return text.contains("null") & ~text.rlike(rf"^{_FLAT_ENOUGH}$")


def without_null_members(text: Column) -> Column:
    """Valid object text without its top-level nulls; null where it is nested ``too_deep`` to know."""
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


def names_twice(text: Column) -> Column:
    """True where an object in a valid object's text has two members of one name, at any depth; null where it is null.

    Names are compared after unescaping. The exact check is expensive and runs only where a cheap check finds a suspect.
    """
    suspect = not_one_variant(text) if hasattr(F, "try_parse_json") else some_name_twice(text)
    return suspect & somewhere_twice(text)


def not_one_variant(text: Column) -> Column:
    """True where the text cannot become a VARIANT, which holds a name once; Spark 4's own parser decides."""
    return F.when(text.isNotNull(), F.try_parse_json(text).isNull())


def some_name_twice(text: Column) -> Column:
    """True where two members anywhere in the text have one name, or one is written with escapes."""
    # text inside of values is consumed whole: no name can begin in it
    found = F.regexp_extract_all(text, F.lit(rf"({_STRING})\s*+:|{_STRING}"), F.lit(1))
    names = F.filter(found, lambda name: name != "")
    return _repeats(names) | F.exists(names, lambda name: name.contains("\\"))


def _repeats(names: Column) -> Column:
    return F.coalesce(F.size(names) != F.size(F.array_distinct(names)), F.lit(False))


def somewhere_twice(text: Column) -> Column:
    """True where a name occurs twice in an object, level by level: Spark reads an object into a map of texts, which keeps both.

    Text inside of values is emptied first, so that what begins with a brace is an object or an array.
    """
    bare = F.regexp_replace(text, rf'({_STRING}\s*+:)|(")[^"\\]*+(?:\\.[^"\\]*+)*+(")', "$1$2$3")
    opened = F.length(bare) - F.length(F.translate(bare, "{[", ""))
    no_lists = F.array().cast("array<array<string>>")
    first = F.struct(
        F.array(_members(bare)).alias("objects"), no_lists.alias("lists"), F.lit(False).alias("twice")
    )

    def one_level(seen: Column, _: Column) -> Column:
        values = F.concat(F.flatten(F.transform(seen["objects"], F.map_values)), F.flatten(seen["lists"]))
        objects = F.filter(values, lambda value: F.coalesce(value.startswith("{"), F.lit(False)))
        lists = F.filter(values, lambda value: F.coalesce(value.startswith("["), F.lit(False)))
        return F.struct(
            F.transform(objects, _members).alias("objects"),
            F.transform(lists, _items).alias("lists"),
            (seen["twice"] | _any_repeats(seen["objects"])).alias("twice"),
        )

    levels = F.sequence(F.lit(1), F.least(opened, F.lit(_MOST_LEVELS)))
    return F.aggregate(levels, first, one_level, lambda seen: seen["twice"] | _any_repeats(seen["objects"]))


def _any_repeats(objects: Column) -> Column:
    return F.exists(objects, lambda each: _repeats(F.map_keys(each)))


def _members(text: Column) -> Column:
    return F.coalesce(F.from_json(text, "map<string,string>"), F.create_map().cast("map<string,string>"))


def _items(text: Column) -> Column:
    return F.coalesce(F.from_json(text, "array<string>"), F.array().cast("array<string>"))
