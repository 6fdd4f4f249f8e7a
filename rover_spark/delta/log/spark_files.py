"""A Delta table's log, read as files by Spark: what commits say that Spark's commands leave out.

Reads ``_delta_log`` wherever Spark reads the table. Writes nothing.
Source: Delta transaction log protocol, "Delta Log Entries", "Checkpoints", "Commit Provenance Information".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import unquote

from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from rover_spark.delta.frames import union
from rover_spark.delta.log import times
from rover_spark.delta.log.folder import CHECKPOINT, COMMIT, commit_name
from rover_spark.delta.log.values import (
    Change,
    ChangeFile,
    Commit,
    CommitFiles,
    DataFile,
    Place,
    after_change,
    features_of,
    rows_written,
)
from rover_spark.delta.names import literal
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
_ADDED = (
    "add STRUCT<path: STRING, partitionValues: MAP<STRING, STRING>, size: BIGINT, dataChange: BOOLEAN, stats: STRING, "
    "deletionVector: STRUCT<storageType: STRING, cardinality: BIGINT>>, remove STRUCT<path: STRING, dataChange: BOOLEAN>, "
    "cdc STRUCT<path: STRING, partitionValues: MAP<STRING, STRING>, size: BIGINT>"
)
_REMOVES_ROWS = "remove.dataChange OR cdc IS NOT NULL OR (add.dataChange AND add.deletionVector IS NOT NULL)"
_INFO = (
    "commitInfo STRUCT<operation: STRING, inCommitTimestamp: BIGINT, operationMetrics: MAP<STRING, STRING>>"
)


def _log(root: str) -> str:
    return f"{literal(root.rstrip('/'))}/_delta_log"


def _commits(spark: SparkSession, place: Place, schema: str) -> DataFrame:
    paths = [f"{_log(place.root)}/{commit_name(version)}" for version in range(place.first, place.last + 1)]
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
    for number, several in enumerate(found):
        listed = found[number] = _by_commit(several)
        if any(change.bare for change in listed):
            found[number] = _without_recorded(spark, places[number], listed)
    return found


def _by_commit(several: list[Change]) -> list[Change]:
    """One value a commit, in their order."""
    commits = dict[int, Change]()
    for each in several:
        so_far = commits.get(each.version, each)
        commits[each.version] = Change(
            each.version,
            each.metadata or so_far.metadata,
            so_far.features if each.features is None else each.features,
            each.bare or so_far.bare,
        )
    return [commits[version] for version in sorted(commits)]


def _without_recorded(spark: SparkSession, place: Place, listed: list[Change]) -> list[Change]:
    # a commit that wrote change files of its own: the feed reads those, not the files that it removed
    rows = _commits(spark, place, _FILES).where("cdc IS NOT NULL").select(_version()).distinct().collect()
    written = {row["version"] for row in rows}
    read = [replace(each, bare=each.bare and each.version not in written) for each in listed]
    return [each for each in read if each.bare or each.metadata is not None or each.features is not None]


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
    return features_of(
        protocol["minReaderVersion"],
        protocol["minWriterVersion"],
        protocol["readerFeatures"],
        protocol["writerFeatures"],
    )


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
    checkpoints = {int(found[1]) for name in names if (found := CHECKPOINT.fullmatch(name))}
    begin = max((each for each in checkpoints if each <= version), default=None)
    commits = {int(found[1]): name for name in names if (found := COMMIT.fullmatch(name))}
    after = -1 if begin is None else begin
    reading = [name for number, name in commits.items() if after < number <= version]
    if len(reading) != version - after:
        return None
    if begin is not None:
        reading += [
            name for name in names if (found := CHECKPOINT.fullmatch(name)) and int(found[1]) == begin
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


def _listed(spark: SparkSession, root: str) -> list[tuple[str, int]]:
    """Names of the log's files of commits and checkpoints, with when they were written (ms)."""
    # one folder is one listing; a pattern in its place would be asked for file by file
    files = spark.read.format("binaryFile").option("pathGlobFilter", "[0-9]*.{json,parquet}").load(_log(root))
    rows = files.select("path", F.unix_millis("modificationTime").alias("at")).collect()
    return [(unquote(row["path"]).rpartition("/")[2], row["at"]) for row in rows]


def history(spark: SparkSession, root: str, limit: int, properties: Mapping[str, str]) -> list[Commit]:
    """The newest commits, the oldest first, as DESCRIBE HISTORY lists them where it does not fail."""
    written = sorted(
        (int(found[1]), at) for name, at in _listed(spark, root) if (found := COMMIT.fullmatch(name))
    )[-limit:]
    if not written:
        return []
    place = Place(root, root, written[0][0], written[-1][0])
    rows = _commits(spark, place, _INFO).where("commitInfo IS NOT NULL").select(_version(), "commitInfo.*")
    infos = {row["version"]: row for row in rows.collect()}
    in_commit = times.first_in_commit(properties)
    rising = times.rising(each for each in written if in_commit is None or each[0] < in_commit)
    commits: list[Commit] = []
    for version, file_time in written:
        info = infos.get(version)
        own = None if info is None else info["inCommitTimestamp"]
        at = rising.get(version, file_time if own is None else own)
        metrics = None if info is None else info["operationMetrics"]
        commits.append(
            Commit(version, at, None if info is None else info["operation"], rows_written(metrics))
        )
    return commits


def files(spark: SparkSession, place: Place) -> list[CommitFiles]:
    """The files that each of these commits added. One job."""
    actions = _commits(spark, place, _ADDED)
    records = F.get_json_object("add.stats", "$.numRecords").cast("bigint")
    rows = (
        actions.withColumn("removes", F.coalesce(F.expr(_REMOVES_ROWS), F.lit(False)))
        .where("removes OR add.dataChange")
        .select(
            _version(),
            F.expr("IF(add.dataChange, add, NULL)").alias("add"),
            (records - F.coalesce("add.deletionVector.cardinality", F.lit(0))).alias("records"),
            "cdc",
            "removes",
        )
        .collect()
    )
    added, changed = defaultdict[int, list[DataFile]](list), defaultdict[int, list[ChangeFile]](list)
    removing = set[int]()
    for row in rows:
        version, add, cdc = row["version"], row["add"], row["cdc"]
        if row["removes"]:
            removing.add(version)
        if add is not None:
            values = add["partitionValues"] or {}
            added[version].append(DataFile(add["path"], version, add["size"] or 0, values, row["records"]))
        if cdc is not None:
            values = cdc["partitionValues"] or {}
            changed[version].append(ChangeFile(cdc["path"], version, cdc["size"] or 0, values))
    return [
        CommitFiles(version, tuple(added[version]), tuple(changed[version]), version in removing)
        for version in range(place.first, place.last + 1)
    ]
