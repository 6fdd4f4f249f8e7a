"""Avro schemas of events: read and checked here, the only way from JSON to a tree (``avro_tree``).

Promises that every reference is resolved and every default fits, that of a union its first branch: Avro 1.12 would take
any, but readers of before refuse the whole file. Refuses what is no Avro 1.12 record, what has no columns (recursive
types, over 32 levels) and what is no event (no ``id``, no ``time``). Documentation, aliases, sort orders and unknown
properties are not looked at.

Source: Apache Avro 1.12, "Schema Declaration" and "Logical Types"; Currents, "At-least-once delivery", "Timestamps".
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeGuard

from rover_spark.contract.avro_changes import Change, changes
from rover_spark.contract.avro_tree import LOGICAL, Field, Schema, canonical, fingerprint

__all__ = [
    "Change",
    "Field",
    "Schema",
    "canonical",
    "changes",
    "fingerprint",
    "parse",
    "registered_tree",
    "type_of",
]

PRIMITIVES = ("null", "boolean", "int", "long", "float", "double", "bytes", "string")
MAX_LEVELS = 32  # records, arrays and maps in one another, down to the innermost value
MAX_TYPES = 10_000  # with every reference written out: a few lines of JSON can describe billions of columns

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SURROGATE = re.compile("[\ud800-\udfff]")
_INTEGERS = {"int": 2**31, "long": 2**63}
_FLOATS = {"float": (2 - 2**-23) * 2.0**127, "double": sys.float_info.max}
_DAY = {"time-millis": 86_400_000, "time-micros": 86_400_000_000}
_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SIZES = {"uuid": 16, "duration": 12}


def parse(source: str | Mapping[str, object], *, registered: bool = False) -> Schema:
    """The schema of an event, from its JSON text or from the parsed tree of such a text.

    A ``registered`` one was accepted once, and files may hold it: there a default may also fit a later branch of a union,
    or a type without its logical type, as earlier versions took it.

    Raises:
        ValueError: it cannot be the schema of an event; says which field, and why.
    """
    tree: object = source
    if isinstance(source, str):
        try:
            tree = json.loads(source, object_pairs_hook=_once, parse_constant=_constant)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the schema is not JSON: {error}") from None
    if not isinstance(tree, Mapping) or tree.get("type") != "record":
        raise ValueError("the schema is not that of a record")
    event = _Parser(registered).schema(tree, "", "", 1)
    types = {field.name: field.type for field in event.fields}
    for name, kinds in (("id", ("string",)), ("time", ("int", "long"))):
        if name not in types:
            raise ValueError(f"the schema has no field {name!r}")
        if types[name].kind not in kinds:
            raise _wrong(name, f"must be {' or '.join(kinds)}, not {types[name].words}")
    if types["time"].logical:  # none counts seconds: readers would see 1970, or the year 50,000
        raise _wrong("time", f"counts seconds, so it cannot be {types['time'].words}")
    return event


@lru_cache(maxsize=1024)
def registered_tree(canonical_text: str) -> Schema:
    """The tree of a schema that is registered, or is about to be. Each text is resolved once."""
    return parse(canonical_text, registered=True)


def type_of(tree: object) -> Schema:
    """The type that a JSON tree describes, whether or not it is an event's. Raises ValueError where it is none."""
    return _Parser(registered=True).schema(tree, "", "", 1)


class _Parser:
    """One pass over a tree. ``known`` maps full names to types, None while a type is still open."""

    def __init__(self, registered: bool) -> None:
        self.registered = registered
        self.known: dict[str, Schema | None] = {}

    def schema(self, tree: object, path: str, space: str, level: int) -> Schema:
        if level > MAX_LEVELS:
            raise _wrong(path, f"nested more than {MAX_LEVELS} levels deep")
        match tree:
            case str():
                found = self.named(tree, path, space)
            case list():
                found = self.union(tree, path, space, level)
            case Mapping():
                found = self.defined(tree, path, space, level)
            case _:
                raise _wrong(path, f"{_shown(tree)} is no type")
        levels, types = found.extent  # a reference adds the type that it names
        if levels > MAX_LEVELS or types > MAX_TYPES:
            raise _wrong(
                path, f"nested more than {MAX_LEVELS} levels deep, or made of over {MAX_TYPES:,} types"
            )
        return found

    def named(self, name: str, path: str, space: str) -> Schema:
        if name in PRIMITIVES:
            return Schema(name)
        full = f"{space}.{name}" if space and "." not in name else name
        if full not in self.known:
            raise _wrong(path, f"unknown type {_shown(name)}")
        found = self.known[full]
        if found is None:
            raise _wrong(path, f"{full} contains itself: a recursive type has no columns")
        return found

    def union(self, branches: list[object], path: str, space: str, level: int) -> Schema:
        parts: dict[str, Schema] = {}
        for branch in branches:
            if isinstance(branch, list):
                raise _wrong(path, "a union directly inside a union")
            part = self.schema(branch, path, space, level)
            if part.key in parts:
                raise _wrong(path, f"{part.key} occurs twice in one union")
            parts[part.key] = part
        if not parts:
            raise _wrong(path, "a union without branches")
        return Schema("union", parts=tuple(parts.values()))

    def defined(self, tree: Mapping[Any, Any], path: str, space: str, level: int) -> Schema:
        kind = tree.get("type")
        match kind:
            case "record" | "enum" | "fixed":
                name = self.opened(tree, path, space)
                if kind == "record":
                    found = Schema(kind, name, self.fields(tree, path, name.rpartition(".")[0], level + 1))
                else:
                    found = _enum(tree, path, name) if kind == "enum" else _fixed(tree, path, name)
                found = self.known[name] = _annotated(found, tree, path)
                return found
            case "array" | "map":
                attribute, mark = ("items", "[]") if kind == "array" else ("values", "{}")
                if attribute not in tree:
                    raise _wrong(path, f"{kind} without {attribute}")
                part = self.schema(tree[attribute], path + mark, space, level + 1)
                return _annotated(Schema(kind, parts=(part,)), tree, path)
            case str() if kind in PRIMITIVES:
                return _annotated(Schema(kind), tree, path)
            case str():
                return self.named(kind, path, space)
            case _:
                raise _wrong(path, f"{_shown(kind)} is no type")

    def opened(self, tree: Mapping[Any, Any], path: str, space: str) -> str:
        """The full name of a definition, taken from here on."""
        name, own = tree.get("name"), tree.get("namespace", space)
        if not isinstance(name, str) or not isinstance(own, str):
            raise _wrong(path, f"{tree['type']} without a name, or its name or namespace is no text")
        full = name if "." in name or not own else f"{own}.{name}"
        parts = full.split(".")
        if not all(_NAME.fullmatch(part) for part in parts) or parts[-1] in PRIMITIVES:
            raise _wrong(path, f"no type can be named {_shown(full)}")
        if full in self.known:
            raise _wrong(path, f"{full} is defined twice")
        self.known[full] = None
        return full

    def fields(self, tree: Mapping[Any, Any], path: str, space: str, level: int) -> tuple[Field, ...]:
        fields: dict[str, Field] = {}
        for number, field in enumerate(_list(tree, "fields", path), 1):
            name = field.get("name") if isinstance(field, Mapping) else None
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise _wrong(path, f"field {number} cannot be named {_shown(name)}")
            where = f"{path}.{name}" if path else name
            if name in fields:
                raise _wrong(where, "two fields have this name")
            found = self.schema(field.get("type"), where, space, level)
            default = _default(found, field["default"], self.registered) if "default" in field else None
            if "default" in field and default is None:
                first = (
                    f": its first branch, {found.parts[0].words}, decides" if found.kind == "union" else ""
                )
                raise _wrong(
                    where, f"{found.words} cannot have the default {_shown(field['default'])}{first}"
                )
            fields[name] = Field(name, found, default)
        return tuple(fields.values())


def _enum(tree: Mapping[Any, Any], path: str, name: str) -> Schema:
    symbols: dict[str, None] = {}
    for symbol in _list(tree, "symbols", path):
        if not isinstance(symbol, str) or not _NAME.fullmatch(symbol):
            raise _wrong(path, f"no symbol can be named {_shown(symbol)}")
        if symbol in symbols:
            raise _wrong(path, f"two symbols are named {symbol}")
        symbols[symbol] = None
    default = tree.get("default")
    if "default" in tree and not (isinstance(default, str) and default in symbols):
        raise _wrong(path, f"the default {_shown(default)} is none of the symbols")
    return Schema("enum", name, symbols=tuple(symbols), default=default)


def _fixed(tree: Mapping[Any, Any], path: str, name: str) -> Schema:
    size = tree.get("size")
    if not _whole(size, 0, 2**31 - 1):
        raise _wrong(path, f"a fixed type cannot have the size {_shown(size)}")
    return Schema("fixed", name, size=size)


def _annotated(schema: Schema, tree: Mapping[Any, Any], path: str) -> Schema:
    """The type with its logical type: an unknown one is kept, a known one must fit, or readers would ignore it."""
    logical = tree.get("logicalType", "")
    if not isinstance(logical, str):
        raise _wrong(path, f"a logical type is a text, not {_shown(logical)}")
    if any(logical in names for names in LOGICAL.values()):
        size = _SIZES.get(logical, schema.size) if schema.kind == "fixed" else schema.size
        if logical not in LOGICAL.get(schema.kind, ()) or schema.size != size:
            raise _wrong(path, f"{schema.words} cannot be a {logical}")
    if logical != "decimal":
        return replace(schema, logical=logical)
    precision, scale = tree.get("precision"), tree.get("scale", 0)
    most = math.floor(math.log10(2) * (8 * schema.size - 1)) if schema.kind == "fixed" else sys.maxsize
    if not _whole(precision, 1, most):
        raise _wrong(path, f"{schema.words} cannot be a decimal of precision {_shown(precision)}")
    if not _whole(scale, 0, precision):
        raise _wrong(path, f"a decimal of precision {precision} cannot have the scale {_shown(scale)}")
    return replace(schema, logical=logical, precision=precision, scale=scale)


def _default(schema: Schema, value: object, registered: bool) -> str | None:
    """A default's one JSON text, None where the type cannot hold it. Of a union, the first branch has to."""
    if not registered and not _means(schema, value):
        return None

    def inside(part: Schema, item: object) -> str | None:
        return _default(part, item, registered)

    match schema.kind, value:
        case "union", _:
            texts = (inside(part, value) for part in schema.parts[: None if registered else 1])
            return next((text for text in texts if text is not None), None)
        case ("null", None) | ("boolean", bool()):
            return json.dumps(value)
        case _, bool():  # Python's are integers too
            return None
        case "int" | "long", int():
            limit = _INTEGERS[schema.kind]
            return str(value) if -limit <= value < limit else None
        case "float" | "double", int() | float():
            return json.dumps(float(value)) if abs(value) <= _FLOATS[schema.kind] else None
        case "string", str():
            return None if _SURROGATE.search(value) else json.dumps(value)
        case "bytes" | "fixed", str():
            fits = schema.kind == "bytes" or len(value) == schema.size
            return json.dumps(value) if fits and all(ord(char) < 256 for char in value) else None
        case "enum", str():
            return json.dumps(value) if value in schema.symbols else None
        case "array", list():
            items = [inside(schema.parts[0], item) for item in value]
            return None if None in items else f"[{','.join(filter(None, items))}]"
        case "map", dict():
            return _object_text({name: inside(schema.parts[0], item) for name, item in value.items()})
        case "record", dict():
            fields = {field.name: field for field in schema.fields}
            needed = {field.name for field in schema.fields if field.default is None}
            if not needed <= value.keys() <= fields.keys():
                return None
            return _object_text({name: inside(fields[name].type, item) for name, item in value.items()})
        case _:
            return None


def _means(schema: Schema, value: object) -> bool:
    """Whether a default is a value of its logical type: a reader that knows it stops at anything else."""
    match schema.logical, value:
        case "uuid", str() if schema.kind == "string":
            return bool(_UUID.fullmatch(value))
        case "decimal", str():
            octets = value.encode("latin-1", "replace")
            return octets != b"" and abs(int.from_bytes(octets, "big", signed=True)) < 10**schema.precision
        case (("time-millis" | "time-micros"), int()):
            return 0 <= value < _DAY[schema.logical]
        case _:
            return True


def _object_text(texts: dict[Any, str | None]) -> str | None:
    """A JSON object of texts, its names sorted; None where a name is no text, or a text is missing."""
    if None in texts.values() or not all(
        isinstance(name, str) and not _SURROGATE.search(name) for name in texts
    ):
        return None
    return f"{{{','.join(f'{json.dumps(name)}:{texts[name]}' for name in sorted(texts))}}}"


def _list(tree: Mapping[Any, Any], attribute: str, path: str) -> list[Any]:
    found = tree.get(attribute)
    if not isinstance(found, list):
        raise _wrong(path, f"{tree['type']} without a list of {attribute}")
    return found


def _whole(value: object, least: int, most: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in pairs:
        if name in tree:
            raise ValueError(f"{_shown(name)} occurs twice in one object")
        tree[name] = value
    return tree


def _constant(text: str) -> None:
    raise ValueError(f"{text} is no number")


def _shown(value: object) -> str:
    text = f"of type {type(value).__name__}" if isinstance(value, list | Mapping) else repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _wrong(path: str, what: str) -> ValueError:
    return ValueError(f"field {path}: {what}" if path else f"the record: {what}")
