"""The values of a Spark session that records depend on: set for the time of a command, and put back after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import SparkSession

PINNED = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "false",
    "spark.sql.caseSensitive": "false",
    "spark.sql.legacy.timeParserPolicy": "CORRECTED",
    "spark.sql.mapKeyDedupPolicy": "EXCEPTION",
    # what finds a name twice in JSON text
    "spark.sql.variant.allowDuplicateKeys": "false",
    # a feed's dates pass through objects of Java: the older ones know another calendar
    "spark.sql.datetime.java8API.enabled": "true",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.avro.datetimeRebaseModeInWrite": "CORRECTED",
    # a source file that is gone or damaged is an error, never fewer rows
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
    # many commits of a log are looked for by so many tasks, not by one each
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "32",
    # the ledger's rows go to the JVM as they are: see local_rows
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}


@contextmanager
def pinned(spark: SparkSession) -> Iterator[None]:
    """Sets the session's values that records depend on, and puts back what was there."""
    before: dict[str, str | None] = {name: spark.conf.get(name, None) for name in PINNED}
    for name, value in PINNED.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, earlier in before.items():
            if earlier is None:
                spark.conf.unset(name)
            else:
                spark.conf.set(name, earlier)
