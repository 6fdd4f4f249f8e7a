"""The data files of a Rover batch, where each is a chunk: which they are, and their rows. Nothing here reads a row.

A pinned version always has the same files, and so have pinned commits: the plan keeps the rule, the log has the list.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from rover_spark.config.access import TableAccess
from rover_spark.delta import read
from rover_spark.delta.added_files import FILE, AddedFiles, added_files, added_rows, numbered, unfit_to_number
from rover_spark.delta.file_types import column_type
from rover_spark.delta.log.values import DataFile
from rover_spark.delta.storage import NotNative
from rover_spark.delta.tables import Tables
from rover_spark.delta.used_columns import used
from rover_spark.errors import RunError
from rover_spark.model.table import HistoryRow
from rover_spark.produce.rover.fields import mapped, values_of
from rover_spark.produce.rover.handed_over import HandedOver, handed_over
from rover_spark.produce.rover.identifiers import counting
from rover_spark.produce.rover.native import NativeReader, native_reader
from rover_spark.produce.rover.plan import BatchPlan, Source


def chunkable(
    tables: Tables, source: Source, commits: tuple[HistoryRow, ...], *, snapshot: bool
) -> tuple[Sequence[DataFile], str]:
    """The data files of the last of these commits' versions, or those that they added; none where they cannot be chunks, and why."""
    read = used(source.expressions)
    if read.all:
        return (), "an expression reads the whole row"
    if any(path[0].casefold() == "_metadata" for path in read.paths):  # rows with numbers have no such column
        return (), "an expression reads _metadata"
    if not snapshot:
        added = _added(tables, source.table, commits)
        if added is None:
            return (), _BY_SPARK
        why = added.obstacle or f"version {added.removed_at} changed rows"
        return (added.files, "") if added.whole else ((), f"the table {why}" if added.obstacle else why)
    version = commits[-1].version
    files = tables.data_files(source.table, version)
    if files is None:
        return (), _BY_SPARK
    columns = StructType.fromJson(tables.logs.of(source.table).schema_at(version)).names
    unfit = unfit_to_number(columns, files)
    return ((), unfit) if unfit else (files, "")


def numbered_rows(spark: SparkSession, tables: Tables, plan: BatchPlan) -> DataFrame:
    """The rows of a plan whose chunks are data files, with the number of their chunk in the column FILE. Raises as ``listed``."""
    if plan.from_version is None:
        return numbered(read.snapshot(spark, plan.source.table, plan.to_version), listed(tables, plan))
    added = _added(tables, plan.source.table, plan.commits)
    if added is None:
        raise _unlisted(plan)
    return added_rows(spark, [added], numbers=range(len(added.files)))


def listed(tables: Tables, plan: BatchPlan) -> Sequence[DataFile]:
    """The data files that are the chunks of a plan, in the order of their numbers.

    Raises:
        RunError: nothing but Spark reads the log here, so they cannot be listed.
    """
    table = plan.source.table
    if plan.from_version is None:
        files: Sequence[DataFile] | None = tables.data_files(table, plan.to_version)
    else:
        added = _added(tables, table, plan.commits)
        files = None if added is None else added.files
    if files is None:
        raise _unlisted(plan)
    return files


def native_rows(
    tables: Tables, plan: BatchPlan, files: Sequence[DataFile], access: TableAccess
) -> NativeReader:
    """What a task runs to read these files, the chunks of a plan, without Spark.

    Raises:
        NotNative: Spark must read them; the message says why.
    """
    log = tables.logs.of(plan.source.table)
    shape, schema = log.shape_at(plan.to_version), log.schema_at(plan.to_version)
    if shape is None:
        raise NotNative("the log does not reach back to the columns of that version")
    return native_reader(plan, schema, files, shape.properties, shape.features or (), access)


def handed_rows(rows: DataFrame, plan: BatchPlan) -> tuple[DataFrame, HandedOver]:
    """What the expressions of a plan give for each row that counts, with its chunk, and what a task makes of that.

    The chunk is the number in the column FILE; without it there are no chunks, and it only tells whether it can be done.

    Raises:
        ConfigError: as ``mapped``.
        NotNative: Spark must make the records; the message says why.
    """
    frame = mapped(counting(rows, plan.dataset, plan.source), plan.definition, plan.source)
    kinds = {
        name: column_type({"name": name[2:], "type": dtype.jsonValue()})
        for name, dtype in values_of(frame).items()
    }
    chunk = [F.col(FILE).alias("chunk")] if FILE in frame.columns else []
    return frame.select(*chunk, *kinds), handed_over(plan, kinds)


_BY_SPARK = "Spark reads the log of the table"


def _unlisted(plan: BatchPlan) -> RunError:
    table = plan.source.table
    return RunError(
        f"{plan.batch}: its chunks are the data files of {table}, which cannot be listed here: {_BY_SPARK}",
        code="files_unlisted",
        remedy="Run it where deltalake reads the table: pip install 'rover_spark[native]', and leave tables.engine at auto.",
    )


def _added(tables: Tables, table: str, commits: tuple[HistoryRow, ...]) -> AddedFiles | None:
    log = tables.logs.of(table)
    return added_files(log, table, commits) if log.lists_rows else None
