"""The record as a line, octet for octet."""

from __future__ import annotations

import json
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from rover_spark.contract.rover import OVERHEAD
from rover_spark.produce.rover.layout import arranged
from rover_spark.produce.rover.plan import BatchPlan
from rover_spark.produce.rover.records import units
from tests.produce.cases import NOON, feed, plan, snapshot_plan, source, table, uuid

FAN, OTHER = "0A000000-0000-4000-8000-00000000000F", "0B000000-0000-4000-8000-00000000000F"
EXTRA = {"tier": "'gold'", "none": "cast(null as string)", "tags": "map('b', 2, 'a', cast(null as int))"}
TAIL = '"tier":"gold","tags":{"a":null,"b":2}'

ENVELOPE = '{"id":"%s","version":1,"roverID":"0a000000-0000-4000-8000-00000000000f","emittedAt":"2026-01-02T12:00:00.250Z",'
TIME = '"2026-01-01T12:00:00.123456Z"}\n'
AT = NOON + 123_456

# plan, row (with change and commit where it is a change), the rest of the line after the envelope
LINES: list[tuple[BatchPlan, tuple[Any, ...], str]] = [
    (snapshot_plan("fan_profiles"), (FAN, '{"b":null,"a":1.50}', AT), '"traits":{"a":1.50},"updatedAt":'),
    (snapshot_plan("fan_profiles"), (FAN, None, AT), '"traits":{},"updatedAt":'),
    (
        snapshot_plan("fan_profiles", source=source("fan_profiles", extra=EXTRA)),
        (FAN, "{}", AT),
        f'"traits":{{}},{TAIL},"updatedAt":',
    ),
    (
        snapshot_plan("fan_profiles", source=source("fan_profiles", extra={"none": "cast(null as int)"})),
        (FAN, "{}", AT),
        '"traits":{},"updatedAt":',
    ),
    (
        plan("fan_profiles", source=source("fan_profiles", deletes="tombstone")),
        ("insert", 12, FAN, "{}", AT),
        '"traits":{},"updatedAt":',
    ),
    (
        snapshot_plan("fan_identity_graph"),
        (FAN, "email", "a@x.io", AT),
        '"identifierType":"email","identifier":"a@x.io","operation":"create","updatedAt":',
    ),
    (
        snapshot_plan("fan_identity_graph", source=source("fan_identity_graph", extra=EXTRA)),
        (FAN, "email", "", AT),
        f'"identifierType":"email","identifier":"","operation":"create",{TAIL},"updatedAt":',
    ),
    (
        snapshot_plan("fan_profile_merges"),
        (FAN, OTHER, AT),
        '"mergedRoverID":"0b000000-0000-4000-8000-00000000000f","occurredAt":',
    ),
    (
        plan("fan_track_events"),
        ("insert", 12, "e", FAN, "opened", None, '{"a":null}', None, AT),
        '"name":"opened","attributes":{"a":null},"timestamp":',
    ),
    (
        plan("fan_track_events", inserts_only=True, source=source("fan_track_events", extra=EXTRA)),
        ("insert", 12, "e", FAN, "opened", "app", None, '{"os":"x"}', AT),
        f'"name":"opened","namespace":"app","attributes":{{}},"device":{{"os":"x"}},{TAIL},"timestamp":',
    ),
]


def _lines(spark: SparkSession, made: BatchPlan, rows: list[tuple[Any, ...]]) -> DataFrame:
    given = (table if made.phase == "snapshot" else feed)(spark, made.dataset, rows)
    return arranged(units(given, made, None), made)


def test_a_line_is_envelope_own_fields_additional_ones_and_the_event_time(spark: SparkSession) -> None:
    frames = [_lines(spark, made, [row]).select("line") for made, row, _ in LINES]
    whole = frames[0]
    for frame in frames[1:]:
        whole = whole.union(frame)
    found = [row["line"] for row in whole.collect()]
    for line, (_, _, rest) in zip(found, LINES, strict=True):
        record = json.loads(line)
        assert line == ENVELOPE % record["id"] + rest + TIME
        assert len(record["id"]) == 32
        names = list(record)
        assert names[:4] == ["id", "version", "roverID", "emittedAt"]
        assert len(names) == len(set(names))


def test_changes_say_what_they_are_and_a_tombstone_says_deleted(spark: SparkSession) -> None:
    made = plan("fan_identity_graph")
    rows = [
        ("update_preimage", 12, FAN, "email", "a", NOON),
        ("update_postimage", 12, FAN, "email", "a", AT),
        ("delete", 12, FAN, "email", "b", NOON),
    ]
    tomb = plan("fan_profiles", source=source("fan_profiles", deletes="tombstone", extra={"tier": "'gold'"}))
    found = _lines(spark, made, rows).union(_lines(spark, tomb, [("delete", 12, FAN, '{"a":1}', NOON)]))
    lines = [row["line"] for row in found.where("line is not null").collect()]
    ids = [json.loads(line)["id"] for line in lines]
    commit = '"2026-01-01T12:00:12.000000Z"}\n'
    assert lines[2] == ENVELOPE % ids[2] + '"deleted":true,"tier":"gold","updatedAt":' + commit
    rest = [
        '"identifierType":"email","identifier":"a","operation":"update","updatedAt":' + TIME,
        '"identifierType":"email","identifier":"b","operation":"delete","updatedAt":' + commit,
    ]
    assert lines[:2] == [ENVELOPE % ids[0] + rest[0], ENVELOPE % ids[1] + rest[1]]


HOSTILE = [
    'say "hi"',
    "back\\slash\\",
    "a\nb\r\nc",
    "\x00\x01\x1f\x7f\t\b\f",
    "😀 é ß \u2028\u2029\u0085 \ufeff",
    "</script>",
    "$1 \\1 {}[]",
    "",
    " ",
    "null",
    "\\u0041",
    "'",
    "\ud7ff\ue000\uffff",
]


def test_any_text_comes_back_whole_and_each_line_is_one_line(spark: SparkSession) -> None:
    made = plan(
        "fan_track_events", inserts_only=True, source=source("fan_track_events", extra={"note": "name"})
    )
    rows = [
        (
            "insert",
            12,
            f"e{n}\n",
            uuid(n),
            text,
            text,
            json.dumps({text: text}, indent=1),
            json.dumps({"a": text}, ensure_ascii=False),
            NOON + n,
        )
        for n, text in enumerate(HOSTILE)
    ]
    lines = [row["line"] for row in _lines(spark, made, rows).collect()]
    assert len(lines) == len(HOSTILE)
    for line, text in zip(lines, HOSTILE, strict=True):
        assert line.endswith("}\n")
        assert line.count("\n") == 1
        assert "\r" not in line
        record = json.loads(line)
        told = [record[name] for name in ("name", "namespace", "attributes", "device", "note")]
        assert told == [text, text, {text: text}, {"a": text}, text]


def test_no_line_is_longer_than_its_members_and_the_overhead(spark: SparkSession) -> None:
    made = snapshot_plan("fan_identity_graph", source=source("fan_identity_graph", extra={"x": "1"}))
    line = _lines(spark, made, [(FAN, "t", "i", NOON)]).collect()[0]["line"]
    members = '"identifierType":"t","identifier":"i"' + '"x":1'
    assert len(line.encode()) <= len(members) + OVERHEAD


def test_event_times_have_four_digits_for_the_year_and_six_decimals(spark: SparkSession) -> None:
    times = {
        -62_135_596_800_000_000: "0001-01-01T00:00:00.000000Z",
        -1: "1969-12-31T23:59:59.999999Z",
        0: "1970-01-01T00:00:00.000000Z",
        NOON: "2026-01-01T12:00:00.000000Z",
        253_402_300_799_999_999: "9999-12-31T23:59:59.999999Z",
    }
    rows = [(uuid(n), "{}", at) for n, at in enumerate(times)]
    lines = [row["line"] for row in _lines(spark, snapshot_plan("fan_profiles"), rows).collect()]
    assert [json.loads(line)["updatedAt"] for line in lines] == list(times.values())


def test_a_rover_id_with_a_line_break_is_malformed(spark: SparkSession) -> None:
    rows = [(uuid(n) + end, "{}", NOON) for n, end in enumerate(["\n", "\r\n", "\r", "\u2028", "\u0085"])]
    found = _lines(spark, snapshot_plan("fan_profiles"), rows).select("outcome", "line").collect()
    assert [(row["outcome"], row["line"]) for row in found] == [("quarantined", None)] * len(rows)


def test_a_merged_rover_id_with_a_line_break_is_malformed(spark: SparkSession) -> None:
    found = units(
        table(spark, "fan_profile_merges", [(uuid(1), uuid(2) + "\n", NOON)]),
        snapshot_plan("fan_profile_merges"),
        None,
    )
    assert [row["outcome"] for row in found.select("outcome").collect()] == ["quarantined"]
