"""A small batch of rows that were only inserted: counted by the log, staged by one Spark job, with the bytes of any other."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests import NATIVE
from tests.e2e.world import World, row, uuid

pytest.importorskip("deltalake")


def _profiles(world: World) -> None:
    world.sql(
        "CREATE TABLE {t} (rover_id STRING, traits MAP<STRING, STRING>, at TIMESTAMP) USING delta "
        "TBLPROPERTIES (delta.enableChangeDataFeed = true)",
        t="fans",
    )
    columns = {"roverID": "rover_id", "traits": "traits", "updatedAt": "at"}
    world.datasets["fan_profiles"] = {"table": world.table("fans"), "columns": columns}


def _fan(n: int, city: str, at: str) -> str:
    return f"('{uuid(n)}', map('city', '{city}'), TIMESTAMP '2026-11-01 {at}')"


def _jobs(spark: SparkSession) -> set[int]:
    return set(spark.sparkContext.statusTracker().getJobIdsForGroup())


@pytest.mark.skipif(not NATIVE, reason="Spark reads logs and ledger")
def test_appended_rows_take_one_job_of_spark(world: World) -> None:
    world.identities(row(0, "email", "0@x", "2026-11-01 10:00:00"))
    world.delivered()
    more = ", ".join(row(n, "email", f"{n}@x", "2026-11-02 10:00:00") for n in range(1, 50))
    world.sql(f"INSERT INTO {{t}} VALUES {more}", t="ids")
    before = _jobs(world.spark)
    (batch,) = world.delivered().batches
    assert batch.counts["delivered"] == 49
    assert len(_jobs(world.spark) - before) == 1


def test_rows_that_are_gone_end_one_batch_and_no_other_begins(world: World) -> None:
    world.identities(row(0, "email", "0@x", "2026-11-01 10:00:00"))
    world.delivered()
    held = set(Path(world.table("ids")).glob("*.parquet"))
    world.sql(f"INSERT INTO {{t}} VALUES {row(1, 'email', '1@x', '2026-11-02 10:00:00')}", t="ids")
    for path in set(Path(world.table("ids")).glob("*.parquet")) - held:
        path.unlink()
    ledger = f"delta.`{world.settings.ledger}`"
    rows = []
    for _ in range(3):
        result = world.export()
        assert not result.ok and [each.code for each in result.problems] == ["source_gap"]
        rows.append(world.spark.table(ledger).count())
    assert rows[1] == rows[2], "a run that finds the same gap writes nothing"


@pytest.mark.parametrize("floors", [pytest.param(False, marks=pytest.mark.full), True])
def test_one_task_stages_the_bytes_that_many_stage(
    floors: bool, spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = []
    for few in (0, 10_000):
        monkeypatch.setattr("rover_spark.produce.rover.counts._FEW_ROWS", few)
        world = World(spark, tmp_path / str(few))
        _profiles(world)
        world.sql(f"INSERT INTO {{t}} VALUES {_fan(0, 'Oslo', '10:00:00')}", t="fans")
        world.delivered()
        if floors:
            world.sql(f"DELETE FROM {{t}} WHERE rover_id = '{uuid(0)}'", t="fans")
            world.delivered()
        again = [_fan(n % 40, f"city {n}", f"10:00:{n % 7:02d}") for n in range(120)]
        world.sql(f"INSERT INTO {{t}} VALUES {', '.join(again)}", t="fans")
        (batch,) = world.delivered().batches
        raw.append((batch.counts, [(file.key, file.records, file.raw_sha256) for file in batch.files]))
    if floors:  # a floor is the instant of its commit
        raw = [(counts, [file[:2] for file in files]) for counts, files in raw]
    assert raw[0] == raw[1]


def test_a_count_of_the_log_never_keeps_rows_from_being_read(world: World) -> None:
    world.identities(row(0, "email", "0@x", "2026-11-01 10:00:00"))
    world.delivered()
    world.sql(f"INSERT INTO {{t}} VALUES {row(1, 'email', '1@x', '2026-11-02 10:00:00')}", t="ids")
    newest = max((Path(world.table("ids")) / "_delta_log").glob("*.json"))
    (newest.parent / f".{newest.name}.crc").unlink(missing_ok=True)
    newest.write_text(newest.read_text().replace('\\"numRecords\\":1', '\\"numRecords\\":0'))
    (batch,) = world.delivered().batches
    assert (batch.counts["read"], batch.counts["delivered"]) == (1, 1)
