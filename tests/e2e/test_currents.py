"""Currents end to end: keys, thresholds, schema ids, and what a reader that is not ours finds in the files."""

from __future__ import annotations

import json

import fastavro
import pytest
from typer.testing import CliRunner

from rover_spark.cli import app
from rover_spark.delta import parallel
from rover_spark.face import commands
from tests import apache
from tests.e2e.stream import COLUMNS, CUSTOM, PLACE, PURCHASE, Stream, values
from tests.e2e.world import fingerprint
from tests.effects import effects


def test_events_are_queued_under_keys_of_the_contract_and_read_by_others(stream: Stream) -> None:
    stream.add(values(0, 5))
    (enabled,) = stream.delivered().batches
    assert (enabled.phase, enabled.state, stream.files()) == ("enable", "COMMITTED", {})
    stream.add(values(5, 40))
    stream.add(values(40, 45, kind="purchase"))
    (batch,) = stream.delivered().batches
    assert (batch.counts["read"], batch.counts["delivered"]) == (35, 35)
    ((key, events),) = stream.files().items()
    assert (key.event_type, key.schema_id, key.partition, key.offset) == (CUSTOM, 1, 0, 0)
    assert key.hour == stream.commit_hour() and key.integration.zone == "eu"
    told = sorted(events, key=lambda event: event["time"])
    assert [event["id"] for event in told] == [f"e{n}" for n in range(5, 40)]
    first = {
        "id": "e5",
        "time": 1763700005,
        "timezone": "Europe/Oslo",
        "user_id": "fan-5",
        "properties": {"k": "5"},
    }
    assert told[0] == first
    # Spark's own reader finds the same
    (path,) = stream.bucket.rglob("*.avro")
    again = stream.spark.read.format("avro").load(str(path)).orderBy("time").collect()
    assert [row.asDict() for row in again] == told
    with path.open("rb") as opened:
        header = fastavro.reader(opened).metadata
    assert set(header) == {"avro.schema", "avro.codec"} and header["avro.codec"] == "deflate"
    # a type that is added begins where the others stand, under the next schema id; offsets go on
    stream.events[PURCHASE] = {
        "table": stream.table,
        "where": "kind = 'purchase'",
        "natural_key": ["event_id"],
    }
    stream.events[PURCHASE]["columns"] = {"time": "at", "amount": "cast(n AS decimal(10, 2))"}
    stream.delivered()
    stream.add(values(100, 103, kind="purchase"))
    stream.add(values(103, 106))
    stream.delivered()
    places = [(k.event_type, k.schema_id, k.offset, len(found)) for k, found in stream.files().items()]
    assert sorted(places) == [(CUSTOM, 1, 0, 35), (CUSTOM, 1, 35, 3), (PURCHASE, 2, 0, 3)]
    assert commands.verify(stream.spark, stream.settings).ok
    assert stream.export().result == "nothing to do"


def test_each_codec_reaches_the_bucket_and_may_change_between_batches(stream: Stream) -> None:
    stream.delivered()
    for number, codec in enumerate(("null", "snappy", "zstandard")):
        stream.currents["codec"] = codec
        stream.add(values(10 * number, 10 * number + 10))
        (batch,) = stream.delivered().batches
        path = stream.bucket / "acme" / batch.files[0].key.removeprefix("acme/")
        with path.open("rb") as opened:
            assert fastavro.reader(opened).metadata["avro.codec"] == codec
        assert stream.spark.read.format("avro").load(str(path)).count() == 10
    assert sum(len(events) for events in stream.files().values()) == 30
    assert commands.verify(stream.spark, stream.settings).ok


@pytest.mark.law(9)
def test_what_is_no_event_is_counted_or_set_aside(stream: Stream) -> None:
    stream.events[CUSTOM] |= {"start": "earliest", "changes": "ignore"}
    now = "current_timestamp()"
    stream.add(
        f"VALUES (null, 'custom', 'f', {now}, null, null, 1), ('', 'custom', 'f', {now}, null, null, 1)"
    )
    stream.add("VALUES ('late', 'custom', 'f', timestamp '2026-01-01 00:00:00', 'Mars/Olympus', null, 1)")
    stream.add(
        f"VALUES ('a', 'custom', 'f', {now}, 'UTC', null, 1), ('a', 'custom', 'f', {now}, 'UTC', null, 2)"
    )
    stream.add(
        f"VALUES ('b', 'custom', 'f', null, 'UTC', null, 1), ('c', 'custom', repeat('x', 900001), {now}, null, null, 1)"
    )
    stream.sql("UPDATE {t} SET fan = 'g' WHERE event_id = 'late'")
    stream.sql("DELETE FROM {t} WHERE event_id = 'late'")
    (batch,) = stream.delivered().batches
    counts = batch.counts
    assert (counts["delivered"], counts["quarantined"], counts["suppressed"]) == (2, 4, 2)
    assert counts["superseded"] + counts["conflict"] == 1
    assert counts["read"] == 9 and counts["late"] == counts["timezone_dropped"] == 1
    assert counts["max_lateness_s"] > 300 * 86_400
    quarantine = stream.spark.read.format("delta").load(f"{stream.settings.ledger}_quarantine")
    reasons = [row["reason"] for row in quarantine.orderBy("reason").collect()]
    assert reasons == ["event_too_large", "id: null", "id: null", "time: null, or out of range"]
    ((_, events),) = stream.files().items()
    zones = {event["id"]: event["timezone"] for event in events}
    assert zones == {"a": "UTC", "late": None}
    # without the option a changed row is refused, and nothing is staged
    del stream.events[CUSTOM]["changes"]
    before = fingerprint(stream.bucket)
    stream.sql("UPDATE {t} SET fan = 'g' WHERE event_id = 'a'")
    result = stream.export()
    assert not result.ok and result.problems[0].code == "event_changed"
    assert fingerprint(stream.bucket) == before


def test_schemas_go_on_where_readers_can_follow_and_are_refused_where_not(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream.delivered()
    stream.add(values(0, 3))
    stream.delivered()
    stream.events[CUSTOM]["columns"]["n"] = "n"
    stream.add(values(3, 6))
    stream.delivered()
    first, second = sorted(stream.files(), key=lambda key: key.schema_id)
    assert (first.schema_id, second.schema_id) == (1, 2) and second.offset == 3
    pinned = json.loads(
        stream.spark.read.format("delta")
        .load(stream.settings.ledger)
        .where("kind = 'schema' AND seq = 1")
        .collect()[0]["plan"]
    )
    (path,) = (each for each in stream.bucket.rglob("*.avro") if "/2/eu/" in str(each))
    with path.open("rb") as opened:
        told = list(fastavro.reader(opened, reader_schema=pinned))
    assert len(told) == 3 and "n" not in told[0], "the first day's schema reads the second day's file"
    before = fingerprint(stream.bucket)
    for columns, words in (
        ({"user_id": None}, "user_id"),
        ({"n": "cast(n AS string)"}, "n"),
    ):
        whole = dict(stream.events[CUSTOM]["columns"])
        stream.events[CUSTOM]["columns"] = {k: v for k, v in (whole | columns).items() if v}
        stream.add(values(6, 9))
        result = stream.export()
        (problem,) = result.problems
        assert not result.ok and problem.code == "schema_breaking" and words in problem.message
        assert CUSTOM in problem.message and "allow_breaking" in problem.remedy
        stream.events[CUSTOM]["columns"] = whole
    assert fingerprint(stream.bucket) == before, "a refused change leaves nothing behind"
    stream.currents["allow_breaking"] = True
    stream.events[CUSTOM]["columns"]["n"] = "cast(n AS string)"
    stream.delivered()
    config = stream.root / "acme.toml"
    event = f'table = "{stream.table}"\nwhere = "kind = \'custom\'"'
    place = "\n".join(f'{name} = "{value}"' for name, value in PLACE.items())
    config.write_text(
        f'name = "acme"\ncontract = "currents"\ndestination = "file://{stream.bucket}/acme"\n'
        f'ledger = "{stream.settings.ledger}"\n[currents]\n{place}\n[events."{CUSTOM}"]\n{event}\n'
    )
    monkeypatch.setattr("rover_spark.face.session.build_session", lambda **_: stream.spark)
    result = CliRunner().invoke(app, ["schemas", "-c", str(config), "--publish", "--json"])
    document = json.loads(result.stdout)
    history = document["schemas"]
    assert [key.rpartition("/")[2] for key in document["published"]] == [
        "1.avsc",
        "2.avsc",
        "3.avsc",
        "CHANGELOG.md",
    ]
    assert document["place"] == f"file://{stream.bucket}/schemas.acme"
    assert all((stream.bucket / "schemas.acme" / key).is_file() for key in document["published"])
    assert commands.verify(stream.spark, stream.settings).ok, "they are none of the integration's files"
    assert [each["id"] for each in history] == [1, 2, 3]
    assert history[0]["changes"] == [] and len(history[1]["changes"]) == 1 and "n" in history[2]["changes"][0]


def test_files_end_at_the_limit_and_a_backlog_has_larger_ones(stream: Stream) -> None:
    stream.events[CUSTOM]["dedupe"] = True  # else files end with their data files, too
    stream.delivered()
    stream.add(values(0, 40_000))
    stream.delivered()
    sizes = {key.offset: len(events) for key, events in stream.files().items()}
    assert sizes == {0: 15_000, 15_000: 15_000, 30_000: 10_000}
    stream.currents["backlog_events"] = 39_999
    stream.add(values(40_000, 80_000))
    stream.delivered()
    assert sorted((key.offset, len(events)) for key, events in stream.files().items())[-1] == (40_000, 40_000)
    assert commands.verify(stream.spark, stream.settings).ok


@pytest.mark.law(4)
def test_a_batch_is_delivered_again_byte_for_byte(stream: Stream) -> None:
    stream.events[CUSTOM]["start"] = "earliest"
    stream.currents["partitions"] = 3
    stream.add(values(0, 30))
    (batch,) = stream.delivered().batches
    before = fingerprint(stream.bucket)
    assert sorted({key.partition for key in stream.files()}) == [0, 1, 2]
    for path in stream.bucket.rglob("*.avro"):
        path.write_bytes(b"damaged")
    assert not commands.verify(stream.spark, stream.settings).ok
    assert commands.redeliver(stream.spark, stream.settings, batch.batch).ok
    assert fingerprint(stream.bucket) == before


@pytest.mark.law(4)
def test_types_that_many_jobs_stage_are_one_batch(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = ["custom", "other", "third", "fourth", "fifth"]
    for n, kind in enumerate(kinds):
        # another column each: none is read together with another
        columns = COLUMNS | {"user_id": f"concat(fan, '{n}')"}
        where = f"kind = '{kind}'"
        stream.events[f"users.{kind}"] = {"table": stream.table, "where": where, "columns": columns}
        stream.events[f"users.{kind}"]["start"] = "earliest"
        stream.add(values(10 * n, 10 * n + 10, kind=kind))
    del stream.events[CUSTOM]
    odd = "VALUES ({}, '{}', 'f', timestamp '2026-01-01 00:00:00', 'Mars/Olympus', null, 1)"
    for id, kind in (("null", "custom"), ("null", "fifth"), ("'z'", "fourth")):
        stream.add(odd.format(id, kind))
    monkeypatch.setattr(parallel, "BATCH", 2)
    with effects() as journal:
        (batch,) = stream.delivered().batches
    assert sorted(len(part.files) for part in journal.gave["staging"]) == [1, 2, 2]
    counts = batch.counts
    assert (counts["read"], counts["delivered"], counts["quarantined"]) == (53, 51, 2)
    assert counts["late"] == 51 and counts["timezone_dropped"] == 1
    quarantine = stream.spark.read.format("delta").load(f"{stream.settings.ledger}_quarantine")
    assert sorted(row["dataset"] for row in quarantine.collect()) == ["users.custom", "users.fifth"]
    standing = commands.status(stream.spark, stream.settings).datasets
    broken = {row.dataset: row.quarantined for row in standing}
    assert broken == dict.fromkeys(broken, 0) | {"users.custom": 1, "users.fifth": 1}, "by event type"
    for name, count in (("users.fifth", 1), ("events", 2)):
        shown = commands.quarantine(stream.spark, stream.settings, dataset=name).quarantine
        assert shown.total == len(shown.rows) == count
    assert [file.chunk for file in batch.files] == [0, 1, 2, 3, 4]
    assert commands.verify(stream.spark, stream.settings).ok
    before = fingerprint(stream.bucket)
    for path in stream.bucket.rglob("*.avro"):
        path.unlink()
    monkeypatch.undo()
    assert commands.redeliver(stream.spark, stream.settings, batch.batch).ok
    assert fingerprint(stream.bucket) == before, "how many jobs it took shows nowhere"


def test_apaches_own_tools_read_what_is_delivered(stream: Stream) -> None:
    stream.events[CUSTOM] |= {"start": "earliest"}
    stream.events[CUSTOM]["columns"] |= {
        "n": "n",
        "tags": "array(fan, null)",
        "amount": "cast(n AS decimal(12, 2))",
    }
    stream.add(values(0, 20))
    stream.delivered()
    (path,) = stream.bucket.rglob("*.avro")
    with path.open("rb") as opened:
        reader = fastavro.reader(opened)
        mine = {event["id"]: event for event in reader}
        assert (
            json.loads(apache.ask(stream.spark, "getschema", path))["fields"]
            == json.loads(reader.metadata["avro.schema"])["fields"]
        )
    assert apache.ask(stream.spark, "count", path).strip() == "20"
    told = apache.events(stream.spark, path)
    assert {each["id"]: each["time"] for each in told} == {key: event["time"] for key, event in mine.items()}
