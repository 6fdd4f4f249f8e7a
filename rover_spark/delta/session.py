"""The Spark session of a run: the one that exists, or one that is made when the first row must be read.

A command whose answer is in Delta's log and the ledger ends without one. Safe in threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import RLock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


# a scan puts a data file into a task as long as the sum of sizes stays below the limit; the cost of opening counts as size
_UNSPLIT = {
    "spark.sql.files.maxPartitionBytes": str(1 << 50),
    "spark.sql.files.openCostInBytes": str(1 << 50),
}


class Session:
    """A Spark session that is made once, by ``make``, when somebody asks for it."""

    def __init__(self, make: Callable[[], SparkSession]) -> None:
        self._make = make
        self._spark: SparkSession | None = None
        self._when_made: list[Callable[[SparkSession], None]] = []
        self._lock = RLock()
        self._unsplit, self._before = 0, dict[str, str | None]()

    @classmethod
    def of(cls, spark: SparkSession | Session) -> Session:
        """The session that a caller has."""
        if isinstance(spark, Session):
            return spark
        found = cls(lambda: spark)
        found._spark = spark
        return found

    @property
    def spark(self) -> SparkSession:
        """The Spark session; the first call may start a JVM.

        Raises:
            ConfigError: Spark cannot be started here.
        """
        with self._lock:
            if self._spark is None:
                made = self._make()
                for act in self._when_made:
                    act(made)
                self._spark = made  # only now: nobody gets a session whose values are not pinned
            return self._spark

    @property
    def started(self) -> bool:
        """Whether there is a Spark session by now."""
        return self._spark is not None

    @contextmanager
    def when_made(self, act: Callable[[SparkSession], None]) -> Iterator[None]:
        """Within the block ``act`` is called once: at once where there is a Spark session, else as soon as one is made."""
        with self._lock:
            if self._spark is not None:
                act(self._spark)
            self._when_made.append(act)
        try:
            yield
        finally:
            with self._lock:
                self._when_made.remove(act)

    @contextmanager
    def unsplit(self) -> Iterator[None]:
        """Within the block every scan that begins reads each data file in a task of its own, whole. Blocks may overlap."""
        conf = self.spark.conf
        with self._lock:
            if not self._unsplit:
                self._before = {name: conf.get(name, None) for name in _UNSPLIT}
                for name, value in _UNSPLIT.items():
                    conf.set(name, value)
            self._unsplit += 1
        try:
            yield
        finally:
            with self._lock:
                self._unsplit -= 1
                if not self._unsplit:
                    restore(self.spark, self._before)


def restore(spark: SparkSession, before: Mapping[str, str | None]) -> None:
    """Gives settings of Spark their earlier values; None where there was none."""
    for name, value in before.items():
        if value is None:
            spark.conf.unset(name)
        else:
            spark.conf.set(name, value)
