"""What a loader would refuse or read wrongly in a file, though the contract allows it.

A line is searched for what could matter; only a suspicious one is parsed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from rover_spark.consume.conform.loaders import LINTS, LOADERS
from rover_spark.consume.containers import Event, Header
from rover_spark.consume.keys import EventFile, RoverFile
from rover_spark.consume.lines import LongLine, Piece
from rover_spark.consume.records import parsed
from rover_spark.contract.avro import Schema

Found = Iterator[tuple[str, int, str, str]]  # code, line, what was found, message
_ROVER_FOLDERS, _EVENT_FOLDERS = {"date", "hour"}, {"event_type", "date"}
_LONG_INTEGER = re.compile(rb"[:,\[\s]-?\d{16,}")
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_SHAPES = 10_000  # lists of keys that are known to be harmless


class Lint:
    """What one loader would refuse in a file."""

    def __init__(self, engine: str) -> None:
        self._engine, self._loader = engine, LOADERS[engine]
        self._harmless = set[int]()  # their hashes: a list of keys may be as long as a line

    def object(self, file: RoverFile | EventFile, size: int) -> Found:
        """What is wrong with an object of that size."""
        most = self._loader.object_bytes
        if most is not None and size > most:
            yield self._found("loader_object_large", 0, f"has {size:,} bytes")

    def schema(self, header: Header) -> Found:
        """What is wrong with the fields of an Avro file."""
        for names in _records(header.schema, set()):
            yield from self._names(names, 0, case_only=True)
        yield from self._folders([field.name for field in header.schema.fields], _EVENT_FOLDERS, 0)

    def event(self, event: Event) -> Found:
        """What is wrong with an event's values."""
        if self._loader.nul and any("\0" in text for text in _texts(event.fields)):
            yield self._found("loader_nul", event.number, "holds U+0000")

    def piece(self, piece: Piece | LongLine) -> Found:
        """What is wrong with lines; those that are no JSON are passed over."""
        if isinstance(piece, LongLine):
            yield from self._long(piece.number, piece.bytes)
            return
        for number, line in piece.lines():
            yield from self._long(number, len(line))
            if self._suspicious(line):
                yield from self._closely(number, line)

    def _long(self, number: int, octets: int) -> Found:
        most = self._loader.line_bytes
        if most is not None and octets > most:
            yield self._found("loader_line_large", number, f"has {octets:,} bytes")

    def _suspicious(self, line: bytes) -> bool:
        loader = self._loader
        if loader.nul and rb"\u0000" in line:
            return True
        if loader.surrogate and _HALF.search(line):
            return True
        if loader.integers and _LONG_INTEGER.search(line):
            return True
        return (loader.key_twice or loader.case_clash or loader.partition_column) and self._odd_keys(line)

    def _odd_keys(self, line: bytes) -> bool:
        """Whether keys of any of the line's objects could be one. Equal keys of two objects are odd, too: a parse decides."""
        keys = _keys(line)
        shape = hash(keys)
        if shape in self._harmless:
            return False
        names = {key.decode(errors="replace").casefold() for key in keys}
        if len(names) < len(keys) or any(b"\\" in key for key in keys) or names & _ROVER_FOLDERS:
            return True
        if len(self._harmless) < _SHAPES:
            self._harmless.add(shape)
        return False

    def _closely(self, number: int, line: bytes) -> Found:
        objects: list[list[tuple[str, Any]]] = []
        integers: list[str] = []

        def keep(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            objects.append(pairs)
            return dict(pairs)

        def integer(digits: str) -> int:
            integers.append(digits)
            return 0

        try:
            record = parsed(line, object_pairs_hook=keep, parse_int=integer)
        except (ValueError, RecursionError):
            return
        yield from self._integers(integers, number)
        for pairs in objects:
            yield from self._names([name for name, _ in pairs], number)
        texts = [text for pairs in objects for text in _texts([name for name, _ in pairs])]
        texts += [
            text
            for pairs in objects
            for text in _texts([value for _, value in pairs if not isinstance(value, dict)])
        ]
        if self._loader.nul and any("\0" in text for text in texts):
            yield self._found("loader_nul", number, "holds U+0000")
        if self._loader.surrogate and any("\ud800" <= char <= "\udfff" for text in texts for char in text):
            yield self._found("loader_surrogate", number, "holds half of a surrogate pair")
        if isinstance(record, dict):
            yield from self._folders(list(record), _ROVER_FOLDERS, number)

    def _integers(self, found: list[str], number: int) -> Found:
        if self._loader.integers is None:
            return
        least, most = self._loader.integers
        for digits in found:
            if len(digits) > 40 or not least <= int(digits) <= most:
                yield self._found("loader_integer", number, f"holds {digits[:40]}")
                return

    def _names(self, names: list[str], number: int, *, case_only: bool = False) -> Found:
        if self._loader.key_twice and not case_only and len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            yield self._found("loader_key_twice", number, f"has {twice[:50]!r} twice")
        folded: dict[str, str] = {}
        for name in names if self._loader.case_clash else ():
            other = folded.setdefault(name.casefold(), name)
            if other != name:
                yield self._found("loader_case_clash", number, f"has {other[:50]!r} and {name[:50]!r}")
                return

    def _folders(self, names: list[str], folders: set[str], number: int) -> Found:
        if self._loader.partition_column:
            for name in names:
                if name.casefold() in folders:
                    yield self._found("loader_partition_column", number, f"has the field {name!r}")
                    return

    def _found(self, code: str, line: int, what: str) -> tuple[str, int, str, str]:
        return code, line, what, LINTS[code].format(self._engine)


def _keys(line: bytes) -> tuple[bytes, ...]:
    """The keys of all objects in a line. Of one with escapes only that it has some remains."""
    if b"\\" in line:  # quotes that are left begin and end texts
        line = line.replace(rb"\\", rb"\_").replace(rb"\"", rb"\_")
    parts = line.split(b'"')
    return tuple(
        text for text, after in zip(parts[1::2], parts[2::2], strict=False) if after.lstrip()[:1] == b":"
    )


def _records(schema: Schema, known: set[str]) -> Iterator[list[str]]:
    """The names of each record's fields, once a record, the outermost first."""
    if schema.kind == "record":
        if schema.name in known:
            return
        known.add(schema.name)
        yield [field.name for field in schema.fields]
    for part in (*(field.type for field in schema.fields), *schema.parts):
        yield from _records(part, known)


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value, names of members included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, each in value.items():
            yield name
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
