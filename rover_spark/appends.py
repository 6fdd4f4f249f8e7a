"""Rows that an append-only table gained over a range of versions, from the files that each commit added.

For event tables without a change data feed. Gives the columns that the feed would give, every row as an insert; a
commit that took anything away is a SourceGap, for what it did cannot be told without the feed. Writes nothing.
Source: Delta transaction log protocol, "Add File and Remove File".
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, TimestampNTZType, TimestampType

from rover_spark import source
from rover_spark.errors import ConfigError, SourceGap
from rover_spark.eventplan import EVENTS, Slice
from rover_spark.plan import TableState, rerun_remedy

_ACTIONS = "add STRUCT<path: STRING, dataChange: BOOLEAN>, remove STRUCT<path: STRING, dataChange: BOOLEAN>"
_FILE = "_file"
_GLOB, _ESCAPED = re.compile(r"([\\{}\[\]*?])"), r"\\\1"  # a place is never a pattern


def require_readable(setting: str, table: str, state: TableState) -> None:
    """Raises ConfigError, with the statement that mends it, unless appended rows can be told from others."""
    if state.keeps_feed:
        return
    name = source.quoted(table)
    if state.properties.get("delta.appendOnly", "").lower() != "true":
        raise ConfigError(
            f"{setting}: {table} neither keeps a change data feed nor is append-only, so new rows could not be told",
            code="feed_off",
            remedy=f"ALTER TABLE {name} SET TBLPROPERTIES (delta.enableChangeDataFeed = true), or delta.appendOnly = true",
        )
    if state.properties.get("delta.columnMapping.mode", "none") != "none":
        raise _feed_needed(setting, table, "maps its columns to other names")


def _feed_needed(setting: str, table: str, why: str) -> ConfigError:
    return ConfigError(
        f"{setting}: {table} {why}: it can only be read by its change data feed, which is off",
        code="feed_off",
        remedy=f"ALTER TABLE {source.quoted(table)} SET TBLPROPERTIES (delta.enableChangeDataFeed = true)",
    )


def arrived(spark: SparkSession, one: Slice) -> DataFrame:
    """The rows of a slice's versions, with the columns of Delta's change data feed. Wrap the action in ``reading``.

    Raises:
        SourceGap: without a feed, a commit that took rows away or whose log is gone.
    """
    assert one.from_version is not None
    table, setting = one.source.table, f'events."{one.event_type}".table'
    if one.by_feed:
        return source.changes(spark, table, one.from_version, one.to_version)
    rows = source.snapshot(spark, table, one.to_version)
    detail = spark.sql(f"DESCRIBE DETAIL {source.quoted(table)}").select("location", "partitionColumns")
    root, partitions = detail.collect()[0]
    for name in partitions:
        if isinstance(rows.schema[name].dataType, TimestampType | TimestampNTZType | BinaryType):
            raise _feed_needed(setting, table, f"is partitioned by {name}, which is a time or bytes")
    added = _added(spark, root, one)
    commit_of = {path.rpartition("/")[2]: version for path, version in added}
    if len(commit_of) != len(added) or any(":" in path for path, _ in added):
        raise _feed_needed(setting, table, "has files that are named alike, or lie elsewhere")
    columns = [F.col("`" + name.replace("`", "``") + "`") for name in rows.columns]
    if added:
        paths = [_GLOB.sub(_ESCAPED, f"{root}/{unquote(path)}") for path, _ in added]
        reader = spark.read.schema(rows.schema).option("basePath", root)
        rows = reader.parquet(*paths).select(*columns, F.col("_metadata.file_name").alias(_FILE))
    else:
        rows = rows.limit(0).withColumn(_FILE, F.lit(""))
    at = {commit.version: commit.timestamp for commit in one.commits}
    commits = [(name, version, at[version]) for name, version in commit_of.items()]
    known = F.broadcast(
        spark.createDataFrame(commits, f"{_FILE} STRING, _commit_version BIGINT, _commit_ms BIGINT")
    )
    stray = F.raise_error(F.lit("a file that no commit added")).cast("bigint")
    return rows.join(known, _FILE, "left").select(
        *columns,
        F.lit("insert").alias("_change_type"),
        F.coalesce("_commit_version", stray).alias("_commit_version"),
        F.timestamp_millis("_commit_ms").alias("_commit_timestamp"),
    )


def _added(spark: SparkSession, root: str, one: Slice) -> list[tuple[str, int]]:
    """Path as the log spells it, and version, of every file that the slice's commits added."""
    log = [f"{_GLOB.sub(_ESCAPED, root)}/_delta_log/{commit.version:020d}.json" for commit in one.commits]
    actions = spark.read.schema(_ACTIONS).json(log).where("add.dataChange OR remove.dataChange")
    version = F.substring("_metadata.file_name", 1, 20).cast("bigint")
    found = actions.select(
        version.alias("version"), "add.path", F.col("remove").isNotNull().alias("taken")
    ).collect()
    taken = sorted({row["version"] for row in found if row["taken"]})
    if taken:
        raise SourceGap(
            f'events."{one.event_type}": version {taken[0]} of {one.source.table} changed or removed rows, and without a '
            "change data feed its new rows cannot be told from them. Nothing was staged",
            code="event_changed",
            remedy=rerun_remedy(EVENTS),
        )
    return [(row["path"], row["version"]) for row in found]
