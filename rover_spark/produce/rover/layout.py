"""Which file a record lands in, and in what order: the one seam behind which a chunk is defined.

A record belongs to chunk ``pmod(hash(id), n)``, n from the plan. Inside a chunk records stand by event time, then id,
so records with one id are neighbours: ``stage`` delivers the first of them and counts the others.
"""

from __future__ import annotations

from functools import lru_cache

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from rover_spark.produce.rover.envelope import line, record_id
from rover_spark.produce.rover.plan import BatchPlan

_MASK = 0xFFFFFFFF


def arranged(rows: DataFrame, plan: BatchPlan) -> DataFrame:
    """(chunk, outcome, floor, mended, id, line) in file order, one chunk's rows in one partition.

    ``id`` and ``line`` are null where a row is not delivered.

    Records with one id are neighbours, the one to be delivered first: the last commit's, in a snapshot the one with
    the greatest line.
    """
    n = plan.files.chunks
    delivered = F.col("outcome") == "delivered"
    commit = F.col("commit") if "commit" in rows.columns else F.lit(0)
    keyed = (
        rows.withColumn("id", record_id(plan, F.col("operation"), F.col("event_us")))
        .withColumn("id", F.when(delivered, F.col("id")).otherwise(F.col("key")))
        .withColumn("chunk", chunk_of(F.col("id"), n))
        .select(
            "chunk",
            element(salts(n), F.col("chunk")).alias("salt"),
            "event_us",
            "id",
            commit.alias("commit"),
            "outcome",
            "floor",
            (delivered & F.col("mended")).alias("mended"),
            F.when(delivered, line(plan, F.col("operation"))).alias("line"),
        )
        .repartition(n, "salt")
    )
    first = [F.desc("commit"), F.desc("line")]
    if plan.definition.event_time not in plan.source.natural_key:
        # the id does not fix the event time: all stand where the one stands that is delivered
        same_id = Window.partitionBy("salt", "chunk", "id").orderBy(*first)
        keyed = keyed.withColumn("event_us", F.first("event_us").over(same_id))
    return keyed.sortWithinPartitions("salt", "chunk", "event_us", "id", *first).select(
        "chunk",
        "outcome",
        "floor",
        "mended",
        F.when(F.col("outcome") == "delivered", F.col("id")).alias("id"),
        "line",
    )


def chunk_of(column: Column, n: int) -> Column:
    """``pmod(hash(column), n)`` with Spark's own 32-bit Murmur3."""
    return F.pmod(F.hash(column), F.lit(n)).cast("int")


def element(values: tuple[int, ...], index: Column) -> Column:
    """The index-th (from 0) of constant integers; one of them alone is that constant."""
    if len(values) == 1:
        return F.lit(values[0]).cast("bigint")
    return F.element_at(F.expr(f"array({','.join(f'{value}L' for value in values)})"), index + 1)


@lru_cache(maxsize=8)
def salts(n: int) -> tuple[int, ...]:
    """Per chunk the smallest s ≥ 0 with ``pmod(hash(s), n)`` = chunk: hash partitioning by it uses all n partitions."""
    found: dict[int, int] = {}
    salt = 0
    while len(found) < n:
        found.setdefault(murmur3_long(salt) % n, salt)
        salt += 1
    return tuple(found[chunk] for chunk in range(n))


def murmur3_long(value: int) -> int:
    """Spark's ``hash`` of one bigint (Murmur3 x86, 32 bit, seed 42), as a signed 32-bit integer."""
    state = 42
    for word in (value & _MASK, value >> 32 & _MASK):
        mixed = word * 0xCC9E2D51 & _MASK
        mixed = (mixed << 15 | mixed >> 17) & _MASK
        state ^= mixed * 0x1B873593 & _MASK
        state = (state << 13 | state >> 19) & _MASK
        state = (state * 5 + 0xE6546B64) & _MASK
    state ^= 8
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        state = (state ^ state >> shift) * factor & _MASK
    return state - (1 << 32) if state >> 31 else state
