"""The bookkeeping beside the raw tables: Delta tables that say what was loaded, what is refused, and which batches wait.

The objects of a group are noted before its rows are written. They count once the raw table's own transaction has the
group's number; ``settle`` takes back those of a run that ended in between.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from rover_spark.consume.load.delta import reading as task
from rover_spark.consume.load.delta.given import End, Given
from rover_spark.consume.load.delta.groups import Group, assert_written, fence, is_written, writing
from rover_spark.consume.load.delta.place import Into
from rover_spark.consume.load.due import Said, folder_of
from rover_spark.consume.load.port import TEXT, UNREAD, Refused

OBJECTS, MANIFESTS, QUARANTINE = "rover_load_objects", "rover_load_manifests", "rover_load_quarantine"
_SCHEMAS = {
    OBJECTS: "key string, contract string, dataset string, name string, folder string, hour timestamp, bytes bigint,"
    " sha256 string, records bigint, bad_lines bigint, damaged string, loaded_at timestamp, number bigint, run string",
    MANIFESTS: "key string, sha256 string, stream string, folder string, batch string, instant timestamp, loaded boolean",
    QUARANTINE: "key string, line bigint, dataset string, code string, reason string, text string",
}
_UNWRITTEN = "the run ended before its rows were written"


class Books:
    """The tables of the bookkeeping at one place."""

    def __init__(self, spark: SparkSession, into: Into) -> None:
        """Makes the tables where there are none."""
        self._spark, self._into = spark, into
        self._noted: dict[str, Any] = {}
        for name, schema in _SCHEMAS.items():
            if not into.has(spark, name):
                into.builder(spark, name).addColumns(spark.createDataFrame([], schema).schema).execute()

    def frame(self, name: str) -> DataFrame:
        """A table as it is now."""
        return self._into.frame(self._spark, name)

    def settle(self) -> int:
        """Takes back the last group where no transaction has it; its number.

        Where there is none yet numbers begin with the second in which the bookkeeping was made: raw tables may be older.
        """
        (last,) = self.frame(OBJECTS).agg(F.max(F.struct("number", "name", "run"))).collect()[0]
        if last is None:
            made = self._into.delta(self._spark, OBJECTS).detail().select("createdAt").collect()[0][0]
            return int(made.timestamp())
        number, name, run = last
        there = self._into.has(self._spark, name)
        group = Group(number, run)
        if there and is_written(self._spark, self._into, name, group):
            return int(number)
        if there:  # the run may still be at work
            fence(self._spark, self._into, name, Group(number + 1, "fence"))
        if not there or not is_written(self._spark, self._into, name, group):
            lost = F.col("number") == number
            self._into.delta(self._spark, OBJECTS).update(lost, {"damaged": F.lit(_UNWRITTEN)})
        return int(number) + 1

    def unread(self) -> list[str]:
        """The keys of objects that could not be read."""
        found = self.frame(OBJECTS).where(F.col("damaged").startswith(UNREAD)).select("key")
        return [row[0] for row in found.collect()]

    # -- what is noted ---------------------------------------------------------------------------------------------

    def noted(self, keys: Collection[str]) -> dict[str, Any]:
        """Of the objects with these keys those that were noted before: size, hash, ``bad_lines`` and ``damaged`` of each."""
        asked = [each for each in keys if each not in self._noted]
        if asked:
            found = self.frame(OBJECTS).join(self._keys(asked), "key", "semi")
            rows = found.select("key", "bytes", "sha256", "bad_lines", "damaged").collect()
            self._noted |= {**dict.fromkeys(asked), **{each["key"]: each for each in rows}}
        return {each: self._noted[each] for each in keys if self._noted[each] is not None}

    def note(self, group: Group, table: str, given: Given, at: datetime) -> None:
        """Notes the objects of a group, and what is refused of them, in place of what was noted of them before.

        Raises:
            RunError: another run has taken the number of the group.
        """
        about = {"name": table, "loaded_at": at, "number": group.number, "run": group.run}
        notes = [{**_note(each), **about} for each in given.there]
        before = self.noted([each["key"] for each in notes])
        with writing(self._spark, group):
            self._replace(OBJECTS, notes, all_new=not before)
        assert_written(self._spark, self._into, OBJECTS, group)
        damaged = [
            {"key": each.due.key, "dataset": each.due.dataset, "code": each.code, "reason": each.reason}
            for each in given.damaged
        ]
        stale = [key for key, each in before.items() if each["bad_lines"] or each["damaged"]]
        self._refuse(stale, given.refused(self._spark), self._rows(QUARANTINE, damaged) if damaged else None)
        self._noted |= {each["key"]: each for each in notes}

    def note_batches(
        self, loaded: Sequence[Said], waiting: Sequence[Said], refused: Sequence[Refused]
    ) -> None:
        """Notes which batches are loaded, which wait, and which manifests cannot be read."""
        said = [(each, True) for each in loaded] + [(each, False) for each in waiting]
        self._replace(
            MANIFESTS,
            [
                {"key": each.key, "sha256": each.sha256, "stream": each.stream, "folder": folder_of(each.key),
                 "batch": each.completion.batch, "instant": each.instant, "loaded": done}
                for each, done in said
            ],
        )  # fmt: skip
        bad = [
            {"key": each.key, "line": each.line, "dataset": "", "code": each.code, "reason": each.reason[:TEXT],
             "text": each.text}
            for each in refused
        ]  # fmt: skip
        keys = {each.key for each, _ in said} | {each.key for each in refused}
        before = self.frame(QUARANTINE).where("dataset = ''").select("key").collect() if keys else []
        self._refuse(keys & {row[0] for row in before}, self._rows(QUARANTINE, bad) if bad else None)

    def _replace(self, name: str, rows: Sequence[Mapping[str, Any]], *, all_new: bool = False) -> None:
        """Writes rows in place of those with their keys, of which there are none where they are ``all_new``."""
        if rows and all_new:
            self._into.save(self._rows(name, rows).write.mode("append"), name)
        elif rows:
            merge = self._into.delta(self._spark, name).alias("t")
            found = merge.merge(self._rows(name, rows).alias("s"), "t.key = s.key")
            found.whenMatchedUpdateAll().whenNotMatchedInsertAll().execute()

    def _refuse(self, instead_of: Collection[str], *rows: DataFrame | None) -> None:
        """Writes what is refused, in place of what was refused of these keys before."""
        if instead_of:
            found = self._into.delta(self._spark, QUARANTINE).alias("t")
            found.merge(self._keys(instead_of).alias("s"), "t.key = s.key").whenMatchedDelete().execute()
        if new := [each for each in rows if each is not None]:
            self._into.save(reduce(DataFrame.union, new).write.mode("append"), QUARANTINE)

    def _rows(self, name: str, rows: Sequence[Mapping[str, Any]]) -> DataFrame:
        """Rows for a table; what a row does not say is null."""
        schema = self._spark.createDataFrame([], _SCHEMAS[name]).schema
        values = [[each.get(field) for field in schema.names] for each in rows]
        return self._spark.createDataFrame(values, schema)

    def _keys(self, keys: Collection[str]) -> DataFrame:
        return F.broadcast(self._spark.createDataFrame([[each] for each in keys], "key string"))


def _note(end: End) -> dict[str, Any]:
    about = {name: getattr(end.due, name) for name in ("key", "contract", "dataset", "folder", "hour")}
    damaged = f"{UNREAD}{end.reason}" if end.code == task.UNREAD else end.reason
    counts = {name: getattr(end, name) for name in ("bytes", "sha256", "records", "bad_lines")}
    return {**about, **counts, "damaged": damaged}
