"""What is told of a table's history: whole, whatever else happens to the table, and wherever the listing begins."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from pyspark.sql import SparkSession

from rover_spark.config.access import TableAccess
from rover_spark.delta import history
from rover_spark.delta.log import times
from rover_spark.delta.log.chosen import ChosenLog
from rover_spark.delta.session import Session
from rover_spark.delta.tables import Tables

COMMITS = 7
Engine = Literal["auto", "spark"]


def log_of(spark: SparkSession, table: str, engine: Engine) -> ChosenLog:
    return ChosenLog(Session.of(spark), TableAccess(engine=engine), table)


@pytest.fixture
def table(spark: SparkSession, tmp_path: Path) -> str:
    place = str(tmp_path / "table")
    for n in range(COMMITS):
        spark.range(n, n + 1).write.format("delta").mode("append").save(place)
    return place


class Busy:
    """A session beside which others write: one more commit lands behind every listing."""

    def __init__(self, spark: SparkSession, table: str) -> None:
        self._spark, self._table = spark, table

    def sql(self, text: str) -> Any:
        found = self._spark.sql(text)
        if "HISTORY" in text:
            self._spark.range(1).write.format("delta").mode("append").save(self._table)
        return found


@pytest.mark.parametrize("engine", ["auto", "spark"])
def test_commits_that_land_meanwhile_push_none_out(
    spark: SparkSession, table: str, monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> None:
    monkeypatch.setattr(times, "LISTED", 2)
    monkeypatch.setattr(history, "BEFORE", 0)
    busy: Any = Busy(spark, table)
    for since in (0, 3):
        rows = history.table_state(log_of(busy, table, engine), "s", table, since).rows
        versions = [row.version for row in rows]
        assert versions[0] <= since and versions == list(range(versions[0], versions[-1] + 1))
    later = history.commits_after(log_of(busy, table, engine), table, 2)
    assert [commit.version for commit in later][:2] == [3, 4]


@pytest.mark.parametrize("engine", ["auto", "spark"])
def test_a_history_that_was_cleaned_is_told_as_far_as_it_reaches(
    spark: SparkSession, table: str, monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> None:
    monkeypatch.setattr(times, "LISTED", 2)
    delta: Any = spark._jvm.org.apache.spark.sql.delta  # type: ignore[union-attr]
    delta.DeltaLog.forTable(spark._jsparkSession, table).checkpoint()
    for version in range(3):
        (Path(table) / "_delta_log" / f"{version:020d}.json").unlink()
    spark.range(1).write.format("delta").mode("append").save(table)
    rows = history.table_state(log_of(spark, table, engine), "s", table, 0).rows
    assert [row.version for row in rows] == list(range(3, COMMITS + 1))


@pytest.mark.parametrize("engine", ["auto", "spark"])
def test_a_commit_is_found_again_though_its_time_depends_on_where_the_listing_begins(
    spark: SparkSession, table: str, monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> None:
    for log in (Path(table) / "_delta_log").glob("*.json"):
        os.utime(log, (1_790_000_000, 1_790_000_000))  # a store that tells whole seconds
    monkeypatch.setattr(history, "BEFORE", 0)
    monkeypatch.setattr(times, "LISTED", 2)
    whole = history.table_state(log_of(spark, table, engine), "s", table, 0)
    anchor = whole.rows[4]
    assert anchor != history.table_state(log_of(spark, table, engine), "s", table, 4).row(4), (
        "Delta moves it on by what stands before"
    )
    tables = Tables(Session.of(spark), TableAccess(engine=engine))
    assert tables.state("s", table, anchor).row(4) == anchor
    assert (tables.logs.of(table).why_spark is None) == (engine == "auto")


@pytest.mark.law(5)
def test_spark_has_the_last_word_on_a_commit_that_is_another_one(spark: SparkSession, table: str) -> None:
    tables = Tables(Session.of(spark), TableAccess(engine="auto"))
    found = tables.state("s", table, 2).rows[0]
    delivered = replace(found, timestamp=found.timestamp - 1)
    assert tables.state("s", table, delivered).row(found.version) == found
    assert "another commit" in str(tables.logs.of(table).why_spark)
