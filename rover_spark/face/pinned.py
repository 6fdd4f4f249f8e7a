"""Spark settings that records depend on: a command sets them while it runs and restores what was there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rover_spark.delta.session import Session, restore

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PINNED = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "false",
    "spark.sql.caseSensitive": "false",
    "spark.sql.legacy.timeParserPolicy": "CORRECTED",
    "spark.sql.mapKeyDedupPolicy": "EXCEPTION",
    # a name that occurs twice in a JSON object is an error
    "spark.sql.variant.allowDuplicateKeys": "false",
    # dates of a change feed pass through Java objects: the older classes have another calendar
    "spark.sql.datetime.java8API.enabled": "true",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.avro.datetimeRebaseModeInWrite": "CORRECTED",
    # a source file that is gone or damaged is an error, never fewer rows
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
    # so many tasks at most list the commits of a log, instead of one task each
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "32",
    # the ledger's rows reach the JVM as Arrow: see delta/frames
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}


@contextmanager
def pinned(session: Session) -> Iterator[None]:
    """Sets the values while the block runs, or from when the Spark session is made in it; restores what was there."""
    before: dict[str, str | None] = {}

    def pin(spark: SparkSession) -> None:
        for name, value in PINNED.items():
            before[name] = spark.conf.get(name, None)
            spark.conf.set(name, value)

    with session.when_made(pin):
        try:
            yield
        finally:
            if before:
                restore(session.spark, before)
