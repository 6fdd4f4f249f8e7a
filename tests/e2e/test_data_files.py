"""Layout files over real Delta tables: a chunk is a data file, and receivers get the records that layout hash gives them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rover_spark.delta.session import Session
from rover_spark.errors import ReaderRefused, RunError
from rover_spark.face import commands
from rover_spark.store.base import STAGING
from tests import NATIVE, receiver
from tests.e2e.filed import (
    EACH_READER,
    EVENTS,
    FANS,
    ONE_READER,
    PROFILES,
    Filed,
    a_shallow_clone,
    a_table_of_an_older_schema,
    a_table_of_every_feature,
    appended_events,
    fans,
    in_files,
    in_order,
    plans,
    told,
    ways,
    write,
)
from tests.e2e.world import World, uuid
from tests.effects import Fault, Killed, effects

pytestmark = pytest.mark.skipif(not NATIVE, reason="Spark reads the log: data files cannot be listed")


@pytest.mark.law(4)
@ONE_READER
def test_ids_and_records_of_every_kind_of_table_are_those_of_layout_hash(filed: Filed, reader: str) -> None:
    for made in (a_table_of_every_feature, a_shallow_clone, a_table_of_an_older_schema, appended_events):
        made(filed)
    hashed, world = filed.by("hash"), filed.by("files", reader)
    before, result = hashed.delivered(), world.delivered()
    # columns under other names, and files outside of the table, are Spark's to read
    others = "spark" if reader == "spark" else "arrow"
    assert ways(before) == {("hash", "spark")} and ways(result) == {("files", others), ("files", reader)}
    assert plans(result)["fan_track_events"].files.reader == reader
    assert [batch.counts for batch in before.batches] == [batch.counts for batch in result.batches]
    assert told(world) == told(hashed) and all(told(world).values())
    assert commands.verify(world.spark, world.settings).ok
    intact = world.fingerprint()
    for batch in result.batches:
        assert commands.redeliver(world.spark, world.settings, batch.batch).ok
    assert world.fingerprint() == intact

    # what is only added goes on so, beside what is changed: in one run
    write(filed.table("events"), fans(60, 80), fans(80, 100))
    filed.sql("UPDATE {c} SET town = 'x', n = n + 1 WHERE n < 10", c="clone")
    before, result = hashed.delivered(), world.delivered()
    assert {name: plan.files.layout for name, plan in plans(result).items()} == {
        "fan_identity_graph": "hash",
        "fan_track_events": "files",
    }
    assert [batch.counts for batch in before.batches] == [batch.counts for batch in result.batches]
    assert told(world) == told(hashed)

    # an altered table, once with floors of earlier batches
    for table in ("every", "clone"):
        filed.sql("ALTER TABLE {t} ADD COLUMN late STRING", t=table)
    for dataset in ("fan_profiles", "fan_identity_graph"):
        commands.rerun(world.spark, world.settings, dataset)
    ahead = commands.plan(world.spark, world.settings, now=world.clock + timedelta(hours=1))
    why = {name: plan.arrangement for name, plan in plans(ahead).items() if plan.phase == "snapshot"}
    assert why["fan_identity_graph"] == "hash: earlier batches left floors"
    assert why["fan_profiles"].startswith(f"files, {others}: 8 data files, ")


@pytest.mark.law(4)
@EACH_READER
def test_a_chunk_is_the_file_at_its_place_in_its_order_cut_by_records_and_bytes_whatever_spark_is_set_to(
    filed: Filed, reader: str
) -> None:
    from deltalake import WriterProperties

    groups = WriterProperties(max_row_group_size=10, write_batch_size=10)
    long = fans(0, 40, town="long " * 200)
    write(filed.table("fans"), long, fans(40, 80), fans(80, 120), writer_properties=groups)
    filed.datasets["fan_profiles"] = {"table": filed.table("fans"), "columns": PROFILES}
    world = filed.by("files", reader, target_records=15, max_bytes=10_000)
    result = world.delivered()
    (batch,) = result.batches
    assert ways(result) == {("files", reader)} and batch.plan and batch.plan.chunks == 3
    assert {file.chunk for file in batch.files} == {0, 1, 2}
    assert in_order(world, batch, "roverID") == in_files(filed.table("fans"), "who")
    for file in batch.files:
        assert file.raw_bytes <= 10_000 and file.records <= 15
    assert sorted(file.records for file in batch.files) == sorted([10, 15, 15] * 2 + [8] * 5), (
        "each as full as it may be"
    )

    intact, conf = world.fingerprint(), world.spark.conf
    for settings in (
        {"files.maxPartitionBytes": "1000", "files.minPartitionNum": "50", "execution.arrow.maxRecordsPerBatch": "1", "adaptive.enabled": "true"},
        {"files.maxPartitionNum": "1", "execution.arrow.maxRecordsPerBatch": "10000", "adaptive.enabled": "false"},
    ):  # fmt: skip
        changed = {f"spark.sql.{name}": value for name, value in settings.items()}
        kept = {name: conf.get(name, None) for name in changed}
        for name, value in changed.items():
            conf.set(name, value)
        try:
            assert commands.redeliver(world.spark, world.settings, batch.batch).ok
            assert {name: conf.get(name) for name in changed} == changed, "what the user set is set again"
        finally:
            for name, earlier in kept.items():
                conf.unset(name) if earlier is None else conf.set(name, earlier)
        assert world.fingerprint() == intact


@pytest.mark.law(4)
def test_a_data_file_that_spark_split_is_noticed_and_nothing_of_it_stays(
    filed: Filed, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deltalake import WriterProperties

    groups = WriterProperties(max_row_group_size=10, write_batch_size=10)
    write(filed.table("fans"), fans(0, 40), writer_properties=groups)
    filed.datasets["fan_profiles"] = {"table": filed.table("fans"), "columns": PROFILES}
    world = filed.by("files")
    with monkeypatch.context() as patch:
        patch.setattr(Session, "unsplit", lambda _: nullcontext())
        world.spark.conf.set("spark.sql.files.maxPartitionBytes", "1000")
        try:
            (problem,) = world.export().problems
            assert problem.code == "chunk_split" and 'files.layout = "hash"' in problem.remedy
            assert world.fingerprint() == {}
            world.options["files"] = {**world.options["files"], "layout": "hash"}  # as the remedy says
            result = world.delivered(now=world.clock + timedelta(minutes=1))
        finally:
            world.spark.conf.unset("spark.sql.files.maxPartitionBytes")
    (batch,) = result.batches
    assert ways(result) == {("hash", "spark")} and batch.state == "COMMITTED"
    assert batch.counts["delivered"] == 40


@ONE_READER
@pytest.mark.law(9)
def test_an_id_that_repeats_is_delivered_once_a_data_file_and_with_dedupe_once_a_batch(
    filed: Filed, reader: str
) -> None:
    rows = fans(0, 6)
    again = rows.slice(0, 2).set_column(2, "town", pa.array(["other", "other"]))
    write(
        filed.table("events"),
        pa.concat_tables([rows, again, rows.slice(3, 1)]),
        pa.concat_tables([rows.slice(0, 1), fans(6, 8)]),
    )
    merges = {"roverID": "who", "mergedRoverID": "who", "occurredAt": "at"}
    filed.datasets = {
        "fan_track_events": {"table": filed.table("events"), "columns": EVENTS, "start": "earliest"},
        "fan_profile_merges": {"table": filed.table("events"), "columns": merges},
    }
    world = filed.by("files", reader, target_records=10)
    world.spark.conf.set(
        "spark.sql.execution.arrow.maxRecordsPerBatch", "1"
    )  # they lie in batches of their own
    try:
        result = world.delivered()
    finally:
        world.spark.conf.unset("spark.sql.execution.arrow.maxRecordsPerBatch")
    assert ways(result) == {("files", reader)}
    for batch in result.batches:
        found = {name: count for name, count in batch.counts.items() if count}
        assert found == {"read": 12, "delivered": 9, "superseded": 3}
        assert len(receiver.loaded(world.bucket, batch.dataset)) == 8
    names = [record["name"] for record in receiver.records(world.bucket, "fan_track_events")]
    assert "other" not in names, "of records with one id the first of the file is delivered"
    assert commands.verify(world.spark, world.settings).ok

    for chosen in filed.datasets.values():
        chosen["dedupe"] = True
    once = filed.by("files", "once", target_records=10)
    result = once.delivered()
    assert {plan.arrangement for plan in plans(result).values()} == {
        "hash: dedupe compares the ids of the whole batch"
    }
    assert [batch.counts["delivered"] for batch in result.batches] == [8, 8]
    for dataset in filed.datasets:
        ids = {record["id"] for record in receiver.records(once.bucket, dataset)}
        assert ids == set(receiver.loaded(world.bucket, dataset))


def _set_aside(world: World) -> list[tuple[Any, ...]]:
    held = world.spark.read.format("delta").load(f"{world.settings.ledger}_quarantine")
    return sorted(map(tuple, held.select("dataset", "batch", "reason", "source_version", "row").collect()))


@ONE_READER
@pytest.mark.law(9)
@pytest.mark.law(10)
def test_rows_that_a_filter_an_identifier_or_the_quarantine_takes_are_counted_as_in_layout_hash(
    filed: Filed, reader: str
) -> None:
    broken = pa.Table.from_pylist(
        [
            {"who": who, "n": 3, "town": "x", "mail": "m", "at": at}
            for who, at in (("nonsense", 1), (None, 2), (uuid(1), None))
        ],
        FANS,
    )
    table = filed.table("fans")
    write(table, pa.concat_tables([fans(0, 20), broken]), fans(20, 40))
    merges = {"roverID": "who", "mergedRoverID": "who", "occurredAt": "at"}
    filed.datasets = {
        "fan_profiles": {"table": table, "columns": PROFILES, "where": "n < 10"},
        "fan_identity_graph": {"table": table, "columns": {"roverID": "who", "updatedAt": "at"}, "identifiers": {"email": "mail", "n": "n"}},
        "fan_profile_merges": {"table": table, "columns": merges, "where": "n > 1000"},
        "fan_track_events": {"table": table, "columns": EVENTS, "where": "n % 2 = 1", "start": "earliest"},
    }  # fmt: skip
    hashed, world = filed.by("hash"), filed.by("files", reader)
    before, result = hashed.delivered(), world.delivered()
    assert {plan.files.layout for plan in plans(result).values()} == {"files"}
    assert [batch.counts for batch in before.batches] == [batch.counts for batch in result.batches]
    assert told(world) == told(hashed)
    found = {batch.dataset: (batch.counts["read"], batch.counts["delivered"]) for batch in result.batches}
    assert found["fan_profiles"] == (13, 10) and found["fan_profile_merges"] == (0, 0)
    assert [batch.files for batch in result.batches if batch.dataset == "fan_profile_merges"] == [()]
    assert plans(result)["fan_profiles"].source_rows == 43, "the log's rows, before the filter"
    raw = {name for name, plan in plans(result).items() if plan.files.raw_rows}
    assert raw == {"fan_profiles", "fan_profile_merges"}, (
        "of all others exactly the rows that were counted must arrive"
    )
    assert _set_aside(world) == _set_aside(hashed) and len(_set_aside(world)) == 12
    for batch in result.batches:
        assert commands.redeliver(world.spark, world.settings, batch.batch).ok
    assert len(_set_aside(world)) == 12, "written once"
    assert commands.verify(world.spark, world.settings).ok
    assert world.delivered().result == "nothing to do"


@pytest.mark.law(3)
@pytest.mark.law(7)
@ONE_READER
def test_a_batch_that_was_planned_by_data_files_is_ended_and_delivered_again_by_them_or_waits(
    filed: Filed, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(filed.table("fans"), fans(0, 30), fans(30, 60))
    filed.datasets["fan_profiles"] = {"table": filed.table("fans"), "columns": PROFILES}
    whole, world = filed.by("files", reader), filed.by("files", reader, max_record_bytes=999_999)
    whole.delivered()
    with pytest.raises(Killed), effects(Fault("ledger PLANNED", "after")):
        world.export()
    soon = {"now": world.clock + timedelta(minutes=1)}
    world.options["files"] = {"target_records": 7, "layout": "hash"}
    world.options["tables"] = {"engine": "spark"}
    assert [problem.code for problem in world.export(**soon).problems] == ["files_unlisted"]
    assert world.fingerprint() == {}, "it waits for the engine that lists them"
    del world.options["tables"]
    with pytest.raises(Killed), effects(Fault("ledger STAGED", "after")):
        world.export(**soon)
    (lost, *_) = (path for path in world.bucket.rglob("*") if path.is_file())
    lost.unlink()
    with effects() as journal:
        result = world.delivered(**soon)
    assert journal.names("source").count("staging") == 1 and ways(result) == {("files", reader)}
    assert world.fingerprint() == whole.fingerprint()
    batch = result.batches[0].batch
    world.options["tables"] = {"engine": "spark"}
    with pytest.raises(RunError, match="cannot be listed") as refused:
        commands.redeliver(world.spark, world.settings, batch)
    assert refused.value.code == "files_unlisted"
    del world.options["tables"]

    def refuse(_: object) -> Iterator[pa.RecordBatch]:
        raise ReaderRefused("odd")

    for patched in (False, True):
        if patched and reader == "native":
            monkeypatch.setattr("rover_spark.produce.rover.producer.native_rows", lambda *_: refuse)
        assert commands.redeliver(world.spark, world.settings, batch).ok, "Spark makes the same bytes"
    assert world.fingerprint() == whole.fingerprint()
    assert commands.verify(world.spark, world.settings).ok


@pytest.mark.law(5)
@ONE_READER
def test_data_files_that_are_gone_are_a_gap_and_nothing_is_delivered(filed: Filed, reader: str) -> None:
    write(filed.table("fans"), fans(0, 20), fans(20, 40))
    filed.datasets["fan_profiles"] = {"table": filed.table("fans"), "columns": PROFILES}
    world = filed.by("files", reader)
    lost = next(Path(filed.table("fans")).glob("*.parquet"))
    rows = lost.read_bytes()
    lost.unlink()
    for _ in range(2):
        (problem,) = world.export().problems
        assert problem.code == "source_gap" and "cannot be read whole" in problem.message, problem
    # what a task staged before another one failed is swept later
    assert all(key.startswith(STAGING) for key in world.fingerprint())
    (standing,) = commands.status(world.spark, world.settings, now=world.now()).document()["datasets"]
    assert standing["delivered_version"] is None
    lost.write_bytes(rows)
    result = world.delivered()
    assert ways(result) == {("files", "spark")}, "after a batch that was aborted Spark reads"
    assert reader == "spark" or "batches was aborted" in plans(result)["fan_profiles"].files.why


def test_expressions_are_analysed_over_the_logs_columns_and_what_these_lack_over_the_table(
    filed: Filed, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(filed.table("fans"), fans(0, 20), fans(20, 40))
    filed.datasets["fan_profiles"] = {"table": filed.table("fans"), "columns": PROFILES}

    def unread(*_: object) -> None:
        raise AssertionError("Delta would read which files the table has")

    with monkeypatch.context() as patch:
        patch.setattr("rover_spark.delta.read.snapshot", unread)
        assert ways(filed.by("files", "native").delivered()) == {("files", "native")}
    traits = {"traits": "named_struct('file', _metadata.file_name)"}
    filed.datasets["fan_profiles"]["columns"] = {**PROFILES, **traits}
    world = filed.by("files", "arrow")
    (plan,) = plans(world.delivered()).values()
    assert plan.arrangement == "hash: an expression reads _metadata"
    told_of = {record["traits"]["file"] for record in receiver.records(world.bucket, "fan_profiles")}
    assert told_of == {path.name for path in Path(filed.table("fans")).glob("*.parquet")}
