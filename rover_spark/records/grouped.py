"""Events in file order: the last step before bytes."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rover_spark.eventplan import EventPlan
from rover_spark.records.chunks import element, salts


def arranged_events(rows: DataFrame, plan: EventPlan) -> DataFrame:
    """(chunk, outcome, late, lateness, zoneless, mended, id, line) in file order: by id, the first one queued before its repeats."""
    bins = plan.bins or (0,)
    salt = salts(max(bins) + 1)
    return (
        rows.withColumn("salt", element(tuple(salt[each] for each in bins), F.col("chunk")))
        .repartition(len(salt), "salt")
        .sortWithinPartitions("salt", "chunk", "id", "commit", "datum")
        .select(
            "chunk", "outcome", "late", "lateness", "zoneless", "mended", "id", F.col("datum").alias("line")
        )
    )
