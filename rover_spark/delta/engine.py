"""Spark itself: its versions, and a second try where nobody knows why it failed."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import TypeVar

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from rover_spark import __version__
from rover_spark.errors import SourceUnread

T = TypeVar("T")


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


def second_look(read: Callable[[], T]) -> T:
    """What ``read`` gives. It is tried twice where it failed and nobody knows why, before a rerun gives its range up.

    Raises:
        SourceUnread: it failed again.
    """
    try:
        return read()
    except SourceUnread:
        return read()
