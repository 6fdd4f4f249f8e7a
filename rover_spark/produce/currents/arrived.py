"""Reads what arrived in event tables: through the change data feed, or from the files that commits added.

Files are read where a table keeps no feed, and where few files, or large ones, were added: those of many tables by one scan
where they have the same columns. Without a feed, a commit that changed or removed rows is a SourceGap: its new rows look
like rows that were written again. Writes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pyspark.sql import DataFrame, SparkSession

from rover_spark.delta.added_files import AddedFiles, added_files, added_rows
from rover_spark.delta.anchor import begin_later
from rover_spark.delta.engine_errors import ENGINE_ERRORS
from rover_spark.delta.log.chosen import Logs
from rover_spark.delta.names import quoted
from rover_spark.delta.read import changes
from rover_spark.errors import ConfigError, SourceGap
from rover_spark.model.table import TableState
from rover_spark.produce.currents.plan import GIVE_UP, Slice
from rover_spark.produce.currents.scan import Scan, ScanGroup, scan_of

# Where a table keeps a feed, its new files are read instead as long as they are few: each is opened by its name. Many are
# read where they are large on average. Where Spark reads the log, reading it alone costs more than the feed of a small table.
FEW, LARGE_TABLE, LARGE_FILE = 1_000, 64 << 20, 1 << 20
# so many files of a table are read together with those of others
TOGETHER = 20


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
        scan = scan_of(one)
        if scan not in cheaper:
            cheaper[scan] = _files_are_cheaper(logs, one, states[one.event_type])
        return replace(one, by_feed=False) if cheaper[scan] else one

    return tuple(marked(one) for one in slices)


def _files_are_cheaper(logs: Logs, one: Slice, state: TableState) -> bool:
    log = logs.of(one.source.table)
    few = FEW if log.lists_rows else 0
    # many small commits: reading the log of each already costs more
    if len(one.commits) > few and state.bytes < max(LARGE_TABLE, LARGE_FILE * len(one.commits)):
        return False
    # a catalog may deny access to the log; other faults of the table show when the feed is read
    try:
        added = added_files(log, one.source.table, one.commits)
    except ENGINE_ERRORS:
        return False
    return added.whole and (len(added.files) <= few or added.bytes >= LARGE_FILE * len(added.files))


def remedy_of(those: Sequence[Slice]) -> str:
    """What an operator does about rows of these slices that cannot be read: where nothing was delivered, nothing is given up."""
    fresh = [f'events."{one.event_type}".start' for one in those if not one.offsets]
    if not fresh:
        return GIVE_UP
    return begin_later(fresh) + (f" For the others: {GIVE_UP}" if len(fresh) < len(those) else "")


def files_of(logs: Logs, slices: Iterable[Slice]) -> dict[Scan, AddedFiles]:
    """The files of each scan that reads files, as the log says: no row is read.

    Raises:
        SourceGap: without a feed, a commit that changed or removed rows.
        ConfigError: without a feed, files that cannot be read by themselves.
    """
    served: dict[Scan, list[Slice]] = {}
    for one in slices:
        if not one.by_feed:
            served.setdefault(scan_of(one), []).append(one)
    found: dict[Scan, AddedFiles] = {}
    for scan, those in served.items():
        added = added_files(logs.of(scan.table), scan.table, those[0].commits)
        # the table was altered after planning, so its added files are incomplete: read the feed instead
        if added.whole or not those[0].keeps_feed:
            _require_whole(those, added)
            found[scan] = added
    return found


def alike_of(files: Mapping[Scan, AddedFiles]) -> dict[Scan, object]:
    """For each scan whose files can be read together with those of other tables, what is the same of such tables."""
    found: dict[Scan, object] = {}
    seen: Counter[str] = Counter()
    for scan, added in files.items():
        if len(added.files) <= TOGETHER and added.alike is not None:
            # versions of one table are not read twice by one scan
            found[scan] = (added.alike, seen[added.location])
            seen[added.location] += 1
    return found


def arrivals(
    spark: SparkSession,
    groups: Iterable[ScanGroup],
    files: Mapping[Scan, AddedFiles],
    chunks: Mapping[Scan, Sequence[int]] | None = None,
) -> dict[tuple[Scan, ...], DataFrame]:
    """The rows of every group's scans, once each: a frame of a feed is costly to make. Wrap it in ``reading``.

    The rows have the columns of Delta's change data feed; where ``chunks`` has those of a scan's data files, the column FILE
    holds that of a row's file. The frames are lazy.
    """
    found: dict[tuple[Scan, ...], DataFrame] = {}
    for group in groups:
        if group.scans not in found:
            found[group.scans] = _arrived(spark, group.scans, files, chunks or {})
    return found


def _arrived(
    spark: SparkSession,
    scans: tuple[Scan, ...],
    files: Mapping[Scan, AddedFiles],
    chunks: Mapping[Scan, Sequence[int]],
) -> DataFrame:
    scan = scans[0]
    if scan in files:
        return added_rows(spark, [files[each] for each in scans], numbers=chunks.get(scan))
    assert scan.first is not None
    return changes(spark, scan.table, scan.first, scan.last)


def _require_whole(those: Sequence[Slice], added: AddedFiles) -> None:
    one, table = those[0], added.table
    if added.removed_at is not None:
        raise SourceGap(
            f'events."{one.event_type}": version {added.removed_at} of {table} changed or removed rows, and without a '
            "change data feed its new rows cannot be distinguished from them. Nothing was staged",
            code="event_changed",
            remedy=remedy_of(those),
        )
    if added.obstacle is not None:
        raise ConfigError(
            f'events."{one.event_type}".table: {table} {added.obstacle}: it can only be read by its change data feed, '
            "which is off",
            code="feed_off",
            remedy=f"ALTER TABLE {quoted(table)} SET TBLPROPERTIES (delta.enableChangeDataFeed = true); what came before "
            "cannot be delivered: " + GIVE_UP,
        )
