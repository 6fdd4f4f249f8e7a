"""Tries the place of the ledger: who orders the commits of two drivers there, and whether this role may write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rover_spark.audit.found import Finding
from rover_spark.config.expressions import scheme_of
from rover_spark.delta.causes import first_line
from rover_spark.delta.native_errors import NativeFailed
from rover_spark.delta.session import Session
from rover_spark.delta.storage import Reached
from rover_spark.ledger.storage.conditions import tried_beside, unconditional
from rover_spark.ledger.table import Ledger

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_ABOUT, _TRIED = "ledger", "write beside it"
_REMEDY = "Let this role write where the ledger lies, or name another place."
_LINKS = f'{_REMEDY} deltalake commits by hard links: where the file system has none, set engine = "spark" under [tables].'
_ROOM = 1 << 18  # bytes: about what a few commits of the ledger take
_EXCLUSIVE = ("S3DynamoDBLogStore",)
_DATABRICKS = "spark.databricks.clusterUsageTags.clusterId"  # there a service of its own orders commits on S3


def ledger_place(session: Session, ledger: Ledger) -> Iterator[Finding]:
    """Writes a file beside the ledger and removes it; the table of a catalog is not tried.

    It goes the way of the ledger's commits: without Spark where they are made without it.
    """
    location = ledger.beside("check")
    if "/" not in location:
        yield Finding(_ABOUT, _TRIED, "ok", "a catalog's table: not tried")
    elif ledger.storage is not None and ledger.storage.place is not None:
        yield _natively(ledger.storage.place)
    else:
        scheme = scheme_of(location)
        if scheme in {"s3", "s3a", "s3n"}:
            yield from _log_store(session.spark, scheme)
        yield _written(session.spark, location)


def _natively(place: Reached) -> Finding:
    try:
        if tried_beside(place, _ROOM):
            return Finding(_ABOUT, _TRIED, "ok", "written and removed; of two drivers one wins")
        return Finding.failed(
            _ABOUT, _TRIED, unconditional(place.options.get("aws_endpoint_url", "")).problem
        )
    except NativeFailed as failure:
        return Finding(_ABOUT, _TRIED, "failed", str(failure), _LINKS if place.is_local else _REMEDY)


def _log_store(spark: SparkSession, scheme: str) -> Iterator[Finding]:
    chosen = spark.conf.get(f"spark.delta.logStore.{scheme}.impl", None) or ""
    if not chosen.endswith(_EXCLUSIVE) and spark.conf.get(_DATABRICKS, None) is None:
        yield Finding(
            _ABOUT,
            "log store",
            "warning",
            "on S3 Delta's own log store takes commits of a single driver only",
            "Never run two exports of this name at once, or set up S3DynamoDBLogStore.",
        )


def _written(spark: SparkSession, place: str) -> Finding:
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

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
        return Finding(_ABOUT, _TRIED, "ok", "sessions that are shared cannot try it")
    except Py4JError as error:
        found = first_line(str(getattr(error, "java_exception", error)))
        return Finding(_ABOUT, _TRIED, "failed", found, _REMEDY)
    return Finding(_ABOUT, _TRIED, "ok", "written and removed")
