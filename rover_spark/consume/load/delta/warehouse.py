"""The port of a warehouse for Delta tables: Spark's tasks read the objects, each group of them is one transaction of its table."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import cached_property
from typing import Any
from uuid import uuid4  # noqa: TID251 - tells runs apart; no record depends on it

import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ByteType, IntegerType, LongType, StringType, StructField, StructType

from rover_spark.consume.ddl.tables import Column
from rover_spark.consume.load import events
from rover_spark.consume.load.delta import reading as task
from rover_spark.consume.load.delta import views
from rover_spark.consume.load.delta.books import MANIFESTS, OBJECTS, Books
from rover_spark.consume.load.delta.given import Given
from rover_spark.consume.load.delta.groups import Group, assert_written, writing
from rover_spark.consume.load.delta.merging import merge
from rover_spark.consume.load.delta.place import Into
from rover_spark.consume.load.delta.settings import AS_IS, SMALL, within
from rover_spark.consume.load.delta.tables import Raw, arrow_type, evolved, opened
from rover_spark.consume.load.due import Due, Kept, Said
from rover_spark.consume.load.port import Counts, Folder, Read, Refused
from rover_spark.consume.load.tables import LOWERED
from rover_spark.contract import avro
from rover_spark.contract.rover import DATASETS

_MARKS = {pa.int8(): ByteType(), pa.int32(): IntegerType(), pa.int64(): LongType(), pa.string(): StringType()}
_TASK_BYTES = 64 << 20  # compressed
_TASKS_A_CORE = 3


class DeltaTables:
    """Delta tables that are loaded into."""

    group_bytes = 8 << 30
    group_objects = 20_000

    def __init__(self, spark: SparkSession, into: Into, now: Callable[[], datetime]) -> None:
        """Makes the bookkeeping where there is none, and settles what a killed run left. ``now`` says when something was loaded."""
        self._spark, self._into, self._now = spark, into, now
        into.prepare(spark)
        with within(spark, SMALL):
            self._books = Books(spark, into)
            self._number = self._books.settle()
        self._run = uuid4().hex

    # -- what is known ---------------------------------------------------------------------------------------------

    def folders(self, now: datetime) -> Mapping[str, Folder]:
        """What is known of each dated folder."""
        objects, manifests = self._books.frame(OBJECTS), self._books.frame(MANIFESTS)
        loaded = objects.where((F.col("hour") <= now) & F.col("damaged").isNull())
        found = loaded.groupBy("folder").agg(F.max("hour"), F.lit(None).cast("timestamp"))
        at = F.col("instant")
        said = manifests.where(at <= now).groupBy("folder")
        found = found.union(said.agg(F.max(F.when(F.col("loaded"), at)), F.min(F.when(~F.col("loaded"), at))))
        with within(self._spark, SMALL):
            return {
                folder: Folder(_aware(last), _aware(waiting)) for folder, last, waiting in found.collect()
            }

    def kept(self, keys: Collection[str]) -> Mapping[str, Kept]:
        """What is kept of each of these objects that is loaded and was whole."""
        with within(self._spark, SMALL):
            noted = self._books.noted(keys)
        return {
            key: Kept(each["bytes"], each["sha256"]) for key, each in noted.items() if each["damaged"] is None
        }

    def unread(self) -> Collection[str]:
        """The keys of objects that were due and could not be read."""
        with within(self._spark, SMALL):
            return self._books.unread()

    def manifests(self) -> tuple[Collection[str], Mapping[str, datetime]]:
        """The keys of manifests whose batch is loaded, and the newest instant of each stream."""
        found = self._books.frame(MANIFESTS)
        with within(self._spark, SMALL):
            known = {row[0] for row in found.where("loaded").select("key").collect()}
            newest = found.groupBy("stream").agg(F.max("instant")).collect()
        return known, {stream: instant.astimezone(timezone.utc) for stream, instant in newest}

    # -- loading ---------------------------------------------------------------------------------------------------

    def load(self, objects: Sequence[Due], read: Read) -> Counts:
        """Loads objects of one dataset in one transaction.

        Raises:
            RunError: several objects in a row cannot be read, or another run loads into the same table.
        """
        first = objects[0]
        table = self._table(first)
        cores = self._spark.sparkContext.defaultParallelism
        tasks = task.spread(objects, _TASKS_A_CORE * cores, _TASK_BYTES)
        if first.contract == "currents":
            table = self._evolved(table, task.Schemas(read, tasks))
        fields = [(each.name, arrow_type(each.dataType)) for each in table.fields]
        lowered = LOWERED if first.contract == "rover" else ()
        with self._rows(task.Reading(read, tasks, fields, table.json, lowered), table) as rows:
            return self._keep(Given(rows, objects), table)

    def _table(self, due: Due) -> Raw:
        return (
            opened(self._spark, self._into, "currents", due.dataset)
            if due.contract == "currents"
            else self._rover[due.dataset]
        )

    @cached_property
    def _rover(self) -> Mapping[str, Raw]:
        """The raw tables of the Rover contract, all of them before the first object is noted: the views read each."""
        return {each: opened(self._spark, self._into, "rover", each) for each in DATASETS}

    def _evolved(self, table: Raw, schemas: task.Schemas) -> Raw:
        found = self._tasks(schemas, len(schemas.tasks), "schema string").distinct().collect()
        columns: list[Column] = []
        for text in sorted(row[0] for row in found):
            schema = avro.parse(text, registered=True)  # as the container's reader took it
            columns += events.columns_of(schema, (*table.columns, *(each.name for each in columns)))
        return evolved(self._spark, self._into, table, columns)

    @contextmanager
    def _rows(self, reading: task.Reading, table: Raw) -> Iterator[DataFrame]:
        """What the tasks give, kept on the executors' disks: it is looked at more than once."""
        marks = [StructField(name, _MARKS[kind]) for name, kind in task.MARKS.items()]
        rows = self._tasks(reading, len(reading.tasks), StructType([*table.fields, *marks]))
        rows.persist(StorageLevel.DISK_ONLY)
        try:
            with within(self._spark, AS_IS):
                yield rows
        finally:
            rows.unpersist()

    def _tasks(self, function: Any, count: int, schema: Any) -> DataFrame:
        return self._spark.range(0, count, 1, count).mapInArrow(function, schema)

    def _keep(self, given: Given, table: Raw) -> Counts:
        new = repeated = 0
        if given.there:
            self._number += 1
            group = Group(self._number, self._run)
            with within(self._spark, SMALL):
                self._books.note(group, table.name, given, self._now())
            with writing(self._spark, group):
                new, repeated = merge(self._spark, self._into, table, given.records, given.expected)
            assert_written(self._spark, self._into, table.name, group)
        return given.counts(new, repeated)

    # -- the end of a run --------------------------------------------------------------------------------------------

    def note(self, loaded: Sequence[Said], waiting: Sequence[Said], refused: Sequence[Refused]) -> None:
        """Keeps which batches are loaded, which wait, and which manifests cannot be read."""
        with within(self._spark, SMALL):
            self._books.note_batches(loaded, waiting, refused)

    def finish(self) -> None:
        """Makes the views of a schema anew. A path has none: see ``views``."""
        if self._into.schema:
            views.make(self._spark, self._into)


def _aware(instant: datetime | None) -> datetime | None:
    return None if instant is None else instant.astimezone(timezone.utc)
