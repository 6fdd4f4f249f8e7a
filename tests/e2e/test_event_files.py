"""Events whose chunks are data files: the same events as by the hash layout, under keys of their own."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from pyspark.sql import SparkSession

from rover_spark.errors import ConfigError, ReaderRefused
from rover_spark.face import commands
from rover_spark.model.plan import Plan
from rover_spark.produce.currents.plan import event_plan
from rover_spark.produce.port import decode
from tests import NATIVE
from tests.e2e.stream import CUSTOM, PURCHASE, Stream, values
from tests.e2e.world import fingerprint

pytestmark = pytest.mark.skipif(not NATIVE, reason="data files are listed by deltalake")
ROWS = 6_000  # more than a third of a file


def add(stream: Stream, first: int, count: int, **kinds: Any) -> None:
    """One commit with one data file."""
    stream.add(values(first, first + count, **kinds).replace("SELECT", "SELECT /*+ COALESCE(1) */", 1))


def slice_of(plan: Plan | None) -> Any:
    assert plan is not None
    return next(each for each in event_plan(plan).slices if each.event_type == CUSTOM)


def ids(stream: Stream) -> Counter[str]:
    return Counter(event["id"] for events in stream.files().values() for event in events)


@pytest.fixture
def backlog(stream: Stream) -> Stream:
    """Three data files: rows of another type, ids that repeat inside a file and across files, rows that are no event."""
    stream.events[CUSTOM]["start"] = "earliest"
    stream.currents["partitions"] = 2
    add(stream, 0, ROWS)
    inside = f"""
        {values(ROWS, 2 * ROWS).replace("SELECT", "SELECT /*+ COALESCE(1) */", 1)}
        UNION ALL SELECT concat('e', id), 'custom', 'again', timestamp_seconds(1763700000), null, null, id
            FROM range({ROWS}, {ROWS + 3})
        UNION ALL SELECT null, 'custom', 'f', timestamp_seconds(1763700000), null, null, 1
        UNION ALL SELECT concat('p', id), 'purchase', 'f', timestamp_seconds(1763700000), null, null, 1 FROM range(5)"""
    stream.add(f"SELECT /*+ REPARTITION(1) */ * FROM ({inside})")
    stream.add(f"SELECT /*+ REPARTITION(1) */ * FROM ({values(2 * ROWS, 3 * ROWS)} UNION ALL {values(0, 2)})")
    return stream


@pytest.mark.law(9)
def test_a_data_file_is_a_chunk_and_gives_the_events_of_the_hash_layout(
    backlog: Stream, spark: SparkSession
) -> None:
    (batch,) = backlog.delivered().batches
    one = slice_of(batch.plan)
    assert (one.layout, one.data_files) == ("files", 3) and "3 data files" in one.why
    counts = batch.counts
    assert (counts["delivered"], counts["superseded"], counts["quarantined"]) == (3 * ROWS + 2, 3, 1)
    found = ids(backlog)
    assert set(found) == {f"e{n}" for n in range(3 * ROWS)}
    assert {name for name, times in found.items() if times > 1} == {"e0", "e1"}, "repeats across data files"
    groups = sorted((key.partition, key.offset, len(events)) for key, events in backlog.files().items())
    # the second file stands alone in its partition; offsets of the third follow the rows of the first
    assert groups == [(0, 0, ROWS), (0, ROWS, ROWS + 2), (1, 0, ROWS)]
    assert one.offsets == (2 * ROWS + 2, ROWS + 9), "reserved before the filter"
    assert commands.verify(spark, backlog.settings).ok
    quarantine = spark.read.format("delta").load(f"{backlog.settings.ledger}_quarantine")
    assert [row["reason"] for row in quarantine.collect()] == ["id: null"]
    add(backlog, 3 * ROWS, ROWS)
    backlog.delivered()
    assert (0, 2 * ROWS + 2) in {(key.partition, key.offset) for key in backlog.files()}, "offsets go on"
    assert commands.verify(spark, backlog.settings).ok


def test_the_whole_batch_is_compared_where_the_settings_ask_for_it(backlog: Stream) -> None:
    backlog.events[CUSTOM]["dedupe"] = True
    (plan,) = commands.plan(backlog.spark, backlog.settings).planned.values()
    assert plan.arrangement == f"{CUSTOM}: hash: dedupe compares the ids of the whole batch"
    (batch,) = backlog.delivered().batches
    assert slice_of(batch.plan).layout == "hash"
    assert set(ids(backlog).values()) == {1} and batch.counts["delivered"] == 3 * ROWS


@pytest.mark.law(4)
def test_data_files_are_delivered_again_byte_for_byte(backlog: Stream, spark: SparkSession) -> None:
    (batch,) = backlog.delivered().batches
    before = fingerprint(backlog.bucket)
    paths = sorted(backlog.bucket.rglob("*.avro"))
    for damaged in (paths[1:2], paths):
        for path in damaged:
            path.write_bytes(b"damaged")
        assert not commands.verify(spark, backlog.settings).ok
        assert commands.redeliver(spark, backlog.settings, batch.batch).ok
        assert fingerprint(backlog.bucket) == before
    assert commands.verify(spark, backlog.settings).ok


def test_small_files_and_reads_of_several_types_are_shuffled(stream: Stream) -> None:
    stream.events[CUSTOM]["start"] = "earliest"
    add(stream, 0, 10)
    (batch,) = stream.delivered().batches
    assert slice_of(batch.plan).why == "1 data file, 10 rows each on average: too few"
    stream.events[PURCHASE] = {**stream.events[CUSTOM], "where": "kind = 'purchase'", "start": "earliest"}
    add(stream, 10, ROWS)
    (batch,) = stream.delivered().batches
    assert slice_of(batch.plan).layout == "files", "the other type reads other versions"
    add(stream, 10 + ROWS, ROWS)
    (batch,) = stream.delivered().batches
    assert slice_of(batch.plan).why == "one read serves several event types"
    assert commands.verify(stream.spark, stream.settings).ok


def test_a_plan_of_data_files_is_refused_by_versions_that_do_not_know_it(backlog: Stream) -> None:
    (batch,) = backlog.delivered().batches
    assert batch.plan is not None
    text = batch.plan.to_json()
    assert decode(text) == batch.plan and '"format":2' in text
    with pytest.raises(ConfigError) as caught:
        decode(text.replace('"format":2', '"format":4'))
    assert caught.value.code == "plan_newer"


@pytest.mark.law(3)
@pytest.mark.parametrize("readable", [True, False])
def test_what_a_table_is_set_to_later_does_not_count_and_files_that_cannot_be_read_one_by_one_are_planned_anew(
    backlog: Stream, monkeypatch: pytest.MonkeyPatch, readable: bool
) -> None:
    from rover_spark.deliver import batch as delivery

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(delivery, "staged", stopped)
        with pytest.raises(KeyboardInterrupt):
            backlog.export()
    backlog.sql("ALTER TABLE {t} SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')")
    if not readable:

        def places(*_: object) -> None:
            raise ReaderRefused("other files", code="files_changed")

        monkeypatch.setattr("rover_spark.produce.currents.producer.places", places)
    batch = backlog.delivered().batches[0 if readable else -1]
    layout, delivered = slice_of(batch.plan).layout, batch.counts["delivered"]
    assert (layout, delivered) == (("files", 3 * ROWS + 2) if readable else ("hash", 3 * ROWS))
    assert commands.verify(backlog.spark, backlog.settings).ok
