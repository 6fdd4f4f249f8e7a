"""Records of one task that repeat an id of their chunk: all but the first are left out, and counted.

``Neighbours`` serves rows that are sorted so that records with one id follow each other. ``Seen`` serves rows in the order
of a data file: it remembers the ids of a chunk, in some 25 octets each.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rover_spark.encode.lines import Lines

Words = NDArray[np.uint64]
_PIECE = 1 << 16  # rows
_DASH, _OTHER = 16, 17  # values of octets that are no digit
_VALUES = bytes("0123456789abcdef-".find(chr(octet)) % (_OTHER + 1) for octet in range(256))
# by length of an id: where its dashes are, and what keeps the numbers of one kind apart from those of the other
_SPELLED = {
    32: ((), np.uint64(0)),
    36: ((8, 13, 18, 23), np.uint64(0x9E3779B97F4A7C15)),
}


class Neighbours:
    """Finds records that repeat the id of the one before them in their chunk, across batches too."""

    def __init__(self) -> None:
        self._place: tuple[int, str | None] = (-1, None)  # chunk and id of the last record
        self._line: str | None = None  # of the first record with that id

    def among(self, batch: pa.RecordBatch) -> dict[int, str]:
        """Per repeating row its outcome: superseded where it equals the record that is delivered, else conflict."""
        chunks, ids, lines = batch.column("chunk"), batch.column("id"), batch.column("line")
        if not len(ids):
            return {}
        before = len(ids) - 1
        same = pc.fill_null(pc.equal(ids.slice(1), ids.slice(0, before)), False)
        same = pc.and_(same, pc.equal(chunks.slice(1), chunks.slice(0, before)))
        rows = [row + 1 for row in pc.indices_nonzero(same).to_pylist()]
        if ids[0].as_py() is not None and (chunks[0].as_py(), ids[0].as_py()) == self._place:
            rows.insert(0, 0)
        found: dict[int, str] = {}
        leader = self._line
        for row in rows:
            if row and row - 1 not in found:
                leader = lines[row - 1].as_py()
            found[row] = "superseded" if lines[row].as_py() == leader else "conflict"
        self._place = (chunks[before].as_py(), ids[before].as_py())
        self._line = leader if before in found else lines[before].as_py()
        return found


class Seen:
    """Finds records whose id came before in their chunk. What the first record said is not remembered."""

    def __init__(self) -> None:
        self._chunk = -1
        self._ids = _Ids()

    def among(self, batch: pa.RecordBatch) -> dict[int, str]:
        """Per repeating row its outcome, always superseded."""
        found: dict[int, str] = {}
        for start, stop, chunk in runs(batch.column("chunk")):
            if chunk != self._chunk:
                self._chunk, self._ids = chunk, _Ids()
            ids = batch.column("id").slice(start, stop - start)
            there = np.flatnonzero(np.asarray(ids.is_valid()))
            again = self._ids.add(*_halves(ids.drop_null() if ids.null_count else ids))
            found.update((start + int(there[row]), "superseded") for row in again)
        return found


def runs(chunks: pa.Array) -> Iterator[tuple[int, int, int]]:
    """(first row, row behind the last one, chunk) of neighbours in one chunk."""
    ends, start = pc.run_end_encode(chunks), 0
    for stop, chunk in zip(ends.run_ends.to_pylist(), ends.values.to_pylist(), strict=True):
        yield start, stop, chunk
        start = stop


class _Ids:
    """A set of 128-bit numbers that takes a whole batch at a time: a list, and a table of places in it by open addressing."""

    def __init__(self) -> None:
        self._count = 0
        self._high, self._low = np.empty(_PIECE, np.uint64), np.empty(_PIECE, np.uint64)
        self._table = np.zeros(2 * _PIECE, np.uint32)  # 1 + the place in the list; 0 is free

    def add(self, high: Words, low: Words) -> list[int]:
        """Adds these numbers; returns the indexes of those that were there, or came before in the same batch, ascending."""
        begin, self._count = self._count, self._count + len(high)
        if self._count > len(self._high):
            room = self._count + self._count // 4
            self._high, self._low = np.resize(self._high, room), np.resize(self._low, room)
        self._high[begin : self._count], self._low[begin : self._count] = high, low
        if 3 * self._count > 2 * len(self._table):
            self._table = np.zeros(1 << (2 * self._count).bit_length(), np.uint32)
            for start in range(0, begin, _PIECE):
                self._enter(start, min(start + _PIECE, begin))
        return sorted(row - begin for row in self._enter(begin, self._count))

    def _enter(self, start: int, stop: int) -> list[int]:
        """Gives rows of the list their slots, the first row of a number; returns the others."""
        mask, repeats = len(self._table) - 1, list[int]()
        rows = np.arange(start, stop)
        slots = self._low[start:stop].view(np.int64) & mask
        while len(rows):
            before = self._table.take(slots)
            if not before.all():
                # of rows that ask for one slot the last assignment stays: backwards, so that it is the first row's
                free = np.flatnonzero(before == 0)[::-1]
                self._table[slots[free]] = rows[free] + 1
            holders = self._table.take(slots).astype(np.int64) - 1
            others = np.flatnonzero(holders != rows)
            rows, slots, holders = rows[others], slots[others], holders[others]
            same = (self._high[holders] == self._high[rows]) & (self._low[holders] == self._low[rows])
            repeats += rows[same].tolist()
            rows, slots = rows[~same], (slots[~same] + 1) & mask
        return repeats


def _halves(ids: pa.Array) -> tuple[Words, Words]:
    """Two numbers of each id: those that it spells where it is a record id or a UUID, else two hashes of its text."""
    found, rest = np.empty((len(ids), 2), np.uint64), np.ones(len(ids), bool)
    sizes = np.diff(np.asarray(Lines(ids).offsets))
    for width, (dashed, mark) in _SPELLED.items():
        there = sizes == width
        if there.any():
            values = _values(ids if there.all() else ids.filter(pa.array(there)), width)
            dashes, values = values[:, dashed], np.delete(values, dashed, axis=1)
            if values.max() >= _DASH or not (dashes == _DASH).all():
                spelled = (values < _DASH).all(axis=1) & (dashes == _DASH).all(axis=1)
                there[there], values = spelled, values[spelled]
            packed = values[:, ::2] << np.uint8(4) | values[:, 1::2]
            found[there] = np.ascontiguousarray(packed).view(np.uint64) ^ mark
            rest &= ~there
    if rest.any():
        texts = ids.filter(pa.array(rest)).to_pylist()
        found[rest, 0], found[rest, 1] = _hashes(texts), _hashes([f"{text}\0" for text in texts])
    return found[:, 0], found[:, 1]


def _hashes(texts: list[str]) -> Words:
    return np.fromiter(map(hash, texts), np.int64, len(texts)).view(np.uint64)


def _values(ids: pa.Array, width: int) -> NDArray[np.uint8]:
    """The values of the octets of ids that all have this length, as digits, a row each."""
    octets = bytes(Lines(ids).text(0, len(ids))).translate(_VALUES)
    return np.frombuffer(octets, np.uint8).reshape(len(ids), width)
