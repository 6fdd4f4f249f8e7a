"""Event tables as they are found: without a change data feed, with a hole, with rows that were taken away (law 5)."""

from __future__ import annotations

import os
import shutil
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from pyspark.sql import SparkSession

from rover_spark.contract.currents import natural_id
from rover_spark.errors import ConfigError
from rover_spark.face import commands
from rover_spark.produce.currents import arrived, counts
from rover_spark.produce.currents.plan import EventPlan
from rover_spark.produce.currents.scan import scan_groups
from tests import NATIVE
from tests.e2e.stream import COLUMNS, CUSTOM, PURCHASE, Stream, values
from tests.e2e.world import fingerprint

APPEND_ONLY = "PARTITIONED BY (kind, zone) TBLPROPERTIES (delta.appendOnly = true)"
ODD = "[x]*?{a} b/c%+é"  # what a directory's name has to spell otherwise


def ids(stream: Stream) -> list[str]:
    return sorted(event["id"] for events in stream.files().values() for event in events)


def expected(*ranges: tuple[int, int]) -> list[str]:
    return sorted(f"e{n}" for first, last in ranges for n in range(first, last))


@pytest.fixture
def bare(spark: SparkSession, tmp_path: Path) -> Stream:
    """An append-only table without a feed, in a directory whose name reads like a pattern."""
    stream = Stream(spark, tmp_path / "a b{c}[d]*", APPEND_ONLY)
    stream.events[CUSTOM]["where"] = f"kind IN ('custom', '{ODD}')"
    return stream


def test_a_table_without_a_feed_is_read_by_the_files_that_each_commit_added(bare: Stream) -> None:
    bare.add(values(0, 5))
    bare.delivered()
    bare.add(values(5, 20))
    bare.add(values(20, 30, kind=ODD))
    bare.add(
        "VALUES ('e30', 'custom', cast(X'66FF' AS string), timestamp '2026-11-20 10:00:00', null, null, 1)"
    )
    bare.add(values(40, 50, kind="purchase"))
    bare.sql("OPTIMIZE {t}")
    (batch,) = bare.delivered().batches
    assert (batch.counts["read"], batch.counts["delivered"]) == (26, 26)
    assert ids(bare) == expected((5, 31)), "rows that were there before are not delivered, nor moved ones"
    told = {event["id"]: event for events in bare.files().values() for event in events}
    assert told["e30"]["user_id"] == "f\ufffd" and batch.counts["replaced"] == 1
    assert told["e30"]["timezone"] is None and told["e7"]["properties"] == {"k": "7"}
    before = fingerprint(bare.bucket)
    for path in bare.bucket.rglob("*.avro"):
        path.unlink()
    assert commands.redeliver(bare.spark, bare.settings, batch.batch).ok
    assert fingerprint(bare.bucket) == before
    assert commands.export(bare.spark, bare.settings).result == "nothing to do"


@pytest.mark.full
@pytest.mark.law(5)
def test_without_a_feed_a_removal_is_a_gap_that_an_operator_gives_up(bare: Stream) -> None:
    bare.delivered()
    bare.add(values(0, 10))
    bare.delivered()
    bare.sql("ALTER TABLE {t} SET TBLPROPERTIES (delta.appendOnly = false)")
    bare.sql("DELETE FROM {t} WHERE event_id = 'e3'")
    with pytest.raises(ConfigError) as caught:
        bare.export()
    assert "enableChangeDataFeed = true" in caught.value.remedy and "appendOnly = true" in caught.value.remedy
    bare.sql("ALTER TABLE {t} SET TBLPROPERTIES (delta.appendOnly = true)")
    bare.add(values(10, 20))
    before = fingerprint(bare.bucket)
    (problem,) = bare.export().problems
    assert problem.code == "event_changed" and "--accept-gap" in problem.remedy
    assert fingerprint(bare.bucket) == before
    commands.rerun(bare.spark, bare.settings, "events", accept_gap=True)
    (lost,) = bare.delivered().batches
    assert lost.state == "LOST" and CUSTOM in lost.note
    bare.add(values(20, 30))
    bare.delivered()
    assert ids(bare) == expected((0, 10), (20, 30))
    assert sorted(key.offset for key in bare.files()) == [0, 10], "offsets go on"
    assert commands.verify(bare.spark, bare.settings).ok


def test_a_gap_is_given_up_for_the_types_that_have_it(stream: Stream) -> None:
    other = Stream(stream.spark, stream.root / "other")
    stream.events[PURCHASE] = {"table": other.table, "columns": dict(stream.events[CUSTOM]["columns"])}
    stream.delivered()
    stream.add(values(0, 5))
    other.add(values(100, 105))
    other.sql("UPDATE {t} SET fan = 'g' WHERE event_id = 'e101'")
    shutil.rmtree(Path(other.table) / "_change_data")  # what VACUUM takes
    (problem,) = stream.export().problems
    assert problem.code == "source_gap" and stream.files() == {}
    commands.rerun(stream.spark, stream.settings, "events", accept_gap=True)
    lost, rest = stream.delivered().batches
    assert lost.state == "LOST" and PURCHASE in lost.note and CUSTOM not in lost.note
    assert rest.counts["delivered"] == 5 and ids(stream) == expected((0, 5)), (
        "what can be read is not given up"
    )
    other.add(values(110, 112))
    stream.delivered()
    assert ids(stream) == expected((0, 5), (110, 112))


def test_a_first_delivery_that_reaches_too_far_back_can_begin_later(stream: Stream) -> None:
    stream.delivered()
    late = Stream(stream.spark, stream.root / "late", "")
    late.add(values(100, 104))
    late.sql("DELETE FROM {t} WHERE event_id = 'e103'")  # only a feed could say which row that was
    late.sql("ALTER TABLE {t} SET TBLPROPERTIES (delta.enableChangeDataFeed = true)")
    late.add(values(103, 105))
    columns = dict(stream.events[CUSTOM]["columns"])
    stream.events[PURCHASE] = {"table": late.table, "columns": columns, "start": "earliest"}
    stream.add(values(0, 5))
    (problem,) = stream.export().problems
    assert problem.code == "source_gap" and f'events."{PURCHASE}".start' in problem.remedy
    stream.events[PURCHASE]["start"] = 3
    stream.delivered()
    assert ids(stream) == expected((0, 5), (103, 105)), "and nothing was given up"
    if NATIVE:
        early = Stream(stream.spark, stream.root / "early", "")
        early.add(values(200, 203))
        early.sql("ALTER TABLE {t} SET TBLPROPERTIES (delta.enableChangeDataFeed = true)")
        stream.events["early"] = {"table": early.table, "columns": columns, "start": "earliest"}
        stream.delivered()
        assert ids(stream) == expected((0, 5), (103, 105), (200, 203)), (
            "rows that were only added are in files"
        )


def test_types_that_are_read_together_are_told_apart(stream: Stream) -> None:
    """The same columns of one table under three filters, of which one keeps all: one reading, three streams."""
    columns = {"time": "at", "user_id": "fan", "n": "n"}
    alike = {"table": stream.table, "columns": columns, "natural_key": ["event_id", "n"], "start": "earliest"}
    stream.events = {
        CUSTOM: {**alike, "where": "kind = 'custom'"},
        PURCHASE: {**alike, "where": "kind = 'purchase'"},
        "all": dict(alike),
        "wide": {**alike, "columns": {**columns, "zone": "zone"}},
    }
    stream.currents["partitions"] = 2
    stream.add(values(0, 7))
    stream.add(values(7, 10, kind="purchase"))
    (batch,) = stream.delivered().batches
    found: dict[str, dict[int, str]] = {}
    for key, events in stream.files().items():
        found.setdefault(key.event_type, {}).update({event["n"]: event["id"] for event in events})
    assert {name: sorted(told) for name, told in found.items()} == {
        CUSTOM: list(range(7)),
        PURCHASE: [7, 8, 9],
        "all": list(range(10)),
        "wide": list(range(10)),
    }
    for name, told in found.items():
        assert told == {n: natural_id("65f1c2d3", name, [f"e{n}", n]) for n in told}
    assert batch.counts["read"] == batch.counts["delivered"] == 30
    before = fingerprint(stream.bucket)
    assert commands.redeliver(stream.spark, stream.settings, batch.batch).ok
    assert fingerprint(stream.bucket) == before and commands.verify(stream.spark, stream.settings).ok
    plan = batch.plan
    assert isinstance(plan, EventPlan)
    together = scan_groups(enumerate(plan.slices))
    assert [len(each.slices) for each in together] == [3, 1], "all but the wide one are read together"


def test_two_types_may_tell_of_one_row_under_one_id(stream: Stream) -> None:
    """Their files are neighbours in one task: an id repeats in its own file only."""
    stream.events = {
        name: {**stream.events[CUSTOM], "start": "earliest"} for name in (CUSTOM, "every", "last")
    }
    del stream.events["every"]["where"]
    stream.add(values(0, 1))
    (batch,) = stream.delivered().batches
    assert batch.counts["read"] == batch.counts["delivered"] == 3
    assert {key.event_type: [event["id"] for event in events] for key, events in stream.files().items()} == {
        CUSTOM: ["e0"],
        "every": ["e0"],
        "last": ["e0"],
    }


def test_rows_queue_under_the_hour_of_their_commit_and_repeats_under_that_of_the_first(
    stream: Stream,
) -> None:
    stream.events[CUSTOM]["start"] = "earliest"
    stream.events["every"] = {name: each for name, each in stream.events[CUSTOM].items() if name != "where"}
    stream.currents["partitions"] = 2
    for n in range(3):
        stream.add(f"{values(10 * n, 10 * n + 10)} UNION ALL {values(3, 3 + 2 * n)}")
    began = int(time.time()) // 3600 * 3600 - 7 * 3600
    for version, hours in enumerate((0, 0, 2, 5)):
        log = Path(stream.table) / "_delta_log" / f"{version:020d}.json"
        os.utime(log, (began + hours * 3600 + version,) * 2)
    (batch,) = stream.delivered().batches
    assert (batch.counts["delivered"], batch.counts["superseded"]) == (2 * 30, 2 * (2 + 4))
    found: dict[tuple[str, int], list[str]] = {}
    for key, events in stream.files().items():
        hour = (int(key.hour.timestamp()) - began) // 3600
        found.setdefault((key.event_type, hour), []).extend(event["id"] for event in events)
    assert {place: sorted(told) for place, told in found.items()} == {
        (name, hour): expected((10 * n, 10 * n + 10))
        for name in (CUSTOM, "every")
        for n, hour in enumerate((0, 2, 5))
    }


PARTS = pa.schema([("event_id", "string"), ("at", pa.timestamp("us", "UTC")), ("kind", "string")])


@pytest.mark.parametrize("feed", [True, False])
def test_files_whose_folders_spark_would_read_otherwise_are_not_read_by_themselves(
    stream: Stream, monkeypatch: pytest.MonkeyPatch, feed: bool
) -> None:
    """Another writer escapes UTF-8 octet by octet: Spark would make two characters of one."""
    monkeypatch.setattr(arrived, "LARGE_TABLE", 0)
    monkeypatch.setattr(arrived, "LARGE_FILE", 0)
    table = str(stream.root / "tables" / "parts")
    kept = "delta.enableChangeDataFeed" if feed else "delta.appendOnly"
    at = datetime(2026, 11, 20, 10, tzinfo=timezone.utc)
    rows = [{"event_id": f"e{n}", "at": at, "kind": kind} for n, kind in enumerate(("é", "plain", None))]
    data = pa.Table.from_pylist(rows, schema=PARTS)
    write_deltalake(table, data, partition_by=["kind"], configuration={kept: "true"})
    columns = {"id": "event_id", "time": "at", "kind": "kind"}
    stream.events = {CUSTOM: {"table": table, "columns": columns, "start": "earliest"}}
    if not feed:
        (problem,) = stream.export().problems
        assert problem.code == "feed_off" and "outside of the folders" in problem.message
        assert stream.files() == {}, "it is told, and nothing of it is lost"
        return
    (batch,) = stream.delivered().batches
    assert by_feed(batch) == [True] and batch.counts["delivered"] == 3
    told = {event["id"]: event["kind"] for events in stream.files().values() for event in events}
    assert told == {"e0": "é", "e1": "plain", "e2": None}


def by_feed(batch: Any) -> list[bool]:
    return [each.by_feed for each in batch.plan.slices]


@pytest.mark.full
@pytest.mark.law(4)
def test_a_large_range_beside_a_feed_is_read_by_its_files_to_the_same_bytes(
    stream: Stream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream.events[CUSTOM] |= {"start": "earliest", "changes": "ignore"}
    for n in range(3):
        stream.add(values(10 * n, 10 * n + 10))
    stream.sql("OPTIMIZE {t}")
    monkeypatch.setattr(arrived, "FEW", 0)
    (by_rows,) = stream.delivered().batches
    assert by_feed(by_rows) == [True], "a small table: it is not even looked at"
    other = Stream(stream.spark, tmp_path / "other")
    other.events = stream.events
    monkeypatch.setattr(arrived, "LARGE_TABLE", 0)
    monkeypatch.setattr(arrived, "LARGE_FILE", 0)
    (by_name,) = other.delivered().batches
    assert by_feed(by_name) == [False] and by_name.counts == by_rows.counts
    assert fingerprint(other.bucket) == fingerprint(stream.bucket)
    # what is altered later takes the files' readability away, not the batch's
    stream.sql(
        "ALTER TABLE {t} SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name', 'delta.minReaderVersion' = '2', "
        "'delta.minWriterVersion' = '5')"
    )
    assert commands.redeliver(other.spark, other.settings, by_name.batch).ok
    assert fingerprint(other.bucket) == fingerprint(stream.bucket)
    stream.add(values(30, 40))
    stream.sql("DELETE FROM {t} WHERE event_id = 'e3'")
    (taken,) = stream.delivered().batches
    assert by_feed(taken) == [True] and taken.counts["suppressed"] == 1, "only the feed tells what was taken"
    stream.add(values(40, 50))
    monkeypatch.setattr(arrived, "LARGE_FILE", 1 << 30)
    (many,) = stream.delivered().batches
    assert by_feed(many) == [True], "a small file is dear to ask for"
    assert ids(stream) == expected((0, 50))


@pytest.mark.full
@pytest.mark.law(4)
def test_small_tables_are_read_by_their_files_several_at_once_to_the_bytes_of_their_feeds(
    stream: Stream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies of a table have files of the same names; commits of other hours; a name that paths spell otherwise; an update."""
    stream.add(values(0, 10))
    stream.add(f"{values(10, 20)} UNION ALL {values(3, 5)}")
    stream.add(values(20, 25, kind="purchase"))
    copies = {name: tmp_path / "tables" / name for name in ("b", "c", "a é", "taken", "wide")}
    for copy in copies.values():
        shutil.copytree(stream.table, copy)
    began = int(time.time()) // 3600 * 3600 - 9 * 3600
    tables = [stream.table, *map(str, copies.values())]
    for number, table in enumerate(tables):
        for version in range(4):
            log = Path(table) / "_delta_log" / f"{version:020d}.json"
            os.utime(log, (began + 3600 * version * (number % 3) + version,) * 2)
    stream.spark.sql(f"UPDATE delta.`{copies['taken']}` SET fan = 'g' WHERE event_id = 'e7'")
    stream.spark.sql(f"ALTER TABLE delta.`{copies['wide']}` ADD COLUMN more STRING")
    alike = {
        "columns": {"time": "at", "user_id": "fan", "n": "n", "properties": "props"},
        "start": "earliest",
    }
    alike |= {"natural_key": ["event_id"], "changes": "ignore"}
    stream.events = {}
    for number, table in enumerate(tables):
        for kind in ("custom", "purchase"):
            stream.events[f"{kind}{number}"] = {**alike, "table": table, "where": f"kind = '{kind}'"}
        stream.events[f"all{number}"] = {"table": table, "columns": dict(COLUMNS), "start": "earliest"}
        stream.events[f"all{number}"]["changes"] = "ignore"
    stream.currents["partitions"] = 2
    monkeypatch.setattr(arrived, "FEW", 0)
    (by_rows,) = stream.delivered().batches
    assert set(by_feed(by_rows)) == {True}
    other = Stream(stream.spark, tmp_path / "other")
    other.events, other.currents = stream.events, stream.currents
    together, one_by_one = list[int](), arrived.added_rows
    monkeypatch.setattr(arrived, "FEW", 1_000)
    monkeypatch.setattr(
        arrived,
        "added_rows",
        lambda spark, some, **more: (together.append(len(some)), one_by_one(spark, some, **more))[1],
    )
    (by_name,) = other.delivered().batches
    assert by_name.counts == by_rows.counts and by_name.counts["superseded"] > 0
    assert fingerprint(other.bucket) == fingerprint(stream.bucket)
    if NATIVE:
        expected = {name: name.endswith("4") for name in stream.events}  # where rows were changed
        assert {one.event_type: one.by_feed for one in by_name.plan.slices} == expected
        assert sorted(together[-3:]) == [1, 1, 3], "the odd one and the one with a column more by themselves"
    assert commands.redeliver(other.spark, other.settings, by_name.batch).ok
    assert fingerprint(other.bucket) == fingerprint(stream.bucket)
    assert commands.verify(other.spark, other.settings).ok


def test_rows_of_added_files_are_counted_by_the_log_where_no_filter_asks_for_them(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted, job = list[int](), counts.counted
    monkeypatch.setattr(counts, "counted", lambda *args: (counted.append(len(args[1])), job(*args))[1])
    stream.events["every"] = {"table": stream.table, "columns": dict(COLUMNS), "start": "earliest"}
    stream.delivered()
    stream.add(values(0, 5))
    stream.add(values(5, 9, kind="purchase"))
    (batch,) = stream.delivered().batches
    assert batch.counts["read"] == batch.counts["delivered"] == 5 + 9
    assert counted == [1] or not NATIVE, "only the one with a filter takes a job"
    del stream.events[CUSTOM]
    stream.add(values(9, 12))
    (batch,) = stream.delivered().batches
    assert batch.counts["delivered"] == 3 and (counted == [1] or not NATIVE)
    assert ids(stream) == sorted(expected((0, 12)) + expected((0, 5)))


def test_events_that_are_gone_end_one_batch_and_no_other_begins(stream: Stream) -> None:
    stream.events = {"every": {"table": stream.table, "columns": dict(COLUMNS)}}
    stream.delivered()
    stream.add(values(0, 5))
    for path in Path(stream.table).rglob("*.parquet"):
        path.unlink()
    rows = []
    for _ in range(3):
        assert [each.code for each in stream.export().problems] == ["source_gap"]
        rows.append(stream.spark.read.format("delta").load(stream.settings.ledger).count())
    assert rows[1] == rows[2], "a run that finds the same gap writes nothing"


def test_a_small_table_of_a_catalog_is_read_by_its_name(stream: Stream) -> None:
    stream.spark.sql("CREATE SCHEMA IF NOT EXISTS events_by_name")
    try:
        stream.spark.sql(f"CREATE TABLE events_by_name.clicks USING delta LOCATION '{stream.table}'")
        name = "spark_catalog.events_by_name.clicks"
        stream.events = {"every": {"table": name, "columns": dict(COLUMNS)}}
        stream.delivered()
        stream.add(values(0, 5))
        (batch,) = stream.delivered().batches
        assert isinstance(batch.plan, EventPlan) and batch.counts["delivered"] == 5
        assert [one.by_feed for one in batch.plan.slices] == [True], (
            "a catalog may show fewer rows than the files have"
        )
    finally:
        stream.spark.sql("DROP SCHEMA events_by_name CASCADE")


@pytest.mark.full
def test_a_feed_that_is_turned_on_begins_where_it_stands(bare: Stream) -> None:
    bare.delivered()
    bare.add(values(0, 5))
    bare.sql("ALTER TABLE {t} SET TBLPROPERTIES (delta.enableChangeDataFeed = true)")
    bare.add(values(5, 8))
    bare.delivered()
    assert ids(bare) == expected((0, 8)), "what came before is not given up"
    bare.sql("ALTER TABLE {t} SET TBLPROPERTIES (delta.appendOnly = false)")
    bare.events[CUSTOM]["changes"] = "ignore"
    bare.sql("DELETE FROM {t} WHERE event_id = 'e3'")
    bare.add(values(8, 9))
    (batch,) = bare.delivered().batches
    assert ids(bare) == expected((0, 9)) and batch.counts["suppressed"] == 1, "by the feed now"


@pytest.mark.law(5)
def test_missing_files_are_a_gap_even_where_the_session_would_pass_over_them(
    stream: Stream, bare: Stream
) -> None:
    setting = "spark.sql.files.ignoreMissingFiles"
    for each in (stream, bare):
        each.delivered()
        each.add(values(0, 10))
        each.add(values(10, 20))
        first = sorted(Path(each.table).rglob("part-*.parquet"), key=lambda path: path.stat().st_mtime)[0]
        each.spark.conf.set(setting, "true")
        try:
            first.unlink()
            problems: list[Any] = list(each.export().problems)
        finally:
            each.spark.conf.unset(setting)
        assert [problem.code for problem in problems] == ["source_gap"]
        assert not each.bucket.exists() or fingerprint(each.bucket) == {}
