"""Rows of a source → what each of them becomes, and the floors that they leave. Pure columns: no action, no clock."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rover_spark.produce.columns.quarantine import quarantine_rows
from rover_spark.produce.rover.changes import all_created, net, timed
from rover_spark.produce.rover.fields import keyed, projected
from rover_spark.produce.rover.identifiers import counting
from rover_spark.produce.rover.plan import BatchPlan


def units(
    rows: DataFrame, plan: BatchPlan, floors: DataFrame | None, *, in_one_task: bool = False
) -> DataFrame:
    """One row per source row that counts, with its outcome, operation and event time.

    ``rows`` is the source at the plan's version, or its change data feed. ``floors`` has (key, floor_us), or is None where there are none.
    ``in_one_task`` lets one task do it, without a shuffle: the rows are the same.
    """
    if in_one_task:
        rows = rows.coalesce(1)
    return decided(
        keyed(counting(rows, plan.dataset, plan.source), plan), plan, floors, in_one_task=in_one_task
    )


def decided(
    rows: DataFrame,
    plan: BatchPlan,
    floors: DataFrame | None,
    *,
    in_one_task: bool = False,
    partitions: int | None = None,
) -> DataFrame:
    """The same of what ``keyed`` gave: all rows of the source, or all of some keys. ``partitions`` as for ``net``."""
    rows = projected(rows, plan)
    found = (
        all_created(rows)
        if plan.stand_alone
        else net(rows, plan, in_one_task=in_one_task, partitions=partitions)
    )
    return timed(found, plan, floors)


def needed(rows: DataFrame) -> DataFrame:
    """What staging, the quarantine and the floors take of the rows of a range; of rows without a record it is little."""
    of_records: dict[str, Column] = {
        name: F.when(F.col("outcome") == "delivered", F.col(name))
        for name in ("rover_id", "naturals", "inner", "tail", "mended", "twice")
        if name in rows.columns
    }
    names = ("key", "commit", "operation", "event_us", "outcome", "floor", "problem", "row_json", *of_records)
    quarantined = F.when(F.col("outcome") == "quarantined", F.col("row_json"))
    return rows.withColumns({**of_records, "row_json": quarantined}).select(*names)


def set_aside(rows: DataFrame, plan: BatchPlan) -> DataFrame:
    """The rows that are quarantined; rows of a snapshot carry its version."""
    version = F.col("commit") if "commit" in rows.columns else F.lit(plan.to_version)
    return quarantine_rows(rows, plan, F.lit(plan.dataset), version)


def floor_rows(rows: DataFrame, plan: BatchPlan) -> DataFrame:
    """(export, dataset, seq, key, floor_us): one row per key whose time was raised, or that was deleted."""
    return (
        rows.where("floor")
        .groupBy("key")
        .agg(F.max("event_us").alias("floor_us"))
        .select(
            F.lit(plan.export).alias("export"),
            F.lit(plan.dataset).alias("dataset"),
            F.lit(plan.seq).cast("bigint").alias("seq"),
            "key",
            "floor_us",
        )
    )
