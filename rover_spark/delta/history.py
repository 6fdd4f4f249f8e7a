"""The state of a Delta table: its id, properties, size and place, and its commits as DESCRIBE HISTORY lists them.

Metadata only, no row is read. Refuses tables that are missing or whose change data feed is off, with the statement that
mends it. Writes nothing.
"""

from __future__ import annotations

import re

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from rover_spark.delta import log as delta_log
from rover_spark.delta.engine_errors import ENGINE_ERRORS, text_of
from rover_spark.delta.log import Commit
from rover_spark.delta.names import quoted
from rover_spark.errors import ConfigError, SourceGap
from rover_spark.model.table import HistoryRow, TableState

# Commits that the first DESCRIBE HISTORY lists, and commits before the one that is asked for: Delta adjusts commit
# timestamps that do not increase, starting at the first commit listed.
_LISTED = 96
_BEFORE = 32
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


def table_state(spark: SparkSession, setting: str, table: str, since: int | None) -> TableState:
    """The table's present state, with its history back to version ``since`` as far as it reaches (None: the latest).

    Raises:
        ConfigError: no Delta table there.
    """
    name = quoted(table)
    try:
        described = spark.sql(f"DESCRIBE DETAIL {name}")
        detail = described.select("id", "properties", "format", "sizeInBytes", "location").collect()[0]
        if detail["format"] != "delta":
            raise _missing(setting, table, f"its format is {detail['format']}")
        listed = _commits(spark, name, None if since is None else since - _BEFORE, detail["location"])
    except AnalysisException as error:
        if is_missing(error):
            raise _missing(setting, table, "there is no Delta table") from None
        raise
    return TableState(
        detail["id"],
        tuple(HistoryRow(each.version, each.timestamp, each.operation) for each in listed),
        dict(detail["properties"] or {}),
        detail["sizeInBytes"] or 0,
        detail["location"] or "",
    )


def commits_after(spark: SparkSession, table: str, version: int) -> list[Commit]:
    """The commits after a version, the oldest first.

    Raises:
        SourceGap: the newest version is an older one, so the table was made anew.
    """
    listed = _commits(spark, quoted(table), version + 1)
    if listed[-1].version < version:
        raise SourceGap(
            f"{table}: its newest version is {listed[-1].version}, and {version} was delivered",
            code="source_gap",
            remedy="Run export: it says what to do.",
        )
    return [each for each in listed if each.version > version]


def _commits(spark: SparkSession, name: str, first: int | None, root: str | None = None) -> list[Commit]:
    """The newest commits, the oldest first; back to ``first`` where the history reaches."""
    limit, found = _LISTED, list[Commit]()
    while True:
        reached, found = found, _listed(spark, name, limit, root)
        oldest = found[0].version
        if first is None or oldest <= max(first, 0) or (reached and oldest >= reached[0].version):
            return found
        # the limit counts from the newest: commits that arrive meanwhile push the oldest ones out
        limit = found[-1].version - first + _LISTED


def _listed(spark: SparkSession, name: str, limit: int, root: str | None) -> list[Commit]:
    """The newest commits as Delta lists them; from the log's files where Delta cannot read what a commit says of itself."""
    try:
        return _described(spark, name, limit)
    except ENGINE_ERRORS as error:
        if not _COMMIT_INFO_UNREADABLE.search(text_of(error)):
            raise
        if root is None:
            root = spark.sql(f"DESCRIBE DETAIL {name}").select("location").collect()[0][0]
        logged = delta_log.history(spark, root, limit)
        if not logged:
            raise
        return logged


def _described(spark: SparkSession, name: str, limit: int) -> list[Commit]:
    # Spark's word for rows written, and that of delta-rs
    metrics = (F.col("operationMetrics")[word] for word in ("numOutputRows", "num_added_rows"))
    written = F.coalesce(*(each.cast("bigint") for each in metrics), F.lit(0))
    history = spark.sql(f"DESCRIBE HISTORY {name} LIMIT {limit:d}")  # runs at once
    rows = history.select("version", F.unix_millis("timestamp"), "operation", written).collect()
    return sorted((Commit(*row) for row in rows), key=lambda commit: commit.version)


def _missing(setting: str, table: str, what: str) -> ConfigError:
    return ConfigError(
        f"{setting}: {table}: {what}",
        code="source_missing",
        remedy="Name the path of a Delta table, or catalog.schema.table; check that this role may read it.",
    )


def is_missing(error: AnalysisException) -> bool:
    """Whether Spark says that there is no Delta table at that place."""
    return any(word in str(error) for word in _MISSING)


def require_feed(setting: str, table: str, state: TableState) -> None:
    """Raises ConfigError, with the statement that mends it, where the table keeps no change data feed."""
    if not state.keeps_feed:
        raise ConfigError(
            f"{setting}: {table} keeps no change data feed, so changes after a snapshot could not be read",
            code="feed_off",
            remedy=f"ALTER TABLE {quoted(table)} SET TBLPROPERTIES (delta.enableChangeDataFeed = true)",
        )
