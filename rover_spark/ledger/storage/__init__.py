"""The ledger's table behind one port: ``deltalake`` serves it where it can, Spark where not."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from rover_spark.config.access import TableAccess
from rover_spark.delta.default_fs import on_databricks
from rover_spark.delta.native_errors import NativeFailed
from rover_spark.delta.session import Session
from rover_spark.delta.storage import NotNative, reached
from rover_spark.ledger.storage.failure import failed
from rover_spark.ledger.storage.native import NativeStorage
from rover_spark.ledger.storage.port import Row, Storage
from rover_spark.ledger.storage.spark import SparkStorage

__all__ = ["Row", "Storage", "find"]
_LOG = logging.getLogger("rover_spark")


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
    except NotNative as why:
        _LOG.debug("ledger: Spark serves it: %s", why)
    except NativeFailed as failure:
        if failure.cause.kind == "passes" and (access.endpoint or access.region or access.profile):
            # it is reached natively, by the settings: Spark's own way of committing must not come in between
            with failed("open it", location):
                raise
        _LOG.debug("ledger: Spark serves it: %s", failure)
    spark = SparkStorage(session, location)
    return spark, spark.properties()
