"""Tries the place of the ledger: who orders the commits of two drivers there, and whether this role may write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from rover_spark.audit.found import Finding
from rover_spark.delta.causes import first_line

_ROOM = 1 << 18  # bytes: about what a few commits of the ledger take
_EXCLUSIVE = ("S3DynamoDBLogStore",)
_DATABRICKS = "spark.databricks.clusterUsageTags.clusterId"  # there a service of its own orders commits on S3


def ledger_place(spark: SparkSession, location: str) -> Iterator[Finding]:
    """Writes a file beside the ledger and removes it; the table of a catalog is not tried."""
    if "/" not in location:
        yield Finding("ledger", "write beside it", "ok", "a catalog's table: not tried")
        return
    scheme = location.partition("://")[0] if "://" in location else "file"
    if scheme in {"s3", "s3a", "s3n"}:
        yield from _log_store(spark, scheme)
    yield _written(spark, f"{location.rstrip('/')}_check")


def _log_store(spark: SparkSession, scheme: str) -> Iterator[Finding]:
    chosen = spark.conf.get(f"spark.delta.logStore.{scheme}.impl", None) or ""
    if not chosen.endswith(_EXCLUSIVE) and spark.conf.get(_DATABRICKS, None) is None:
        yield Finding(
            "ledger",
            "log store",
            "warning",
            "on S3 Delta's own log store takes commits of a single driver only",
            "Never run two exports of this name at once, or set up S3DynamoDBLogStore.",
        )


def _written(spark: SparkSession, place: str) -> Finding:
    about, tried = "ledger", "write beside it"
    try:
        jvm: Any = spark._jvm
        path = jvm.org.apache.hadoop.fs.Path(place)
        system = path.getFileSystem(spark._jsc.hadoopConfiguration())
        stream = system.create(path, True)
        try:
            stream.write(bytearray(_ROOM))  # a full disk takes an empty file
        finally:
            stream.close()
            system.delete(path, False)
    except (AttributeError, PySparkException):
        return Finding(about, tried, "ok", "sessions that are shared cannot try it")
    except Py4JError as error:
        found = first_line(str(getattr(error, "java_exception", error)))
        remedy = "Let this role write where the ledger lies, or name another place."
        return Finding(about, tried, "failed", found, remedy)
    return Finding(about, tried, "ok", "written and removed")
