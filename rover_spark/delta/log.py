"""A Delta table's log, read as files: what commits say of columns, protocol and history that Spark's commands leave out.

Reads ``_delta_log`` through Spark, so wherever Spark reads the table. Writes nothing.
Source: Delta transaction log protocol, "Delta Log Entries", "Checkpoints", "Commit Provenance Information".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from rover_spark.delta.frames import union
from rover_spark.delta.shape import Shape

_ACTIONS = (
    "metaData STRUCT<schemaString: STRING, partitionColumns: ARRAY<STRING>, configuration: MAP<STRING, STRING>>, "
    "protocol STRUCT<minReaderVersion: INT, minWriterVersion: INT, readerFeatures: ARRAY<STRING>, "
    "writerFeatures: ARRAY<STRING>>"
)
_FILES = (
    "add STRUCT<dataChange: BOOLEAN, deletionVector: STRUCT<storageType: STRING>>, "
    "remove STRUCT<path: STRING, dataChange: BOOLEAN, extendedFileMetadata: BOOLEAN, "
    "deletionVector: STRUCT<storageType: STRING>>, cdc STRUCT<path: STRING>"
)
_INFO = (
    "commitInfo STRUCT<operation: STRING, inCommitTimestamp: BIGINT, operationMetrics: MAP<STRING, STRING>>"
)
_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\..*")
_GLOB, _ESCAPED = re.compile(r"([\\{}\[\]*?])"), r"\\\1"  # a place is never a pattern
_LEGACY = {3: "checkConstraints", 4: "generatedColumns", 5: "columnMapping", 6: "identityColumns"}


@dataclass(frozen=True)
class Place:
    """Commits of a table's log, first and last inclusive; ``root`` is the table's location."""

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


def literal(place: str) -> str:
    """A place as Hadoop's globs spell it."""
    return _GLOB.sub(_ESCAPED, place)


def _log(root: str) -> str:
    return f"{literal(root.rstrip('/'))}/_delta_log"


def _commits(spark: SparkSession, place: Place, schema: str) -> DataFrame:
    paths = [f"{_log(place.root)}/{version:020d}.json" for version in range(place.first, place.last + 1)]
    return spark.read.schema(schema).option("mode", "FAILFAST").json(paths)


def _version() -> Column:
    return F.substring("_metadata.file_name", 1, 20).cast("bigint").alias("version")


def changes(spark: SparkSession, places: Sequence[Place]) -> list[list[Change]]:
    """For each place what its commits say besides rows, in their order. One job over all of them."""
    if not places:
        return []
    bare = F.expr("remove IS NOT NULL AND coalesce(remove.dataChange, true)")
    bare = bare & ~F.coalesce(F.col("remove.extendedFileMetadata"), F.lit(False))
    frames = [
        _commits(spark, place, f"{_ACTIONS}, {_FILES}")
        .withColumn("bare", bare)
        .where("metaData IS NOT NULL OR protocol IS NOT NULL OR bare")
        .select(F.lit(number).alias("place"), _version(), "metaData", "protocol", "bare")
        for number, place in enumerate(places)
    ]
    found: list[list[Change]] = [[] for _ in places]
    for row in union(frames).collect():
        found[row["place"]].append(_change(row))
    for number, listed in enumerate(found):
        listed.sort(key=lambda change: change.version)
        if any(change.bare for change in listed):
            found[number] = _without_recorded(spark, places[number], listed)
    return found


def _without_recorded(spark: SparkSession, place: Place, listed: list[Change]) -> list[Change]:
    # a commit that wrote change files of its own: the feed reads those, not the files that it removed
    rows = _commits(spark, place, _FILES).where("cdc IS NOT NULL").select(_version()).distinct().collect()
    written = {row["version"] for row in rows}
    return [change for change in listed if not (change.bare and change.version in written)]


def _change(row: Row) -> Change:
    metadata, protocol = row["metaData"], row["protocol"]
    return Change(
        row["version"],
        None
        if metadata is None
        else (
            metadata["schemaString"],
            list(metadata["partitionColumns"] or ()),
            dict(metadata["configuration"] or {}),
        ),
        None if protocol is None else _features(protocol),
        bool(row["bare"]),
    )


def _features(protocol: Row) -> frozenset[str]:
    """The table features of a protocol, spelled out where it only has numbers."""
    reader, writer = protocol["minReaderVersion"] or 1, protocol["minWriterVersion"] or 1
    named = {*(protocol["readerFeatures"] or ()), *(protocol["writerFeatures"] or ())}
    legacy = {
        name for number, name in _LEGACY.items() if number <= writer < 7 or (number == 5 and reader == 2)
    }
    return frozenset(named | legacy)


def vectors(spark: SparkSession, place: Place) -> int | None:
    """The first commit that added or removed rows by a deletion vector, or None."""
    changed = " OR ".join(
        f"({action}.deletionVector IS NOT NULL AND coalesce({action}.dataChange, true))"
        for action in ("add", "remove")
    )
    rows = _commits(spark, place, _FILES).where(changed).select(_version()).distinct().collect()
    return min((row["version"] for row in rows), default=None)


def shape_at(spark: SparkSession, root: str, version: int) -> Shape | None:
    """The table's columns, protocol and properties at a version, or None where the log does not reach back so far."""
    names = [name for name, _ in _listed(spark, root)]
    checkpoints = {int(found[1]) for name in names if (found := _CHECKPOINT.fullmatch(name))}
    begin = max((each for each in checkpoints if each <= version), default=None)
    commits = {int(found[1]): name for name in names if (found := _COMMIT.fullmatch(name))}
    after = -1 if begin is None else begin
    reading = [name for number, name in commits.items() if after < number <= version]
    if len(reading) != version - after:
        return None
    if begin is not None:
        reading += [
            name for name in names if (found := _CHECKPOINT.fullmatch(name)) and int(found[1]) == begin
        ]
    frames = []
    for ending in ("json", "parquet"):
        paths = [f"{_log(root)}/{literal(name)}" for name in reading if name.endswith(ending)]
        if paths:
            reader = spark.read.schema(_ACTIONS)
            frames.append(reader.json(paths) if ending == "json" else reader.parquet(*paths))
    rows = [
        row
        for frame in frames
        for row in frame.where("metaData IS NOT NULL OR protocol IS NOT NULL")
        .select(_version(), "metaData", "protocol", F.lit(False).alias("bare"))
        .collect()
    ]
    shape: Shape | None = None
    for change in sorted((_change(row) for row in rows), key=lambda each: each.version):
        shape = after_change(shape, change)
    return shape


def after_change(before: Shape | None, change: Change) -> Shape:
    """The table after a commit; without columns as long as nothing is known of them."""
    shape = before or Shape({"type": "struct", "fields": []})
    if change.metadata is not None:
        shape = shape.with_metadata(*change.metadata)
    if change.features is not None:
        shape = Shape(shape.schema, shape.partitions, shape.properties, change.features)
    return shape


def _listed(spark: SparkSession, root: str) -> list[tuple[str, int]]:
    """Names of the log's files of commits and checkpoints, with when they were written (ms)."""
    # one folder is one listing; a pattern in its place would be asked for file by file
    files = spark.read.format("binaryFile").option("pathGlobFilter", "[0-9]*.{json,parquet}").load(_log(root))
    rows = files.select("path", F.unix_millis("modificationTime").alias("at")).collect()
    return [(unquote(row["path"]).rpartition("/")[2], row["at"]) for row in rows]


def history(spark: SparkSession, root: str, limit: int) -> list[Commit]:
    """The newest commits, the oldest first, as DESCRIBE HISTORY lists them where it does not fail."""
    written = sorted(
        (int(found[1]), at) for name, at in _listed(spark, root) if (found := _COMMIT.fullmatch(name))
    )[-limit:]
    if not written:
        return []
    place = Place(root, written[0][0], written[-1][0])
    rows = _commits(spark, place, _INFO).where("commitInfo IS NOT NULL").select(_version(), "commitInfo.*")
    infos = {row["version"]: row for row in rows.collect()}
    commits: list[Commit] = []
    for version, file_time in written:
        info = infos.get(version)
        at = file_time if info is None or info["inCommitTimestamp"] is None else info["inCommitTimestamp"]
        if commits and at <= commits[-1].timestamp:
            at = commits[-1].timestamp + 1  # as Delta adjusts timestamps that do not increase
        metrics = (info["operationMetrics"] if info is not None else None) or {}
        rows_written = metrics.get("numOutputRows") or metrics.get("num_added_rows") or 0
        operation = None if info is None else info["operation"]
        commits.append(Commit(version, at, operation, int(rows_written)))
    return commits
