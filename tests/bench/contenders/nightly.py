"""A table overwritten as a whole, in which one row of 256 differs: two feed rows for each row of the table."""

from __future__ import annotations

import shutil
from dataclasses import replace

from rover_spark import build_session
from rover_spark.face import commands
from tests.bench.contenders import Act, Job
from tests.bench.contenders.ours import NAME, NOW, conf, settings_of
from tests.bench.sources import FEED


def changes(job: Job) -> Act:
    """Delivers a copy of the table and overwrites it; the act delivers the changes."""
    spark = build_session(NAME, conf=conf(job))
    copied = job.out.with_name("overwritten")
    place = f"delta.`{copied}`"
    spark.sql(f"CREATE TABLE {place} USING delta {FEED} AS SELECT * FROM delta.`{job.table}`")
    delivered = replace(job, table=copied, out=job.out.with_name("delivered"))
    settings = settings_of(delivered, {})
    assert commands.export(spark, settings, now=NOW).ok
    traits = "CASE WHEN rover_id LIKE '______00%' THEN map('tier', 'silver') ELSE traits END"
    spark.sql(f"INSERT OVERWRITE {place} SELECT rover_id, {traits}, updated_at FROM {place}")

    def act() -> None:
        commands.export(spark, settings, now=NOW.replace(hour=13))
        (hour,) = delivered.data.glob("bucket/exports/*/date=*/hour=13")
        shutil.move(hour, job.data)

    return act
