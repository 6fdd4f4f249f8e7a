"""Integers beyond ±(2^53 - 1) in a column of JSON lines, as strings of their digits: smaller ones are doubles, too.

Tests over the whole buffer find where so many digits are in a row; only those places are looked at. An integer is a number
without fraction and exponent, as readers that look at its text take it. Lines are valid JSON in UTF-8, or members of an object without
its braces. Source: RFC 8259.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from rover_spark.encode.lines import Lines
from rover_spark.encode.pieces import Index, Mask

LARGEST = b"9007199254740991"  # 2^53 - 1
_WORD = 8  # octets; of a number with twice as many digits one aligned word holds nothing but digits
_HIGH, _DIGITS, _SIXES = (np.uint64(int(two * _WORD, 16)) for two in ("F0", "30", "06"))
_RUN = re.compile(rb"[0-9]+")
_QUOTE = re.compile(rb'(?s:\\.)|"')
_MAY_LEAD = np.zeros(256, bool)  # what stands before the digits of a number that is whole so far
_MAY_LEAD[list(b":[, \t-")] = True
_NARROW = (1 << 31) - 1  # octets that offsets of 32 bits reach
assert len(LARGEST) >= 2 * _WORD


def quoted_integers(lines: pa.Array) -> tuple[pa.Array, Mask]:
    """The lines with each such integer between quotes, and the rows that have one. A null line stays one."""
    column = Lines(lines)
    ends = np.asarray(column.offsets)
    octets = np.frombuffer(column.text(0, len(lines)), np.uint8)
    ends = ends - ends[0] if len(ends) else ends
    marked = np.zeros(len(lines), bool)
    places = _long_runs(octets)
    if not len(places):
        return lines, marked
    rows = np.searchsorted(ends, places, side="right") - 1
    found = list(_integers(bytes(octets), rows.tolist(), ends[rows].tolist(), places.tolist()))
    if not found:
        return lines, marked
    marked[[row for row, _, _ in found]] = True
    opening, closing = np.array([begin for _, begin, _ in found]), np.array([end for _, _, end in found])
    # a number may be the first of its line, or the last
    moved = ends + np.searchsorted(opening, ends, side="left") + np.searchsorted(closing, ends, side="right")
    quotes = np.column_stack([opening, closing]).ravel()
    return _column(lines, moved, np.insert(octets, quotes, ord('"'))), marked


def _integers(
    text: bytes, rows: list[int], lines: list[int], places: list[int]
) -> Iterator[tuple[int, int, int]]:
    """(row, begin, end) of the integers that begin with the digits at these places; ``lines`` are where their rows begin."""
    before, at, quotes = -1, 0, 0
    for row, line, place in zip(rows, lines, places, strict=True):
        if row != before:
            before, at, quotes = row, line, 0
        # each octet is looked at once, however many numbers a line has; no escape ends where digits of a number begin
        quotes, at = quotes + _quotes(text[at:place]), place
        number = None if quotes % 2 else _integer(text, line, place)
        if number is not None:
            yield (row, *number)


def _quotes(text: bytes) -> int:
    """How many quotes begin or end a string."""
    if b"\\\\" in text:
        return _QUOTE.findall(text).count(b'"')
    return text.count(b'"') - text.count(b'\\"')


def _integer(text: bytes, line: int, begin: int) -> tuple[int, int] | None:
    """Where the integer that these digits begin begins and ends, its sign included; None where they are no such integer."""
    end = _RUN.match(text, begin).end()  # type: ignore[union-attr]
    if text[end : end + 1] in {b".", b"e", b"E"}:
        return None
    if end - begin == len(LARGEST) and text[begin:end] <= LARGEST:
        return None
    if begin == line or text[begin - 1 : begin] != b"-":
        return begin, end
    begin -= 1
    return None if begin > line and text[begin - 1 : begin] in {b"e", b"E"} else (begin, end)


def _long_runs(octets: Index) -> Index:
    """Where a row of at least as many digits as LARGEST has begins, but for those that are surely no integer."""
    skipped = -octets.ctypes.data % _WORD
    words = octets[skipped : skipped + (len(octets) - skipped) // _WORD * _WORD].view(np.uint64)
    found = np.flatnonzero((words & _HIGH) == _DIGITS)
    found = found[((words[found] + _SIXES) & _HIGH) == _DIGITS]
    if not len(found):
        return found
    found = found[np.concatenate([[True], np.diff(found) > 1])]  # of one row of digits the first word only
    around = skipped + found[:, None] * _WORD + np.arange(-_WORD, 2 * _WORD)
    there = (around >= 0) & (around < len(octets))
    digits = (octets[np.clip(around, 0, len(octets) - 1)] - np.uint8(ord("0")) < 10) & there
    before = np.logical_and.accumulate(digits[:, _WORD - 1 :: -1], axis=1).sum(axis=1)
    behind = np.logical_and.accumulate(digits[:, 2 * _WORD :], axis=1).sum(axis=1)
    begins = (skipped + found * _WORD - before)[before + behind >= _WORD]
    return begins[(begins == 0) | _MAY_LEAD[octets[begins - 1]]]


def _column(lines: pa.Array, ends: Index, octets: Index) -> pa.Array:
    """A column of the same rows with other octets; of wider offsets where those of the lines do not reach so far."""
    wide = pa.types.is_large_string(lines.type) or len(octets) > _NARROW
    offsets = pa.py_buffer(np.ascontiguousarray(ends, np.int64 if wide else np.int32))
    nulls = None
    if lines.null_count:
        nulls = pa.array(lines.is_valid().to_numpy(zero_copy_only=False)).buffers()[1]
    kind = pa.large_string() if wide else pa.string()
    return pa.Array.from_buffers(kind, len(lines), [nulls, offsets, pa.py_buffer(octets)])
