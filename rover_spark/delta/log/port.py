"""The port to a table's log: what planning, recovery and the schedule ask. Two engines serve it, with equal answers.

``native`` reads the log by itself, ``spark`` asks Spark; ``chosen`` decides which one. No call reads a row of the table.
"""

from __future__ import annotations

from typing import Any, Protocol

from rover_spark.delta.log.values import Change, Commit, CommitFiles, DataFile, Detail
from rover_spark.delta.shape import Shape


class NoTable(Exception):
    """There is no Delta table at that place; the message says what is there instead."""


class NotAnswered(Exception):
    """The native engine cannot answer; the message says why. Spark is asked then."""


class TableLog(Protocol):
    """The log of one table. A version is one of its commits.

    Raises:
        NoTable: there is no Delta table.
        PySparkException, Py4JJavaError: Spark cannot read it.
    """

    def ends_at(self, version: int) -> bool:
        """Whether this version is the newest, by the names of the log's files; False where only opening the table tells.

        For a table that was opened before: where its commits lie is its protocol's affair.
        """
        ...

    def detail(self) -> Detail:
        """The table as it is now."""
        ...

    def commits(self, reach: int | None, since: int | None) -> list[Commit]:
        """The newest commits, the oldest first: at least those from version ``since`` on, as far as the history reaches.

        They are listed back to version ``reach``, which is not after ``since``: times depend on where a listing begins.
        None is the newest version; the newest commit is always among them.
        """
        ...

    def changes(self, first: int, last: int) -> list[Change]:
        """What the commits of versions first..last say besides rows, in their order; only those that say something."""
        ...

    def vectors(self, first: int, last: int) -> int | None:
        """The first of these commits that added or removed rows by a deletion vector, or None."""
        ...

    def shape_at(self, version: int) -> Shape | None:
        """The table's columns, protocol and properties at a version, or None where the log does not reach back so far."""
        ...

    def schema_at(self, version: int) -> dict[str, Any]:
        """The columns of the table's rows at a version, as Spark's reader gives them."""
        ...

    def files(self, first: int, last: int) -> list[CommitFiles]:
        """The files that the commits of versions first..last added, one value a commit, in their order."""
        ...

    def data_files(self, version: int) -> list[DataFile] | None:
        """The files that hold the rows of a version, by path. None where only a scan of the table lists them."""
        ...
