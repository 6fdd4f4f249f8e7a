"""Groups of objects as Delta's transactions: each has a number of its own, and its commits say so.

Numbers rise over all tables of a place. Delta lets one transaction with a number of an application into a table
(``txnAppId`` and ``txnVersion``) and passes over any other, so of two runs that take one number the later one finds that its
commit is not there.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

from pyspark.sql import SparkSession

from rover_spark.consume.load.delta.place import Into
from rover_spark.consume.load.delta.settings import within
from rover_spark.errors import RunError

_APPLICATION = "rover-spark-load"
_LOOKED_AT = (20, 1000)  # commits of a table, the newest ones: first few, then many


@dataclass(frozen=True)
class Group:
    """The number of a group, and the run that loads it."""

    number: int
    run: str

    def __str__(self) -> str:
        return f"{_APPLICATION} {self.number} {self.run}"


def writing(spark: SparkSession, group: Group) -> AbstractContextManager[None]:
    """Within the block commits are those of the group."""
    return within(
        spark,
        {
            "spark.databricks.delta.write.txnAppId": _APPLICATION,
            "spark.databricks.delta.write.txnVersion": str(group.number),
            "spark.databricks.delta.commitInfo.userMetadata": str(group),
            "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",  # Spark 3.5 would refuse instants before 1582
            "spark.sql.parquet.int96RebaseModeInWrite": "CORRECTED",
        },
    )


def written(spark: SparkSession, into: Into, table: str) -> Group | None:
    """The group that a table took last; None where none of its newest commits says so."""
    for limit in _LOOKED_AT:
        for row in into.delta(spark, table).history(limit).select("userMetadata").collect():
            words = (row[0] or "").split(" ")
            if words[0] == _APPLICATION and len(words) == 3 and words[1].isdigit():
                return Group(int(words[1]), words[2])
    return None


def assert_written(spark: SparkSession, into: Into, table: str, group: Group) -> None:
    """Raises RunError where another run took the number of the group."""
    if written(spark, into, table) != group:
        raise RunError(
            f"--into {into}: another run loads into it at the same time; nothing of what this one read since was written",
            code="into_busy",
            remedy="Wait until it has ended and run load again.",
        )
