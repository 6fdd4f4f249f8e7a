"""What the tasks gave of a group of objects, as the driver sees it: how each object ended, its records, its refused lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from rover_spark.consume.load.delta import reading as task
from rover_spark.consume.load.due import Due
from rover_spark.consume.load.objects import unreadable
from rover_spark.consume.load.port import Counts


@dataclass(frozen=True)
class End:
    """How an object ended: ``code`` is None where it was whole."""

    due: Due
    number: int
    code: str | None
    reason: str | None
    bytes: int
    sha256: str | None
    records: int
    bad_lines: int


_ENDS = (task.NUMBER, task.CODE, task.REASON, task.BYTES, task.SHA256, task.RECORDS, task.BAD_LINES)


class Given:
    """The rows of the tasks, by their parts. What they gave of objects that were not whole is left out."""

    def __init__(self, rows: DataFrame, objects: Sequence[Due]) -> None:
        """Raises RunError where a task gave up."""
        found = rows.where(_mark(task.PART) == task.END).select(*map(_mark, _ENDS)).collect()
        self._rows = rows
        self._ends = [End(objects[row[0]], *row) for row in found]
        for each in self._ends:
            if each.code == task.GIVEN_UP:
                raise unreadable(each.reason or "")

    @property
    def there(self) -> list[End]:
        """The objects that were not gone."""
        return [each for each in self._ends if each.code != task.GONE]

    @property
    def damaged(self) -> list[End]:
        """The objects that are no whole ones, or others than their manifests say."""
        return [each for each in self._ends if each.code not in (None, task.GONE, task.UNREAD)]

    @property
    def records(self) -> DataFrame:
        """The right records, with the columns of the raw table."""
        return self._whole(task.ROW)

    @property
    def expected(self) -> int:
        """How many right records the tasks counted."""
        return sum(each.records for each in self._ends)

    def refused(self, spark: SparkSession) -> DataFrame | None:
        """The refused lines as rows of the quarantine, where there are any."""
        ends = [[each.number, each.due.key, each.due.dataset] for each in self._ends if each.bad_lines]
        if not ends:
            return None
        names = F.broadcast(spark.createDataFrame(ends, "number int, key string, dataset string"))
        marks = {"code": task.CODE, "reason": task.REASON, "text": task.SHOWN}
        chosen = [F.col("key"), _mark(task.LINE).alias("line"), F.col("dataset")]
        chosen += [_mark(mark).alias(name) for name, mark in marks.items()]
        return self._whole(task.REFUSED).join(names, _mark(task.NUMBER) == names["number"]).select(*chosen)

    def counts(self, new: int, repeated: int) -> Counts:
        """The counts of the group, of whose records so many were new and so many repeated one."""
        unread = [each for each in self._ends if each.code == task.UNREAD]
        return Counts(
            objects=len(self.there) - len(unread),
            new=new,
            repeated=repeated,
            bad_lines=sum(each.bad_lines for each in self._ends),
            damaged=len(self.damaged),
            gone=tuple(each.due.key for each in self._ends if each.code == task.GONE),
            unread=tuple((each.due.key, each.reason or "") for each in unread),
        )

    def _whole(self, part: int) -> DataFrame:
        lost = sorted(each.number for each in self._ends if each.code is not None)
        rows = self._rows.where(_mark(task.PART) == part)
        return rows.where(~_mark(task.NUMBER).isin(lost)) if lost else rows


def _mark(name: str) -> Column:
    return F.col(f"`{name}`")
