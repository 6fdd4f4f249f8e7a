"""Rows of a Delta table: all of them at a version, or the changes of a range of versions. Lazy; writes nothing.

Spark raises where a version is gone or a feed has a hole, it never gives fewer rows: actions stand in
``engine_errors.reading``, which makes a SourceGap of that.
"""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession

from rover_spark.delta.feed import as_written
from rover_spark.errors import SourceGap
from rover_spark.model.plan import BatchPlan, TableState, rerun_remedy

FEED_COLUMNS = ("_change_type", "_commit_version", "_commit_timestamp")


def snapshot(spark: SparkSession, table: str, version: int) -> DataFrame:
    """The table's rows at a version."""
    reader = spark.read.format("delta").option("versionAsOf", version)
    return reader.load(table) if "/" in table else reader.table(table)


def changes(spark: SparkSession, table: str, first: int, last: int) -> DataFrame:
    """The change data feed of versions first..last, inclusive, with Delta's own column names."""
    reader = (
        spark.read.format("delta")
        .option("readChangeFeed", "true")
        .option("startingVersion", first)
        .option("endingVersion", last)
    )
    return as_written(reader.load(table) if "/" in table else reader.table(table))


def planned(spark: SparkSession, plan: BatchPlan) -> DataFrame:
    """The source rows of a plan."""
    if plan.phase == "snapshot" or plan.from_version is None:
        return snapshot(spark, plan.source.table, plan.to_version)
    return changes(spark, plan.source.table, plan.from_version, plan.to_version)


def confirm(plan: BatchPlan, state: TableState) -> None:
    """Raises SourceGap unless the table still holds the commits that the plan pinned."""
    if not state.holds(plan.commits):
        raise SourceGap(
            f"{plan.batch}: the commits of {plan.source.table} that it was planned from are no longer there",
            code="source_gap",
            remedy=rerun_remedy(plan.dataset),
        )
