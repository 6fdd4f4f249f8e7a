"""Which file a record lands in, and in what order: the one seam behind which a chunk is defined.

Layout ``hash``: a record belongs to chunk ``pmod(hash(id), n)``, n from the plan. Inside a chunk records are sorted by event
time, then id, so records with one id are neighbours: ``stage`` delivers the first of them and counts the others.

Layout ``files``: a chunk is a data file of the table, in its own order. Nothing is shuffled or sorted.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from rover_spark.delta.added_files import FILE
from rover_spark.produce.columns.chunks import chunk_of, salts
from rover_spark.produce.columns.lookup import lookup
from rover_spark.produce.rover.envelope import line, record_id
from rover_spark.produce.rover.plan import BatchPlan


def in_file_order(rows: DataFrame, plan: BatchPlan) -> DataFrame:
    """What ``arranged`` gives, each row in the chunk of its data file and in its order."""
    delivered = F.col("outcome") == "delivered"
    return (
        rows.withColumn("id", F.when(delivered, record_id(plan, F.col("operation"), F.col("event_us"))))
        .withColumn("line", F.when(delivered, line(plan, F.col("operation"))))
        .select(
            F.col(FILE).alias("chunk"),
            "outcome",
            "floor",
            (delivered & F.col("mended")).alias("mended"),
            *_twice(plan),
            "id",
            "line",
        )
    )


def _twice(plan: BatchPlan) -> list[Column]:
    """The column ``twice``, false where a row is not delivered; none where such rows are not delivered."""
    if not plan.text.last:
        return []
    return [F.coalesce((F.col("outcome") == "delivered") & F.col("twice"), F.lit(False)).alias("twice")]


def arranged(rows: DataFrame, plan: BatchPlan, *, in_one_task: bool = False) -> DataFrame:
    """(chunk, outcome, floor, mended, id, line) in file order, one chunk's rows in one partition; ``twice`` where a plan asks for it.

    ``in_one_task`` makes that one partition of all rows, without a shuffle.

    ``id`` and ``line`` are null where a row is not delivered.

    Records with one id are neighbours, the one to be delivered first: the last commit's, in a snapshot the one with
    the greatest line.
    """
    n = plan.files.chunks
    delivered = F.col("outcome") == "delivered"
    own = record_id(plan, F.col("operation"), F.col("event_us"))
    commit = F.col("commit") if "commit" in rows.columns else F.lit(0)
    keyed = (
        rows.withColumn("id", F.when(delivered, own).otherwise(F.col("key")))
        .withColumn("chunk", chunk_of(F.col("id"), n))
        .select(
            "chunk",
            lookup(salts(n), F.col("chunk")).alias("salt"),
            "event_us",
            "id",
            commit.alias("commit"),
            "outcome",
            "floor",
            (delivered & F.col("mended")).alias("mended"),
            *_twice(plan),
            F.when(delivered, line(plan, F.col("operation"))).alias("line"),
        )
    )
    keyed = keyed.coalesce(1) if in_one_task else keyed.repartition(n, "salt")
    first = [F.desc("commit"), F.desc("line")]
    if plan.definition.event_time not in plan.source.natural_key:
        # the id does not determine the event time: sort all records of one id at the event time of the delivered one
        same_id = Window.partitionBy("salt", "chunk", "id").orderBy(*first)
        keyed = keyed.withColumn("event_us", F.first("event_us").over(same_id))
    return keyed.sortWithinPartitions("salt", "chunk", "event_us", "id", *first).select(
        "chunk",
        "outcome",
        "floor",
        "mended",
        *(["twice"] if plan.text.last else []),
        F.when(F.col("outcome") == "delivered", F.col("id")).alias("id"),
        "line",
    )
