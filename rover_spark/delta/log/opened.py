"""A table at one version as ``deltalake`` opens it, and what is kept of it: not the list of its files, which may be long."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rover_spark.delta.log.port import NotAnswered
from rover_spark.delta.log.values import features_of
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


def rows_of(table: DeltaTable) -> int | None:
    """How many rows a table has by its statistics; None where they do not say it of every file, or vectors may take rows away."""
    records: Any = table.get_add_actions().column("num_records").to_pylist()
    known: list[int] = [each for each in records if each]
    return None if _VECTORS in _features(table) or len(known) < len(records) else sum(known)


def _features(table: DeltaTable) -> frozenset[str]:
    said = table.protocol()
    return features_of(
        said.min_reader_version, said.min_writer_version, said.reader_features, said.writer_features
    )
