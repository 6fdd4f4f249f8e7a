"""Text that breaks loads, mended over real Delta tables: one text whoever reads and whoever makes the records, and once more by redeliver."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rover_spark.face import commands
from rover_spark.face.results import Result
from rover_spark.model.dataset_state import BatchRecord
from tests import NATIVE, receiver
from tests.e2e.filed import EACH_READER, Filed, plans, write
from tests.e2e.world import World, uuid

pytestmark = pytest.mark.skipif(not NATIVE, reason="Spark reads the log: data files cannot be listed")

MENDED = {"duplicate_keys": "last", "nul": "replace", "big_integers": "string"}
BIG = 2**53
SCHEMA = pa.schema(
    [
        ("who", pa.string()),
        ("traits", pa.map_(pa.string(), pa.string())),
        ("deep", pa.map_(pa.string(), pa.map_(pa.string(), pa.int64()))),
        ("points", pa.int64()),
        ("said", pa.string()),
        ("at", pa.timestamp("us", "UTC")),
    ]
)
# how a row differs from a plain one, what is delivered of it, what is counted
KINDS: list[tuple[dict[str, Any], dict[str, Any], set[str]]] = [
    ({}, {}, set()),
    ({"traits": [("b", "1"), ("a", "x"), ("b", "2")]}, {"traits": {"a": "x", "b": "2"}}, {"duplicate_keys"}),
    (
        {"traits": [("n\0", "\0\0"), ("\\u0000", "\\\0")]},
        {"traits": {"n\ufffd": "\ufffd\ufffd", "\\u0000": "\\\ufffd"}},
        {"nul"},
    ),
    ({"points": BIG}, {"points": f"{BIG}"}, {"big_integers"}),
    ({"points": 1 - BIG}, {"points": 1 - BIG}, set()),
    (
        {"deep": [("k", [("z", -BIG), ("z", 5), ("y", -BIG)]), ("l", [])]},
        {"deep": {"k": {"y": f"-{BIG}", "z": 5}, "l": {}}},
        {"duplicate_keys", "big_integers"},
    ),
    ({"traits": [("gone", "1"), ("gone", None), ("a", "1")]}, {"traits": {"a": "1"}}, {"duplicate_keys"}),
    # one key without its NUL; the rows are told apart by their neighbours
    ({"traits": [("a\0", "1"), ("a\ufffd", "2")]}, {"traits": {"a\ufffd": "2"}}, {"duplicate_keys", "nul"}),
    ({"traits": [("t", '"9007199254740993", 9007199254740993')]}, {"traits": {"t": '"9007199254740993", 9007199254740993'}}, set()),
]  # fmt: skip
PLAIN = {"traits": [("a", "1")], "deep": [], "points": 7}
SAID: list[tuple[str, str, set[str]]] = [
    ('{"a": 1.50,\n "b":[1e400, -0]}', '{"a": 1.50,  "b":[1e400, -0]}', set()),
    ('{"a":1,"b":2 , "\\u0061":{"b":"x","b":null}}', '{"b":2 , "\\u0061":{"b":null}}', {"duplicate_keys"}),
    ('{"k\\u0000":"\\\\u0000\\u0000"}', '{"k\ufffd":"\\\\u0000\ufffd"}', {"nul"}),
    ('{"n":9007199254740993,"m":[-12345678901234567890, 12345678901234567890.0]}',
     '{"n":"9007199254740993","m":["-12345678901234567890", 12345678901234567890.0]}', {"big_integers"}),
    ('{"a":[{"x":12345678901234567890,"x":"\\u0000"}],"a":[{"x":1,"x":12345678901234567890}]}',
     '{"a":[{"x":"12345678901234567890"}]}', {"duplicate_keys", "big_integers"}),
    ('{"only\\u0000":1,"only\ufffd":2}', '{"only\ufffd":2}', {"duplicate_keys", "nul"}),
]  # fmt: skip
OUR_COUNTS = set(MENDED)


def rows(first: int, last: int) -> pa.Table:
    made = [
        {**PLAIN, "who": uuid(n), "said": SAID[n % len(SAID)][0], "at": n * 10**6, **KINDS[n % len(KINDS)][0]}
        for n in range(first, last)
    ]
    return pa.Table.from_pylist(made, SCHEMA)


def tables_of(filed: Filed, *parts: pa.Table) -> None:
    """Fans in files of another writer than Spark, which lets a key stand twice, and events with what they said."""
    fans = Path(filed.table("fans"))
    fans.mkdir(parents=True)
    for n, part in enumerate(parts):
        pq.write_table(part.drop_columns("said"), fans / f"part-{n}.parquet")
    filed.sql(f"CONVERT TO DELTA parquet.`{fans}`")
    filed.sql("ALTER TABLE {t} SET TBLPROPERTIES (delta.enableChangeDataFeed = true)", t="fans")
    write(filed.table("events"), *(part.select(["who", "said", "at"]) for part in parts))


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    assert len(found) == len(pairs), pairs
    return found


def told(world: World, dataset: str) -> dict[str, dict[str, Any]]:
    """By fan the record; no object has a name twice. Numbers with a fraction as their text."""
    found = (
        json.loads(line, object_pairs_hook=once, parse_float=str)
        for line in receiver.lines(world.bucket, dataset)
    )
    return {record["roverID"]: record for record in found}


def expected(kinds: list[Any], first: int, last: int) -> dict[str, int]:
    counts: dict[str, int] = {}
    for n in range(first, last):
        for name in kinds[n % len(kinds)][-1]:
            counts[name] = counts.get(name, 0) + 1
    return counts


def of(result: Result, dataset: str) -> BatchRecord:
    (found,) = (batch for batch in result.batches if batch.dataset == dataset)
    return found


def ours(counts: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if name in OUR_COUNTS}


@pytest.mark.law(3)
@pytest.mark.law(4)
@EACH_READER
def test_text_is_mended_alike_by_each_reader_counted_and_delivered_again_with_the_same_bytes(
    filed: Filed, reader: str
) -> None:
    tables_of(filed, rows(0, 20), rows(20, 36))
    filed.datasets["fan_profiles"] = {
        "table": filed.table("fans"),
        "columns": {"roverID": "who", "updatedAt": "at"},
        "extra": {"points": "points", "deep": "deep"},
    }
    filed.datasets["fan_track_events"] = {
        "table": filed.table("events"),
        "columns": {"eventID": "who", "roverID": "who", "name": "concat('n', char(0))", "attributes": "said", "timestamp": "at"},
        "start": "earliest",
    }  # fmt: skip
    worlds = {"hash": filed.by("hash"), "files": filed.by("files", reader)}
    lines = {}
    for name, world in worlds.items():
        world.options["text"] = MENDED
        result = world.delivered()
        profiles, events = of(result, "fan_profiles"), of(result, "fan_track_events")
        if name == "files":
            found = {dataset: plan.files.reader for dataset, plan in plans(result).items()}
            assert found == {"fan_profiles": reader, "fan_track_events": "spark"}
        assert profiles.counts["delivered"] == events.counts["delivered"] == 36
        assert ours(profiles.counts) == expected(KINDS, 0, 36)
        assert ours(events.counts) == {**expected(SAID, 0, 36), "nul": 36}, "each name has one"
        lines[name] = {each: sorted(receiver.lines(world.bucket, each)) for each in world.datasets}
    assert lines["hash"] == lines["files"]

    world = worlds["files"]
    known = {"traits": {"a": "1"}, "deep": {}, "points": 7}
    fans, said = (told(world, dataset) for dataset in world.datasets)
    for n in range(36):
        record = fans[uuid(n)]
        assert {name: record[name] for name in known} == {**known, **KINDS[n % len(KINDS)][1]}, n
    for n, (_, text, _) in [(n, SAID[n % len(SAID)]) for n in range(36)]:
        assert said[uuid(n)]["name"] == "n\ufffd"
        assert any(f'"attributes":{text},' in line for line in lines["files"]["fan_track_events"])
    intact = world.fingerprint()
    assert commands.verify(world.spark, world.settings).ok
    world.options["text"] = {}  # a redelivery follows the plan
    for batch in result.batches:
        assert commands.redeliver(world.spark, world.settings, batch.batch).ok
    assert world.fingerprint() == intact
    if reader == "native":
        _kept_and_changed(filed, world, reader)


def _kept_and_changed(filed: Filed, mended: World, reader: str) -> None:
    """What keep delivers has the ids that mending gives it; the settings may change, and count from the next batch on."""
    world = filed.by("files", reader, compression_level=2)
    profiles = of(world.delivered(), "fan_profiles")
    assert not ours(profiles.counts) and profiles.counts["quarantined"] == 12, "three kinds have a key twice"
    assert profiles.counts["delivered"] == 24
    for dataset in world.datasets:
        also, kept = told(mended, dataset), _as_it_was(world, dataset)
        assert kept and all(also[who]["id"] == found for who, found in kept.items())

    world.options["text"] = MENDED
    filed.sql("UPDATE {t} SET at = at + INTERVAL 1 DAY WHERE points <> 7", t="fans")
    changed = of(world.delivered(), "fan_profiles")
    assert changed.phase == "changes" and changed.counts["delivered"] == 8
    assert ours(changed.counts) == {"big_integers": 4}
    assert commands.verify(world.spark, world.settings).ok


def _as_it_was(world: World, dataset: str) -> dict[str, str]:
    return {each["roverID"]: each["id"] for each in map(json.loads, receiver.lines(world.bucket, dataset))}
