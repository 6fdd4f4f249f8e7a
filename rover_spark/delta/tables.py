"""The states of source tables in one run. Each is read once, so a run ends even where a source never stops changing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from threading import Lock

from rover_spark.config.access import TableAccess
from rover_spark.config.expressions import place_of
from rover_spark.delta import gaps, history
from rover_spark.delta.engine_errors import engine
from rover_spark.delta.log.chosen import Logs
from rover_spark.delta.log.values import CommitFiles, DataFile
from rover_spark.delta.parallel import batched, side_by_side
from rover_spark.delta.session import Session
from rover_spark.model.table import HistoryRow, TableState


class Tables:
    """The states of the tables of one run, each as it was when the run first asked for it. Safe in threads."""

    def __init__(self, session: Session, access: TableAccess) -> None:
        self.logs = Logs(session, access)
        self._states: dict[str, TableState] = {}
        self._reach: dict[str, int] = {}
        self._locks: dict[str, Lock] = defaultdict(Lock)
        self._gaps: dict[gaps.Range, str | None] = {}

    def state(self, setting: str, table: str, since: int | HistoryRow | None) -> TableState:
        """The table's state, its history back to version ``since`` as far as it reaches (None: the latest).

        Where the history shows another commit than ``since`` at its version, all of it is listed: Delta adjusts commit
        timestamps that do not increase, starting at the first commit listed.

        Raises:
            ConfigError: no Delta table there; the message names the setting.
        """
        with self._locks[place_of(table)]:
            if not isinstance(since, HistoryRow):
                return self._reaching(setting, table, since)
            state, log = self._showing(setting, table, since), self.logs.of(table)
            if state.row(since.version) == since or not log.without_spark:
                return state
            # a missing commit stops deliveries, so Spark has the last word on it
            log.leave_to_spark(f"version {since.version} is another commit than it was")
            self._reach[place_of(table)] = state.latest.version + 1  # list it again
            return self._showing(setting, table, since)

    def unaltered(self, table: str, since: int) -> bool:
        """Whether the log says that columns, properties and protocol stayed what they were at version ``since``.

        False as well where only a job of Spark could tell.
        """
        log, last = self.logs.of(table), self._states[place_of(table)].latest.version
        if not log.without_spark:
            return False
        changes = log.changes(since + 1, last)
        return not any(each.metadata or each.features is not None for each in changes)

    def gaps(self, ranges: Sequence[gaps.Range]) -> list[str | None]:
        """For each range what makes it a gap, or None. The log of a range is read once."""
        new = batched([one for one in dict.fromkeys(ranges) if one not in self._gaps])
        found = side_by_side(lambda some: gaps.found_in(self.logs, some), new)
        for some, reasons in zip(new, found, strict=True):
            self._gaps.update(zip(some, reasons, strict=True))
        return [self._gaps[one] for one in ranges]

    def files(self, table: str, first: int, last: int) -> list[CommitFiles] | None:
        """The files of each commit of versions first..last; None where only Spark could say it, by a job of its own.

        None for a table of a catalog, too, which may show fewer rows of a table than its files have.
        """
        log = self.logs.of(table)
        return log.files(first, last) if log.lists_rows else None

    def data_files(self, table: str, version: int) -> list[DataFile] | None:
        """The files that hold the rows of a version, by path; None as for ``files``."""
        log = self.logs.of(table)
        return log.data_files(version) if log.lists_rows else None

    def _showing(self, setting: str, table: str, since: HistoryRow) -> TableState:
        state = self._reaching(setting, table, since.version)
        as_expected = state.row(since.version) in (since, None)
        return state if as_expected else self._reaching(setting, table, 0)

    def _reaching(self, setting: str, table: str, since: int | None) -> TableState:
        place = place_of(table)
        known = self._states.get(place)
        if known is None or (since is not None and since < self._reach[place]):
            with engine(f"{setting}: {table}"):
                found = history.table_state(self.logs.of(table), setting, table, since)
            if known is not None:
                rows = tuple(row for row in found.rows if row.version <= known.latest.version)
                found = replace(known, rows=rows) if rows else found
            self._states[place] = found
            self._reach[place] = min(found.rows[0].version, found.latest.version if since is None else since)
        return self._states[place]
