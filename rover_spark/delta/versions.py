"""The versions of all that bytes depend on."""

from __future__ import annotations

import platform
from functools import lru_cache
from typing import TYPE_CHECKING

from rover_spark import __version__
from rover_spark.delta.session import Session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def versions(session: Session, encoder: str, *, rows: bool) -> dict[str, str]:
    """Returns the versions of rover_spark, Python and the encoder; where ``rows`` are read also those of Spark and Java.

    Each plan stores them to explain bytes that differ later.
    """
    known = {"rover_spark": __version__, "python": platform.python_version(), "encoder": encoder}
    return {**known, "spark": session.spark.version, "java": _java(session.spark)} if rows else known


@lru_cache(1)
def _java(spark: SparkSession) -> str:
    from pyspark.errors import PySparkException

    try:
        found = spark.sql("SELECT reflect('java.lang.System', 'getProperty', 'java.version')")
        return str(found.collect()[0][0])
    except PySparkException:
        return "unknown"  # where sessions are shared, Java is out of reach
