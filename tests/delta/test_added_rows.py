"""Rows of the files that commits added are the rows of the change data feed: values, types, versions, times (law 4)."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from rover_spark.config.access import TableAccess
from rover_spark.delta import added_files as added_files_module
from rover_spark.delta.added_files import TABLE, AddedFiles, added_files, added_rows
from rover_spark.delta.history import table_state
from rover_spark.delta.log.chosen import Logs
from rover_spark.delta.log.values import DataFile
from rover_spark.delta.read import changes
from rover_spark.delta.session import Session
from rover_spark.face.pinned import pinned
from rover_spark.produce.columns.maps import characters

VALUES = """
    id, id % 2 = 0 AS yes, cast(id AS TINYINT) AS tiny, cast(id AS SMALLINT) AS small, cast(id AS INT) AS whole,
    cast(if(id = 3, 'NaN', id / 3) AS FLOAT) AS float, cast(if(id = 4, '-Infinity', id / 3) AS DOUBLE) AS double,
    cast(id / 7 AS DECIMAL(38, 18)) AS decimal, if(id = 1, date'0001-01-01', date'1500-02-28') AS day,
    if(id = 1, timestamp'0001-01-01 00:00:00', timestamp'1500-02-28 12:00:00.123456') AS at,
    if(id = 2, null, timestamp_ntz'2026-03-29 02:30:00.5') AS local, cast(X'00FF' AS BINARY) AS octets,
    if(id = 3, cast(X'66FF' AS STRING), concat('é', id)) AS text, cast(id AS CHAR(4)) AS padded,
    cast(id AS VARCHAR(9)) AS limited, array(id, null) AS list, map('k', id, 'n', null) AS map,
    if(id = 2, null, named_struct('a', id, 'b', named_struct('c', array(named_struct('d', id))))) AS nested"""


@pytest.fixture
def tables(spark: SparkSession, tmp_path: Path) -> list[str]:
    """Two tables of three commits each, of which the last moves rows only."""
    made = [str(tmp_path / name) for name in ("one", "two")]
    for number, table in enumerate(made):
        select = f"SELECT {VALUES} FROM range({10 * number}, {10 * number + 5})"
        spark.sql(
            f"CREATE TABLE delta.`{table}` USING delta TBLPROPERTIES (delta.enableChangeDataFeed = true) AS {select}"
        )
        spark.sql(f"INSERT INTO delta.`{table}` {select}")
        spark.sql(f"OPTIMIZE delta.`{table}`")
    return made


def added(spark: SparkSession, table: str) -> AddedFiles:
    log = Logs(Session.of(spark), TableAccess()).of(table)
    found = added_files(log, table, table_state(log, "test", table, 0).rows)
    assert found.whole and len(found.files) >= 2
    return found


def texts(rows: DataFrame) -> list[str]:
    """Every row as text. What is no UTF-8 is mended first: the feed has done so already."""
    rows = rows.withColumn("text", characters(F.col("text")))
    as_json = F.to_json(F.struct(*rows.columns), {"ignoreNullFields": "false"})
    return sorted(str(row) for row in rows.select(as_json, F.hex("padded"), F.hex("octets")).collect())


@pytest.mark.law(4)
def test_rows_of_added_files_are_those_of_the_feed(spark: SparkSession, tables: list[str]) -> None:
    with pinned(Session.of(spark)):
        feeds = [changes(spark, table, 0, 2) for table in tables]
        files = [added(spark, table) for table in tables]
        for feed, one in zip(feeds, files, strict=True):
            rows = added_rows(spark, [one])
            types = [[(each.name, each.dataType) for each in frame.schema] for frame in (rows, feed)]
            assert types[0] == types[1]
            assert texts(rows) == texts(feed)
        assert files[0].alike is not None and files[0].alike == files[1].alike
        together = added_rows(spark, files)
        for number, feed in enumerate(feeds):
            assert texts(together.where(F.col(TABLE) == number).drop(TABLE)) == texts(feed)
        assert together.count() == 20, "what OPTIMIZE wrote is nothing new"


def test_files_of_one_name_in_several_tables_are_kept_apart_and_a_strange_one_is_an_error(
    spark: SparkSession, tables: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = str(tmp_path / "copy")
    shutil.copytree(tables[0], copy)
    with pinned(Session.of(spark)):
        files = [added(spark, table) for table in (*tables, copy)]
        found = added_rows(spark, files).groupBy(TABLE).count().collect()
        assert sorted(map(tuple, found)) == [(0, 10), (1, 10), (2, 10)]
        monkeypatch.setattr(added_files_module, "_distinct_suffix", lambda paths: 0)  # no path is found
        with pytest.raises(PySparkException, match="a file that no commit added"):
            added_rows(spark, files).select(TABLE).collect()


@pytest.mark.parametrize("name", ["a b", "a%20b", "é", "a{b}", "a#b"])
def test_a_path_of_several_spellings_is_read_by_itself(name: str) -> None:
    file = DataFile("part-0.parquet", 0, 1, {})
    whole = AddedFiles("t", "/x", (), (file,), None, None, StructType())
    assert whole.alike is not None
    assert replace(whole, location=f"/x/{name}").alike is None
    assert replace(whole, files=(replace(file, path=f"{name}.parquet"),)).alike is None
    assert replace(whole, files=(replace(file, partition={"k": "a"}),)).alike is None
    assert replace(whole, removed_at=1).alike is None
