"""The Spark session of a run: the one that exists, or one that is made when the first row must be read.

A command whose answer is in Delta's log and the ledger ends without one. Safe in threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import RLock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class Session:
    """A Spark session that is made once, by ``make``, when somebody asks for it."""

    def __init__(self, make: Callable[[], SparkSession]) -> None:
        self._make = make
        self._spark: SparkSession | None = None
        self._when_made: list[Callable[[SparkSession], None]] = []
        self._lock = RLock()

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
