"""Rows that a table gained over a range of versions in which none was taken away, from the files that each commit added.

For event tables without a change data feed, and for large ranges beside one, which makes an object of each row. Gives the
columns that the feed would give, every row as an insert; without a feed, a commit that took anything away is a SourceGap,
for what it did cannot be told. Writes nothing.
Source: Delta transaction log protocol, "Add File and Remove File".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import unquote

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, DataType, TimestampNTZType, TimestampType

from rover_spark.delta import read
from rover_spark.delta.engine_errors import ENGINE_ERRORS
from rover_spark.delta.local_rows import local_rows
from rover_spark.delta.log import literal
from rover_spark.delta.names import backticked, quoted
from rover_spark.delta.read import FEED_COLUMNS
from rover_spark.errors import ConfigError, SourceGap
from rover_spark.model.table import TableState
from rover_spark.produce.currents.plan import GIVE_UP, Slice

_ACTIONS = (
    "add STRUCT<path: STRING, partitionValues: MAP<STRING, STRING>, size: BIGINT, dataChange: BOOLEAN, deletionVector: "
    "STRUCT<storageType: STRING>>, remove STRUCT<path: STRING, dataChange: BOOLEAN>, cdc STRUCT<path: STRING>"
)
# Beside a feed: tables that are looked into at all, and how large its new files must be on average. Each of them is asked
# for by name, which is dearer than the feed where they are many and small.
LARGE_TABLE, LARGE_FILE = 64 << 20, 1 << 20
_FILE = "_file"
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"  # Spark's name of the folder of nulls
_TAKEN = {_FILE, "_commit_ms", "_metadata", *FEED_COLUMNS}
Added = tuple[str, dict[str, str | None], int]  # path as the log spells it, partition values, version
_MOMENTS = (TimestampType, TimestampNTZType, BinaryType)
_OCTET = re.compile("%([0-9A-Fa-f]{2})")


def require_readable(setting: str, table: str, state: TableState) -> None:
    """Raises ConfigError, with the statement that mends it, unless appended rows can be told from others."""
    if state.keeps_feed:
        return
    name = quoted(table)
    if state.properties.get("delta.appendOnly", "").lower() != "true":
        raise ConfigError(
            f"{setting}: {table} neither keeps a change data feed nor is append-only, so new rows could not be told",
            code="feed_off",
            remedy=f"ALTER TABLE {name} SET TBLPROPERTIES (delta.enableChangeDataFeed = true), or delta.appendOnly = true",
        )


def _feed_needed(setting: str, table: str, why: str) -> ConfigError:
    return ConfigError(
        f"{setting}: {table} {why}: it can only be read by its change data feed, which is off",
        code="feed_off",
        remedy=f"ALTER TABLE {quoted(table)} SET TBLPROPERTIES (delta.enableChangeDataFeed = true); what came before "
        "cannot be told: " + GIVE_UP,
    )


@dataclass(frozen=True)
class _Log:
    """What a slice's commits did: the files that they added, of so many bytes, and the first version that took rows away.

    ``obstacle`` is why those files do not tell all of their rows, or None.
    """

    root: str
    added: list[Added]
    bytes: int
    taken: int | None
    obstacle: str | None


def by_files(
    spark: SparkSession, slices: tuple[Slice, ...], states: Mapping[str, TableState]
) -> tuple[Slice, ...]:
    """The slices, those to be read by their files that the feed would be the dearer way to; ``states`` by event type."""
    known: dict[tuple[str, int | None, int], bool] = {}

    def dear(one: Slice) -> bool:
        if one.from_version is None or not one.by_feed:
            return False
        # many small commits are not worth a look into each
        if states[one.event_type].bytes < max(LARGE_TABLE, LARGE_FILE * len(one.commits)):
            return False
        place = (one.source.table, one.from_version, one.to_version)
        if place not in known:
            known[place] = _files_tell_all(spark, one)
        return known[place]

    return tuple(replace(one, by_feed=False) if dear(one) else one for one in slices)


def _files_tell_all(spark: SparkSession, one: Slice) -> bool:
    # a catalog may keep the log to itself; what is wrong with it, the feed tells
    try:
        log = _log(spark, one)
    except ENGINE_ERRORS:
        return False
    whole = log.taken is None and log.obstacle is None
    return whole and log.bytes >= LARGE_FILE * max(len(log.added), 1)


def arrived(spark: SparkSession, one: Slice) -> DataFrame:
    """The rows of a slice's versions, with the columns of Delta's change data feed. Wrap the action in ``reading``.

    Raises:
        SourceGap: without a feed, a commit that took rows away.
        ConfigError: without a feed, files that do not tell all of their rows.
    """
    assert one.from_version is not None
    table, setting = one.source.table, f'events."{one.event_type}".table'
    if one.by_feed:
        return read.changes(spark, table, one.from_version, one.to_version)
    log = _log(spark, one)
    if one.keeps_feed and (log.taken is not None or log.obstacle):  # altered since it was planned
        return read.changes(spark, table, one.from_version, one.to_version)
    if log.taken is not None:
        raise SourceGap(
            f'events."{one.event_type}": version {log.taken} of {table} changed or removed rows, and without a '
            "change data feed its new rows cannot be told from them. Nothing was staged",
            code="event_changed",
            remedy=GIVE_UP,
        )
    if log.obstacle:
        raise _feed_needed(setting, table, log.obstacle)
    rows = read.snapshot(spark, table, one.to_version)
    columns = [F.col(backticked(name)) for name in rows.columns]
    if log.added:
        paths = [literal(f"{log.root}/{unquote(path)}") for path, *_ in log.added]
        reader = spark.read.schema(rows.schema).option("basePath", log.root)
        rows = reader.parquet(*paths).select(*columns, F.col("_metadata.file_name").alias(_FILE))
    else:
        rows = rows.limit(0).withColumn(_FILE, F.lit(""))
    at = {commit.version: commit.timestamp for commit in one.commits}
    commits = [(path.rpartition("/")[2], version, at[version]) for path, _, version in log.added]
    known = F.broadcast(
        local_rows(spark, commits, f"{_FILE} STRING, _commit_version BIGINT, _commit_ms BIGINT")
    )
    stray = F.raise_error(F.lit("a file that no commit added")).cast("bigint")
    return rows.join(known, _FILE, "left").select(
        *columns,
        F.lit("insert").alias("_change_type"),
        F.coalesce("_commit_version", stray).alias("_commit_version"),
        F.timestamp_millis("_commit_ms").alias("_commit_timestamp"),
    )


def _obstacle(types: dict[str, DataType], properties: dict[str, str], added: list[Added]) -> str | None:
    """Why these files cannot be read by themselves, or None: what a table tells beside them would be missing."""
    if properties.get("delta.columnMapping.mode", "none") != "none":
        return "maps its columns to other names"
    if properties.get("delta.enableTypeWidening", "").lower() == "true":
        return "may have files of narrower types"
    if taken := sorted(_TAKEN & {name.lower() for name in types}):
        return f"has a column named {taken[0]}"
    if len({path.rpartition("/")[2] for path, *_ in added}) != len(added):
        return "has files that are named alike"
    for path, values, _ in added:
        *folders, name = unquote(path).split("/")
        told = {
            _unescaped(key): _unescaped(value) for key, _, value in (each.partition("=") for each in folders)
        }
        if ":" in path or told != {key: value or _NO_VALUE for key, value in values.items()}:
            return "has files outside of the folders of their partitions"
        if name.startswith(("_", ".")):
            return "has files that Spark passes over"
        if any(key not in types or isinstance(types[key], _MOMENTS) for key in values):
            return f"is partitioned by {', '.join(values)}, of which one is a time or bytes, or is gone"
    return None


def _unescaped(part: str) -> str:
    """A folder's name or value as Spark reads it: octet by octet, which is not how every writer escapes it."""
    return _OCTET.sub(lambda found: chr(int(found[1], 16)), part)


def _log(spark: SparkSession, one: Slice) -> _Log:
    """What stands in Delta's log of the slice's commits."""
    detail = spark.sql(f"DESCRIBE DETAIL {quoted(one.source.table)}").select("location", "properties")
    root, properties = detail.collect()[0]
    log = [f"{literal(root)}/_delta_log/{commit.version:020d}.json" for commit in one.commits]
    actions = spark.read.schema(_ACTIONS).option("mode", "FAILFAST").json(log)
    took_away = "remove.dataChange OR cdc IS NOT NULL OR (add.dataChange AND add.deletionVector IS NOT NULL)"
    found = (
        actions.withColumn("taken", F.coalesce(F.expr(took_away), F.lit(False)))
        .where("taken OR add.dataChange")
        .select(
            F.substring("_metadata.file_name", 1, 20).cast("bigint").alias("version"),
            "add.path",
            "add.size",
            F.col("add.partitionValues").alias("values"),
            "taken",
        )
        .collect()
    )
    schema = read.snapshot(spark, one.source.table, one.to_version).schema
    types = {field.name: field.dataType for field in schema.fields}
    added = [(row["path"], row["values"] or {}, row["version"]) for row in found if row["path"] is not None]
    return _Log(
        root,
        added,
        bytes=sum(row["size"] or 0 for row in found),
        taken=min((row["version"] for row in found if row["taken"]), default=None),
        obstacle=_obstacle(types, properties, added),
    )
