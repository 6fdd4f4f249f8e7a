"""The whole way: tables, an export that is killed and rerun, repeats, and what `rover-spark load` makes of the bucket."""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from rover_spark.face import commands
from rover_spark.face.receivers.load import load
from rover_spark.face.results import LoadResult
from tests.consume.load.delta import DELTA
from tests.consume.load.loading import DUCKDB, Engine
from tests.e2e.stream import COLUMNS, CUSTOM, PURCHASE, Stream, values
from tests.e2e.world import FEED, World, row, uuid
from tests.effects import ALWAYS, Fault, Killed, effects


def _half() -> Fault:
    """The run ends when two files are visible."""
    return Fault("store publish", number=3, times=ALWAYS)


@pytest.fixture(params=[DUCKDB, pytest.param(DELTA, marks=pytest.mark.full)], ids=lambda engine: engine.name)
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.param
    return found


def _into(root: Path, engine: Engine) -> Path:
    return root / ("crm.duckdb" if engine is DUCKDB else "crm")


def _loaded(spark: SparkSession, place: Path, into: Path, now: datetime) -> LoadResult:
    found = load(str(place), into=into, spark=spark, now=now, strict=True)
    assert found.ok, found.problems
    return found


def _repeated(bucket: Path, pattern: str, renamed: tuple[str, str]) -> int:
    """Half of the objects once more under other names; how many."""
    paths = sorted(bucket.rglob(pattern))[::2]
    for path in paths:
        shutil.copy(path, path.with_name(path.name.replace(*renamed)))
    return len(paths)


def _tables(world: World) -> None:
    world.options = {"files": {"target_records": 10}}
    world.identities(", ".join(row(n, "email", f"{n}@x", "2026-11-01 10:00:00") for n in range(40)))
    profiles = "rover_id STRING, traits STRING, updated_at TIMESTAMP"
    events = "n BIGINT, rover_id STRING, name STRING, attributes STRING, timestamp TIMESTAMP_NTZ"
    for name, columns in (("profiles", profiles), ("events", events)):
        world.sql(f"CREATE TABLE {{t}} ({columns}) USING delta {FEED}", t=name)
    world.sql(f"INSERT INTO {{t}} VALUES {', '.join(_profile(n, n) for n in range(25))}", t="profiles")
    fan = {"roverID": "rover_id", "updatedAt": "updated_at"}
    world.datasets["fan_profiles"] = {
        "table": world.table("profiles"),
        "columns": fan,
        "deletes": "tombstone",
    }
    columns = {"eventID": "n", "roverID": "rover_id"}
    world.datasets["fan_track_events"] = {
        "table": world.table("events"),
        "columns": columns,
        "start": "earliest",
    }
    _more_events(world, 0, 30)


def _profile(n: int, age: int) -> str:
    return (
        f"""('{uuid(n)}', '{{{{"age":{age},"of":12345678901234567.10}}}}', TIMESTAMP '2026-11-02 10:00:00')"""
    )


def _more_events(world: World, first: int, last: int) -> None:
    world.sql(
        f"INSERT INTO {{t}} SELECT id, '{uuid(1)}', 'Opened', concat('{{{{\"n\":', id, '}}}}'),"
        f" timestampadd(MICROSECOND, id, TIMESTAMP_NTZ '2026-11-01 12:00:00') FROM range({first}, {last})",
        t="events",
    )


@pytest.mark.full  # four exports of three datasets
def test_of_datasets_the_state_and_every_event_of_the_source_is_loaded(world: World, engine: Engine) -> None:
    into = _into(world.root, engine)
    _tables(world)
    with pytest.raises(Killed), effects(_half()):
        world.export()
    part = _loaded(world.spark, world.bucket, into, world.clock)
    assert 0 < sum(each.new for each in part.datasets) < 95
    world.delivered()
    _loaded(world.spark, world.bucket, into, world.clock)

    world.sql("DELETE FROM {t} WHERE value < '2'", t="ids")
    world.sql(f"MERGE INTO {{t}} t USING (SELECT '{uuid(3)}' AS id) s ON t.rover_id = s.id WHEN MATCHED THEN UPDATE SET traits = '{{{{}}}}'", t="profiles")  # fmt: skip
    world.sql(f"DELETE FROM {{t}} WHERE rover_id = '{uuid(4)}'", t="profiles")
    _more_events(world, 29, 60)  # one comes twice
    with pytest.raises(Killed), effects(_half()):
        world.export()
    commands.rerun(world.spark, world.settings, "fan_identity_graph")
    phases = [(each.dataset, each.phase) for each in world.delivered().batches]
    assert ("fan_identity_graph", "snapshot") in phases
    repeated = _repeated(world.bucket, "*.ndjson.gz", ("-part-", "-part-f"))
    found = _loaded(world.spark, world.bucket, into, world.clock)
    assert (found.waiting, found.unnamed) == (0, 0)
    assert repeated > 3 and _loaded(world.spark, world.bucket, into, world.clock).result == "nothing to do"

    graph = engine.ask(into, 'SELECT "roverID", "identifierType", identifier FROM fan_identity_graph_current')
    assert sorted(graph) == _source(world, "ids", "rover_id", "kind", "value")
    profiles = engine.ask(into, 'SELECT "roverID", traits FROM fan_profiles_current')
    assert sorted(profiles) == _source(world, "profiles", "rover_id", "traits")
    events = engine.ask(into, 'SELECT attributes, "roverID", name, timestamp FROM fan_track_events_current')
    lived = _source(world, "events", "attributes", "rover_id", "name", "timestamp")
    assert sorted(events) == sorted(set(lived)) and len(lived) == 61


def _source(world: World, table: str, *columns: str) -> list[tuple[Any, ...]]:
    found = world.spark.read.format("delta").load(world.table(table)).select(*columns).collect()
    return sorted(tuple(each) for each in found)


def test_of_an_integration_every_event_of_the_source_is_loaded_as_it_is(
    stream: Stream, engine: Engine
) -> None:
    into, now = _into(stream.root, engine), datetime.now(timezone.utc) + timedelta(minutes=1)
    stream.currents["partitions"] = 3
    purchase = {"table": stream.table, "where": "kind = 'purchase'", "natural_key": ["event_id"]}
    stream.events[PURCHASE] = {**purchase, "columns": {"time": "at", "amount": "cast(n AS decimal(10, 2))"}}
    stream.delivered()
    stream.add(values(0, 40))
    stream.add(values(40, 60, kind="purchase"))
    with pytest.raises(Killed), effects(_half()):
        stream.export()
    part = _loaded(stream.spark, stream.bucket / "acme", into, now)
    assert 0 < sum(each.new for each in part.datasets) < 60
    stream.delivered()
    stream.add(values(30, 40))  # they come twice
    stream.events[CUSTOM]["columns"] = {**COLUMNS, "n": "n"}  # under another schema
    stream.delivered()
    assert _repeated(stream.bucket, "*.avro", ("+", "+9")) > 2
    _loaded(stream.spark, stream.bucket / "acme", into, now)
    assert _loaded(stream.spark, stream.bucket / "acme", into, now).result == "nothing to do"

    lived = {
        each["event_id"]: each for each in stream.spark.read.format("delta").load(stream.table).collect()
    }
    custom = engine.ask(
        into, "SELECT id, time, timezone, user_id, properties, n FROM users_behaviors_customevent_records"
    )
    assert {each[0]: (*each[1:4], json.loads(each[4])) for each in custom} == {
        each["event_id"]: (int(each["at"].timestamp()), each["zone"], each["fan"], each["props"])
        for each in lived.values()
        if each["kind"] == "custom"
    }
    assert {each[0]: each[5] for each in custom} == {f"e{n}": n if n >= 30 else None for n in range(40)}
    bought = engine.ask(into, "SELECT time, amount FROM users_behaviors_purchase_records")
    assert sorted(bought) == sorted(
        (int(each["at"].timestamp()), each["n"]) for each in lived.values() if each["kind"] == "purchase"
    )
