"""The files of a table's log, named and read without Spark: those of a directory, or objects of a store."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from obstore.store import ObjectStore

COMMIT = re.compile(r"(\d{20})\.json")
CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\..*")
_LOG = "_delta_log"
_PIECE = 1 << 20


@dataclass(frozen=True)
class LogFile:
    """A file of a log: its name, when it was last written (ms since 1970), its bytes."""

    name: str
    at: int
    size: int


class Folder(Protocol):
    """A table's ``_delta_log``. Its calls raise what the file system or the store raises."""

    def files(self, first: int) -> list[LogFile]:
        """Files of versions from ``first`` on, in the order of their names."""
        ...

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a file, as they arrive: who stops early reads no more."""
        ...


def commit_name(version: int) -> str:
    """The name of a commit's file."""
    return f"{version:020d}.json"


def commit_path(version: int) -> str:
    """The path of a commit's file below its table."""
    return f"{_LOG}/{commit_name(version)}"


class Directory:
    """The log of a table on a file system of this machine."""

    def __init__(self, table: str) -> None:
        self._path = os.path.join(table, _LOG)

    def files(self, first: int) -> list[LogFile]:
        """Files of versions from ``first`` on, in the order of their names."""
        begin = f"{first:020d}"
        found = []
        with os.scandir(self._path) as entries:
            for entry in entries:
                if entry.name >= begin and entry.name[:20].isdecimal():
                    status = entry.stat()
                    found.append(LogFile(entry.name, status.st_mtime_ns // 1_000_000, status.st_size))
        return sorted(found, key=lambda file: file.name)

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a file, as they are read."""
        with open(os.path.join(self._path, name), "rb") as file:
            yield from file


class Objects:
    """The log of a table in a store; ``whole_seconds`` where Spark sees times of objects without their milliseconds."""

    def __init__(self, store: ObjectStore, *, whole_seconds: bool) -> None:
        self._store, self._whole_seconds = store, whole_seconds

    def files(self, first: int) -> list[LogFile]:
        """Files of versions from ``first`` on, in the order of their names."""
        import obstore

        # a store lists what comes after a name: ``-`` sorts before every ending of a file
        offset = f"{_LOG}/{first:020d}-"
        found = []
        for some in obstore.list(self._store, prefix=_LOG, offset=offset, chunk_size=1000):
            for each in some:
                name = each["path"].rpartition(f"{_LOG}/")[2]
                if name[:20].isdecimal() and "/" not in name:
                    found.append(LogFile(name, self._ms(each["last_modified"]), each["size"]))
            if some and not some[-1]["path"].rpartition(f"{_LOG}/")[2][:1].isdecimal():
                break  # directories of the log come behind its files
        return sorted(found, key=lambda file: file.name)

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of an object, as they arrive."""
        import obstore

        begun = b""
        for piece in obstore.get(self._store, f"{_LOG}/{name}").stream(min_chunk_size=_PIECE):
            *whole, begun = (begun + bytes(piece)).split(b"\n")
            yield from whole
        if begun:
            yield begun

    def _ms(self, at: datetime) -> int:
        seconds = int(at.replace(microsecond=0).timestamp()) * 1000
        return seconds if self._whole_seconds else seconds + at.microsecond // 1000
