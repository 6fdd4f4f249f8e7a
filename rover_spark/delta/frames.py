"""DataFrames made of rows that the driver holds, or of other frames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType


def local_rows(spark: SparkSession, rows: Iterable[tuple[object, ...]], columns: str) -> DataFrame:
    """The rows in one partition; ``columns`` is a schema in Spark's own words, such as ``name STRING, size BIGINT``.

    In a session whose values are pinned Spark takes them as Arrow: a list of tuples it would hand to a Python worker.
    """
    import pandas as pd  # 0.4 s of CPU: only where rows go to Spark

    names = [column.split()[0] for column in columns.split(", ")]
    held = pd.DataFrame(list(rows), columns=names, dtype=object)
    return spark.createDataFrame(held, columns).coalesce(1)


def empty(spark: SparkSession, schema: StructType) -> DataFrame:
    """No row of these columns, for expressions that are only analysed."""
    return spark.createDataFrame([], schema)


def union(parts: Sequence[DataFrame]) -> DataFrame:
    """All of them in their order, by halves: Spark analyses the whole plan of a union again, each time."""
    while len(parts) > 1:
        parts = [reduce(DataFrame.unionAll, parts[first : first + 2]) for first in range(0, len(parts), 2)]
    return parts[0]
