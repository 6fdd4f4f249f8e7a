"""Both engines say the same of every table: to the millisecond, in every word, and in their errors.

``zoo`` makes the tables.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from rover_spark.config.access import TableAccess
from rover_spark.delta import gaps, history
from rover_spark.delta.added_files import added_files, added_rows
from rover_spark.delta.engine_errors import ENGINE_ERRORS, text_of
from rover_spark.delta.log.chosen import ChosenLog, Logs
from rover_spark.delta.log.port import NoTable, TableLog
from rover_spark.delta.log.values import Commit
from rover_spark.delta.read import changes, snapshot
from rover_spark.delta.session import Session
from rover_spark.delta.tables import Tables
from rover_spark.delta.used_columns import used
from rover_spark.errors import RoverSparkError
from tests.delta import zoo, zoo_troubled, zoo_written
from tests.servers import s3_server

AUTO = TableAccess(engine="auto")
# of many commits; what they show besides, others show, too
LONG = {
    zoo.equal_times_over_a_hundred_commits,
    zoo_written.plain_with_a_cleaned_log,
    zoo_written.a_table_with_vectors,
}


def log_of(spark: SparkSession, table: Path | str) -> ChosenLog:
    return ChosenLog(Session.of(spark), AUTO, str(table))


def from_(commits: list[Commit], since: int | None) -> list[Commit]:
    return [each for each in commits if each.version >= (commits[-1].version if since is None else since)]


def answers(log: TableLog) -> dict[str, Any]:
    """Everything that a log says of its table."""
    said: dict[str, Any] = {"detail": log.detail()}
    commits = log.commits(0, 0)
    first, last = commits[0].version, commits[-1].version
    said["all commits"] = commits
    for since in (last // 2, last + 1) if last > 96 else (last,):
        said[f"commits since {since}"] = from_(log.commits(since - 32, since), min(since, last))
    said["latest"] = from_(log.commits(None, None), None)
    said["changes"] = log.changes(first, last)
    said["vectors"] = log.vectors(first, last)
    said["files"] = log.files(first, last)
    for version in sorted({max(first - 1, 0), (first + last) // 2, last}):
        said[f"shape at {version}"] = log.shape_at(version)
    said["schema"] = log.schema_at(last)
    return said


@pytest.mark.parametrize(
    "animal",
    [
        pytest.param(each, marks=pytest.mark.full) if each in LONG else each
        for each in (*zoo.BY_HAND, *zoo_written.BY_WRITERS)
    ],
    ids=lambda animal: animal.__name__,
)
def test_both_engines_say_the_same(
    spark: SparkSession, tmp_path: Path, animal: Callable[[SparkSession, Path], None]
) -> None:
    table = tmp_path / "a b#é table"
    animal(spark, table)
    log = log_of(spark, table)
    native, by_spark = answers(log), answers(log_of(spark, table).spark())
    assert log.why_spark is None, "the native engine served all of it"
    assert {name: native[name] for name in by_spark if native[name] != by_spark[name]} == {
        name: answer for name, answer in by_spark.items() if native[name] != answer
    }


def outcome(question: Callable[[], Any]) -> Any:
    """The answer, or the error: its class and its first line, or its code where it is ours."""
    try:
        return question()
    except RoverSparkError as error:
        return type(error), error.problem
    except NoTable as error:
        return type(error), str(error)
    except ENGINE_ERRORS as error:
        return type(error), text_of(error).splitlines()[0]


@pytest.mark.parametrize("animal", zoo_troubled.TROUBLED, ids=lambda animal: animal.__name__)
def test_what_the_native_engine_cannot_read_is_answered_by_spark(
    spark: SparkSession, tmp_path: Path, animal: Callable[[SparkSession, Path], None]
) -> None:
    table = tmp_path / "table"
    animal(spark, table)
    chosen = log_of(spark, table)
    found = []
    for log in (chosen, log_of(spark, table).spark()):
        state = outcome(lambda log=log: history.table_state(log, "s", str(table), 0))
        found.append(
            [state, outcome(lambda log=log: log.changes(0, 1)), outcome(lambda log=log: log.files(0, 1))]
        )
    assert found[0] == found[1]
    assert chosen.why_spark is not None


def test_why_spark_serves_a_table_is_said_once(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    zoo_troubled.an_unknown_feature(spark, tmp_path)
    with caplog.at_level("DEBUG", "rover_spark"):
        logs = Logs(Session.of(spark), AUTO)
        for _ in range(3):
            with pytest.raises(ENGINE_ERRORS):
                logs.of(str(tmp_path)).detail()
            logs = logs.afresh()
        zoo.commit(tmp_path, 0, zoo.info(), *zoo.made())
        assert logs.of(str(tmp_path)).detail().table_id and logs.of(str(tmp_path)).why_spark is None
    (said,) = [record.getMessage() for record in caplog.records if record.name == "rover_spark"]
    assert str(tmp_path) in said and "fromTheFuture" in said


def test_a_table_of_a_catalog_is_read_natively_after_one_question(
    spark: SparkSession, tmp_path: Path
) -> None:
    zoo.in_commit_timestamps_enabled_later(spark, tmp_path)
    spark.sql(f"CREATE TABLE zoo_named USING delta LOCATION '{tmp_path}'")
    try:
        log, by_spark = log_of(spark, "zoo_named"), log_of(spark, "zoo_named").spark()
        assert answers(log) == answers(by_spark)
        assert log.why_spark is None and log.native() is not None
        left = ChosenLog(Session.of(spark), TableAccess(engine="spark"), "zoo_named")
        assert left.detail() == by_spark.detail() and "engine" in str(left.why_spark)
    finally:
        spark.sql("DROP TABLE zoo_named")


def test_rows_of_a_version_are_counted_from_the_log(spark: SparkSession, tmp_path: Path) -> None:
    table = tmp_path / "foreign"
    zoo_written.by_deltalake(spark, table)
    log = log_of(spark, table)
    for version in (2, 3, 4):
        counted = spark.read.format("delta").option("versionAsOf", version).load(str(table)).count()
        assert sum(file.records or 0 for file in log.data_files(version) or ()) == counted, version
    assert log.why_spark is None
    few_words = tmp_path / "few words"
    zoo.statistics_of_other_writers(spark, few_words)
    assert None in [file.records for file in log_of(spark, few_words).data_files(1) or ()]


def test_data_files_of_a_version_are_those_that_spark_reads(spark: SparkSession, tmp_path: Path) -> None:
    vectors, parts = tmp_path / "vectors", tmp_path / "parts"
    zoo_written.a_table_with_vectors(spark, vectors)
    rows = "SELECT id, IF(id % 2 = 0, 'a b/%', NULL) AS g, DATE'2024-01-02' AS d FROM range(10)"
    spark.sql(f"CREATE TABLE delta.`{parts}` USING delta PARTITIONED BY (g, d) AS {rows}")
    for table in (vectors, parts):
        log = log_of(spark, table)
        version = log.commits(None, None)[-1].version
        files = log.data_files(version) or []
        frame = spark.read.format("delta").option("versionAsOf", version).load(str(table))
        read = {row[0]: row[1] for row in frame.groupBy("_metadata.file_name").count().collect()}
        assert {file.name: file.records for file in files if file.records} == read
        assert [file.path for file in files] == sorted(file.path for file in files)
        assert any(file.vectored for file in files) == (table == vectors)
    assert {tuple(file.partition.values()) for file in files} == {
        (None, "2024-01-02"),
        ("a b/%", "2024-01-02"),
    }


def test_nothing_of_a_table_by_path_asks_for_spark(spark: SparkSession, tmp_path: Path) -> None:
    def none() -> SparkSession:
        raise AssertionError("a Spark session was made")

    zoo.properties_and_columns_that_change(spark, tmp_path)
    session, table = Session(none), str(tmp_path)
    tables = Tables(session, AUTO)
    state = tables.state("s", table, 0)
    assert tables.state("s", table, state.rows[1]).row(1) == state.rows[1]
    some = gaps.Range(table, state.location, 0, state.latest.version, used(["who"]))
    assert tables.gaps([some]) == [None]
    assert tables.gaps([gaps.Range(table, state.location, 2, 4, used(["n"]))]) == [
        "in version 4 column n was dropped"
    ]
    assert [each.version for each in history.commits_after(Logs(session, AUTO).of(table), table, 2)] == [3, 4]


def test_a_table_in_a_store_says_what_its_files_say(tmp_path: Path) -> None:
    def none() -> SparkSession:
        raise AssertionError("a Spark session was made")

    session: Any = Session(none)
    with s3_server(tmp_path) as endpoint:
        access = TableAccess(engine="auto", endpoint=endpoint)
        for animal in (
            zoo.equal_times_over_a_hundred_commits,
            zoo.in_commit_timestamps_enabled_later,
            zoo_written.by_deltalake,
        ):
            table = tmp_path / "objects" / "bucket" / f"{animal.__name__} é"
            animal(session, table)
            for file in (table / "_delta_log").glob("*.json"):
                when = int(file.stat().st_mtime)
                os.utime(file, (when, when + 0.7))
            in_store = ChosenLog(session, access, f"s3a://bucket/{table.name}")
            far = answers(in_store)
            for file in (table / "_delta_log").glob("*.json"):
                when = int(file.stat().st_mtime)
                os.utime(file, (when, when))  # Hadoop sees whole seconds of an object's time
            near = answers(ChosenLog(session, access, str(table)))
            assert far["detail"].location == f"s3a://bucket/{table.name}"
            assert {**far, "detail": None} == {**near, "detail": None}
        refused = ChosenLog(session, access, "s3a://bucket/no table")
        assert refused.native() is not None
        with pytest.raises(AssertionError, match="a Spark session was made"):
            refused.detail()


def test_rows_of_added_files_have_the_columns_and_values_of_the_feed(
    spark: SparkSession, tmp_path: Path
) -> None:
    zoo_written.columns_of_many_kinds(spark, tmp_path)
    table = str(tmp_path)
    for engine in ("auto", "spark"):
        tables = Tables(Session.of(spark), TableAccess.model_validate({"engine": engine}))
        state = tables.state("s", table, 1)
        added = added_files(tables.logs.of(table), table, tuple(row for row in state.rows if row.version > 0))
        assert added.whole and [file.records for file in added.files] == [1, 1, 1, 1]
        rows, feed = added_rows(spark, [added]), changes(spark, table, 1, state.latest.version)
        assert rows.dtypes == feed.dtypes and added.schema == snapshot(spark, table, 3).schema
        assert sorted(map(str, rows.collect())) == sorted(map(str, feed.collect()))
        none = added_rows(spark, [replace(added, files=())])
        assert none.dtypes == feed.dtypes and none.isEmpty()
