"""Source tables: their state, and their rows at a version or over a range of changes.

Promises that what it reads is pinned by a plan and whole: a version that is gone, a feed with a hole, a table made
anew under a plan is a SourceGap, never fewer rows. Refuses tables that are missing or whose feed is off, with the
statement that mends it. Writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from rover_spark.delta import log as delta_log
from rover_spark.delta.causes import cause_of, first_line, said_most, then
from rover_spark.delta.feed import as_written
from rover_spark.delta.log import Told
from rover_spark.errors import ConfigError, RunError, SourceGap, SourceUnread, StoreError, told
from rover_spark.model.plan import BatchPlan, HistoryRow, TableState, rerun_remedy

# what is done about a version that cannot be read: no range is given up for it
MEND = (
    "Run export again: it takes the newest version. Where that cannot be read either, mend the table first."
)
ENGINE_ERRORS = (PySparkException, Py4JJavaError)
FEED_COLUMNS = ("_change_type", "_commit_version", "_commit_timestamp")
# Commits of a history that are listed at first, and behind the one that is asked for: Delta moves on times that do not
# rise, beginning with the listing's own first one.
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
        detail = told.select("id", "properties", "format", "sizeInBytes", "location").collect()[0]
        if detail["format"] != "delta":
            raise _missing(setting, table, f"its format is {detail['format']}")
        listed = _history(spark, name, None if since is None else since - _BEFORE, detail["location"])
    except AnalysisException as error:
        if is_missing(error):
            raise _missing(setting, table, "there is no Delta table") from None
        raise
    rows = tuple(HistoryRow(row.version, row.at, row.operation) for row in listed)
    return TableState(
        detail["id"],
        rows,
        dict(detail["properties"] or {}),
        detail["sizeInBytes"] or 0,
        detail["location"] or "",
    )


def _history(spark: SparkSession, name: str, first: int | None, root: str | None = None) -> list[Told]:
    """The newest commits, the oldest first; back to ``first`` where the history reaches."""
    limit, found = _LISTED, list[Told]()
    while True:
        reached, found = found, _listed(spark, name, limit, root)
        oldest = found[0].version
        if first is None or oldest <= max(first, 0) or (reached and oldest >= reached[0].version):
            return found
        # counted from the newest: commits that arrive meanwhile push the oldest ones out
        limit = found[-1].version - first + _LISTED


def _listed(spark: SparkSession, name: str, limit: int, root: str | None) -> list[Told]:
    # Spark's word, and that of delta-rs
    said = (F.col("operationMetrics")[word] for word in ("numOutputRows", "num_added_rows"))
    rows = F.coalesce(*(each.cast("bigint") for each in said), F.lit(0))
    try:
        frame = spark.sql(f"DESCRIBE HISTORY {name} LIMIT {limit:d}")  # runs at once
        told = frame.select(
            "version", F.unix_millis("timestamp").alias("at"), "operation", rows.alias("rows")
        ).collect()
    except ENGINE_ERRORS as error:
        if cause_of(text_of(error)).kind != "unknown":
            raise
        # a parameter that is no text, as other writers leave them, ends Delta's own history, and nothing but it
        if root is None:
            root = spark.sql(f"DESCRIBE DETAIL {name}").select("location").collect()[0][0]
        kept = delta_log.history(spark, root, limit)
        if not kept:
            raise
        return kept
    return sorted((Told(*row) for row in told), key=lambda row: row.version)


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
    if listed[-1].version < version:
        raise SourceGap(
            f"{table}: its newest version is {listed[-1].version}, and {version} was delivered",
            code="source_gap",
            remedy="Run export: it tells what to do.",
        )
    return [Commit(row.version, row.at, row.rows) for row in listed if row.version > version]


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
def reading(dataset: str, what: str, *, again: str | None = None) -> Iterator[None]:
    """Turns what Spark says about a range or version that stays unreadable into a SourceGap that names ``what`` was read.

    What a task says of the destination becomes a StoreError with the task's own remedy; a failure that passes a
    RunError, one of which nobody knows a SourceUnread. ``again`` is the remedy of a gap where it is no rerun. The cause
    is kept.
    """
    try:
        yield
    except ENGINE_ERRORS as error:
        text = text_of(error)
        problem = told(said_most(text))
        if problem is not None:
            after = "" if "export again" in problem.remedy else " Then run export again."
            raise StoreError(
                f"{dataset}: {problem.message}; nothing new is visible",
                code=problem.code,
                remedy=f"{problem.remedy}{after}".strip(),
            ) from error
        raise _unread(dataset, what, text, again or rerun_remedy(dataset)) from error


def _unread(dataset: str, what: str, text: str, again: str) -> RunError:
    cause = cause_of(text)
    if cause.kind == "stays":
        return SourceGap(
            f"{dataset}: {what} cannot be read whole ({cause.word}): {cause.why}. Nothing of it was staged",
            code="source_gap",
            remedy=again,
        )
    message = f"{dataset}: Spark failed on {what}: {first_line(text)}"
    if cause.kind == "unknown":
        remedy = f"Run export again. Where it says the same again, it stays: {again} Nothing new is visible."
        return SourceUnread(message, code="spark_failed", remedy=remedy)
    remedy = "Run export again" if cause.kind == "passes" else then(cause)
    if cause.kind == "passes":
        remedy += f": this passes ({cause.why})."
    return RunError(message, code="spark_failed", remedy=f"{remedy} Nothing new is visible.")


@contextmanager
def engine(doing: str) -> Iterator[None]:
    """Turns what Spark raises where no rows are read, at a ledger or a history, into a RunError with its first line."""
    try:
        yield
    except ENGINE_ERRORS as error:
        text = text_of(error)
        raise RunError(
            f"{doing}: Spark failed: {first_line(text)}",
            code="spark_failed",
            remedy=f"{then(cause_of(text))} What the ledger holds is still true.",
        ) from error


def text_of(error: Exception) -> str:
    """What an engine's error says, its causes included."""
    return str(error.java_exception) if isinstance(error, Py4JJavaError) else str(error)
