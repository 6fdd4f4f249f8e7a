"""Events in file order: the last step before bytes."""

from __future__ import annotations

from collections.abc import Container

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rover_spark.produce.columns.chunks import salts
from rover_spark.produce.columns.lookup import lookup
from rover_spark.produce.currents.plan import EventPlan


def arranged_events(rows: DataFrame, plan: EventPlan, slices: Container[int]) -> DataFrame:
    """(chunk, outcome, late, lateness, invalid_timezone, mended, id, line) in file order: by id, repeats behind the first one.

    ``slices`` are the numbers of the slices that the rows belong to: only their groups take a task.
    """
    bins = plan.bins or (0,)
    mine = {each for group, each in zip(plan.groups, bins, strict=False) if group.slice in slices} or {0}
    salt = dict(zip(sorted(mine), salts(len(mine)), strict=True))
    return (
        rows.withColumn("salt", lookup([salt.get(each, 0) for each in bins], F.col("chunk")))
        .repartition(len(salt), "salt")
        .sortWithinPartitions("salt", "chunk", "id", "commit", "datum")
        .select(
            "chunk",
            "outcome",
            "late",
            "lateness",
            "invalid_timezone",
            "mended",
            "id",
            F.col("datum").alias("line"),
        )
    )
