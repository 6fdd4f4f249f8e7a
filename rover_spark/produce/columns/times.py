"""Instants as microseconds since 1970, within the years 1 to 9999: what every reader takes."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

YEAR_1, YEAR_10000 = -62_135_596_800_000_000, 253_402_300_800_000_000


def in_range(micros: Column) -> Column:
    """The instant where it lies in the years 1 to 9999, else null."""
    return F.when((micros >= YEAR_1) & (micros < YEAR_10000), micros)
