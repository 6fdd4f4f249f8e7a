"""What a warehouse must be able to do for the loader. An implementation each: ``duckdb``, ``delta``.

The loader decides which objects are due. The warehouse reads them through ``Read``, keeps each record once, and
writes their rows, what it refuses and the note that they were loaded together, or none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from rover_spark.consume.load.due import Due, Kept, Said
from rover_spark.consume.load.objects import Part
from rover_spark.consume.records import BadLine

Read = Callable[[Due], Iterator[Part]]  # picklable: an engine may read elsewhere
TEXT = 1000  # characters of a refused line that are kept
UNREAD = "not read: "  # begins what is noted of an object that could not be read: it is due until it can


def reason_of(bad: BadLine) -> str:
    """All that is wrong with a line."""
    return shown("; ".join(each.message for each in bad.wrong))


def text_of(bad: BadLine) -> str:
    """The beginning of a refused line."""
    return shown(bad.line[: TEXT * 4].decode(errors="replace"))


def shown(text: str) -> str:
    """Text that any reader of the quarantine can show."""
    return text[:TEXT].encode(errors="replace").decode()


@dataclass(frozen=True)
class Folder:
    """What is known of a dated folder: its last loaded hour, and the first instant of a batch that waits there."""

    last: datetime | None
    waiting: datetime | None


@dataclass(frozen=True)
class Refused:
    """What was put into the quarantine: a line or an event by its number, or a whole object (None)."""

    key: str
    line: int | None
    code: str
    reason: str
    text: str


@dataclass(frozen=True)
class Counts:
    """What loading some objects of a dataset did. ``gone`` and ``unread`` are the keys of objects that could not be read."""

    objects: int = 0
    new: int = 0
    repeated: int = 0
    bad_lines: int = 0
    damaged: int = 0
    gone: tuple[str, ...] = ()
    unread: tuple[tuple[str, str], ...] = ()

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.objects + other.objects,
            self.new + other.new,
            self.repeated + other.repeated,
            self.bad_lines + other.bad_lines,
            self.damaged + other.damaged,
            self.gone + other.gone,
            self.unread + other.unread,
        )


class Warehouse(Protocol):
    """Tables of loaded records, and the bookkeeping beside them.

    ``group_bytes`` and ``group_objects`` are how many, compressed, may share a transaction.
    """

    group_bytes: int
    group_objects: int

    def folders(self, now: datetime) -> Mapping[str, Folder]:
        """What is known of each dated folder; hours after ``now`` do not count."""
        ...

    def kept(self, keys: Collection[str]) -> Mapping[str, Kept]:
        """What is kept of each of these objects that is loaded and was whole."""
        ...

    def unread(self) -> Collection[str]:
        """The keys of objects that were due and could not be read."""
        ...

    def manifests(self) -> tuple[Collection[str], Mapping[str, datetime]]:
        """The keys of manifests whose batch is loaded, and the newest instant of each stream."""
        ...

    def load(self, objects: Sequence[Due], read: Read) -> Counts:
        """Loads objects of one dataset in one transaction."""
        ...

    def note(self, loaded: Sequence[Said], waiting: Sequence[Said], refused: Sequence[Refused]) -> None:
        """Keeps which batches are complete and loaded, which wait, and which manifests cannot be read."""
        ...

    def finish(self) -> None:
        """Makes the views of the current state anew."""
        ...
