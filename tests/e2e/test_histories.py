"""What a table goes through between runs, and what receivers are told of it (contract, "What a change is"; law 5)."""

from __future__ import annotations

import pytest

from rover_spark.face import commands
from rover_spark.face.results import Result
from tests import receiver
from tests.e2e.world import FEED, World, row, uuid


def _source(world: World) -> set[tuple[str, str, str]]:
    rows = world.spark.read.format("delta").load(world.table("ids")).collect()
    return {(r["rover_id"], r["kind"], r["value"]) for r in rows}


def _counts(result: Result) -> dict[str, int]:
    return {name: n for name, n in result.batches[0].counts.items() if n}


@pytest.mark.law(5)
@pytest.mark.law(10)
@pytest.mark.full  # the random histories of CI have the same in them
def test_each_change_of_a_busy_table_is_delivered_or_counted(world: World) -> None:
    rows = [row(n, "email", f"{n}@x", f"2026-11-0{1 + n % 9} 10:00:00") for n in range(20)]
    world.identities(", ".join(rows))
    world.delivered()

    world.sql("OPTIMIZE {t}", t="ids")
    world.sql("ALTER TABLE {t} ADD COLUMNS (note STRING)", t="ids")
    quiet = world.delivered()
    assert _counts(quiet) == {} and not quiet.batches[0].files, "delivered with its counts and no file"
    assert world.delivered().result == "nothing to do", "so it is not read again"

    same = "MERGE INTO {t} t USING {t} s ON t.value = s.value WHEN MATCHED THEN UPDATE SET *"
    world.sql(same, t="ids")
    assert _counts(world.delivered()) == {"read": 20, "no_change": 20}

    nightly = ", ".join(
        [
            *(r[:-1] + ", NULL)" for r in rows[1:]),
            row(50, "email", "new", "2026-11-20 10:00:00")[:-1] + ", NULL)",
        ]
    )
    world.sql(f"INSERT OVERWRITE {{t}} VALUES {nightly}", t="ids")
    overwritten = world.delivered()
    assert _counts(overwritten) == {"read": 21, "delivered": 2, "no_change": 19}
    assert receiver.identities(world.bucket) == _source(world)

    world.sql("RESTORE TABLE {t} TO VERSION AS OF 1", t="ids")
    restored = world.delivered()
    assert restored.batches[0].counts["delivered"] == 2
    assert receiver.identities(world.bucket) == _source(world), (
        "the restored row is older than its delete, and still wins"
    )

    world.sql("DELETE FROM {t} WHERE value = '3@x'", t="ids")
    world.sql(
        f"INSERT INTO {{t}} (rover_id, kind, value, at) VALUES {row(3, 'email', '3@x', '2020-01-01 00:00:00')}",
        t="ids",
    )
    world.delivered()
    assert receiver.identities(world.bucket) == _source(world), (
        "re-created with an older time than its delete"
    )

    select = "SELECT rover_id, kind, value, at FROM {t} WHERE value <> '4@x'"
    world.sql(f"CREATE OR REPLACE TABLE {{t}} USING delta {FEED} AS {select}", t="ids")
    replaced = world.delivered()
    assert replaced.ok and receiver.identities(world.bucket) == _source(world)

    commands.rerun(world.spark, world.settings, "fan_identity_graph")
    world.sql("DELETE FROM {t} WHERE value = '5@x'", t="ids")
    again = world.delivered()
    assert [(b.phase, b.epoch) for b in again.batches] == [("changes", 1), ("snapshot", 2)]
    new = {
        r["id"]
        for r in receiver.records(world.bucket, "fan_identity_graph")
        if r["emittedAt"] >= again.document()["batches"][1]["emitted_at"]
    }
    old = {r["id"] for r in receiver.records(world.bucket, "fan_identity_graph")} - new
    assert len(new) == len(_source(world)) and not new & old, "a rerun re-emits every row under new ids"
    assert receiver.identities(world.bucket) == _source(world)
    assert world.delivered().result == "nothing to do"
    assert commands.verify(world.spark, world.settings).ok


@pytest.mark.law(5)
def test_events_count_from_enabling_on_and_are_delivered_once(world: World) -> None:
    columns = "event_id BIGINT, rover_id STRING, name STRING, attributes STRING, timestamp TIMESTAMP_NTZ"
    world.sql(f"CREATE TABLE {{t}} ({columns}) USING delta {FEED}", t="events")
    rover = f"'{uuid(1)}'"
    insert = f"INSERT INTO {{t}} SELECT id, {rover}, 'Opened', '{{{{\"n\": 12345678901234567890.10}}}}', TIMESTAMP_NTZ '2026-11-01' FROM range({{n}})"
    world.sql(insert.replace("{n}", "0, 5"), t="events")
    world.datasets["fan_track_events"] = {
        "table": world.table("events"),
        "columns": {"eventID": "event_id", "roverID": "rover_id"},
    }
    enabled = world.delivered().batches[0]
    assert (enabled.phase, enabled.state, enabled.files) == ("enable", "COMMITTED", ())
    world.sql(insert.replace("{n}", "5, 10"), t="events")
    world.sql(insert.replace("{n}", "9, 10"), t="events")
    first = world.delivered()
    assert _counts(first) == {"read": 6, "delivered": 5, "superseded": 1}
    text = next(iter(receiver.records(world.bucket, "fan_track_events")))
    assert list(text) == ["id", "version", "roverID", "emittedAt", "name", "attributes", "timestamp"]
    world.sql("UPDATE {t} SET name = 'x' WHERE event_id = 1", t="events")
    world.sql("DELETE FROM {t} WHERE event_id = 2", t="events")
    world.sql(insert.replace("{n}", "9, 11"), t="events")
    second = world.delivered()
    assert _counts(second) == {"read": 4, "delivered": 2, "suppressed": 2}
    assert len(receiver.loaded(world.bucket, "fan_track_events")) == 6, (
        "the event appended again repeats its id"
    )
