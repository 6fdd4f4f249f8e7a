"""Which file an event lands in, and in what order: the last step before bytes.

Layout ``hash``: the chunk of an event is its group, and events are sorted by id, repeats behind the first one. Layout ``files``:
the chunk is the event's data file, in its own order. Nothing is shuffled or sorted.
"""

from __future__ import annotations

from collections.abc import Container

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rover_spark.produce.columns.chunks import salts
from rover_spark.produce.columns.lookup import lookup
from rover_spark.produce.currents.hand_over import narrow
from rover_spark.produce.currents.plan import EventPlan


def arranged_events(rows: DataFrame, plan: EventPlan, slices: Container[int]) -> DataFrame:
    """Rows as ``narrow`` makes them, in file order: by id, repeats behind the first one.

    ``slices`` are the numbers of the slices that the rows belong to: only their groups take a task.
    """
    bins = plan.bins or (0,)
    mine = {each for group, each in zip(plan.groups, bins, strict=False) if group.slice in slices} or {0}
    salt = dict(zip(sorted(mine), salts(len(mine)), strict=True))
    return (
        rows.withColumn("salt", lookup([salt.get(each, 0) for each in bins], F.col("chunk")))
        .repartition(len(salt), "salt")
        .sortWithinPartitions("salt", "chunk", "id", "commit", "datum")
        .select(*narrow())
    )


def in_file_order(rows: DataFrame) -> DataFrame:
    """What ``arranged_events`` gives, of rows whose chunks are data files."""
    return rows.select(*narrow())
