"""Delta tables beside the ledger: the quarantine and the floors.

Each batch writes into them at most once, under a transaction of its own name, so staging a batch again adds nothing.
"""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from rover_spark.ledger import Ledger
from rover_spark.plan import BatchPlan, Plan

QUARANTINE, FLOORS = "quarantine", "floors"


def write_once(ledger: Ledger, suffix: str, plan: Plan, rows: DataFrame) -> None:
    """Appends a batch's rows to the table ``<ledger>_<suffix>``; a second time it does nothing."""
    writer = (
        rows.coalesce(1)
        .write.format("delta")
        .mode("append")
        .option("txnAppId", f"rover_spark/{plan.export}/{plan.batch}/{suffix}")
        .option("txnVersion", 1)
    )
    location = ledger.beside(suffix)
    with ledger.exclusive():  # the first write makes the table, and several datasets may come to it at once
        if "/" in location:
            writer.save(location)
        else:
            writer.saveAsTable(location)


def floors_before(spark: SparkSession, ledger: Ledger, plan: BatchPlan) -> DataFrame | None:
    """(key, floor_us): the highest floor that batches before this one left for each key; None where there are none."""
    if not plan.floors:
        return None
    location = ledger.beside(FLOORS)
    reader = spark.read.format("delta")
    rows = reader.load(location) if "/" in location else reader.table(location)
    mine = (F.col("export") == plan.export) & (F.col("dataset") == plan.dataset) & (F.col("seq") < plan.seq)
    kept = mine & ~F.col("seq").isin(*plan.aborted) if plan.aborted else mine
    return rows.where(kept).groupBy("key").agg(F.max("floor_us").alias("floor_us"))
