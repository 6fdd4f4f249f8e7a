"""What changed between two Avro schemas, and which changes break readers.

Promises that where the canonical texts of two schemas differ, the differences have names.

Paths: ``user.city`` in a record, ``tags[]`` the items of an array, ``props{}`` the values of a map, ``value(a.Click)`` one
of several branches of a union; a union of null and one type adds nothing.
Source: Apache Avro 1.12, "Schema Resolution"; Currents, "Avro schema changes".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rover_spark.contract.avro_tree import Schema

ChangeKind = Literal[
    "added optional",
    "added required",
    "removed",
    "renamed",
    "retyped",
    "promoted",
    "made optional",
    "reordered",
    "default changed",
    "enum symbols",
]

_SENTENCES: dict[ChangeKind, str] = {
    "added optional": "{0} was added as {2}, null by default",
    "added required": "{0} was added as {2}: it must be a union with null and have the default null",
    "removed": "{0} was removed; it was {1}",
    "renamed": "{0}: {1} is now named {2}",
    "retyped": "{0} was changed from {1} to {2}",
    "promoted": "{0} was promoted from {1} to {2}",
    "made optional": "{0} was {1} and may now be null",
    "reordered": "the order in {0} changed from {1} to {2}",
    "default changed": "the default of {0} changed from {1} to {2}",
    "enum symbols": "the symbols of {0} changed from {1} to {2}",
}
_PROMOTIONS = {
    "int": ("long", "float", "double"),
    "long": ("float", "double"),
    "float": ("double",),
    "string": ("bytes",),
    "bytes": ("string",),
}


@dataclass(frozen=True)
class Change:
    """One difference. ``breaking``: a reader with the old schema fails on new files, or the contract calls it so.

    ``path`` is the field's, a renamed one's before that, and empty for the event; ``before`` and ``after`` are words.
    """

    kind: ChangeKind
    path: str
    before: str | None
    after: str | None
    breaking: bool

    @property
    def text(self) -> str:
        """The change as one sentence."""
        where = f"field {self.path}" if self.path else "the event"
        return _SENTENCES[self.kind].format(where, self.before or "none", self.after or "none")


def changes(old: Schema, new: Schema) -> tuple[Change, ...]:
    """What differs, in the order of the old fields: nothing where the canonical texts are equal, and only there."""
    return tuple(_between(old, new, ""))


def _between(old: Schema, new: Schema, path: str) -> Iterator[Change]:
    if old.kind != new.kind:
        yield from _retyped(old, new, path)
        return
    if old.kind == "union":
        yield from _branches(old, new, path)
        return
    if old.name != new.name:
        yield Change("renamed", path, f"{old.kind} {old.name}", f"{new.kind} {new.name}", True)
    if (old.size, old.logical, old.precision, old.scale) != (new.size, new.logical, new.precision, new.scale):
        yield Change("retyped", path, old.words, new.words, True)
    if old.symbols != new.symbols:
        unknown = not set(new.symbols) <= set(old.symbols)  # a reader knows symbols by name, not by number
        yield Change("enum symbols", path, ", ".join(old.symbols), ", ".join(new.symbols), unknown)
    if old.default != new.default:
        yield Change("default changed", path, old.default, new.default, False)
    if old.parts:
        yield from _between(old.parts[0], new.parts[0], path + ("[]" if old.kind == "array" else "{}"))
    yield from _fields(old, new, f"{path}." if path else "")


def _retyped(old: Schema, new: Schema, path: str) -> Iterator[Change]:
    """Two kinds of type at one place."""
    rest = [part for part in new.parts if part.kind != "null"]
    if new.kind == "union" and len(rest) == 1 < len(new.parts) and old.kind != "null":
        yield Change("made optional", path, old.words, new.words, True)
        yield from _between(old, rest[0], path)
    elif new.kind in _PROMOTIONS.get(old.kind, ()) and not old.logical and not new.logical:
        yield Change("promoted", path, old.words, new.words, True)
    else:
        yield Change("retyped", path, old.words, new.words, True)


def _branches(old: Schema, new: Schema, path: str) -> Iterator[Change]:
    """Two unions: branches of one name are compared, and the only one that went with the only one that came."""
    before, after = {part.key: part for part in old.parts}, {part.key: part for part in new.parts}
    gone, come = before.keys() - after.keys(), after.keys() - before.keys()
    if len(gone) != len(come) or len(gone) > 1 or "null" in gone | come:
        yield Change("retyped", path, old.words, new.words, True)
        return
    pairs = {key: key for key in before if key in after} | dict(zip(gone, come, strict=True))
    for key, part in before.items():
        named = path if len(before.keys() - {"null"}) < 2 else f"{path}({key})"
        yield from _between(part, after[pairs[key]], named)
    yield from _order([pairs[key] for key in before], list(after), path)


def _fields(old: Schema, new: Schema, path: str) -> Iterator[Change]:
    """Two records, or two types without fields. ``path`` ends where a field's name begins."""
    before, after = {field.name: field for field in old.fields}, {field.name: field for field in new.fields}
    gone = [name for name in before if name not in after]
    come = [name for name in after if name not in before]
    renamed = {}
    if len(gone) == len(come) == 1:
        one, another = before[gone[0]], after[come[0]]
        if one.type == another.type and old.fields.index(one) == new.fields.index(another):
            renamed = {one.name: another.name}
    for name, field in before.items():
        other = after.get(renamed.get(name, name))
        if other is None:
            yield Change("removed", path + name, field.type.words, None, True)
            continue
        if name in renamed:
            yield Change("renamed", path + name, name, other.name, True)
        yield from _between(field.type, other.type, path + name)
        if field.default != other.default:
            yield Change("default changed", path + name, field.default, other.default, False)
    for name in come:
        if name not in renamed.values():
            words = after[name].type.words
            if after[name].type.kind == "union" and after[name].default == "null":
                yield Change("added optional", path + name, None, words, False)
            else:
                yield Change("added required", path + name, None, words, True)
    stayed = [name for name in before if name in after]
    yield from _order(stayed, [name for name in after if name in before], path.rstrip("."))


def _order(before: list[str], after: list[str], path: str) -> Iterator[Change]:
    if before != after:
        yield Change("reordered", path, ", ".join(before), ", ".join(after), False)
