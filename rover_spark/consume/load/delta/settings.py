"""Settings of Spark for a block of calls; afterwards they are what they were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pyspark.sql import SparkSession

# the bookkeeping has few rows: compiling code for its queries takes longer than running them
SMALL = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.shuffle.partitions": "1",
}

# rows that are kept on disk for a moment: to encode them takes longer than to write them
AS_IS = {"spark.sql.inMemoryColumnarStorage.compressed": "false"}


@contextmanager
def within(spark: SparkSession, settings: Mapping[str, str]) -> Iterator[None]:
    """Within the block the settings hold."""
    before = {name: spark.conf.get(name, None) for name in settings}
    try:
        for name, value in settings.items():
            spark.conf.set(name, value)
        yield
    finally:
        for name, earlier in before.items():
            if earlier is None:
                spark.conf.unset(name)
            else:
                spark.conf.set(name, earlier)
