"""When data files can be read by themselves: a table's metadata would otherwise give their rows another meaning."""

from __future__ import annotations

import pytest
from pyspark.sql.types import DataType, DateType, IntegerType, StringType, TimestampType

from rover_spark.delta.added_files import AddedFiles, _obstacle
from rover_spark.delta.log.values import DataFile

TYPES: dict[str, DataType] = {"k": StringType(), "day": DateType(), "at": TimestampType(), "n": IntegerType()}


def file(path: str, **partition: str | None) -> DataFile:
    return DataFile(path, 1, 10, partition)


@pytest.mark.parametrize(
    "files",
    [
        (file("part-0.parquet"), file("part-1.parquet")),
        (
            file("k=a%2520b/part-0.parquet", k="a b"),
        ),  # Spark escapes a folder, and Delta escapes that once more
        (file("k=__HIVE_DEFAULT_PARTITION__/part-0.parquet", k=None),),
        (file("k=__HIVE_DEFAULT_PARTITION__/part-0.parquet", k=""),),
        (file("day=2026-11-28/k=x/part-0.parquet", day="2026-11-28", k="x"),),
    ],
)
def test_files_in_the_folders_of_their_partitions_can_be_read_by_themselves(
    files: tuple[DataFile, ...],
) -> None:
    assert _obstacle(TYPES, {}, files) is None


@pytest.mark.parametrize(
    ("properties", "files", "why"),
    [
        ({"delta.columnMapping.mode": "name"}, (), "maps its columns to other names"),
        ({"delta.enableTypeWidening": "True"}, (), "may have files of narrower types"),
        ({}, (file("a/part-0.parquet"), file("b/part-0.parquet")), "has files that are named alike"),
        ({}, (file("part-0.parquet", k="a"),), "has files outside of the folders of their partitions"),
        ({}, (file("k=b/part-0.parquet", k="a"),), "has files outside of the folders of their partitions"),
        (
            {},
            (file("s3://b/k=a/part-0.parquet", k="a"),),
            "has files outside of the folders of their partitions",
        ),
        (
            {},
            (file("k=%25C3%25A9/part-0.parquet", k="é"),),
            "has files outside of the folders of their partitions",
        ),
        ({}, (file("_part-0.parquet"),), "has files that Spark passes over"),
        ({}, (file("at=x/part-0.parquet", at="x"),), "is partitioned by at, of which one is a time or bytes"),
        (
            {},
            (file("gone=x/part-0.parquet", gone="x"),),
            "is partitioned by gone, of which one is a time or bytes",
        ),
    ],
)
def test_what_a_table_says_beside_its_files_is_named(
    properties: dict[str, str], files: tuple[DataFile, ...], why: str
) -> None:
    found = _obstacle(TYPES, properties, files)
    assert found is not None and found.startswith(why)


def test_a_column_with_a_name_that_the_reader_needs_itself_is_named() -> None:
    assert _obstacle({"_Metadata": StringType()}, {}, ()) == "has a column named _metadata"


def test_files_are_whole_where_nothing_was_removed_and_nothing_stands_against_them() -> None:
    files = (file("part-0.parquet"), file("part-1.parquet"))
    whole = AddedFiles("t", "/t", (), files, None, None)
    assert whole.whole and whole.bytes == 20
    assert not AddedFiles("t", "/t", (), files, 3, None).whole
    assert not AddedFiles("t", "/t", (), files, None, "has files that are named alike").whole
