"""What one line of a Rover file must be, and a record of it. This is the definition; ``columns`` is the same, faster.

Strict on the contract: an object whose envelope and required fields have their types. Tolerant of additional fields, of any
order, of upper case in hexadecimal digits, of ``+00:00`` for ``Z``, of seconds with or without a fraction.

Source: Rover, "File format", "Common envelope", "Snapshot vs change stream".

>>> judged(b'[1]', DATASETS["fan_profiles"]).wrong
(Wrong(code='not_object', message='is an array, not an object'),)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, BinaryIO

from rover_spark.consume.lines import LINE_BYTES, TEXT_BYTES, LongLine, pieces
from rover_spark.contract.rover import DATASETS, ENVELOPE, VERSION, Dataset, Field

__all__ = ["DATASETS", "BadLine", "Judged", "Record", "Wrong", "instant_of", "judged", "records"]

OPERATIONS = ("create", "update", "delete")
BOM = b"\xef\xbb\xbf"
_ID = re.compile("[0-9a-fA-F]{32}")
_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)", re.ASCII)
_DIGITS = 4000  # of an integer: Python itself refuses to read more of them
_NAMES = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}


@dataclass(frozen=True)
class Wrong:
    """One way in which a line breaks the contract. ``message`` goes on where a sentence names the line."""

    code: str
    message: str


@dataclass(frozen=True)
class Judged:
    """A line: its object, None where there is none, and everything that is wrong with it."""

    record: dict[str, Any] | None
    wrong: tuple[Wrong, ...]


@dataclass(frozen=True)
class Record:
    """A record by the contract, and the number of its line. ``line`` is its text as it stands in the file."""

    number: int
    fields: dict[str, Any]
    line: bytes


@dataclass(frozen=True)
class BadLine:
    """A line that is no record by the contract. ``line`` is empty where it is longer than the bound."""

    number: int
    wrong: tuple[Wrong, ...]
    line: bytes


def records(
    stream: BinaryIO, dataset: Dataset, *, text_bytes: int = TEXT_BYTES, line_bytes: int = LINE_BYTES
) -> Iterator[Record | BadLine]:
    """Each line of a Rover file, judged. A line that is wrong stops nothing.

    Raises:
        NotOneMember: the object is not one whole gzip member; lines before the end were given.
    """
    for piece in pieces(stream, text_bytes=text_bytes, line_bytes=line_bytes):
        if isinstance(piece, LongLine):
            yield BadLine(piece.number, (too_long(piece.bytes),), b"")
            continue
        for number, line in piece.lines():
            found = judged(line, dataset)
            if found.record is None or found.wrong:
                yield BadLine(number, found.wrong, line)
            else:
                yield Record(number, found.record, line)


def too_long(octets: int) -> Wrong:
    """What is wrong with a line over the bound."""
    return Wrong("line_too_long", f"has {octets:,} bytes")


def judged(line: bytes, dataset: Dataset) -> Judged:
    """A line without its newline, held against the contract. Never raises."""
    wrong = []
    if line.startswith(BOM):
        wrong.append(Wrong("bom", "begins with a byte order mark"))
        line = line[len(BOM) :]
    if line.endswith(b"\r"):
        wrong.append(Wrong("crlf", "ends with a carriage return"))
    try:
        value = parsed(line)
    except UnicodeDecodeError as error:
        return Judged(None, (*wrong, Wrong("utf8_invalid", f"is no UTF-8 at byte {error.start + 1}")))
    except (ValueError, RecursionError) as error:
        return Judged(None, (*wrong, Wrong("json_invalid", _why(line, error))))
    if not isinstance(value, dict):
        return Judged(None, (*wrong, Wrong("not_object", f"is {_named(value)}, not an object")))
    return Judged(value, (*wrong, *_fields(value, dataset)))


def parsed(line: bytes, **hooks: Any) -> Any:
    """The JSON value of a line, strictly. ``hooks`` are those of ``json.loads``.

    Raises:
        UnicodeDecodeError: no UTF-8.
        ValueError: no JSON. RecursionError: nested too deeply to be read.
    """
    return json.loads(line.decode(), **{"parse_constant": _constant, "parse_int": _integer, **hooks})


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _DIGITS else float("inf")


def _why(line: bytes, error: Exception) -> str:
    if not line.strip():
        return "is empty"
    if isinstance(error, RecursionError):
        return "is nested too deeply to be read"
    return f"is no JSON: {error}"


def _fields(record: dict[str, Any], dataset: Dataset) -> Iterator[Wrong]:
    for name in ENVELOPE:
        if name not in record:
            yield Wrong("field_missing", f"has no {name}")
    if isinstance(found := record.get("id", ""), str):
        if "id" in record and not _ID.fullmatch(found):
            yield Wrong("id_malformed", f"has the id {found[:50]!r}")
    else:
        yield _type("id", "a string", found)
    version = record.get("version", VERSION)
    if isinstance(version, bool) or not isinstance(version, (int, float)):
        yield _type("version", "a number", version)
    elif version != VERSION:
        yield Wrong("version_unknown", f"has version {version}")
    if "emittedAt" in record:
        yield from _instant("emittedAt", record["emittedAt"])
    tombstone = dataset.name == "fan_profiles" and record.get("deleted") is True
    for field in dataset.fields:
        if field.emitted:
            yield from _field(field, record, tombstone)
    if dataset.operation and (operation := record.get("operation")) not in OPERATIONS:
        if "operation" not in record:
            yield Wrong("field_missing", "has no operation")
        elif isinstance(operation, str):
            yield Wrong("operation_unknown", f"has the operation {operation[:50]!r}")
        else:
            yield _type("operation", "a string", operation)


def _field(field: Field, record: dict[str, Any], tombstone: bool) -> Iterator[Wrong]:
    value = record.get(field.name)
    if value is None and (not field.required or (tombstone and field.kind == "json")):
        return
    if field.name not in record:
        if field.name not in ENVELOPE:
            yield Wrong("field_missing", f"has no {field.name}")
        return
    match field.kind:
        case "json" if not isinstance(value, dict):
            yield _type(field.name, "an object", value)
        case "text" | "uuid" if not isinstance(value, str):
            yield _type(field.name, "a string", value)
        case "uuid" if not _UUID.fullmatch(str(value)):
            yield Wrong("uuid_malformed", f"has the {field.name} {str(value)[:50]!r}")
        case "time":
            yield from _instant(field.name, value)


def _instant(name: str, value: object) -> Iterator[Wrong]:
    if not isinstance(value, str):
        yield _type(name, "a string", value)
    elif instant_of(value) is None:
        yield Wrong("time_malformed", f"has the {name} {value[:50]!r}")


def instant_of(text: str) -> datetime | None:
    """The instant of an ISO 8601 text in UTC, down to microseconds; None where it is none."""
    found = _INSTANT.fullmatch(text)
    if found is None:
        return None
    try:
        whole = datetime.fromisoformat(found[1]).replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    return whole + timedelta(microseconds=int((found[2] or "0").ljust(6, "0")[:6]))


def _type(name: str, wanted: str, value: object) -> Wrong:
    return Wrong("field_type", f"has {_named(value)} as {name}, not {wanted}")


def _named(value: object) -> str:
    return _NAMES.get(type(value), "a number")
