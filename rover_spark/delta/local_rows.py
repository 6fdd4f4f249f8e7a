"""Rows that the driver holds, as a DataFrame that no Python worker has to read first."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from pyspark.sql import DataFrame, SparkSession


def local_rows(spark: SparkSession, rows: Iterable[tuple[object, ...]], columns: str) -> DataFrame:
    """The rows in one partition; ``columns`` is a schema in Spark's own words, such as ``name STRING, size BIGINT``.

    In a session whose values are pinned Spark takes them as Arrow: a list of tuples it would hand to a Python worker.
    """
    names = [column.split()[0] for column in columns.split(", ")]
    held = pd.DataFrame(list(rows), columns=names, dtype=object)
    return spark.createDataFrame(held, columns).coalesce(1)
