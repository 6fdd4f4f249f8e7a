"""Rows of a Delta table: all of them at a version, or the changes of a range of versions. Lazy; writes nothing.

Spark raises where a version is gone or a feed has a hole, it never gives fewer rows: actions run inside
``engine_errors.reading``, which makes a SourceGap of that.
"""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession

from rover_spark.delta.feed import as_written
from rover_spark.delta.place import loaded

FEED_COLUMNS = ("_change_type", "_commit_version", "_commit_timestamp")


def snapshot(spark: SparkSession, table: str, version: int) -> DataFrame:
    """The table's rows at a version."""
    return loaded(spark.read.format("delta").option("versionAsOf", version), table)


def changes(spark: SparkSession, table: str, first: int, last: int) -> DataFrame:
    """The change data feed of versions first..last, inclusive, with Delta's own column names."""
    reader = (
        spark.read.format("delta")
        .option("readChangeFeed", "true")
        .option("startingVersion", first)
        .option("endingVersion", last)
    )
    return as_written(loaded(reader, table))


def rows(spark: SparkSession, table: str, first: int | None, last: int) -> DataFrame:
    """The rows of a version, or where there is a ``first`` the changes from it on. Lazy: wrap the action in ``reading``."""
    return snapshot(spark, table, last) if first is None else changes(spark, table, first, last)
