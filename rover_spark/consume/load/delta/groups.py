"""Groups of objects as Delta's transactions: each has a number of its own, and its commits say so.

Numbers rise over all tables of a place. Delta lets one transaction with a number of an application into a table
(``txnAppId`` and ``txnVersion``) and passes over it and all lower ones afterwards. So of two runs at once one finds that its commit
is not there. A session that commits for a group should write no other Delta table meanwhile: its settings would hold there too.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

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


def is_written(spark: SparkSession, into: Into, table: str, group: Group) -> bool:
    """Whether one of the newest commits of a table is the group's."""
    mark = F.col("userMetadata") == str(group)
    return any(not into.delta(spark, table).history(limit).where(mark).isEmpty() for limit in _LOOKED_AT)


def fence(spark: SparkSession, into: Into, table: str, group: Group) -> None:
    """Takes the number of the group for nothing: from now on Delta passes over lower ones, so a run that goes on cannot commit."""
    nothing = into.frame(spark, table).limit(0)
    with writing(spark, group):
        into.save(nothing.write.mode("append"), table)


def assert_written(spark: SparkSession, into: Into, table: str, group: Group) -> None:
    """Raises RunError where another run took the number of the group, or a higher one."""
    if not is_written(spark, into, table, group):
        raise RunError(
            f"--into {into}: another run loads into it at the same time; the rows that this one read last were not written",
            code="into_busy",
            remedy="Wait until it has ended and run load again.",
        )
