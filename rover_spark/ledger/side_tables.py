"""Delta tables beside the ledger: the quarantine and the floors.

Each batch writes into them at most once, under a transaction of its own name, so staging a batch again adds nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from rover_spark.delta.log.spark import is_missing
from rover_spark.delta.place import loaded, saved
from rover_spark.ledger.table import Ledger
from rover_spark.model.dataset_state import FLOORS
from rover_spark.model.plan import Plan
from rover_spark.model.quarantine import QuarantineCount, QuarantinedRow

QUARANTINE = "quarantine"


def write_once(ledger: Ledger, suffix: str, plan: Plan, rows: DataFrame) -> None:
    """Appends a batch's rows to the table ``<ledger>_<suffix>``; a second time it does nothing."""
    writer = (
        rows.coalesce(1)
        .write.format("delta")
        .mode("append")
        .option("txnAppId", f"rover_spark/{plan.export}/{plan.batch}/{suffix}")
        .option("txnVersion", 1)
    )
    with ledger.exclusive():  # the first write makes the table, and several datasets may come to it at once
        saved(writer, ledger.beside(suffix))


def aborted_batches(ledger: Ledger) -> set[str]:
    """Batches that were planned and given up: what they wrote beside the ledger does not count."""
    return {
        each.record.batch for each in ledger.transitions() if each.state == "ABORTED" and each.record.batch
    }


def quarantined(spark: SparkSession, ledger: Ledger) -> DataFrame | None:
    """The quarantine of an export, but for batches that were aborted; None where no row was ever quarantined."""
    aborted = aborted_batches(ledger)
    try:
        rows = loaded(spark.read.format("delta"), ledger.beside(QUARANTINE))
        rows = rows.where(F.col("export") == ledger.export)
    except AnalysisException as error:
        if is_missing(error):
            return None
        raise
    return rows.where(~F.col("batch").isin(*aborted)) if aborted else rows


def newest_first(rows: DataFrame, limit: int) -> tuple[QuarantinedRow, ...]:
    """So many rows of a quarantine, those of the latest batches and versions first."""
    epoch, seq = (F.element_at(F.split("batch", r"\."), part).cast("bigint") for part in (-2, -1))
    found = rows.orderBy(epoch.desc(), seq.desc(), F.desc("source_version"), "dataset", "reason", "row")
    names = [each.name for each in fields(QuarantinedRow)]
    return tuple(QuarantinedRow(**row.asDict()) for row in found.select(*names).limit(limit).collect())


def by_reason(rows: DataFrame) -> tuple[QuarantineCount, ...]:
    """The rows of a quarantine, counted by dataset and reason, in their order."""
    counts = rows.groupBy("dataset", "reason").agg(F.count("*").alias("rows")).collect()
    found = (QuarantineCount(**row.asDict()) for row in counts)
    return tuple(sorted(found, key=lambda each: (each.dataset or "", each.reason or "")))


def floors_before(spark: SparkSession, ledger: Ledger, plan: Plan, aborted: Iterable[int]) -> DataFrame:
    """(key, floor_us): the highest floor that batches before this one left for each key, but for the ``aborted`` ones."""
    rows = loaded(spark.read.format("delta"), ledger.beside(FLOORS))
    mine = (F.col("export") == plan.export) & (F.col("dataset") == plan.dataset) & (F.col("seq") < plan.seq)
    without = list(aborted)
    kept = mine & ~F.col("seq").isin(*without) if without else mine
    return rows.where(kept).groupBy("key").agg(F.max("floor_us").alias("floor_us"))
