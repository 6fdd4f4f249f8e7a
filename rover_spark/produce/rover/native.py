"""The native reader: data files → records, in the task and without Spark, byte for byte those of ``fields`` and ``envelope``.

``native_reader`` decides whether it serves a plan, and gives what a task runs. The rows that it gives are those of
``layout``: chunk, outcome, floor, mended, id, line, in the order of each file. Of a row that cannot be delivered it says
only that; why, and what the row holds, Spark writes into the quarantine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from rover_spark.config.access import TableAccess
from rover_spark.delta.file_list import FileList
from rover_spark.delta.log.values import DataFile
from rover_spark.delta.parquet_rows import Wanted, batches
from rover_spark.delta.storage import NotNative, reached
from rover_spark.errors import ReaderRefused
from rover_spark.produce.rover.grammar import Grammar
from rover_spark.produce.rover.native_records import Records, records_of
from rover_spark.produce.rover.plan import BatchPlan

_MAPPED, _WIDENED = "delta.columnMapping.mode", "delta.enableTypeWidening"


@dataclass(frozen=True)
class NativeReader:
    """What a task runs. It holds no secret: the task asks for credentials itself."""

    records: Records
    wanted: Wanted
    table: str
    access: TableAccess
    files: FileList

    def __call__(self, chunks: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Numbers of chunks, in a column ``chunk`` → the rows of their data files, file after file.

        Raises:
            ReaderRefused: only Spark can read a file.
        """
        for numbers in chunks:
            for chunk in numbers.column("chunk"):
                file = self.files[chunk.as_py()]
                for rows in self._read(file):
                    made = self.records.of(rows, pa.repeat(chunk, len(rows)), file.path)
                    if len(made):
                        yield made

    def _read(self, file: DataFile) -> Iterator[pa.RecordBatch]:
        try:
            place = reached(self.table, self.access)
        except NotNative as error:
            raise ReaderRefused(f"{self.table}: {error}") from None
        yield from batches(place, file.path, file.size, self.wanted, file.partition)


def native_reader(
    plan: BatchPlan,
    schema: dict[str, Any],
    files: Sequence[DataFile],
    properties: Mapping[str, str],
    features: Iterable[str],
    access: TableAccess,
) -> NativeReader:
    """The reader of a plan's data files; ``schema`` is that of the table's rows at the plan's version, as the log gives it.

    Raises:
        NotNative: Spark must read them; the message says why.
    """
    if properties.get(_MAPPED, "none").lower() != "none":
        raise NotNative("the table maps its columns to other names")
    widened = properties.get(_WIDENED, "").lower() == "true"
    if widened or any(each.startswith("typeWidening") for each in features):
        raise NotNative("the table may have files of narrower types")
    if any(file.vectored for file in files):
        raise NotNative("deletion vectors take rows away from its files")
    partitions = frozenset(name for file in files for name in file.partition)
    records, columns = plain_records(plan, schema)
    reached(plan.source.table, access)
    return NativeReader(records, Wanted(columns, partitions), plan.source.table, access, FileList.of(files))


def plain_records(
    plan: BatchPlan, schema: dict[str, Any]
) -> tuple[Records, tuple[tuple[str, pa.DataType], ...]]:
    """What makes records of a plan's rows where ``grammar`` reads all expressions, and the columns that they read.

    Raises:
        NotNative: only Spark can make them; the message says why.
    """
    source, grammar = plan.source, Grammar(schema)
    if source.identifiers:
        raise NotNative("identifiers make several rows of one")
    there = {field["name"].casefold() for field in schema["fields"]}
    optional = {field.name for field in plan.definition.fields if not field.required}
    fields = {
        name: grammar.value(text)
        for name, text in source.columns.items()
        if not (name in optional and name.casefold() not in there and text == f"`{name}`")
    }
    extra = {name: grammar.value(text) for name, text in source.extra.items()}
    where = None if source.where is None else grammar.condition(source.where)
    return records_of(plan, fields, extra, where), grammar.columns
