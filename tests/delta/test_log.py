"""The log as files says what Delta itself says: history, and columns at a version, from checkpoints of each kind."""

from __future__ import annotations

import os
from pathlib import Path

from pyspark.sql import SparkSession

from rover_spark.delta.log import spark_files as delta_log
from rover_spark.delta.log.values import Place
from rover_spark.delta.session import Session
from rover_spark.face.pinned import pinned

PROPERTIES = "delta.enableChangeDataFeed = true, delta.checkpointInterval = 2"


def test_history_and_columns_are_as_delta_tells_them(spark: SparkSession, tmp_path: Path) -> None:
    root = f"{tmp_path}/a {{b}}[c]*%20é"  # a place is never a pattern, nor an address
    name = f"delta.`{root}`"
    spark.sql(f"CREATE TABLE {name} (who STRING) USING delta TBLPROPERTIES ({PROPERTIES})")
    for text in (
        "INSERT INTO {t} VALUES ('a')",
        "ALTER TABLE {t} ADD COLUMN k INT",
        "ALTER TABLE {t} SET TBLPROPERTIES (delta.enableInCommitTimestamps = true, delta.checkpointPolicy = 'v2')",
        "INSERT INTO {t} VALUES ('b', 1)",
        "ALTER TABLE {t} ADD COLUMN z STRUCT<n: INT>",
    ):
        spark.sql(text.replace("{t}", name))
    log = Path(root) / "_delta_log"
    first = (log / f"{0:020d}.json").stat().st_mtime_ns
    os.utime(log / f"{1:020d}.json", ns=(first, first - 5_000_000))  # a time that does not rise
    spark.sql(f"REFRESH TABLE {name}")

    detail = spark.sql(f"DESCRIBE DETAIL {name}").collect()[0]
    in_commit = detail["properties"]
    for limit in (3, 100):
        rows = spark.sql(f"DESCRIBE HISTORY {name} LIMIT {limit}").selectExpr(
            "version", "unix_millis(timestamp) at", "operation", "operationMetrics['numOutputRows'] n"
        )
        said = sorted(
            (row["version"], row["at"], row["operation"], int(row["n"] or 0)) for row in rows.collect()
        )
        found = delta_log.history(spark, root, limit, in_commit)
        assert [(each.version, each.timestamp, each.operation, each.rows) for each in found] == said

    def columns(version: int) -> list[str] | None:
        shape = delta_log.shape_at(spark, root, version)
        return None if shape is None else [field["name"] for field in shape.schema["fields"]]

    expected = [["who"], ["who"], ["who", "k"], ["who", "k"], ["who", "k"], ["who", "k", "z"]]
    assert [columns(version) for version in range(6)] == expected
    assert len({path.name.count(".") for path in log.glob("[0-9]*.checkpoint*")}) == 2, "of both kinds"
    for version in range(4):
        (log / f"{version:020d}.json").unlink()  # what the clean-up of the log takes
    assert [columns(version) for version in range(6)] == [
        None,
        None,
        ["who", "k"],
        None,
        ["who", "k"],
        ["who", "k", "z"],
    ]
    last = delta_log.shape_at(spark, root, 5)
    assert last is not None and last.keeps_feed and "v2Checkpoint" in (last.features or ())
    (found,) = delta_log.changes(spark, [Place(root, root, 4, 5)])
    assert [(change.version, change.bare, change.features) for change in found] == [(5, False, None)]


def test_many_commits_are_looked_for_by_few_tasks(spark: SparkSession, tmp_path: Path) -> None:
    log, commits = tmp_path / "t" / "_delta_log", 40
    log.mkdir(parents=True)
    for version in range(commits):  # more than Spark lists by itself, without a job
        (log / f"{version:020d}.json").write_text('{"commitInfo": {"operation": "WRITE"}}\n')
    tracker = spark.sparkContext.statusTracker()

    def tasks(group: str) -> list[int]:
        """Of each job of a group the tasks of its widest stage."""
        jobs = [tracker.getJobInfo(job) for job in sorted(tracker.getJobIdsForGroup(group))]
        stages = [[tracker.getStageInfo(stage) for stage in job.stageIds] for job in jobs if job]
        return [max(stage.numTasks for stage in each if stage) for each in stages]

    try:
        with pinned(Session.of(spark)):
            spark.sparkContext.setJobGroup("all of it", "")
            found = delta_log.history(spark, str(tmp_path / "t"), commits, {})
    finally:
        spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)  # type: ignore[arg-type]
    assert [each.version for each in found] == list(range(commits))
    listing, looking, reading = tasks("all of it")
    assert listing <= 2 and looking == 32 and reading <= 2
