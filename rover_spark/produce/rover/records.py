"""Rows of a source → records of a contract, as pure columns: no action, no clock, no session default.

``units`` decides what each row becomes; ``arranged`` puts it in file order; ``quarantine_rows`` and ``floor_rows``
are what stands beside the files.
"""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rover_spark.model.plan import BatchPlan
from rover_spark.produce.currents.plan import EventPlan
from rover_spark.produce.rover.changes import all_created, net, timed
from rover_spark.produce.rover.described import described
from rover_spark.produce.rover.fields import filtered, mapped, project
from rover_spark.produce.rover.identifiers import counting
from rover_spark.produce.rover.layout import arranged

__all__ = [
    "arranged",
    "counting",
    "described",
    "filtered",
    "floor_rows",
    "mapped",
    "project",
    "quarantine_rows",
    "units",
]


def units(rows: DataFrame, plan: BatchPlan, floors: DataFrame | None) -> DataFrame:
    """One row per source row that counts, with its outcome, operation and event time.

    ``rows`` is the source at the plan's version, or its change data feed. ``floors`` has (key, floor_us), or is None where there are none.
    """
    projected = project(counting(rows, plan.dataset, plan.source), plan)
    stand_alone = plan.phase == "snapshot" or (plan.inserts_only and plan.contract.append_only)
    return timed(all_created(projected) if stand_alone else net(projected, plan), plan, floors)


def quarantine_rows(rows: DataFrame, plan: BatchPlan | EventPlan) -> DataFrame:
    """(export, dataset, batch, source_version, reason, row) of what could not be delivered; of events their type."""
    version = F.col("commit")
    if isinstance(plan, BatchPlan) and "commit" not in rows.columns:
        version = F.lit(plan.to_version).cast("bigint")
    dataset = F.col("event") if isinstance(plan, EventPlan) else F.lit(plan.dataset)
    return rows.where(F.col("outcome") == "quarantined").select(
        F.lit(plan.export).alias("export"),
        dataset.alias("dataset"),
        F.lit(plan.batch).alias("batch"),
        version.alias("source_version"),
        F.col("problem").alias("reason"),
        F.col("row_json").alias("row"),
    )


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
