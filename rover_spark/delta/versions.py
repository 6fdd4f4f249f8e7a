"""The versions of all that bytes depend on."""

from __future__ import annotations

import platform

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from rover_spark import __version__


def versions(spark: SparkSession, encoder: str) -> dict[str, str]:
    """Returns the versions of rover_spark, Spark, Java, Python and the encoder.

    Each plan stores them to explain bytes that differ later.
    """
    try:
        java = spark.sql("SELECT reflect('java.lang.System', 'getProperty', 'java.version')").collect()[0][0]
    except PySparkException:
        java = "unknown"  # where sessions are shared, Java is out of reach
    python = platform.python_version()
    return {
        "rover_spark": __version__,
        "spark": spark.version,
        "java": java,
        "python": python,
        "encoder": encoder,
    }
