"""What Delta's log says of a table, as values. Both engines give them, equal for every table. Pure.

Source: Delta transaction log protocol, "Delta Log Entries", "Table Features".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rover_spark.delta.shape import Shape

# features that a writer version stands for where the protocol names none; reader version 2 adds column mapping
_LEGACY = {3: "checkConstraints", 4: "generatedColumns", 5: "columnMapping", 6: "identityColumns"}


@dataclass(frozen=True)
class Detail:
    """A table as it is now: its id, its properties, the bytes of its active files, its location as Spark spells it."""

    table_id: str
    properties: dict[str, str]
    bytes: int
    location: str


@dataclass(frozen=True)
class Place:
    """Commits of a table's log, first and last inclusive; ``root`` is the table's location."""

    table: str
    root: str
    first: int
    last: int


@dataclass(frozen=True)
class Change:
    """What a commit says besides rows: new columns, a new protocol, or (``bare``) a removed file without extended metadata."""

    version: int
    metadata: tuple[str, list[str], dict[str, str]] | None = None
    features: frozenset[str] | None = None
    bare: bool = False


@dataclass(frozen=True)
class Commit:
    """A commit as the table's history lists it: its time (ms since 1970), its operation, rows written (0 where not said)."""

    version: int
    timestamp: int
    operation: str | None
    rows: int


@dataclass(frozen=True)
class DataFile:
    """A data file that a commit added, or that is part of a version: its path as the log spells it, its bytes.

    ``records`` is the number of rows that can be read from it; None where the log does not say it. ``vectored`` is true
    where a deletion vector takes rows away.
    """

    path: str
    version: int
    size: int
    partition: dict[str, str | None]
    records: int | None = None
    vectored: bool = False

    @property
    def name(self) -> str:
        """The file's name as the log spells it."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class ChangeFile:
    """A change data file (``cdc``) of a commit: its path as the log spells it, its bytes, its partition values."""

    path: str
    version: int
    size: int
    partition: dict[str, str | None]


@dataclass(frozen=True)
class CommitFiles:
    """The files of one commit.

    ``added`` are those that bring rows (``dataChange``), in the order of the log. ``removes`` is true where the commit also
    removed or changed rows: it removed files, wrote change files, or added files with deletion vectors.
    """

    version: int
    added: tuple[DataFile, ...] = ()
    changes: tuple[ChangeFile, ...] = ()
    removes: bool = False


@dataclass(frozen=True)
class Entry:
    """A commit's file, without what nobody asks for. ``info`` is None where the file has no ``commitInfo``.

    ``bare`` and ``vectored`` say whether the commit removed a file without extended file metadata, and whether it added or
    removed rows by a deletion vector.
    """

    info: Info | None = None
    metadata: tuple[str, list[str], dict[str, str]] | None = None
    features: frozenset[str] | None = None
    files: CommitFiles = field(default_factory=lambda: CommitFiles(0))
    bare: bool = False
    vectored: bool = False


@dataclass(frozen=True)
class Info:
    """What a ``commitInfo`` says: operation, in-commit timestamp (ms), rows written (0 where not said)."""

    operation: str | None = None
    timestamp: int | None = None
    rows: int = 0


def features_of(
    reader: int | None, writer: int | None, named: Iterable[str] | None, more: Iterable[str] | None
) -> frozenset[str]:
    """The table features of a protocol, spelled out where it only has numbers."""
    reads, writes = reader or 1, writer or 1
    legacy = {
        name for number, name in _LEGACY.items() if number <= writes < 7 or (number == 5 and reads == 2)
    }
    return frozenset({*(named or ()), *(more or ()), *legacy})


def rows_written(metrics: Mapping[str, object] | None) -> int:
    """Rows that a commit wrote, in Spark's word for it, or in that of delta-rs."""
    said = metrics or {}
    count = said.get("numOutputRows") or said.get("num_added_rows") or 0
    return int(str(count))


def after_change(before: Shape | None, change: Change) -> Shape:
    """The table after a commit; without columns as long as nothing is known of them."""
    shape = before or Shape({"type": "struct", "fields": []})
    if change.metadata is not None:
        shape = shape.with_metadata(*change.metadata)
    if change.features is not None:
        shape = Shape(shape.schema, shape.partitions, shape.properties, change.features)
    return shape
