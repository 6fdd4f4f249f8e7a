"""Events in file order: the last step before bytes."""

from __future__ import annotations

from collections.abc import Container

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rover_spark.produce.columns.chunks import element, salts
from rover_spark.produce.currents.plan import EventPlan


def arranged_events(rows: DataFrame, plan: EventPlan, slices: Container[int]) -> DataFrame:
    """(chunk, outcome, late, lateness, zoneless, mended, id, line) in file order: by id, the first one queued before its repeats.

    ``slices`` are the numbers of those that the rows are of: only their groups take a task.
    """
    bins = plan.bins or (0,)
    mine = {each for group, each in zip(plan.groups, bins, strict=False) if group.slice in slices} or {0}
    salt = dict(zip(sorted(mine), salts(len(mine)), strict=True))
    return (
        rows.withColumn("salt", element(tuple(salt.get(each, 0) for each in bins), F.col("chunk")))
        .repartition(len(salt), "salt")
        .sortWithinPartitions("salt", "chunk", "id", "commit", "datum")
        .select(
            "chunk", "outcome", "late", "lateness", "zoneless", "mended", "id", F.col("datum").alias("line")
        )
    )
