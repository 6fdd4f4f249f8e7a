"""Which file a record lands in, and in what order: the one seam behind which a chunk is defined.

A record belongs to chunk ``pmod(hash(id), n)``, n from the plan. Records with one id meet in one chunk, so repeats are
found there without another shuffle. Inside a chunk records stand by event time, then id.
"""

from __future__ import annotations

from functools import lru_cache

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from rover_spark.plan import BatchPlan
from rover_spark.records.envelope import line, record_id

_MASK = 0xFFFFFFFF


def arranged(rows: DataFrame, plan: BatchPlan) -> DataFrame:
    """(chunk, outcome, floor, line) in file order, one chunk's rows in one partition; ``line`` is null if not delivered.

    Of several records with one id the last commit's is delivered, in a snapshot the one with the greatest line; an
    identical other is superseded, a different one a conflict.
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
            F.when(delivered, line(plan, F.col("operation"))).alias("line"),
        )
        .repartition(n, "salt")
    )
    # with the event time in the id, grouping in the order of the final sort saves a sort
    timed = ["event_us"] if plan.contract.event_time in plan.source.natural_key else []
    ranked = Window.partitionBy("salt", "chunk", *timed, "id").orderBy(
        F.col("commit").desc(), F.col("line").desc()
    )
    up_to_here = ranked.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    again = (F.col("outcome") == "delivered") & (F.col("place") > 1)
    same = F.col("line") == F.col("leader")
    outcome = (
        F.when(again & same, F.lit("superseded")).when(again, F.lit("conflict")).otherwise(F.col("outcome"))
    )
    return (
        keyed.withColumn("place", F.row_number().over(ranked))
        .withColumn("leader", F.first("line").over(up_to_here))
        .withColumn("outcome", outcome)
        .withColumn("line", F.when(F.col("outcome") == "delivered", F.col("line")))
        .sortWithinPartitions("salt", "chunk", "event_us", "id")
        .select("chunk", "outcome", "floor", "line")
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
