"""A table's log as Spark gives it: DESCRIBE DETAIL, DESCRIBE HISTORY, and the log's files where these say too little."""

from __future__ import annotations

import json
import re
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from rover_spark.delta.engine_errors import ENGINE_ERRORS, text_of
from rover_spark.delta.log import spark_files, times
from rover_spark.delta.log.port import NoTable
from rover_spark.delta.log.values import Change, Commit, CommitFiles, DataFile, Detail, Place
from rover_spark.delta.names import quoted
from rover_spark.delta.read import snapshot
from rover_spark.delta.shape import Shape

_MISSING = (
    "DELTA_MISSING_DELTA_TABLE",
    "DELTA_TABLE_NOT_FOUND",
    "DELTA_PATH_DOES_NOT_EXIST",
    "DELTA_PATH_BASED_ACCESS",
    "DELTA_ONLY_OPERATION",
    "DELTA_NOT_A_DELTA_TABLE",
    "TABLE_OR_VIEW_NOT_FOUND",
    "SCHEMA_NOT_FOUND",
    "REQUIRES_SINGLE_PART_NAMESPACE",
    "CATALOG_NOT_FOUND",
    "PATH_NOT_FOUND",
    "not a Delta table",
)
# DESCRIBE HISTORY takes each of a commit's operationParameters for text; other writers leave lists and objects there
_COMMIT_INFO_UNREADABLE = re.compile(r"com\.fasterxml\.jackson\.databind\.(exc\.|JsonMappingException)")


class SparkLog:
    """The log of a table by path or by name."""

    def __init__(self, spark: SparkSession, table: str) -> None:
        self._spark, self._table, self._name = spark, table, quoted(table)
        self._detail: Detail | None = None

    def ends_at(self, version: int) -> bool:
        """False: Spark opens the table for any question."""
        return False

    def detail(self) -> Detail:
        """The table as it is now."""
        try:
            described = self._spark.sql(f"DESCRIBE DETAIL {self._name}")
            row = described.select("id", "properties", "format", "sizeInBytes", "location").collect()[0]
        except AnalysisException as error:
            if is_missing(error):
                raise NoTable("there is no Delta table") from None
            raise
        if row["format"] != "delta":
            raise NoTable(f"its format is {row['format']}")
        self._detail = Detail(
            row["id"],
            dict(row["properties"] or {}),
            row["sizeInBytes"] or 0,
            row["location"] or "",
        )
        return self._detail

    def commits(self, reach: int | None, since: int | None) -> list[Commit]:
        """The newest commits, the oldest first; back to ``reach`` where the history reaches."""
        limit, found = times.LISTED, list[Commit]()
        while True:
            reached, found = found, self._listed(limit)
            oldest = found[0].version
            if reach is None or oldest <= max(reach, 0) or (reached and oldest >= reached[0].version):
                return found
            # the limit counts from the newest: commits that arrive meanwhile push the oldest ones out
            limit = found[-1].version - reach + times.LISTED

    def changes(self, first: int, last: int) -> list[Change]:
        """What the commits of versions first..last say besides rows; only those that say something."""
        return spark_files.changes(self._spark, [self._place(first, last)])[0]

    def vectors(self, first: int, last: int) -> int | None:
        """The first of these commits that added or removed rows by a deletion vector, or None."""
        return spark_files.vectors(self._spark, self._place(first, last))

    def shape_at(self, version: int) -> Shape | None:
        """The table's columns, protocol and properties at a version, or None where the log does not reach back so far."""
        return spark_files.shape_at(self._spark, self._root(), version)

    def schema_at(self, version: int) -> dict[str, Any]:
        """The columns of the table's rows at a version, as Spark's reader gives them."""
        found: dict[str, Any] = json.loads(snapshot(self._spark, self._table, version).schema.json())
        return found

    def files(self, first: int, last: int) -> list[CommitFiles]:
        """The files that the commits of versions first..last added, one value a commit, in their order."""
        return spark_files.files(self._spark, self._place(first, last))

    def data_files(self, version: int) -> list[DataFile] | None:
        """None: Spark has no command that lists them."""
        return None

    def _place(self, first: int, last: int) -> Place:
        return Place(self._table, self._root(), first, last)

    def _root(self) -> str:
        return (self._detail or self.detail()).location

    def _listed(self, limit: int) -> list[Commit]:
        """The newest commits as Delta lists them; from the log's files where Delta cannot read what a commit says of itself."""
        try:
            return self._described(limit)
        except ENGINE_ERRORS as error:
            if isinstance(error, AnalysisException) and is_missing(error):
                raise NoTable("there is no Delta table") from None
            if not _COMMIT_INFO_UNREADABLE.search(text_of(error)):
                raise
            known = self._detail or self.detail()
            logged = spark_files.history(self._spark, known.location, limit, known.properties)
            if not logged:
                raise
            return logged

    def _described(self, limit: int) -> list[Commit]:
        # Spark's word for rows written, and that of delta-rs
        metrics = (F.col("operationMetrics")[word] for word in ("numOutputRows", "num_added_rows"))
        written = F.coalesce(*(each.cast("bigint") for each in metrics), F.lit(0))
        history = self._spark.sql(f"DESCRIBE HISTORY {self._name} LIMIT {limit:d}")  # runs at once
        rows = history.select("version", F.unix_millis("timestamp"), "operation", written).collect()
        return sorted((Commit(*row) for row in rows), key=lambda commit: commit.version)


def is_missing(error: AnalysisException) -> bool:
    """Whether Spark says that there is no Delta table at that place."""
    return any(word in str(error) for word in _MISSING)
