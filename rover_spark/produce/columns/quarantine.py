"""Rows that could not be delivered, as the quarantine keeps them."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from rover_spark.model.plan import Plan
from rover_spark.produce.columns.maps import JSON_OPTIONS, as_stored


def row_json(fields: Mapping[str, DataType]) -> Column:
    """A row's fields with the values of the table. Columns are named ``f_<field>`` or ``x_<field>``, nulls are kept."""
    values = (as_stored(F.col(name), dtype).alias(name[2:]) for name, dtype in fields.items())
    return F.to_json(F.struct(*values), {**JSON_OPTIONS, "ignoreNullFields": "false"})


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
