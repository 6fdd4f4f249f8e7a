"""The ledger's table by Spark: for a catalog, and where ``deltalake`` cannot serve.

The txn (appId, version) is a compare-and-swap; the commit is looked for after writing, and on a local path, where Delta's
log store is not exclusive, a file lock is held around both. On S3 Delta's own log store promises it to one driver only.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rover_spark.delta.names import quoted
from rover_spark.delta.place import loaded, saved
from rover_spark.delta.session import Session
from rover_spark.errors import ConfigError
from rover_spark.ledger.lease import lock_beside, locked
from rover_spark.ledger.rows import COLUMNS, FORMAT, FORMAT_KEY, NAMES
from rover_spark.ledger.storage.port import LOOKED_AT, PROPERTIES, Row

if TYPE_CHECKING:
    from pyspark.sql import DataFrameWriter

_LOG = logging.getLogger("rover_spark")
_ABSENT = ("NOT_FOUND", "MISSING", "not a Delta table", "NOT_EXIST", "REQUIRES_SINGLE_PART_NAMESPACE")


class SparkStorage:
    """A table by path or in a catalog."""

    compact_every = 100
    place = None

    def __init__(self, session: Session, location: str) -> None:
        self._session, self._location = session, location
        self._lock = lock_beside(location)

    @property
    def lock(self) -> Path | None:
        """Known for certain once the table was found."""
        return self._lock

    def properties(self) -> Mapping[str, str] | None:
        """As Spark describes the table."""
        detail = self._detail()
        if detail is None:
            self._require_schema()
            return None
        local = detail["location"].startswith("file:")
        self._lock = lock_beside(detail["location"]) if local else None
        found: Mapping[str, str] = detail["properties"]
        return found

    def create(self) -> None:
        """One statement."""
        properties = ", ".join(
            f"'{key}' = '{value}'" for key, value in {FORMAT_KEY: FORMAT, **PROPERTIES}.items()
        )
        self._session.spark.sql(
            f"CREATE TABLE IF NOT EXISTS {quoted(self._location)} ({COLUMNS}) USING delta "
            f"PARTITIONED BY (kind) TBLPROPERTIES ({properties})"
        )

    def take(self, rows: Iterable[Row], app: str, number: int) -> bool:
        """Looks for the commit whatever Spark said of it."""
        from rover_spark.delta.engine_errors import ENGINE_ERRORS

        # marks this commit: another driver's may be equal to it
        mark = uuid.uuid4().hex  # noqa: TID251 - names this attempt only, never a key or a record
        writer = self._writer(rows).option("txnAppId", app).option("txnVersion", number)
        writer = writer.option("userMetadata", mark)
        failure: Exception | None = None
        with locked(self._lock):
            try:
                saved(writer, self._location)
            except ENGINE_ERRORS as error:
                failure = error
        if self._holds(mark):
            return True
        if failure is not None and "Concurrent" not in str(failure) and "CONCURRENT" not in str(failure):
            raise failure
        return False

    def append(self, rows: Iterable[Row]) -> bool:
        """One commit, without a transaction."""
        from rover_spark.delta.engine_errors import ENGINE_ERRORS

        writer = self._writer(rows)
        try:
            with locked(self._lock):
                saved(writer, self._location)
        except ENGINE_ERRORS as error:
            _LOG.debug("ledger: %s", type(error).__name__)
            return False
        return True

    def rows(
        self,
        columns: Sequence[str],
        export: str,
        kinds: Sequence[str],
        *,
        named: Collection[str] = (),
        having: str = "",
    ) -> list[Row]:
        """One query."""
        from pyspark.sql import functions as F

        table = loaded(self._session.spark.read.format("delta"), self._location)
        found = table.where((F.col("export") == export) & F.col("kind").isin(*kinds))
        if named:
            found = found.where(F.col("batch").isin(*named) | F.col("key").isin(*named))
        if having:
            found = found.where(F.col(having).isNotNull())
        return [dict(zip(columns, row, strict=True)) for row in found.select(*columns).collect()]

    def compact(self) -> None:
        """Optimizes the whole table: after ten thousand batches reading stays quick."""
        from rover_spark.delta.engine_errors import ENGINE_ERRORS

        with locked(self._lock), suppress(*ENGINE_ERRORS):
            self._session.spark.sql(f"OPTIMIZE {quoted(self._location)}")

    def _detail(self) -> dict[str, Any] | None:
        from pyspark.errors import PySparkException

        described = f"DESCRIBE DETAIL {quoted(self._location)}"
        try:
            row = self._session.spark.sql(described).select("location", "properties").collect()[0]
        except PySparkException as error:
            if any(word in str(error) for word in _ABSENT):
                return None
            raise
        return row.asDict()

    def _require_schema(self) -> None:
        """Raises ConfigError where a table of the catalog has no schema to be made in."""
        from pyspark.errors import PySparkException

        schema = "" if "/" in self._location else self._location.rpartition(".")[0]
        try:
            there = not schema or self._session.spark.catalog.databaseExists(schema)
        except PySparkException:
            there = False  # no such catalog
        if not there:
            raise ConfigError(
                f"ledger: {self._location}: there is no schema {schema}",
                code="ledger_missing",
                remedy=f"CREATE SCHEMA {quoted(schema)}, or name another place: a schema of a catalog, or a path.",
            )

    def _writer(self, rows: Iterable[Row]) -> DataFrameWriter:
        from rover_spark.delta.frames import local_rows

        values = [tuple(row.get(name) for name in NAMES) for row in rows]
        return local_rows(self._session.spark, values, COLUMNS).write.format("delta").mode("append")

    def _holds(self, mark: str) -> bool:
        from pyspark.sql import functions as F

        history = self._session.spark.sql(f"DESCRIBE HISTORY {quoted(self._location)} LIMIT {LOOKED_AT}")
        return bool(history.where(F.col("userMetadata") == mark).select("version").collect())
