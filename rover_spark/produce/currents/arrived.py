"""Reads what arrived in event tables: through the change data feed, or from the files that commits added.

Files are read where a table keeps no feed, and where few large files were added. Without a feed, a commit that changed or
removed rows is a SourceGap: its new rows look like rows that were written again. Writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from pyspark.sql import DataFrame, SparkSession

from rover_spark.delta.added_files import AddedFiles, added_files, added_rows
from rover_spark.delta.engine_errors import ENGINE_ERRORS
from rover_spark.delta.log.chosen import Logs
from rover_spark.delta.names import quoted
from rover_spark.delta.read import changes
from rover_spark.errors import ConfigError, SourceGap
from rover_spark.model.table import TableState
from rover_spark.produce.currents.plan import GIVE_UP, Slice
from rover_spark.produce.currents.scan import Scan, ScanGroup, scan_of

# Where a table keeps a feed, its new files are read instead only where the table is this large, and where they are this
# large on average: each file is opened by its name, so many small ones cost more than the feed.
LARGE_TABLE, LARGE_FILE = 64 << 20, 1 << 20


def require_readable(setting: str, table: str, state: TableState) -> None:
    """Raises ConfigError, with the statement that mends it, where a table has no feed and may also change rows."""
    if state.keeps_feed:
        return
    if state.properties.get("delta.appendOnly", "").lower() != "true":
        raise ConfigError(
            f"{setting}: {table} neither keeps a change data feed nor is append-only, so new rows could not be found",
            code="feed_off",
            remedy=f"ALTER TABLE {quoted(table)} SET TBLPROPERTIES (delta.enableChangeDataFeed = true), "
            "or delta.appendOnly = true",
        )


def by_files(logs: Logs, slices: tuple[Slice, ...], states: Mapping[str, TableState]) -> tuple[Slice, ...]:
    """Marks the slices whose new files are cheaper to read than their change feed. ``states`` are by event type."""
    cheaper: dict[Scan, bool] = {}

    def marked(one: Slice) -> Slice:
        if one.from_version is None or not one.by_feed:
            return one
        # many small commits: reading the log of each already costs more
        if states[one.event_type].bytes < max(LARGE_TABLE, LARGE_FILE * len(one.commits)):
            return one
        scan = scan_of(one)
        if scan not in cheaper:
            cheaper[scan] = _files_are_cheaper(logs, one)
        return replace(one, by_feed=False) if cheaper[scan] else one

    return tuple(marked(one) for one in slices)


def _files_are_cheaper(logs: Logs, one: Slice) -> bool:
    # a catalog may deny access to the log; other faults of the table show when the feed is read
    try:
        added = added_files(logs.of(one.source.table), one.source.table, one.commits)
    except ENGINE_ERRORS:
        return False
    return added.whole and added.bytes >= LARGE_FILE * max(len(added.files), 1)


def arrivals(spark: SparkSession, logs: Logs, groups: Iterable[ScanGroup]) -> dict[Scan, DataFrame]:
    """The rows of every scan of these groups, once each: a frame of a feed is costly to make. Wrap it in ``reading``.

    Raises:
        SourceGap, ConfigError: as ``arrived``.
    """
    found: dict[Scan, DataFrame] = {}
    for group in groups:
        if group.scan not in found:
            found[group.scan] = arrived(spark, logs, group.leader)
    return found


def arrived(spark: SparkSession, logs: Logs, one: Slice) -> DataFrame:
    """The rows of a slice's versions, with the columns of Delta's change data feed. Wrap it in ``reading``.

    Reads the log where files are to be read. The frame itself is lazy.

    Raises:
        SourceGap: without a feed, a commit that changed or removed rows.
        ConfigError: without a feed, files that cannot be read by themselves.
    """
    assert one.from_version is not None
    if not one.by_feed:
        added = added_files(logs.of(one.source.table), one.source.table, one.commits)
        # the table was altered after planning, so its added files are incomplete: read the feed instead
        if added.whole or not one.keeps_feed:
            _require_whole(one, added)
            return added_rows(spark, added)
    return changes(spark, one.source.table, one.from_version, one.to_version)


def _require_whole(one: Slice, added: AddedFiles) -> None:
    table = one.source.table
    if added.removed_at is not None:
        raise SourceGap(
            f'events."{one.event_type}": version {added.removed_at} of {table} changed or removed rows, and without a '
            "change data feed its new rows cannot be distinguished from them. Nothing was staged",
            code="event_changed",
            remedy=GIVE_UP,
        )
    if added.obstacle is not None:
        raise ConfigError(
            f'events."{one.event_type}".table: {table} {added.obstacle}: it can only be read by its change data feed, '
            "which is off",
            code="feed_off",
            remedy=f"ALTER TABLE {quoted(table)} SET TBLPROPERTIES (delta.enableChangeDataFeed = true); what came before "
            "cannot be delivered: " + GIVE_UP,
        )
