"""DataFrames made of others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import DataFrame


def union(parts: Sequence[DataFrame]) -> DataFrame:
    """All of them in their order, by halves: Spark analyses the whole plan of a union again, each time."""
    while len(parts) > 1:
        parts = [reduce(DataFrame.unionAll, parts[first : first + 2]) for first in range(0, len(parts), 2)]
    return parts[0]
