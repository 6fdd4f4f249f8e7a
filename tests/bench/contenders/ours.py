"""rover_spark: a whole export, planned, staged, published and recorded, in each layout and by each reader."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from rover_spark import build_session
from rover_spark.config.settings import Settings, parse
from rover_spark.face import commands
from tests.bench.contenders import Act, Job

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=timezone.utc)
NAME = "bench"
EVENT_TYPE = "users.behaviors.One"
_COLUMNS = {"roverID": "rover_id", "updatedAt": "updated_at"}


def settings_of(job: Job, files: dict[str, Any]) -> Settings:
    """The settings of an export of a table; ``files`` are those of the section of this name."""
    common = {
        "name": NAME,
        "destination": f"file://{job.data}/bucket",
        "ledger": str(job.out / "control"),
        "files": files,
    }
    if job.kind != "events":
        return parse({**common, "datasets": {"fan_profiles": {"table": str(job.table), "columns": _COLUMNS}}})
    place = {"cluster": "prod-01", "connection": "S3", "integration_id": NAME, "zone": "eu", "partitions": 2}
    event = {"start": "earliest", "table": str(job.table)}
    return parse({**common, "contract": "currents", "currents": place, "events": {EVENT_TYPE: event}})


def native(job: Job) -> Act:
    """No shuffle, and no row passes through the JVM."""
    return _export(job, {}, "files, native")


def arrow(job: Job) -> Act:
    """No shuffle; Spark reads, and hands the fields over."""
    return _export(job, {"reader": "arrow"}, "files, arrow")


def files(job: Job) -> Act:
    """No shuffle; Spark reads and encodes."""
    return _export(job, {"reader": "spark"}, "files" if job.kind == "events" else "files, spark")


def hashed(job: Job) -> Act:
    """Rows are shuffled by the hash of their id, and sorted."""
    return _export(job, {"layout": "hash"}, "hash")


def _export(job: Job, chosen: dict[str, Any], arranged: str) -> Act:
    settings = settings_of(job, chosen)
    spark = build_session(NAME, conf=conf(job))

    def act() -> None:
        result = commands.export(spark, settings, now=NOW)
        assert result.ok, result.problems
        (batch,) = result.batches
        assert batch.counts["delivered"] == job.rows, batch.counts
        assert batch.plan is not None
        # of events the types that are arranged so stand before it
        assert f": {arranged}" in f": {batch.plan.arrangement}", batch.plan.arrangement

    return act


def conf(job: Job) -> dict[str, str]:
    """Spark's settings, the same for every contender that runs in it."""
    return {"spark.master": "local[2]", "spark.driver.memory": job.memory, "spark.local.dir": str(job.local)}
