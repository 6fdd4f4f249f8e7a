"""Source tables as one run sees them: each is looked at once, so a run ends even where a source never stops changing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Lock
from typing import TypeVar

from pyspark.sql import SparkSession

from rover_spark.config.expressions import place_of
from rover_spark.delta import gaps, source
from rover_spark.model.plan import HistoryRow, TableState

_AT_ONCE = 8
_TOGETHER = 25
T = TypeVar("T")
R = TypeVar("R")


def side_by_side(act: Callable[[T], R], each: Iterable[T]) -> list[R]:
    """What ``act`` gives, in their order, eight at once: tables, and datasets, wait mostly. Raises the first one's error."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(act, each))


def in_turns(each: Sequence[T]) -> list[Sequence[T]]:
    """In their order, so many at a time as one Spark job reads of tables: its tasks know the plans of all of them."""
    return [each[first : first + _TOGETHER] for first in range(0, len(each), _TOGETHER)]


class Tables:
    """The states of the tables of one run, each as it was when the run first asked for it. Safe in threads."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark
        self._states: dict[str, TableState] = {}
        self._reach: dict[str, int] = {}
        self._locks: dict[str, Lock] = defaultdict(Lock)
        self._gaps: dict[gaps.Range, str | None] = {}

    def state(self, setting: str, table: str, since: int | HistoryRow | None) -> TableState:
        """The table's state, its history back to version ``since`` as far as it reaches (None: the latest).

        Where the history shows another commit than ``since`` at its version, all of it is listed: Delta moves on times
        that do not rise, so what it tells of a commit may depend on where the listing begins.

        Raises:
            ConfigError: no Delta table there; the message names the setting.
        """
        with self._locks[place_of(table)]:
            if not isinstance(since, HistoryRow):
                return self._reaching(setting, table, since)
            state = self._reaching(setting, table, since.version)
            as_expected = state.row(since.version) in (since, None)
            return state if as_expected else self._reaching(setting, table, 0)

    def gaps(self, ranges: Sequence[gaps.Range]) -> list[str | None]:
        """Of each range what makes it a gap, or None: looked at once."""
        turns = in_turns([one for one in dict.fromkeys(ranges) if one not in self._gaps])
        found = side_by_side(lambda some: gaps.found_in(self._spark, some), turns)
        for some, told in zip(turns, found, strict=True):
            self._gaps.update(zip(some, told, strict=True))
        return [self._gaps[one] for one in ranges]

    def _reaching(self, setting: str, table: str, since: int | None) -> TableState:
        place = place_of(table)
        known = self._states.get(place)
        if known is None or (since is not None and since < self._reach[place]):
            with source.engine(f"{setting}: {table}"):
                found = source.table_state(self._spark, setting, table, since)
            if known is not None:
                rows = tuple(row for row in found.rows if row.version <= known.latest.version)
                found = replace(known, rows=rows)
            self._states[place] = found
            self._reach[place] = min(found.rows[0].version, found.latest.version if since is None else since)
        return self._states[place]
