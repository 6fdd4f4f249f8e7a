"""Source tables: their state, and their rows at a version or over a range of changes.

Promises that what it reads is pinned by a plan and whole: a version that is gone, a feed with a hole, a table made
anew under a plan is a SourceGap, never fewer rows. Refuses tables that are missing or whose feed is off, with the
statement that mends it. Writes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from rover_spark.errors import ConfigError, RunError, SourceGap, StoreError, told
from rover_spark.feed_rows import as_written
from rover_spark.plan import BatchPlan, HistoryRow, TableState, rerun_remedy

ENGINE_ERRORS = (PySparkException, Py4JJavaError)
FEED_COLUMNS = ("_change_type", "_commit_version", "_commit_timestamp")
# Commits of a history that are listed at first, and behind the one that is asked for: Delta moves on times that do not
# rise, beginning with the listing's own first one.
_LISTED = 96
_BEFORE = 32
_GAPS = (
    "DELTA_MISSING_CHANGE_DATA",
    "DELTA_CHANGE_DATA_FEED_INCOMPATIBLE",
    "DELTA_CHANGE_TABLE_FEED_DISABLED",
    "DELTA_CDC_START_VERSION_AFTER_LATEST",
    "DELTA_VERSIONS_NOT_CONTIGUOUS",
    "DELTA_VERSION_NOT_FOUND",
    "DELTA_LOG_FILE_NOT_FOUND",
    "DELTA_TRUNCATED_TRANSACTION_LOG",
    "DELTA_NO_RECREATABLE_HISTORY_FOUND",
    "DELTA_BLOCK_COLUMN_MAPPING_AND_CDC_OPERATION",
    "FILE_NOT_EXIST",
    "PATH_NOT_FOUND",
    "FileNotFoundException",
)
_CLASSES = re.compile(r"^(Caused by: )?((\w+\.)+[\w$]*(Exception|Error)\b(: |$))*")
_FULL = ("No space left on device", "Disk quota exceeded")
_NO_FILE_SYSTEM = ("ClassNotFoundException: Class org.apache.hadoop.fs.", "No FileSystem for scheme")
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


def backticked(name: str) -> str:
    """A name in SQL, whatever it holds."""
    return f"`{name.replace('`', '``')}`"


def quoted(table: str) -> str:
    """A table in SQL: a path becomes delta.`path`, a name is quoted part by part. No text of it is left as SQL."""
    if "/" in table:
        return f"delta.{backticked(table)}"
    return ".".join(f"`{part}`" for part in table.split("."))


def table_state(spark: SparkSession, setting: str, table: str, since: int | None) -> TableState:
    """The table as it stands now, with its history back to version ``since`` as far as it reaches (None: the latest).

    Raises:
        ConfigError: no Delta table there.
    """
    name = quoted(table)
    try:
        told = spark.sql(f"DESCRIBE DETAIL {name}")
        detail = told.select("id", "properties", "format", "sizeInBytes").collect()[0]
        if detail["format"] != "delta":
            raise _missing(setting, table, f"its format is {detail['format']}")
        listed = _history(spark, name, None if since is None else since - _BEFORE)
    except AnalysisException as error:
        if is_missing(error):
            raise _missing(setting, table, "there is no Delta table") from None
        raise
    rows = tuple(HistoryRow(row["version"], row["at"], row["operation"]) for row in listed)
    return TableState(detail["id"], rows, dict(detail["properties"] or {}), detail["sizeInBytes"] or 0)


def _history(spark: SparkSession, name: str, first: int | None) -> list[Row]:
    """(version, at in ms, operation, rows) of the newest commits, the oldest first; back to ``first`` where it reaches."""
    # Spark's word, and that of delta-rs
    said = (F.col("operationMetrics")[word] for word in ("numOutputRows", "num_added_rows"))
    rows = F.coalesce(*(each.cast("bigint") for each in said), F.lit(0))
    limit, found = _LISTED, list[Row]()
    while True:
        frame = spark.sql(f"DESCRIBE HISTORY {name} LIMIT {limit:d}")
        told = frame.select(
            "version", F.unix_millis("timestamp").alias("at"), "operation", rows.alias("rows")
        )
        reached, found = found, sorted(told.collect(), key=lambda row: row["version"])
        oldest = found[0]["version"]
        if first is None or oldest <= max(first, 0) or (reached and oldest >= reached[0]["version"]):
            return found
        # counted from the newest: commits that arrive meanwhile push the oldest ones out
        limit = found[-1]["version"] - first + _LISTED


@dataclass(frozen=True)
class Commit:
    """A commit as the history tells of it: ms since 1970, rows written (0 where it does not say)."""

    version: int
    timestamp: int
    rows: int


def commits_after(spark: SparkSession, table: str, version: int) -> list[Commit]:
    """The commits after a version, the oldest first: metadata only.

    Raises:
        SourceGap: the table has not got so far: it was made anew.
    """
    listed = _history(spark, quoted(table), version + 1)
    if listed[-1]["version"] < version:
        raise SourceGap(
            f"{table}: its newest version is {listed[-1]['version']}, and {version} was delivered",
            code="source_gap",
            remedy="Run export: it tells what to do.",
        )
    return [Commit(row["version"], row["at"], row["rows"]) for row in listed if row["version"] > version]


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
            f"{setting}: {table} keeps no change data feed, so changes after a snapshot could not be told",
            code="feed_off",
            remedy=f"ALTER TABLE {quoted(table)} SET TBLPROPERTIES (delta.enableChangeDataFeed = true)",
        )


def snapshot(spark: SparkSession, table: str, version: int) -> DataFrame:
    """The table's rows at a version."""
    reader = spark.read.format("delta").option("versionAsOf", version)
    return reader.load(table) if "/" in table else reader.table(table)


def changes(spark: SparkSession, table: str, first: int, last: int) -> DataFrame:
    """The change data feed over versions first..last, inclusive, under Delta's own column names."""
    reader = (
        spark.read.format("delta")
        .option("readChangeFeed", "true")
        .option("startingVersion", first)
        .option("endingVersion", last)
    )
    return as_written(reader.load(table) if "/" in table else reader.table(table))


def read(spark: SparkSession, plan: BatchPlan) -> DataFrame:
    """The rows a plan is made of. Lazy: wrap the action in ``reading``."""
    if plan.phase == "snapshot" or plan.from_version is None:
        return snapshot(spark, plan.source.table, plan.to_version)
    return changes(spark, plan.source.table, plan.from_version, plan.to_version)


def confirm(plan: BatchPlan, state: TableState) -> None:
    """Raises SourceGap unless the table still holds the commits that the plan pinned."""
    if not state.holds(plan.commits):
        raise SourceGap(
            f"{plan.batch}: the commits of {plan.source.table} that it was planned from are no longer there",
            code="source_gap",
            remedy=rerun_remedy(plan.dataset),
        )


def span(table: str, first: int | None, last: int) -> str:
    """What of a table is read, for messages: a version, or a range of them."""
    return f"version {last} of {table}" if first is None else f"versions {first} to {last} of {table}"


@contextmanager
def reading(dataset: str, what: str) -> Iterator[None]:
    """Turns what Spark says about missing versions or files into a SourceGap that names ``what`` was read.

    What a task says of the destination becomes a StoreError with the task's own remedy; anything else that Spark raises
    a RunError with its first line. The cause is kept.
    """
    try:
        yield
    except ENGINE_ERRORS as error:
        text = _text(error)
        problem = told(said_most(text))
        if problem is not None:
            then = "" if "export again" in problem.remedy else " Then run export again."
            raise StoreError(
                f"{dataset}: {problem.message}; nothing new is visible",
                code=problem.code,
                remedy=f"{problem.remedy}{then}".strip(),
            ) from error
        found = next((word for word in _GAPS if word in text), None)
        if found is not None:
            raise SourceGap(
                f"{dataset}: {what} cannot be read whole ({found}): {_why(found)}. Nothing of it was staged",
                code="source_gap",
                remedy=rerun_remedy(dataset),
            ) from error
        raise RunError(
            f"{dataset}: Spark failed on {what}: {first_line(text)}",
            code="spark_failed",
            remedy=f"{_then(text)} Nothing new is visible.",
        ) from error


@contextmanager
def engine(doing: str) -> Iterator[None]:
    """Turns what Spark raises where no rows are read, at a ledger or a history, into a RunError with its first line."""
    try:
        yield
    except ENGINE_ERRORS as error:
        text = _text(error)
        raise RunError(
            f"{doing}: Spark failed: {first_line(text)}",
            code="spark_failed",
            remedy=f"{_then(text)} What the ledger holds is still true.",
        ) from error


def _then(text: str) -> str:
    """What to do where Spark failed: again, unless it has no code for a place's file system at all."""
    if any(word in text for word in _NO_FILE_SYSTEM):
        return "Give Spark the Hadoop package of that file system, as hadoop-aws for s3a://, or name another path."
    if any(word in text for word in _FULL):
        return "Free space where the ledger lies, and in Spark's own directories (spark.local.dir). Then run it again."
    return "Run it again; with -v Spark's own log shows more."


def _text(error: Exception) -> str:
    return str(error.java_exception) if isinstance(error, Py4JJavaError) else str(error)


def first_line(text: str) -> str:
    """The line of an engine's error that says most, without the names of its classes, cut to 300 characters."""
    said = said_most(text)
    return (_CLASSES.sub("", said) or said)[:300]


def said_most(text: str) -> str:
    """The line of an engine's error that says most: a Python worker's own, the cause, the first."""
    lines = [line for line in text.splitlines() if line.strip()]
    traceback = next(
        (n for n, line in enumerate(lines) if line.startswith("Traceback (most recent")), len(lines)
    )
    raised = next((line for line in lines[traceback + 1 :] if not line.startswith(" ")), None)
    causes = [line.strip() for line in lines if line.strip().startswith("Caused by:")]
    said = raised or (causes[-1] if causes else lines[0] if lines else "no message")
    return said.strip()


def _why(found: str) -> str:
    if "FILE" in found or "PATH" in found or "File" in found:
        return "its files were removed by VACUUM, or its log was cleaned"
    if "INCOMPATIBLE" in found or "BLOCK" in found:
        return "a column was renamed, dropped or retyped in this range"
    if "MISSING" in found or "DISABLED" in found:
        return "the change data feed was off for a part of it"
    return "a part of its log is gone"
