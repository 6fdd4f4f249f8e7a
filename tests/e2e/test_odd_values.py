"""Values as other writers leave them, good and bad rows together: what is good is delivered the same from a snapshot, a
feed and files, what is bad stands in the quarantine with its reason."""

from __future__ import annotations

import datetime
import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake
from pyspark.sql import SparkSession

from rover_spark.face import commands
from tests import receiver
from tests.e2e.stream import CUSTOM, PURCHASE, Stream
from tests.e2e.world import World, uuid

UTC = datetime.timezone.utc
AT = datetime.datetime(2026, 11, 1, 10, tzinfo=UTC)
END = datetime.datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
BORN = datetime.date(1582, 10, 10)  # a day that the older calendar does not have
SCHEMA = pa.schema(
    [
        ("who", pa.string()),
        ("seen", pa.timestamp("us", "UTC")),
        ("tags", pa.map_(pa.string(), pa.string())),
        ("by_hash", pa.map_(pa.binary(), pa.int64())),
        ("by_day", pa.map_(pa.date32(), pa.float64())),
        ("born", pa.date32()),
        ("text", pa.string()),
    ]
)
TAGS = [("tier", "gold"), ("Tier", "x"), ("a", None)]
TRAITS = '{"tags":{"Tier":"x","a":null,"tier":"gold"},"by_hash":{"AP8=":2,"AQ==":1},"by_day":{"2026-01-31":2.5},"born":"1582-10-10"}'


def row(who: str, **other: Any) -> dict[str, Any]:
    return {
        "who": who,
        "seen": AT,
        "tags": TAGS,
        "by_hash": [(b"\1", 1), (b"\0\xff", 2)],
        "by_day": [(datetime.date(2026, 1, 31), 2.5)],
        "born": BORN,
        "text": '{"a":{"b":[1.50]}}',
        **other,
    }


# what is wrong with a profile, and with the event that is made of the same row
BAD: list[tuple[dict[str, Any], str | None, str | None]] = [
    ({"tags": [("tier", "a"), ("tier", "b")]}, "duplicate_key", "duplicate_key"),
    ({"tags": [("tier", "a"), ("tier", "a")]}, "duplicate_key", "duplicate_key"),
    ({"by_hash": [(b"\1", 1), (b"\1", 2)]}, "duplicate_key", None),
    ({"by_day": [(BORN, 1.0), (BORN, None)]}, "duplicate_key", None),
    ({"by_day": [(BORN, float("nan"))]}, "number_not_finite", None),
    ({"by_day": [(BORN, float("-inf"))]}, "number_not_finite", None),
    ({"text": '{"a":1,"a":2}'}, None, "duplicate_key"),
    ({"text": '{"a":1,"a":null}'}, None, "duplicate_key"),
    ({"text": '{"a":[{"b":{"c":1,"\\u0063":2}}]}'}, None, "duplicate_key"),
    ({"text": '{"a":1'}, None, "no_json_object"),
]


def append(table: str, rows: list[dict[str, Any]], **properties: str) -> None:
    write_deltalake(
        table, pa.Table.from_pylist(rows, schema=SCHEMA), mode="append", configuration=properties or None
    )


def quarantined(world: World) -> Counter[tuple[str, str]]:
    held = world.spark.read.format("delta").load(world.settings.ledger + "_quarantine").collect()
    assert all(json.loads(each["row"]) for each in held)
    return Counter((each["batch"], each["reason"]) for each in held)


def test_bad_rows_stand_aside_and_good_ones_are_told_the_same_from_a_snapshot_and_from_changes(
    world: World,
) -> None:
    table = world.table("odd")
    bad = [row(uuid(10 + n), **wrong) for n, (wrong, _, _) in enumerate(BAD)]
    first = [row(uuid(1)), *bad, row(uuid(2), seen=END)]
    append(table, first, **{"delta.enableChangeDataFeed": "true"})
    world.datasets["fan_profiles"] = {
        "table": table,
        "columns": {
            "roverID": "who",
            "updatedAt": "seen",
            "traits": "named_struct('tags', tags, 'by_hash', by_hash, 'by_day', by_day, 'born', born)",
        },
        "extra": {"hashes": "by_hash"},
        "deletes": "tombstone",
    }
    world.datasets["fan_track_events"] = {
        "table": table,
        "columns": {
            "eventID": "who", "roverID": "who", "name": "'n'", "attributes": "text", "device": "tags", "timestamp": "seen",
        },
        "start": "earliest",
    }  # fmt: skip
    assert commands.check(world.spark, world.settings).ok
    profiles, events = world.delivered().batches
    append(table, [row(uuid(3)), *(row(uuid(30 + n), **wrong) for n, (wrong, _, _) in enumerate(BAD))])
    world.sql("UPDATE {t} SET seen = seen WHERE who = '" + uuid(1) + "'", t="odd")
    world.sql("DELETE FROM {t} WHERE who = '" + uuid(2) + "'", t="odd")
    changed, later = world.delivered().batches
    wrong_profiles = Counter(reason for _, reason, _ in BAD if reason)
    wrong_events = Counter(reason for _, _, reason in BAD if reason)
    fine = len(BAD) - wrong_profiles.total()
    assert quarantined(world) == Counter(
        {
            (batch.batch, reason): count
            for batch in (profiles, changed)
            for reason, count in wrong_profiles.items()
        }
        | {
            (batch.batch, reason): count
            for batch in (events, later)
            for reason, count in wrong_events.items()
        }
        | {(changed.batch, "updatedAt_out_of_range"): 1}
    )
    assert (profiles.counts["delivered"], profiles.counts["quarantined"]) == (
        2 + fine,
        wrong_profiles.total(),
    )
    assert (changed.counts["delivered"], changed.counts["quarantined"]) == (
        1 + fine,
        wrong_profiles.total() + 1,
    )
    assert changed.counts["no_change"] == 1, "an update that changes nothing, whatever its keys are"
    assert events.counts["delivered"] == 2 + len(BAD) - wrong_events.total() == later.counts["delivered"] + 1
    texts = "".join(
        gzip.decompress(path.read_bytes()).decode() for path in world.bucket.rglob("fan_profiles*.gz")
    )
    assert texts.count(f'"traits":{TRAITS},"hashes":{{"AP8=":2,"AQ==":1}}') == 3 + 2 * fine
    told = [each for each in receiver.records(world.bucket, "fan_profiles") if each["roverID"] == uuid(2)]
    assert [each["updatedAt"] for each in told] == ["9999-12-31T23:59:59.999999Z"], (
        "no time is left for its delete"
    )
    for batch in (profiles, changed):
        assert commands.redeliver(world.spark, world.settings, batch.batch).ok, (
            "the same bytes, keys included"
        )
    assert commands.verify(world.spark, world.settings).ok


AVSC = {
    "type": "record",
    "name": "Odd",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "time", "type": "int"},
        {"name": "tags", "type": ["null", {"type": "map", "values": ["null", "string"]}], "default": None},
        {"name": "by_hash", "type": ["null", "string"], "default": None},
        {"name": "born", "type": ["null", {"type": "int", "logicalType": "date"}], "default": None},
    ],
}


def test_events_are_told_the_same_from_a_feed_and_from_files(spark: SparkSession, tmp_path: Path) -> None:
    stream = Stream(spark, tmp_path)
    (tmp_path / "odd.avsc").write_text(json.dumps(AVSC))
    columns = {
        "id": "who",
        "time": "seen",
        "tags": "tags",
        "by_hash": "named_struct('h', by_hash)",
        "born": "born",
    }
    tables = {CUSTOM: f"{tmp_path}/feed", PURCHASE: f"{tmp_path}/files"}
    stream.events = {
        name: {"table": table, "columns": columns, "schema": str(tmp_path / "odd.avsc")}
        for name, table in tables.items()
    }
    append(tables[CUSTOM], [row("e0")], **{"delta.enableChangeDataFeed": "true"})
    append(tables[PURCHASE], [row("e0")], **{"delta.appendOnly": "true"})
    stream.delivered()
    rows = [
        row("e1"),
        row("e2", tags=[("a", "1"), ("a", "2")]),
        row("e3", by_hash=[(b"\1", 1), (b"\1", 2)]),
        row("e4", tags=[]),
        row("e5", tags=None, by_hash=None),
    ]
    for table in tables.values():
        append(table, rows)
        # octets that are no text, which Arrow would not take
        odd = "array(('e6', map(cast(X'6bff' AS string), 'v')), ('e7', map(cast(X'6bff' AS string), 'v', cast(X'6bfe' AS string), 'w')))"
        like_e1 = spark.read.format("delta").load(table).where("who = 'e1'").drop("who", "tags")
        more = like_e1.selectExpr(f"inline({odd}) AS (who, tags)", "*")
        more.select(SCHEMA.names).write.format("delta").mode("append").save(table)
    (batch,) = stream.delivered().batches
    told: dict[str, list[tuple[Any, ...]]] = {}
    for key, events in stream.files().items():
        told[key.event_type] = sorted(
            (each["id"], tuple((each["tags"] or {}).items()), each["by_hash"], each["born"])
            for each in events
        )
    assert told[CUSTOM] == told[PURCHASE]
    assert [each[0] for each in told[CUSTOM]] == ["e1", "e4", "e5", "e6"]
    assert told[CUSTOM][0] == ("e1", tuple(TAGS), '{"h":{"AP8=":2,"AQ==":1}}', BORN)
    assert told[CUSTOM][3][1] == (("k\ufffd", "v"),)
    held = spark.read.format("delta").load(stream.settings.ledger + "_quarantine").collect()
    assert Counter((each["dataset"], each["reason"]) for each in held) == Counter(
        {
            (name, reason): count
            for name in tables
            for reason, count in (("tags: duplicate_key", 2), ("by_hash: duplicate_key", 1))
        }
    )
    assert batch.counts["quarantined"] == 6
