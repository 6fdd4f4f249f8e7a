"""Record ids and file tokens: SHA-256 over a canonical, length-prefixed, null-safe encoding.

Promises that different sequences of values have different encodings, on every machine and in every language.
Refuses doubles: their text is not one thing (``0.1 + 0.2``, Java 17 against 21).

The encoding of one value is ``~`` for null and ``<octets>:<utf-8 text>`` for anything else; a sequence is the
concatenation. Texts: strings as they are, integers in digits, decimals as Java's
``BigDecimal.toString`` and Python's ``str`` print them (``1E-7``), booleans ``true``/``false``,
dates ISO 8601, instants as integer microseconds since 1970-01-01T00:00:00Z.

Golden vectors (they never change; a change would re-key every record already delivered):

>>> canonical(["rover", None, 7, True])
'5:rover~1:74:true'
>>> digest32(["rover", "acme", 1, "fan_track_events", "evt-1"])
'17d879049411d197a7405d1bd00e3214'
>>> canonical(["é", ""])
'2:é0:'
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import date, datetime, timezone
from decimal import Decimal

Value = str | int | bool | Decimal | date | datetime | None

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def text_of(value: Value) -> str | None:
    """The text of ``value`` in an id, or None for null.

    Raises:
        TypeError: for a float, a naive datetime, or any type the contract does not allow.
    """
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int() | Decimal():
            return str(value)
        case datetime():
            if value.tzinfo is None:
                raise TypeError("an instant in an id needs a time zone")
            delta = value - _EPOCH
            return str((delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds)
        case date():
            return value.isoformat()
        case _:
            raise TypeError(f"a value of type {type(value).__name__} cannot be part of an id")


def canonical(values: Iterable[Value]) -> str:
    """The canonical encoding of a sequence of values."""
    encoded = []
    for value in values:
        text = text_of(value)
        encoded.append("~" if text is None else f"{len(text.encode())}:{text}")
    return "".join(encoded)


def digest32(values: Iterable[Value]) -> str:
    """First 32 lower-case hex digits of the SHA-256 of the canonical encoding."""
    return hashlib.sha256(canonical(values).encode()).hexdigest()[:32]
