"""An Avro schema as one tree of values, with every reference resolved; and the one text and fingerprint of each.

Planning, checking of columns and encoding share this tree. Promises that schemas with one text are one to every reader.
Refuses nothing: ``contract.avro``, the only way in, refused what can be no schema.

Source: Apache Avro 1.12, "Logical Types" and "Parsing Canonical Form".
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

_INSTANTS = [f"{zone}timestamp-{unit}" for zone in ("", "local-") for unit in ("millis", "micros", "nanos")]
LOGICAL = {  # that Avro knows, by the kind that may have them; any other one changes nothing
    "int": {"date", "time-millis"},
    "long": {"time-micros", *_INSTANTS},
    "bytes": {"decimal", "big-decimal"},
    "string": {"uuid"},
    "fixed": {"decimal", "uuid", "duration"},
}


@dataclass(frozen=True)
class Field:
    """A field of a record. ``default`` is JSON text, None where there is no default."""

    name: str
    type: Schema
    default: str | None = None


@dataclass(frozen=True)
class Schema:
    """One type. ``kind`` is Avro's word for it, or "union"; ``name`` the full name of a record, an enum or a fixed.

    ``parts`` are an array's items, a map's values, a union's branches. A reference is held as the type that it names.
    ``logical`` is empty without a logical type, ``precision`` and ``scale`` are a decimal's, ``default`` is an enum's.
    """

    kind: str
    name: str = ""
    fields: tuple[Field, ...] = ()
    parts: tuple[Schema, ...] = ()
    symbols: tuple[str, ...] = ()
    default: str | None = None
    size: int = 0
    logical: str = ""
    precision: int = 0
    scale: int = 0

    @property
    def key(self) -> str:
        """What distinguishes the branches of a union."""
        return self.name or self.kind

    @property
    def known_logical(self) -> str:
        """The logical type as far as Avro knows it for this kind; readers pass over any other, so it is empty then."""
        return self.logical if self.logical in LOGICAL.get(self.kind, ()) else ""

    @property
    def nullable(self) -> bool:
        """Whether it is a union in which a value may be null."""
        return self.kind == "union" and any(part.kind == "null" for part in self.parts)

    @property
    def besides_null(self) -> Schema | None:
        """The type of a value that is not null; None for a union of several types."""
        if self.kind != "union":
            return self
        others = [part for part in self.parts if part.kind != "null"]
        return others[0] if len(others) == 1 else None

    @property
    def words(self) -> str:
        """The type for people: ``[null, array of long (timestamp-micros)]``."""
        if self.kind == "union":
            return f"[{', '.join(part.words for part in self.parts)}]"
        text = f"{self.kind} {self.name}" if self.name else self.kind
        if self.parts:
            text = f"{text} of {self.parts[0].words}"
        if self.kind == "fixed":
            text = f"{text} of {self.size} octets"
        digits = f" {self.precision}, {self.scale}" if self.logical == "decimal" else ""
        return f"{text} ({self.logical}{digits})" if self.logical else text

    @cached_property
    def extent(self) -> tuple[int, int]:
        """How deep it nests (a union is no level) and of how many types it is made, references written out."""
        inside = [part.extent for part in (*(field.type for field in self.fields), *self.parts)]
        deepest = max((levels for levels, _ in inside), default=0)
        return deepest + (self.kind != "union"), 1 + sum(types for _, types in inside)


def canonical(schema: Schema) -> str:
    """The one text of a schema: compact JSON in ASCII, itself a schema.

    Full names, types, orders, defaults, logical types and symbols; no documentation, aliases, sort orders or else.
    """
    return json.dumps(_tree(schema, "", set()), separators=(",", ":"))


def fingerprint(canonical_text: str) -> str:
    """SHA-256 of a canonical text, in hex."""
    return hashlib.sha256(canonical_text.encode()).hexdigest()


def _tree(schema: Schema, space: str, known: set[str]) -> Any:
    """The schema as JSON has it. ``space`` is the namespace around it, ``known`` the names defined before it."""
    if schema.kind == "union":
        return [_tree(part, space, known) for part in schema.parts]
    if schema.name in known:
        return schema.name
    tree: dict[str, Any] = {"type": schema.kind}
    if schema.name:
        known.add(schema.name)
        tree = {"name": schema.name, **tree}
        if space and "." not in schema.name:
            tree["namespace"] = ""  # else it would take the one around it
        space = schema.name.rpartition(".")[0]
    match schema.kind:
        case "record":
            tree["fields"] = [_field(field, space, known) for field in schema.fields]
        case "enum":
            tree |= {"symbols": schema.symbols} | ({"default": schema.default} if schema.default else {})
        case "array":
            tree["items"] = _tree(schema.parts[0], space, known)
        case "map":
            tree["values"] = _tree(schema.parts[0], space, known)
        case "fixed":
            tree["size"] = schema.size
    if schema.logical:
        tree["logicalType"] = schema.logical
    if schema.logical == "decimal":
        tree |= {"precision": schema.precision, "scale": schema.scale}
    return tree if len(tree) > 1 else schema.kind


def _field(field: Field, space: str, known: set[str]) -> dict[str, Any]:
    tree = {"name": field.name, "type": _tree(field.type, space, known)}
    return tree if field.default is None else {**tree, "default": json.loads(field.default)}
