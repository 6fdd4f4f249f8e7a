"""Rows that a table gained in a range of commits, read from the data files that the commits added.

The way to new rows of a table without a change data feed, and the cheaper one where few large files were added: Delta's
feed makes an object of each row. ``added_files`` reads the log, ``added_rows`` only builds a frame. Writes nothing.
Source: Delta transaction log protocol, "Add File and Remove File".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, DataType, StructType, TimestampNTZType, TimestampType

from rover_spark.delta.frames import empty, local_rows
from rover_spark.delta.log.port import TableLog
from rover_spark.delta.log.values import DataFile
from rover_spark.delta.names import backticked, literal
from rover_spark.delta.read import FEED_COLUMNS
from rover_spark.model.table import HistoryRow

_FILE = "_file"
TABLE, FILE = "_table_number", "_file_number"
_PLAIN = re.compile(r"[\w./:=+@,-]*", re.ASCII)
_OWN_COLUMNS = {_FILE, TABLE, FILE, "_commit_ms", "_metadata", *FEED_COLUMNS}
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"  # Spark's name of the folder of nulls
_INEXACT_PARTITIONS = (
    TimestampType,
    TimestampNTZType,
    BinaryType,
)  # their folders' names do not spell the whole value
_OCTET = re.compile("%([0-9A-Fa-f]{2})")


@dataclass(frozen=True)
class AddedFiles:
    """What consecutive commits of a table added.

    ``removed_at`` is the first version that also changed or removed rows, ``obstacle`` why the files cannot be read by
    themselves, or None. ``schema`` has the columns of the last version.
    """

    table: str
    location: str
    commits: tuple[HistoryRow, ...]
    files: tuple[DataFile, ...]
    removed_at: int | None
    obstacle: str | None
    schema: StructType = field(default_factory=StructType)

    @property
    def whole(self) -> bool:
        """Whether the files hold every change of these commits."""
        return self.removed_at is None and self.obstacle is None

    @property
    def bytes(self) -> int:
        """The size of all files together."""
        return sum(each.size for each in self.files)

    @property
    def alike(self) -> str | None:
        """What tables have in common whose files can be read together; None where the files are read by themselves.

        A path of plain characters is spelled alike in the log and by Spark, and no folder holds the value of a partition.
        """
        spelled = all(_PLAIN.fullmatch(text) for text in (self.location, *(each.path for each in self.files)))
        if not self.whole or not spelled or any(each.partition for each in self.files):
            return None
        return self.schema.json()


def added_files(log: TableLog, table: str, commits: tuple[HistoryRow, ...]) -> AddedFiles:
    """Reads from the log which files these consecutive commits added; no row of the table."""
    detail, last = log.detail(), commits[-1].version
    shape = log.shape_at(last)  # what the table is set to later does not count
    found = log.files(commits[0].version, last)
    files = tuple(file for commit in found for file in commit.added)
    schema = StructType.fromJson(log.schema_at(last))
    return AddedFiles(
        table,
        detail.location,
        commits,
        files,
        removed_at=next((commit.version for commit in found if commit.removes), None),
        obstacle=_obstacle(
            {each.name: each.dataType for each in schema.fields},
            shape.properties if shape else detail.properties,
            files,
        ),
        schema=schema,
    )


def _obstacle(
    types: dict[str, DataType], properties: dict[str, str], files: tuple[DataFile, ...]
) -> str | None:
    """What the rows of these files would lack without the table's metadata, for messages, or None."""
    if properties.get("delta.columnMapping.mode", "none") != "none":
        return "maps its columns to other names"
    if properties.get("delta.enableTypeWidening", "").lower() == "true":
        return "may have files of narrower types"
    if clash := sorted(_OWN_COLUMNS & {name.lower() for name in types}):
        return f"has a column named {clash[0]}"
    if len({each.name for each in files}) != len(files):
        return "has files that are named alike"
    return next((why for each in files if (why := _misread(types, each)) is not None), None)


def _misread(types: dict[str, DataType], file: DataFile) -> str | None:
    """Why Spark would read this file with other partition values than the log says, or not at all; None where it does not."""
    *folders, name = unquote(file.path).split("/")
    pairs = (folder.partition("=") for folder in folders)
    in_folders = {_unescaped(key): _unescaped(value) for key, _, value in pairs}
    in_log = {key: value or _NO_VALUE for key, value in file.partition.items()}
    if ":" in file.path or in_folders != in_log:
        return "has files outside of the folders of their partitions"
    if name.startswith(("_", ".")):
        return "has files that Spark passes over"
    if any(key not in types or isinstance(types[key], _INEXACT_PARTITIONS) for key in file.partition):
        return f"is partitioned by {', '.join(file.partition)}, of which one is a time or bytes, or is gone"
    return None


def _unescaped(part: str) -> str:
    """A folder's name or value as Spark reads it: octet by octet, which is not how every writer escapes it."""
    return _OCTET.sub(lambda found: chr(int(found[1], 16)), part)


def added_rows(
    spark: SparkSession, tables: Sequence[AddedFiles], *, numbers: Sequence[int] | None = None
) -> DataFrame:
    """The rows of the files, each as an insert, with the columns that Delta's change data feed would give.

    Several tables must have the same ``alike``; then the column TABLE holds the place of a row's table among them. The
    column FILE holds the number that a row's file has in ``numbers``, if they are given: there is one table then.
    """
    schema, several = tables[0].schema, len(tables) > 1
    columns = [F.col(backticked(name)) for name in schema.names]
    paths = [literal(f"{each.location}/{unquote(file.path)}") for each in tables for file in each.files]
    parts = _distinct_suffix(paths) if several else 1
    if paths:
        reader = spark.read.schema(schema)
        if not several:
            reader = reader.option("basePath", tables[0].location)
        file = (
            F.col("_metadata.file_name")
            if parts == 1
            else F.substring_index("_metadata.file_path", "/", -parts)
        )
        rows = reader.parquet(*paths).select(*columns, file.alias(_FILE))
    else:
        rows = empty(spark, schema).withColumn(_FILE, F.lit(""))
    of_files = []
    for number, each in enumerate(tables):
        times = {commit.version: commit.timestamp for commit in each.commits}
        for place, one in enumerate(each.files):
            name = "/".join(f"{each.location}/{one.path}".split("/")[-parts:])
            of_files.append((name, number, numbers[place] if numbers else 0, one.version, times[one.version]))
    known = f"{_FILE} STRING, {TABLE} INT, {FILE} BIGINT, _commit_version BIGINT, _commit_ms BIGINT"
    stray = F.raise_error(F.lit("a file that no commit added"))
    return rows.join(F.broadcast(local_rows(spark, of_files, known)), _FILE, "left").select(
        *columns,
        F.lit("insert").alias("_change_type"),
        F.coalesce("_commit_version", stray.cast("bigint")).alias("_commit_version"),
        F.timestamp_millis("_commit_ms").alias("_commit_timestamp"),
        *([F.coalesce(TABLE, stray.cast("int")).alias(TABLE)] if several else []),
        *([F.coalesce(FILE, stray.cast("bigint")).alias(FILE)] if numbers is not None else []),
    )


def numbered(rows: DataFrame, files: Sequence[DataFile]) -> DataFrame:
    """The rows of a table at a version with the column FILE: the place of a row's file among these, which are all of them."""
    places = [(file.name, place) for place, file in enumerate(files)]
    known = local_rows(rows.sparkSession, places, f"{_FILE} STRING, {FILE} BIGINT")
    stray = F.raise_error(F.lit("a file that the log does not have")).cast("bigint")
    named = rows.withColumn(_FILE, F.col("_metadata.file_name"))
    joined = named.join(F.broadcast(known), _FILE, "left").drop(_FILE)
    return joined.withColumn(FILE, F.coalesce(FILE, stray))


def unfit_to_number(columns: Iterable[str], files: Sequence[DataFile]) -> str | None:
    """Why rows cannot be numbered by their data files, for messages, or None."""
    if clash := sorted(_OWN_COLUMNS & {name.lower() for name in columns}):
        return f"the table has a column named {clash[0]}"
    if len({each.name for each in files}) != len(files):
        return "the table has files that are named alike"
    return None


def _distinct_suffix(paths: Sequence[str]) -> int:
    """How many last parts of these paths differ between any two of them."""
    split, parts = [path.split("/") for path in paths], 1
    while len({tuple(path[-parts:]) for path in split}) < len(paths):
        parts += 1
    return parts
