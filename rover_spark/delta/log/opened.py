"""A table at one version as ``deltalake`` opens it, and what is kept of it: not the list of its files, which may be long."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rover_spark.delta.log.port import NotAnswered
from rover_spark.delta.log.values import DataFile, features_of
from rover_spark.delta.storage import Reached

if TYPE_CHECKING:
    from deltalake import DeltaTable

# commits of such tables are decided, and may lie, elsewhere than in the log
_MANAGED = {"catalogManaged", "catalogOwned-preview", "coordinatedCommits", "coordinatedCommits-preview"}
_VECTORS = "deletionVectors"


@dataclass(frozen=True)
class Opened:
    """A table at one version; ``bytes`` are those of its active files."""

    version: int
    table_id: str
    properties: dict[str, str]
    partitions: tuple[str, ...]
    schema: dict[str, Any]
    features: frozenset[str]
    bytes: int


def table_at(place: Reached, version: int | None) -> DeltaTable:
    """The table at a version, None for the newest one.

    Raises:
        NotAnswered: its commits are not all in its log.
    """
    from deltalake import DeltaTable

    table = DeltaTable(place.url, version=version, storage_options=dict(place.options))
    managed = sorted(_features(table) & _MANAGED)
    if managed:
        raise NotAnswered(f"the table has the feature {managed[0]}")
    return table


def opened(table: DeltaTable) -> Opened:
    """What is kept of a table."""
    found = table.metadata()
    return Opened(
        table.version(),
        str(found.id),
        dict(found.configuration),
        tuple(found.partition_columns),
        json.loads(table.schema().to_json()),
        _features(table),
        sum(table.get_add_actions().column("size_bytes").to_pylist()),
    )


def data_files(table: DeltaTable) -> list[DataFile]:
    """The active files of a table, by path. A partition value is the text of the value, whatever the log's spelling of it."""
    import pyarrow as pa

    found = pa.table(table.get_add_actions())
    partitions: list[dict[str, str | None]] = [{}] * len(found)
    if table.metadata().partition_columns:
        values = found.column("partition").combine_chunks()
        texts = [each.cast(pa.string()).to_pylist() for each in values.flatten()]
        names = [field.name for field in values.type]
        partitions = [dict(zip(names, row, strict=True)) for row in zip(*texts, strict=True)]
    gone, version = _removed_by_vectors(table), int(table.version())
    files = [
        DataFile(
            path, version, size, partition, _left(records, gone.get(_name(path), 0)), _name(path) in gone
        )
        for path, size, records, partition in zip(
            *(found.column(name).to_pylist() for name in ("path", "size_bytes", "num_records")),
            partitions,
            strict=True,
        )
    ]
    return sorted(files, key=lambda file: file.path)


def _left(records: int | None, gone: int) -> int | None:
    return None if records is None else records - gone


def _removed_by_vectors(table: DeltaTable) -> dict[str, int]:
    """How many rows the deletion vector of a file takes away, by the file's name."""
    import pyarrow as pa

    if _VECTORS not in _features(table):
        return {}
    found = dict[str, int]()
    for batch in map(pa.record_batch, table.deletion_vectors()):
        for path, rows in zip(batch.column("filepath"), batch.column("selection_vector"), strict=True):
            found[_name(path.as_py())] = len(rows.values) - rows.values.true_count
    return found


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _features(table: DeltaTable) -> frozenset[str]:
    said = table.protocol()
    return features_of(
        said.min_reader_version, said.min_writer_version, said.reader_features, said.writer_features
    )
