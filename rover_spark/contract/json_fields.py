"""Values out of JSON that others wrote: strict about types, bounded in size, clear about what is wrong. Pure.

Every refusal is a ValueError that names the field; of a hostile value it repeats a few characters only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timezone
from typing import Any, TypeVar

T = TypeVar("T")

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
_MOST = 2**63 - 1
_LONGEST_KEY = 1024  # octets, of every store


def json_object(data: bytes, largest: int) -> Mapping[str, Any]:
    """One JSON object of at most ``largest`` octets in UTF-8, no field twice."""
    if len(data) > largest:
        raise ValueError(f"it has {len(data):,} octets, and at most {largest:,} are read")
    try:
        tree = json.loads(
            data.decode(),
            object_pairs_hook=_once,
            parse_int=_whole,
            parse_constant=_no_number,
        )
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(tree, dict):
        raise ValueError("it is not a JSON object")
    return tree


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object names a field twice")
    return found


def _whole(digits: str) -> int | float:
    return (
        int(digits) if len(digits) < 20 else float(digits)
    )  # no field takes a fraction, nor a number so large


def _no_number(name: str) -> None:
    raise ValueError(f"it is not JSON: {name} is no number there")


class Fields:
    """The fields of an object, and its name in messages. Each method gives a field's value, or raises ValueError."""

    def __init__(self, fields: Mapping[str, Any], name: str) -> None:
        self._fields, self._name = fields, name

    def get(self, field: str) -> Any:
        """The value as it stands; null is None."""
        if field not in self._fields:
            raise ValueError(f"{self._at(field)}: is missing")
        return self._fields[field]

    def _at(self, field: str) -> str:
        return f"{self._name}.{field}" if self._name else field

    def _wrong(self, field: str, takes: str) -> ValueError:
        return ValueError(f"{self._at(field)}: takes {takes}, not {shown(self._fields[field])}")

    def optional(self, field: str, read: Callable[[str], T]) -> T | None:
        """What ``read`` gives, or None where the value is null."""
        return None if self.get(field) is None else read(field)

    def object(self, field: str) -> Fields:
        """An object."""
        value = self.get(field)
        if not isinstance(value, dict):
            raise self._wrong(field, "an object")
        return Fields(value, self._at(field))

    def objects(self, field: str) -> list[Fields]:
        """A list of objects."""
        value = self.get(field)
        if not isinstance(value, list):
            raise self._wrong(field, "a list")
        for number, each in enumerate(value):
            if not isinstance(each, dict):
                raise ValueError(f"{self._at(field)}[{number}]: takes an object, not {shown(each)}")
        return [Fields(each, f"{self._at(field)}[{number}]") for number, each in enumerate(value)]

    def string(self, field: str) -> str:
        """Text that is not empty and holds no control characters and no half of a character."""
        value = self.get(field)
        if not _is_name(value):
            raise self._wrong(field, "text without control characters")
        return str(value)

    def strings(self, field: str) -> tuple[str, ...]:
        """A list of such texts, each once; not empty."""
        value = self.get(field)
        if not (isinstance(value, list) and value and all(_is_name(each) for each in value)):
            raise self._wrong(field, "a list of names")
        if len(set(value)) < len(value):
            raise ValueError(f"{self._at(field)}: names one twice")
        return tuple(value)

    def key(self, field: str) -> str:
        """The key of an object."""
        value = self.string(field)
        if len(value.encode()) > _LONGEST_KEY or any(part in {"", ".", ".."} for part in value.split("/")):
            raise self._wrong(field, "the key of an object")
        return value

    def one_of(self, field: str, known: Collection[str]) -> str:
        """One of the known texts."""
        value = self.string(field)
        if value not in known:
            raise self._wrong(field, f"one of {', '.join(known)}")
        return value

    def integer(self, field: str, least: int = 0) -> int:
        """A whole number from ``least`` on, of 63 bits."""
        value = self.get(field)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MOST:
            raise self._wrong(field, f"a whole number from {least} on")
        return value

    def sha256(self, field: str) -> str:
        """64 hex digits."""
        value = self.get(field)
        if not (isinstance(value, str) and _SHA256.fullmatch(value)):
            raise self._wrong(field, "a SHA-256 of 64 hex digits")
        return value

    def instant(self, field: str) -> datetime:
        """An instant with milliseconds and ``Z``."""
        value = self.get(field)
        if isinstance(value, str) and _INSTANT.fullmatch(value):
            try:
                return datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
            except ValueError:
                pass
        raise self._wrong(field, "an instant as 2026-01-31T12:00:00.000Z")


def _is_name(value: Any) -> bool:
    if not (isinstance(value, str) and value):
        return False
    return not any(ord(char) < 32 or ord(char) == 127 or 0xD800 <= ord(char) <= 0xDFFF for char in value)


def shown(value: object) -> str:
    """A value of others, cut short, as part of a message."""
    if isinstance(value, list | dict):
        return "an object" if isinstance(value, dict) else "a list"
    shown = value if isinstance(value, str) else json.dumps(value)
    return ascii(shown[:40]) + ("…" if len(shown) > 40 else "")
