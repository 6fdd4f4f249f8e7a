"""rover_spark as a receiver: it lists the bucket, and keeps its own books of what is new."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.loading.contenders import DELTA, DUCKDB, Job

if TYPE_CHECKING:
    from rover_spark.face.results import Result


def duckdb(job: Job) -> None:
    """Into a DuckDB file."""
    from rover_spark.face.receivers.load import load

    _assert_done(load(str(job.place), into=job.into / DUCKDB))


def spark(job: Job) -> None:
    """By Spark into Delta tables."""
    from rover_spark import build_session
    from rover_spark.face.receivers.load import load

    session = build_session("bench", conf=conf(job))
    _assert_done(load(str(job.place), into=job.into / DELTA, engine="spark", spark=session))


def conform_by_one(job: Job) -> None:
    """Reads, and writes nothing."""
    _conform(job, 1)


def conform_by_two(job: Job) -> None:
    """The same by two processes side by side."""
    _conform(job, 2)


def _conform(job: Job, processes: int) -> None:
    from rover_spark.face.receivers.conform import conform

    _assert_done(conform(str(job.place), processes=processes))


def _assert_done(result: Result) -> None:
    assert result.ok and result.result == "done", (result.result, result.problems)


def conf(job: Job) -> dict[str, str]:
    """Spark's settings, the same for both contenders that run in it."""
    return {
        "spark.master": "local[2]",
        "spark.driver.memory": job.memory,
        "spark.local.dir": str(job.into.with_name("local")),
        "spark.sql.shuffle.partitions": "8",
    }
