"""What changes while a run is under way, or between two: another driver, an outage, settings, a destination (laws 3, 5, 9)."""

from __future__ import annotations

import os
import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from rover_spark.deliver.schedule import Waiting
from rover_spark.delta.session import Session
from rover_spark.errors import SourceGap, SourceUnread, StoreError
from rover_spark.face import commands
from rover_spark.ledger.table import Ledger
from rover_spark.produce.port import decode
from rover_spark.store import open_store
from tests import receiver
from tests.e2e.stream import CUSTOM, PURCHASE, Stream, values
from tests.e2e.world import FEED, World, row, sources_of
from tests.effects import ALWAYS, Fault, effects, slow_down
from tests.store.buckets import SERVERS

AT = "2026-11-01 10:00:00"
PROFILE_COLUMNS = {"roverID": "rover_id", "updatedAt": "at"}


def add(world: World, n: int) -> None:
    world.sql(f"INSERT INTO {{t}} VALUES {row(n, 'email', str(n), AT)}", t="ids")


@pytest.mark.law(5)
@pytest.mark.law(6)
def test_a_driver_that_was_overtaken_goes_on_from_where_the_other_one_stopped(world: World) -> None:
    world.identities(row(1, "email", "1", AT))
    world.delivered()
    add(world, 2)
    overtaken = list[bool]()

    def look(effect: str) -> None:
        if not overtaken:  # this driver has seen the table; the other one sees more of it, and delivers that
            assert effect == "source state"
            overtaken.append(True)
            add(world, 3)
            world.delivered()
            add(world, 4)

    with effects(look=look):
        assert [batch.counts["delivered"] for batch in world.delivered().batches] == [1], "the fourth"
    told = [record["identifier"] for record in receiver.records(world.bucket, "fan_identity_graph")]
    assert sorted(told) == ["1", "2", "3", "4"]
    assert world.delivered().result == "nothing to do"


def test_an_event_type_stays_enabled_where_its_first_batch_came_to_nothing(stream: Stream) -> None:
    stream.delivered()
    stream.events[PURCHASE] = {**stream.events[CUSTOM], "where": "kind = 'purchase'"}
    stream.add(values(0, 3))
    stream.add(values(3, 5, kind="purchase"))  # before the type is enabled
    with effects(Fault("staging", error=_away)):
        assert not stream.export().ok
    stream.add(values(5, 8, kind="purchase"))
    later = datetime.now(timezone.utc) + timedelta(hours=2)  # what was planned is abandoned by then
    result = commands.export(stream.spark, stream.settings, now=later)
    assert result.ok, result.problems
    told = {key.event_type: [event["id"] for event in events] for key, events in stream.files().items()}
    assert told == {CUSTOM: ["e0", "e1", "e2"], PURCHASE: ["e5", "e6", "e7"]}


def test_an_event_type_is_enabled_while_another_ones_changes_cannot_be_read(stream: Stream) -> None:
    stream.delivered()
    stream.add(values(0, 3))
    stream.delivered()
    os.utime(
        Path(stream.table, "_delta_log", f"{1:020d}.json"), (1_600_000_000,) * 2
    )  # a copy from elsewhere
    stream.events[PURCHASE] = {**stream.events[CUSTOM], "table": f"{stream.root}/tables/purchases"}
    shutil.copytree(stream.table, f"{stream.root}/tables/purchases")
    result = stream.export()
    assert [problem.code for problem in result.problems] == ["source_gap"]
    (batch,) = result.batches
    assert (batch.phase, batch.state) == ("enable", "COMMITTED")


@pytest.mark.law(7)
def test_a_read_that_failed_for_an_unknown_reason_is_repeated_and_a_staged_batch_fails_once_a_run(
    world: World,
) -> None:
    world.identities(row(1, "email", "1", AT))
    world.delivered()
    add(world, 2)
    with effects(Fault("staging", error=lambda: SourceUnread("unknown", code="spark_failed"))):
        assert not world.export().ok
    (batch,) = world.delivered().batches
    assert batch.seq == 2, "no ABORTED batch lies between"

    add(world, 3)
    with effects(Fault("store publish", error=_away, times=ALWAYS)):
        assert not world.export().ok
    shutil.rmtree(world.bucket / "_rover_staging")
    for path in Path(world.table("ids")).glob("*.parquet"):
        path.unlink()  # and the source is gone
    commands.rerun(world.spark, world.settings, "fan_identity_graph")
    with effects() as journal:
        (problem,) = world.export().problems
    assert "it was staged" in problem.message and problem.code == "source_gap"
    (key,) = (about for name, about in journal.tried if name == "store publish")
    assert "fan_identity_graph" in key, "it is not tried again and again"


@pytest.mark.law(7)
def test_only_the_tables_of_files_whose_staged_bytes_are_gone_are_read_again(stream: Stream) -> None:
    stream.add(values(0, 3))
    purchases = f"{stream.root}/tables/purchases"
    shutil.copytree(stream.table, purchases)
    columns = stream.events[CUSTOM]["columns"]
    stream.events = {
        CUSTOM: {"table": stream.table, "columns": columns, "start": "earliest"},
        PURCHASE: {"table": purchases, "columns": columns, "start": "earliest"},
    }
    stream.currents["partitions"] = 2  # no row's file can be known before the row is read
    with effects(Fault("store publish", error=_away, times=ALWAYS)):
        assert not stream.export().ok
    settings = stream.settings
    ledger = Ledger(Session.of(stream.spark), settings.ledger, "acme", decode, settings.tables)
    ledger.open(create=False)
    (record,) = ledger.batches()
    gone = [file.staged for file in record.files if CUSTOM in file.key]
    assert record.state == "STAGED" and 0 < len(gone) < len(record.files)
    assert open_store(settings.destination, "acme", settings.access).abort(gone) == []
    for path in Path(purchases).glob("*.parquet"):
        path.unlink()
    stream.delivered()
    found = [(key.event_type, event["id"]) for key, events in stream.files().items() for event in events]
    assert sorted(found) == [(kind, f"e{n}") for kind in (CUSTOM, PURCHASE) for n in range(3)]


def _away() -> StoreError:
    return StoreError("away", code="store_refused", remedy="Wait.")


def test_tombstones_and_additional_fields_count_from_the_next_batch_on(world: World) -> None:
    profiles = {"table": world.table("fans"), "columns": PROFILE_COLUMNS}
    world.datasets["fan_profiles"] = profiles
    world.sql(
        f"CREATE TABLE {{t}} (rover_id STRING, traits MAP<STRING, STRING>, at TIMESTAMP, tier STRING) USING delta {FEED}",
        t="fans",
    )
    fans = ", ".join(
        f"('0000000{n}-0000-4000-8000-000000000000', map('k', 'v'), TIMESTAMP '{AT}', 'gold')"
        for n in range(3)
    )
    world.sql(f"INSERT INTO {{t}} VALUES {fans}", t="fans")
    world.delivered()
    profiles |= {"deletes": "tombstone", "extra": {"loyaltyTier": "tier"}}
    world.sql("DELETE FROM {t} WHERE rover_id LIKE '00000000%'", t="fans")
    world.sql("UPDATE {t} SET traits = map('k', 'w') WHERE rover_id LIKE '00000001%'", t="fans")
    (batch,) = world.delivered().batches
    assert (batch.counts["delivered"], batch.counts["suppressed"]) == (2, 0)
    told = list(receiver.records(world.bucket, "fan_profiles"))
    assert [record["roverID"][:8] for record in told if record.get("deleted")] == ["00000000"]
    assert [record["traits"] for record in told if "loyaltyTier" in record and "traits" in record] == [
        {"k": "w"}
    ]


def test_a_source_that_is_out_of_reach_holds_up_no_other(world: World) -> None:
    world.identities(row(1, "email", "1", AT))
    merges = {"table": world.table("merges"), "columns": {"mergedRoverID": "merged", "occurredAt": "at"}}
    world.sql(
        f"CREATE TABLE {{t}} (roverID STRING, merged STRING, at TIMESTAMP) USING delta {FEED}", t="merges"
    )
    world.datasets = {"fan_profile_merges": merges, **world.datasets}
    with effects(Fault("source state", times=ALWAYS, error=slow_down, about=world.table("merges"))):
        result = world.export()
    (problem,) = result.problems
    assert not result.ok and "fan_profile_merges" in problem.message and "SlowDown" in problem.message
    assert [batch.dataset for batch in result.batches] == ["fan_identity_graph"]
    assert [batch.dataset for batch in world.delivered().batches] == ["fan_profile_merges"]


def test_commits_of_a_table_that_was_made_anew_are_waited_for_no_longer(world: World) -> None:
    world.identities(row(1, "email", "1", AT))
    for n in (2, 3, 4):
        add(world, n)
    world.delivered()
    sources, _ = sources_of(world.spark, world.settings)
    add(world, 5)
    assert sources.waiting().rows == 1
    shutil.rmtree(world.table("ids"))
    world.identities(row(1, "email", "1", AT))
    assert not world.export().ok
    commands.rerun(world.spark, world.settings, "fan_identity_graph")
    world.delivered()
    with pytest.raises(SourceGap):
        sources.waiting()
    assert sources.waiting() == Waiting(), "once: then it is the new table that is looked at"


def test_a_destination_that_moved_is_swept_and_verified_for_what_it_holds(world: World, s3: str) -> None:
    world.identities(row(1, "email", "1", AT))
    (first,) = world.delivered().batches
    assert commands.redeliver(
        world.spark, world.settings, first.batch
    ).ok  # what was staged first is superseded
    bucket = SERVERS["s3"](s3)
    store = bucket.access.model_dump(exclude_defaults=True)
    world.options = {"destination": f"{bucket.url}/acme", "store": store}
    add(world, 2)
    world.delivered()
    assert commands.sweep(world.spark, world.settings, older_than=timedelta(days=-1)).ok
    verified = commands.verify(world.spark, world.settings)
    assert verified.ok, verified.problems
    assert (verified.verified.files, verified.verified.elsewhere) == (1, 1)
    world.options = {}
    back = commands.verify(world.spark, world.settings)
    assert back.ok and back.verified.elsewhere == 1
    next(world.bucket.rglob("*.gz")).unlink()
    assert [each.code for each in commands.verify(world.spark, world.settings).problems] == ["object_missing"]
