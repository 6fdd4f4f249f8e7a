"""Rows that could not be delivered, as the quarantine keeps them."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rover_spark.model.plan import Plan


def quarantine_rows(rows: DataFrame, plan: Plan, dataset: Column, version: Column) -> DataFrame:
    """(export, dataset, batch, source_version, reason, row) of the quarantined rows."""
    return rows.where(F.col("outcome") == "quarantined").select(
        F.lit(plan.export).alias("export"),
        dataset.alias("dataset"),
        F.lit(plan.batch).alias("batch"),
        version.cast("bigint").alias("source_version"),
        F.col("problem").alias("reason"),
        F.col("row_json").alias("row"),
    )
