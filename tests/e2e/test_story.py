"""The demo, held to the contract by a receiver that knows nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from rover_spark.demo.story import tell
from rover_spark.errors import ConfigError
from rover_spark.progress import LoggedProgress
from tests import receiver


def test_a_receiver_of_the_demo_ends_with_the_companys_state(spark: SparkSession, tmp_path: Path) -> None:
    result = tell(spark, tmp_path / "demo", fans=150, seed=3, progress=LoggedProgress(), console=None)
    assert result.ok and not result.problems
    bucket, tables = tmp_path / "demo" / "bucket", tmp_path / "demo" / "tables"

    def source(name: str) -> list[dict[str, object]]:
        return [r.asDict() for r in spark.read.format("delta").load(str(tables / name)).collect()]

    identities = {(r["rover_id"], r["kind"], r["value"]) for r in source("fan_identities")}
    assert receiver.identities(bucket) == identities
    told = receiver.profiles(bucket)
    living = {r["rover_id"]: r["traits"] for r in source("fan_profiles")}
    assert {fan: told[fan] for fan in living} == living, "every living fan, full traits, removed ones absent"
    merges = {(r["survivor_id"], r["absorbed_id"]) for r in source("fan_merges")}
    assert set(receiver.latest(bucket, "fan_profile_merges", "roverID", "mergedRoverID")) == merges
    survivors = {survivor for survivor, _ in merges}
    assert survivors & {absorbed for _, absorbed in merges}, "the company merges in chains"
    events = list(receiver.records(bucket, "fan_track_events"))
    ids = {r["id"] for r in events}
    lived = spark.read.format("delta").load(str(tables / "events")).count()
    before = spark.read.format("delta").option("versionAsOf", 2).load(str(tables / "events")).count()
    assert len(events) == len(ids) == lived - before > 0, "each event after enabling, once"
    with pytest.raises(ConfigError, match="holds something already"):
        tell(spark, tmp_path / "demo", fans=150, seed=3, progress=LoggedProgress(), console=None)
