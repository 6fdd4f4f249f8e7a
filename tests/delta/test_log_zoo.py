"""Both engines say the same of every table: to the millisecond, in every word, and in their errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from rover_spark.config.access import TableAccess
from rover_spark.delta.log.chosen import ChosenLog
from rover_spark.delta.log.port import TableLog
from rover_spark.delta.log.values import Commit
from rover_spark.delta.session import Session
from tests.delta import zoo

AUTO = TableAccess()


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


@pytest.mark.parametrize("animal", [*zoo.BY_HAND, *zoo.BY_WRITERS], ids=lambda animal: animal.__name__)
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
