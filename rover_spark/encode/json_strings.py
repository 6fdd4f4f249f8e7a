"""Strings of Arrow columns as JSON has them: escaped as Jackson does it, U+FFFD where octets are no UTF-8, as Java puts it.

Only values that need it are looked at one by one; one test over the whole buffer finds out whether any does.
Source: RFC 8259 section 7; ``java.lang.String``, which decodes octets for Spark's JSON writer.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rover_spark.encode.pieces import Index, as_binary, octets_of, offsets_of

REPLACEMENT = "\ufffd".encode()
_SHORT = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}
_ESCAPES = {**{code: f"\\u{code:04X}" for code in range(32)}, **_SHORT}
_FIRST_PLAIN, _QUOTE, _BACKSLASH, _LAST_ASCII = 32, 34, 92, 127
# half a surrogate pair in UTF-8, whole or cut short: Java takes it for one character, Python for two or three
_SURROGATE = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]?")


def escaped(texts: pa.Array) -> pa.Array:
    """The strings as they stand between quotes in JSON: a binary array, null where a string is null."""
    ends, values = offsets_of(texts), as_binary(texts)
    octets = octets_of(texts)
    if not len(octets):
        return values
    broken = octets.max() > _LAST_ASCII and not is_utf8(texts)
    unplain = octets.min() < _FIRST_PLAIN or (octets == _QUOTE).any() or (octets == _BACKSLASH).any()
    if not broken and not unplain:
        return values
    rows = np.arange(len(texts)) if broken else _unplain_rows(octets, ends)
    mask = np.zeros(len(texts), bool)
    mask[rows] = True
    given = values.filter(pa.array(mask)).to_pylist()
    made = [None if text is None else characters(text).translate(_ESCAPES).encode() for text in given]
    return pc.replace_with_mask(values, pa.array(mask), pa.array(made, pa.binary()))


def escaped_text(text: str) -> bytes:
    """One string, as it stands between quotes in JSON."""
    return text.translate(_ESCAPES).encode()


def is_utf8(texts: pa.Array) -> bool:
    """Whether every value is valid UTF-8."""
    try:
        as_binary(texts).view(pa.string()).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def characters(octets: bytes) -> str:
    """Octets as Java decodes them: U+FFFD for each part that is no UTF-8."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return _SURROGATE.sub(REPLACEMENT, octets).decode(errors="replace")


def _unplain_rows(octets: np.ndarray, ends: Index) -> Index:
    found = np.flatnonzero((octets < _FIRST_PLAIN) | (octets == _QUOTE) | (octets == _BACKSLASH))
    return np.unique(np.searchsorted(ends - ends[0], found, side="right") - 1)
