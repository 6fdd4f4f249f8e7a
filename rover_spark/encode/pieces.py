"""Texts of many rows at once, each put together from pieces: constants, values of Arrow columns, entries of a table.

One gather copies every octet once, and no row is looped over. A row's text is the concatenation of its pieces, in their
order; a piece that a row does not have takes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Index = Any  # a numpy array of integers
Mask = Any  # a numpy array of booleans


@dataclass(frozen=True)
class Piece:
    """Per row one of ``values``: that of the same place, or ``values[index]``. Rows that are not ``there`` have none.

    A null value is an empty text.
    """

    values: pa.Array
    index: Index | None = None
    there: Mask | None = None

    @property
    def is_constant(self) -> bool:
        """Whether every row has it, and the same text."""
        return isinstance(self.index, int) and self.there is None

    def where(self, mask: Mask | None) -> Piece:
        """The piece in the rows of the mask only; None is all rows."""
        if mask is None:
            return self
        return Piece(self.values, self.index, mask if self.there is None else self.there & mask)

    def at(self, rows: Index | None) -> Piece:
        """The piece of other rows: of those that ``rows`` names, in that order; None is the same rows."""
        if rows is None:
            return self
        there = None if self.there is None else self.there[rows]
        if isinstance(self.index, int):
            return Piece(self.values, self.index, there)
        return Piece(self.values, rows if self.index is None else self.index[rows], there)


def constant(text: bytes) -> Piece:
    """The same text in every row."""
    return Piece(pa.array([text], pa.binary()), 0)


def column(values: pa.Array) -> Piece:
    """The values of a string or binary column, row by row."""
    return Piece(values)


def chosen(texts: Sequence[bytes], index: Index) -> Piece:
    """Per row one of a few texts."""
    return Piece(pa.array(texts, pa.binary()), index)


def gathered(rows: int, pieces: Sequence[Piece], kept: Mask | None = None) -> pa.Array:
    """The rows' texts, a binary array without nulls. Rows that are not ``kept`` are empty."""
    return _grouped(rows, pieces, None, kept)


def gathered_in_groups(rows: int, pieces: Sequence[Piece], groups: Index) -> pa.Array:
    """The texts of consecutive rows as one: text n is that of the rows from ``groups[n]`` up to ``groups[n + 1]``."""
    return _grouped(rows, pieces, groups, None)


def _grouped(rows: int, pieces: Sequence[Piece], groups: Index | None, kept: Mask | None) -> pa.Array:
    pool, places = [pa.array([b""], pa.binary())], np.empty((rows, len(pieces)), np.int32)
    begin = 1
    for number, piece in enumerate(pieces):
        index = np.arange(rows, dtype=np.int32) if piece.index is None else piece.index
        np.add(index, begin, out=places[:, number], casting="same_kind")
        if piece.there is not None:
            places[~piece.there, number] = 0
        pool.append(as_binary(piece.values))
        begin += len(piece.values)
    if kept is not None:
        places[~kept] = 0
    taken = pa.concat_arrays(pool).take(pa.array(places.ravel()))
    ends = offsets_of(taken)[:: len(pieces)] if pieces else np.zeros(rows + 1, np.int32)
    return of_buffer(ends if groups is None else ends[groups], taken.buffers()[2])


def lengths(rows: int, pieces: Sequence[Piece]) -> Index:
    """The octets of each row's text."""
    total = np.zeros(rows, np.int64)
    for piece in pieces:
        each = np.diff(offsets_of(as_binary(piece.values)))
        each = each if piece.index is None else each[piece.index]
        total += each if piece.there is None else np.where(piece.there, each, 0)
    return total


def rows_with(text: bytes, rows: int, pieces: Sequence[Piece]) -> Mask:
    """The rows in which one of the pieces holds this text, which is not all ASCII."""
    found = np.zeros(rows, bool)
    for piece in pieces:
        values = as_binary(piece.values)
        if is_ascii(values):
            continue
        holds = pc.match_substring(values, text).fill_null(False).to_numpy(zero_copy_only=False)
        holds = holds if piece.index is None else holds[piece.index]
        found |= holds if piece.there is None else holds & piece.there
    return found


def is_ascii(texts: pa.Array) -> bool:
    """Whether no value has an octet above 127."""
    octets = octets_of(texts)
    return not len(octets) or bool(octets.max() < 128)


def octets_of(texts: pa.Array) -> Any:
    """All values of a string or binary array, one behind the other."""
    ends = offsets_of(texts)
    return np.frombuffer(texts.buffers()[2] or b"", np.uint8)[ends[0] : ends[-1]]


def as_binary(texts: pa.Array) -> pa.Array:
    """The same octets as a binary array."""
    return texts if texts.type == pa.binary() else texts.cast(pa.binary())


def offsets_of(texts: pa.Array) -> Index:
    """Where each value of a string or binary array begins in its buffer, and where the last one ends."""
    return np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]


def of_buffer(offsets: Index, octets: Any) -> pa.Array:
    """A binary array of one buffer of octets, cut at the offsets."""
    ends = pa.py_buffer(np.ascontiguousarray(offsets, np.int32))
    return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, [None, ends, octets or pa.py_buffer(b"")])


def of_matrix(octets: Any) -> pa.Array:
    """A binary array of texts of one length, from a matrix of octets, a row each."""
    rows, width = octets.shape
    offsets = np.arange(rows + 1, dtype=np.int32) * np.int32(width)
    return of_buffer(offsets, pa.py_buffer(np.ascontiguousarray(octets, np.uint8)))
