"""Which engine serves a table's log: the native one where it can, Spark everywhere else.

Callers ask ``without_spark`` only where a question is not worth a job of Spark.

A table whose log the native engine cannot read is Spark's from then on, and so are Spark's answers and errors.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from rover_spark.config.access import TableAccess
from rover_spark.config.expressions import place_of
from rover_spark.delta.log.native import NativeLog
from rover_spark.delta.log.port import NotAnswered, TableLog
from rover_spark.delta.log.values import Change, Commit, CommitFiles, DataFile, Detail, Place
from rover_spark.delta.session import Session
from rover_spark.delta.shape import Shape
from rover_spark.delta.storage import NotNative, reached

if TYPE_CHECKING:
    from rover_spark.delta.log.spark import SparkLog

T = TypeVar("T")
_LOG = logging.getLogger("rover_spark")


class ChosenLog:
    """The log of a table, by the engine that serves it. What the engines promise holds for it."""

    def __init__(
        self, session: Session, access: TableAccess, table: str, said: set[tuple[str, str]] | None = None
    ) -> None:
        self._session, self._access, self.table = session, access, table
        self.why_spark: str | None = None  # why Spark serves it; None as long as it does not
        self._said = set() if said is None else said
        self._native: NativeLog | None = None
        self._spark: SparkLog | None = None
        self._lock = Lock()

    def ends_at(self, version: int) -> bool:
        """Whether this version is the newest, by the names of the log's files; False where only opening the table tells.

        For a table that was opened before: where its commits lie is its protocol's affair.
        """
        return self._asked(lambda log: log.ends_at(version))

    def detail(self) -> Detail:
        """The table as it is now."""
        return self._asked(lambda log: log.detail())

    def commits(self, reach: int | None, since: int | None) -> list[Commit]:
        """The newest commits, the oldest first, at least those from ``since`` on as far as the history reaches."""
        return self._asked(lambda log: log.commits(reach, since))

    def changes(self, first: int, last: int) -> list[Change]:
        """What the commits of versions first..last say besides rows; only those that say something."""
        return self._asked(lambda log: log.changes(first, last))

    def vectors(self, first: int, last: int) -> int | None:
        """The first of these commits that added or removed rows by a deletion vector, or None."""
        return self._asked(lambda log: log.vectors(first, last))

    def shape_at(self, version: int) -> Shape | None:
        """The table's columns, protocol and properties at a version, or None where the log does not reach back so far."""
        return self._asked(lambda log: log.shape_at(version))

    def schema_at(self, version: int) -> dict[str, Any]:
        """The columns of the table's rows at a version, as Spark's reader gives them."""
        return self._asked(lambda log: log.schema_at(version))

    def files(self, first: int, last: int) -> list[CommitFiles]:
        """The files that the commits of versions first..last added, one value a commit, in their order."""
        return self._asked(lambda log: log.files(first, last))

    def data_files(self, version: int) -> list[DataFile] | None:
        """The files that hold the rows of a version, by path. None where only a scan of the table lists them."""
        return self._asked(lambda log: log.data_files(version))

    @property
    def without_spark(self) -> bool:
        """Whether the native engine serves this table."""
        return self.native() is not None

    @property
    def lists_rows(self) -> bool:
        """Whether the log lists the files of the table's rows without Spark. A catalog may show fewer rows than its files have."""
        return self.without_spark and "/" in self.table

    def native(self) -> NativeLog | None:
        """The native engine of this table, or None where Spark serves it."""
        with self._lock:
            if self.why_spark is None and self._native is None:
                try:
                    self._native = self._opened()
                except (NotNative, NotAnswered) as error:
                    self._leave(str(error))
            return self._native if self.why_spark is None else None

    def spark(self) -> SparkLog:
        """Spark's own engine of this table."""
        if self._spark is None:
            from rover_spark.delta.log.spark import SparkLog

            self._spark = SparkLog(self._session.spark, self.table)
        return self._spark

    def leave_to_spark(self, why: str) -> None:
        """Lets Spark serve this table from now on."""
        with self._lock:
            self._leave(why)

    def _leave(self, why: str) -> None:
        if self.why_spark is None:
            self.why_spark = why
            if (self.table, why) not in self._said:
                self._said.add((self.table, why))
                _LOG.debug("%s: Spark reads its log: %s", self.table, why)

    def _opened(self) -> NativeLog:
        if "/" in self.table or self._access.engine == "spark":
            return NativeLog(self.table, reached(self.table, self._access, self._session))
        found = self.spark().detail()  # the one question: where a table of a catalog lies
        log = NativeLog(found.location, reached(found.location, self._access, self._session))
        if log.detail().table_id != found.table_id:
            raise NotAnswered(f"another table lies at {found.location}")
        return log

    def _asked(self, question: Callable[[TableLog], T]) -> T:
        native = self.native()
        if native is not None:
            try:
                return question(native)
            except NotAnswered as error:
                self.leave_to_spark(str(error))
        return question(self.spark())


class Logs:
    """The logs of the tables of one run. Each remembers what it has read. Safe in threads."""

    def __init__(
        self, session: Session, access: TableAccess, said: set[tuple[str, str]] | None = None
    ) -> None:
        self._session, self._access = session, access
        self._said = set() if said is None else said  # tables, and why Spark serves them
        self._logs: dict[str, ChosenLog] = {}
        self._lock = Lock()

    def of(self, table: str) -> ChosenLog:
        """The log of a table, which is named by its path or by its name in a catalog."""
        place = place_of(table)
        with self._lock:
            if place not in self._logs:
                self._logs[place] = ChosenLog(self._session, self._access, table, self._said)
            return self._logs[place]

    def afresh(self) -> Logs:
        """The same tables, of which nothing is remembered. Why Spark serves one of them is not said again."""
        return Logs(self._session, self._access, self._said)

    def changes(self, places: Sequence[Place]) -> list[list[Change]]:
        """For each place what its commits say besides rows; those that Spark reads by one job over all of them.

        Raises:
            PySparkException, Py4JJavaError: Spark cannot read a log.
        """
        found = dict[int, list[Change]]()
        for number, place in enumerate(places):
            log = self.of(place.table)
            native = log.native()
            if native is not None:
                try:
                    found[number] = native.changes(place.first, place.last)
                except NotAnswered as error:
                    log.leave_to_spark(str(error))
        rest = [number for number in range(len(places)) if number not in found]
        if rest:
            from rover_spark.delta.log import spark_files

            read = spark_files.changes(self._session.spark, [places[number] for number in rest])
            found.update(zip(rest, read, strict=True))
        return [found[number] for number in range(len(places))]
