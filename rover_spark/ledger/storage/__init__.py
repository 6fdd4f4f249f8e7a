"""The ledger's table behind one port: ``deltalake`` serves it where it can, Spark where not.

Refuses to leave a ledger in a bucket to Spark only because something failed: on S3 Spark puts a commit without a condition,
and could replace one that another driver made by ``deltalake``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from rover_spark.config.access import TableAccess
from rover_spark.config.expressions import scheme_of
from rover_spark.delta.default_fs import on_databricks
from rover_spark.delta.native_errors import NativeFailed
from rover_spark.delta.session import Session
from rover_spark.delta.storage import IN_BUCKETS, S3, NotNative, reached
from rover_spark.ledger.storage.failure import failed
from rover_spark.ledger.storage.native import NativeStorage
from rover_spark.ledger.storage.port import Row, Storage
from rover_spark.ledger.storage.spark import SparkStorage

__all__ = ["Row", "Storage", "find"]
_LOG = logging.getLogger("rover_spark")
_OTHERWISE = (
    'Where only Spark reaches it, set engine = "spark" under [tables], and let a single driver write it.'
)
_said: set[tuple[str, str]] = set()


def find(session: Session, location: str, access: TableAccess) -> tuple[Storage, Mapping[str, str] | None]:
    """The engine that serves the table from now on, and the table's properties, or None where there is no table.

    Raises:
        RunError: nobody knows whether there is one, since its place is out of reach.
    """
    try:
        if on_databricks():
            raise NotNative("on Databricks Spark orders the commits of all drivers")
        native = NativeStorage(session, location, access, reached(location, access, session))
        return native, native.properties()
    except NotNative as error:
        why, holds = str(error), not error.failed
    except NativeFailed as error:
        why, holds = str(error), error.beyond
    if not holds and scheme_of(location) in IN_BUCKETS:
        with failed("open it", location, _OTHERWISE):
            raise NativeFailed(why)
    _say(location, why, access)
    spark = SparkStorage(session, location)
    return spark, spark.properties()


def _say(location: str, why: str, access: TableAccess) -> None:
    """Why Spark serves it: as a warning where nobody asked for that and two drivers are then not safe, once a process."""
    unsafe = scheme_of(location) in S3 and access.engine != "spark" and not on_databricks()
    if not unsafe or (location, why) in _said:
        _LOG.debug("ledger: Spark serves it: %s", why)
        return
    _said.add((location, why))
    _LOG.warning(
        "ledger: Spark commits to it: %s. On S3 run a single driver at a time then, unless S3DynamoDBLogStore is set up",
        why,
    )
