"""The state of a Delta table: its id, properties, size and place, and its commits as DESCRIBE HISTORY lists them.

Metadata only, no row is read. Refuses tables that are missing or whose change data feed is off, with the statement that
mends it. Writes nothing.
"""

from __future__ import annotations

from rover_spark.delta.log.port import NoTable, TableLog
from rover_spark.delta.log.times import BEFORE
from rover_spark.delta.log.values import Commit
from rover_spark.delta.names import quoted
from rover_spark.errors import ConfigError, RunError, SourceGap
from rover_spark.model.table import HistoryRow, TableState

_NAME_IT = "Name the path of a Delta table, or catalog.schema.table; check that this role may read it."


def table_state(log: TableLog, setting: str, table: str, since: int | None) -> TableState:
    """The table's present state, with its history back to version ``since`` as far as it reaches (None: the latest).

    Raises:
        ConfigError: no Delta table there.
    """
    try:
        detail = log.detail()
        listed = log.commits(None if since is None else since - BEFORE, since)
    except NoTable as error:
        raise _missing(setting, table, str(error)) from None
    return TableState(
        detail.table_id,
        tuple(HistoryRow(each.version, each.timestamp, each.operation) for each in listed),
        detail.properties,
        detail.bytes,
        detail.location,
    )


def commits_after(log: TableLog, table: str, version: int) -> list[Commit]:
    """The commits after a version, the oldest first.

    Raises:
        SourceGap: the newest version is an older one, so the table was made anew.
        RunError: no Delta table there.
    """
    try:
        listed = log.commits(version + 1, version + 1)
    except NoTable as error:
        raise RunError(f"{table}: {error}", code="source_missing", remedy=_NAME_IT) from None
    if listed[-1].version < version:
        raise SourceGap(
            f"{table}: its newest version is {listed[-1].version}, and {version} was delivered",
            code="source_gap",
            remedy="Run export: it says what to do.",
        )
    return [each for each in listed if each.version > version]


def _missing(setting: str, table: str, what: str) -> ConfigError:
    return ConfigError(
        f"{setting}: {table}: {what}",
        code="source_missing",
        remedy=_NAME_IT,
    )


def require_feed(setting: str, table: str, state: TableState) -> None:
    """Raises ConfigError, with the statement that mends it, where the table keeps no change data feed."""
    if not state.keeps_feed:
        raise ConfigError(
            f"{setting}: {table} keeps no change data feed, so changes after a snapshot could not be read",
            code="feed_off",
            remedy=f"ALTER TABLE {quoted(table)} SET TBLPROPERTIES (delta.enableChangeDataFeed = true)",
        )
