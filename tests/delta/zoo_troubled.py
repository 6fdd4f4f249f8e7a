"""Tables whose logs ``deltalake`` does not read: Spark does, or says why it does not either."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pyspark.sql import SparkSession

from tests.delta.zoo import (
    add,
    commit,
    files_removed_with_few_words,
    in_commit_timestamps_from_the_start,
    info,
    made,
    properties_and_columns_that_change,
)
from tests.delta.zoo_written import checkpoint, sql


def no_table(_: SparkSession, table: Path) -> None:
    (table / "something").mkdir(parents=True)


def nothing_at_all(_: SparkSession, __: Path) -> None: ...


def a_log_with_a_hole(_: SparkSession, table: Path) -> None:
    commit(table, 0, info(), *made())
    commit(table, 1, info(), add("f1"))
    commit(table, 3, info(), add("f3"))


def a_log_without_its_beginning(_: SparkSession, table: Path) -> None:
    commit(table, 1, info(), *made())
    commit(table, 2, info(), add("f3"))


def a_damaged_commit(_: SparkSession, table: Path) -> None:
    commit(table, 0, info(), *made())
    file = commit(table, 1, info(), add("f1"), add("f2"))
    file.write_bytes(file.read_bytes()[:-40])


def a_half_written_checkpoint(spark: SparkSession, table: Path) -> None:
    properties_and_columns_that_change(spark, table)
    sql(spark, table, "ALTER TABLE {t} SET TBLPROPERTIES (mine = 'y')")
    checkpoint(spark, table)
    (written,) = (table / "_delta_log").glob("*.checkpoint*parquet")
    written.write_bytes(written.read_bytes()[:-100])
    for crc in (table / "_delta_log").glob(".*.crc"):
        crc.unlink()


def an_unknown_feature(_: SparkSession, table: Path) -> None:
    commit(table, 0, info(), *made(None, (["fromTheFuture"], ["fromTheFuture"])))


def a_newer_protocol(_: SparkSession, table: Path) -> None:
    protocol, metadata = made()
    protocol["protocol"]["minReaderVersion"] = 9
    commit(table, 0, info(), protocol, metadata)


def a_file_removed_without_saying_why(spark: SparkSession, table: Path) -> None:
    files_removed_with_few_words(spark, table)
    commit(table, 6, info("DELETE"), {"remove": {"path": "f4", "deletionTimestamp": 1}})


def in_commit_timestamps_that_are_missing(spark: SparkSession, table: Path) -> None:
    in_commit_timestamps_from_the_start(spark, table)
    commit(table, 4, info(), add("f4"))


TROUBLED: tuple[Callable[[SparkSession, Path], None], ...] = (
    no_table,
    nothing_at_all,
    a_log_with_a_hole,
    a_log_without_its_beginning,
    a_damaged_commit,
    a_half_written_checkpoint,
    an_unknown_feature,
    a_newer_protocol,
    a_file_removed_without_saying_why,
    in_commit_timestamps_that_are_missing,
)
