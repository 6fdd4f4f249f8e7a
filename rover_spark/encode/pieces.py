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


@dataclass(frozen=True)
class Run:
    """Per row the texts of its items, one behind the other: row n has the items from ``offsets[n]`` up to ``offsets[n + 1]``.

    ``pieces`` are those of the items, the last offset is their number.
    """

    pieces: tuple[Piece, ...]
    offsets: Index
    there: Mask | None = None

    def where(self, mask: Mask | None) -> Run:
        """The texts in the rows of the mask only; None is all rows."""
        if mask is None:
            return self
        return Run(self.pieces, self.offsets, mask if self.there is None else self.there & mask)

    @property
    def items(self) -> int:
        """How many items all rows have together."""
        return int(self.offsets[-1])

    @property
    def sizes(self) -> Index:
        """How many pieces each row has."""
        return np.int32(len(self.pieces)) * np.diff(self.offsets).astype(np.int32)

    @property
    def width(self) -> int | None:
        """How many pieces each row has, where all have as many; else None."""
        sizes = self.sizes
        return int(sizes[0]) if len(sizes) and (sizes == sizes[0]).all() else None

    @property
    def in_items(self) -> Mask | None:
        """Which items are of rows that are ``there``; None where all are."""
        return None if self.there is None else np.repeat(self.there, np.diff(self.offsets))

    def by_row(self, items: Index) -> Index:
        """The sums, row by row, of a number for each item."""
        sums = np.diff(sums_before(self.offsets, items))
        return sums if self.there is None else np.where(self.there, sums, 0)


Part = Piece | Run


def sums_before(offsets: Index, items: Index) -> Index:
    """The sums of a number, or a mark, of all items before each offset. Their differences are the sums row by row."""
    return np.concatenate([[0], np.cumsum(items)])[offsets]


def flat(part: Part) -> Piece:
    """The part as one piece, its texts made."""
    if isinstance(part, Piece):
        return part
    return column(gathered(len(part.offsets) - 1, [Run(part.pieces, part.offsets)])).where(part.there)


def constant(text: bytes) -> Piece:
    """The same text in every row."""
    return Piece(pa.array([text], pa.binary()), 0)


def column(values: pa.Array) -> Piece:
    """The values of a string or binary column, row by row."""
    return Piece(values)


def chosen(texts: Sequence[bytes], index: Index) -> Piece:
    """Per row one of a few texts."""
    return Piece(pa.array(texts, pa.binary()), index)


def gathered(rows: int, parts: Sequence[Part], kept: Mask | None = None) -> pa.Array:
    """The rows' texts, a binary array without nulls. Rows that are not ``kept`` are empty."""
    pool = _Pool()
    widths = [1 if isinstance(part, Piece) else part.width for part in parts]
    if None in widths:
        places, ends = _ragged(rows, parts, pool)
    else:
        places, ends = _even(rows, parts, widths, pool)
    if kept is not None:
        places[np.repeat(~kept, np.diff(ends))] = 0
    taken = pool.values.take(pa.array(places))
    return of_buffer(offsets_of(taken)[ends], taken.buffers()[2])


def _even(rows: int, parts: Sequence[Part], widths: Sequence[Any], pool: _Pool) -> tuple[Index, Index]:
    """The places in the pool of each row's pieces, and where each row's begin, where all rows have as many."""
    total = sum(width for width in widths)
    places, at = np.empty((rows, total), np.int32), 0
    for part, width in zip(parts, widths, strict=True):
        if isinstance(part, Piece):
            places[:, at] = pool.place(part, rows)
        else:
            several = width // len(part.pieces)  # items of a row
            block = places[:, at : at + width].reshape(rows, several, len(part.pieces))
            for number, piece in enumerate(part.pieces):
                items = pool.place(piece.where(part.in_items), part.items)
                block[:, :, number] = np.broadcast_to(items, part.items).reshape(rows, several)
        at += width
    return places.ravel(), np.arange(rows + 1, dtype=np.int32) * np.int32(total)


def _ragged(rows: int, parts: Sequence[Part], pool: _Pool) -> tuple[Index, Index]:
    """The same where some rows have more pieces than others."""
    sizes = np.zeros(rows, np.int32)
    for part in parts:
        sizes += 1 if isinstance(part, Piece) else part.sizes
    ends = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    places, at = np.empty(int(ends[-1]), np.int32), ends[:-1].copy()
    for part in parts:
        if isinstance(part, Piece):
            places[at] = pool.place(part, rows)
            at += 1
            continue
        width, offsets = np.int32(len(part.pieces)), part.offsets.astype(np.int32)
        of_items = np.repeat(at - width * offsets[:-1], np.diff(offsets))
        of_items += width * np.arange(part.items, dtype=np.int32)
        for piece in part.pieces:
            places[of_items] = pool.place(piece.where(part.in_items), part.items)
            of_items += 1
        at += part.sizes
    return places, ends


class _Pool:
    """The values of pieces one behind the other; the first is the empty text, for pieces that are not there."""

    def __init__(self) -> None:
        self._values, self._size = [pa.array([b""], pa.binary())], 1

    def place(self, piece: Piece, rows: int) -> Index:
        """Of each row the place of its value among all."""
        index = np.arange(rows, dtype=np.int32) if piece.index is None else piece.index
        found = np.add(index, self._size, dtype=np.int32, casting="same_kind")
        self._values.append(as_binary(piece.values))
        self._size += len(piece.values)
        return found if piece.there is None else np.where(piece.there, found, 0)

    @property
    def values(self) -> pa.Array:
        """All values."""
        return pa.concat_arrays(self._values)


def lengths(rows: int, parts: Sequence[Part]) -> Index:
    """The octets of each row's text."""
    total = np.zeros(rows, np.int64)
    for part in parts:
        if isinstance(part, Run):
            total += part.by_row(lengths(part.items, part.pieces))
            continue
        each = np.diff(offsets_of(as_binary(part.values)))
        each = each if part.index is None else each[part.index]
        total += each if part.there is None else np.where(part.there, each, 0)
    return total


def longest(parts: Sequence[Part]) -> int:
    """A number of octets that no row's text exceeds; there is at least one row."""
    total = 0
    for part in parts:
        if isinstance(part, Run):
            total += int(np.diff(part.offsets).max()) * longest(part.pieces)
        elif len(part.values):
            total += int(np.diff(offsets_of(as_binary(part.values))).max())
    return total


def rows_with(text: bytes, rows: int, parts: Sequence[Part]) -> Mask:
    """The rows in which one of the parts holds this text, which is not all ASCII."""
    found = np.zeros(rows, bool)
    for part in parts:
        if isinstance(part, Run):
            found |= part.by_row(rows_with(text, part.items, part.pieces)) > 0
            continue
        values = as_binary(part.values)
        if is_ascii(values):
            continue
        holds = pc.match_substring(values, text).fill_null(False).to_numpy(zero_copy_only=False)
        holds = holds if part.index is None else holds[part.index]
        found |= holds if part.there is None else holds & part.there
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
