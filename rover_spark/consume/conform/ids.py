"""Ids that were delivered more than once, found without holding them in memory.

Workers write an entry a record into files of a temporary directory, one for each part of the ids; afterwards each part is
read back by itself. An entry holds 16 octets of the id, a checksum of the content, the file's number and the line's. Only
ids with different checksums are read again, to compare what they say.

The checksum leaves ``emittedAt`` out: the same record delivered twice is emitted twice. It has 32 bits: of four billion
records that repeat an id with other content one is taken for equal.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, repeat
from operator import itemgetter
from pathlib import Path
from struct import Struct

from rover_spark.errors import RunError

_ENTRY = Struct(">16sIII")
ID_BYTES = 16
_AT_ONCE = 4 << 20  # octets of entries that wait in a worker
_PART = 500_000  # records of a part: tens of megabytes while it is read back
_READ = 16 << 20  # octets of a part whose ids are in memory at once: about ten times that
_CHUNK = _ENTRY.size << 16  # octets of whole entries that are in memory at once
_CONTENTS = 100  # different contents of one id that are kept
_DOUBLED = 10_000  # ids of a part that are compared


@dataclass(frozen=True, order=True, slots=True)
class Content:
    """Records of one id with one checksum: how many, and the file and line of the first."""

    file: int
    line: int
    count: int


@dataclass(frozen=True)
class Repeats:
    """The ids of a part of a group that occur more than once.

    ``equal`` counts records that repeat an equal one; ``doubled`` has, of each id with several checksums, its contents, the
    first record's first. ``uncompared`` counts records beyond the bounds: nobody knows whether they differ.
    """

    group: int
    equal: int
    doubled: tuple[tuple[Content, ...], ...]
    uncompared: int


def parts_of(records: int) -> int:
    """Into how many parts the ids of so many records are divided."""
    return min(max(records // _PART, 1), 256)  # by the first octet


class Spill:
    """The entries of one worker. ``group`` is a number of what ids must be unique in."""

    def __init__(self, home: Path, parts: int) -> None:
        self._home, self._parts = home, parts
        self._waiting: dict[int, list[bytearray]] = {}
        self._bytes = 0

    def add(self, group: int, file: int, ids: bytes, checksums: Sequence[int], lines: Iterable[int]) -> None:
        """Entries of one file; ``ids`` are 16 octets each, one after the other."""
        texts = Struct(f"{ID_BYTES}s" * len(checksums)).unpack(ids)
        entries = map(_ENTRY.pack, texts, checksums, repeat(file), lines)
        if group not in self._waiting:
            self._waiting[group] = [bytearray() for _ in range(self._parts)]
        parts = self._waiting[group]
        if self._parts == 1:
            parts[0] += b"".join(entries)
        else:
            of_octet = [parts[octet * self._parts >> 8] for octet in range(256)]
            for part, entry in zip(map(of_octet.__getitem__, ids[::ID_BYTES]), entries, strict=True):
                part += entry  # noqa: PLW2901 - it grows in place
        self._bytes += len(checksums) * _ENTRY.size
        if self._bytes >= _AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Writes what waits."""
        for group, parts in self._waiting.items():
            for part, entries in enumerate(parts):
                if entries:
                    path = self._home / f"{group}.{part}.{os.getpid()}"
                    with _usable(self._home), path.open("ab") as file:
                        file.write(entries)
        self._waiting.clear()
        self._bytes = 0


@contextmanager
def _usable(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(
            f"the temporary directory {home} cannot be used: {error.strerror}",
            code="file_refused",
            remedy="Free space there, or set TMPDIR to a directory that has 30 bytes a record, and run conform again.",
        ) from None


def written(home: Path) -> list[tuple[int, int]]:
    """The groups and parts that have entries, in order."""
    with _usable(home):
        return sorted({_named(path) for path in home.iterdir()})


def _named(path: Path) -> tuple[int, int]:
    group, part, _ = path.name.split(".")
    return int(group), int(part)


def repeats(home: Path, group: int, part: int) -> Repeats:
    """The ids of a part that occur more than once. A part that is larger than thought is read several times, a share each."""
    with _usable(home):
        paths = sorted(home.glob(f"{group}.{part}.*"))
        size = sum(path.stat().st_size for path in paths)
    shares = max(-(-size // _READ), 1)
    equal = uncompared = 0
    doubled: list[tuple[Content, ...]] = []
    for share in range(shares):
        for contents, records in _again(paths, share, shares):
            kept = sum(each.count for each in contents)
            equal += kept - len(contents)
            uncompared += records - kept
            if len(contents) > 1:
                doubled.append(contents)
            if len(doubled) > 2 * _DOUBLED:
                uncompared += cut(doubled, _DOUBLED)
    uncompared += cut(doubled, _DOUBLED)
    return Repeats(group, equal, tuple(doubled), uncompared)


def cut(doubled: list[tuple[Content, ...]], most: int) -> int:
    """Leaves the first ``most`` of them; returns how many records of the others were to be compared."""
    doubled.sort()
    beyond = sum(content.count for each in doubled[most:] for content in each[1:])
    del doubled[most:]
    return beyond


def _again(paths: list[Path], share: int, shares: int) -> Iterator[tuple[tuple[Content, ...], int]]:
    """Of each id of a share that occurs more than once its first contents, and how many records it has."""
    again = _repeated(paths, share, shares)
    if not again:
        return
    entries = [
        entry
        for data in _entries(paths, share, shares)
        for entry in _divided(data)
        if entry[:ID_BYTES] in again
    ]
    again.clear()
    entries.sort()  # by id, checksum, file and line
    for _, mine in groupby(map(_ENTRY.unpack, entries), itemgetter(0)):
        yield _contents(mine)


def _repeated(paths: list[Path], share: int, shares: int) -> set[bytes]:
    seen, again = set[bytes](), set[bytes]()
    for data in _entries(paths, share, shares):
        ids = [data[start : start + ID_BYTES] for start in range(0, len(data), _ENTRY.size)]
        new = set(ids)
        again |= new & seen
        seen |= new
        if len(new) < len(ids):
            again |= {id_ for id_, count in Counter(ids).items() if count > 1}
    return again


def _contents(entries: Iterable[tuple[bytes, int, int, int]]) -> tuple[tuple[Content, ...], int]:
    contents: list[list[int]] = []  # file, line, count
    records, last = 0, -1
    for _, checksum, file, line in entries:
        records += 1
        if checksum == last:
            contents[-1][2] += 1
            continue
        last = checksum
        if len(contents) == 2 * _CONTENTS:
            contents = sorted(contents)[:_CONTENTS]
        contents.append([file, line, 1])
    return tuple(Content(*each) for each in sorted(contents)[:_CONTENTS]), records


def _divided(data: bytes) -> Iterator[bytes]:
    return (data[start : start + _ENTRY.size] for start in range(0, len(data), _ENTRY.size))


def _entries(paths: list[Path], share: int, shares: int) -> Iterator[bytes]:
    """Whole entries, some megabytes at once; of several shares those whose ids belong to this one."""
    for path in paths:
        with _usable(path.parent), path.open("rb") as file:
            while data := file.read(_CHUNK):
                if shares == 1:
                    yield data
                else:
                    yield b"".join(
                        each for each in _divided(data) if (each[2] << 8 | each[3]) % shares == share
                    )
