"""From a source's columns to the contract's fields: what is refused before any row is read, what is quarantined."""

from __future__ import annotations

import json
from typing import Any

import pytest
from chispa import assert_df_equality
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from rover_spark.contract.rover import DATASETS, OVERHEAD
from rover_spark.errors import ConfigError
from rover_spark.produce.columns.expressions import filtered
from rover_spark.produce.rover.fields import mapped
from rover_spark.produce.rover.layout import arranged
from rover_spark.produce.rover.plan import Source
from rover_spark.produce.rover.records import set_aside, units
from tests.produce.cases import NOON, SCHEMAS, SECOND, feed, plan, snapshot_plan, source, staged, table, uuid

EVERYTHING = {
    "s": "'x'",
    "n": "1",
    "d": "1.5D",
    "t": "timestamp'2026-01-01'",
    "a": "array('x')",
    "b": "map(1, 'x')",
    "u": "cast(X'00' as binary)",
}


def _mapped(spark: SparkSession, dataset: str, chosen: Source) -> DataFrame:
    rows = table(spark, dataset, []).select(
        "*", *(F.expr(sql).alias(name) for name, sql in EVERYTHING.items())
    )
    return mapped(filtered(rows, f"datasets.{dataset}", chosen.where), DATASETS[dataset], chosen)


# dataset, what replaces the defaults → code, setting, what the message and the remedy say
REFUSED: list[tuple[str, dict[str, Any], str, str, str]] = [
    # cannot be resolved
    ("fan_profiles", {"columns": {"roverID": "rover_id"}}, "column_missing", "datasets.fan_profiles.columns.roverID", "roverID, traits, at"),
    ("fan_profiles", {"columns": {"traits": "to_json("}}, "column_missing", "datasets.fan_profiles.columns.traits", "expression"),
    ("fan_profiles", {"columns": {"updatedAt": "no_such(at)"}}, "column_missing", "datasets.fan_profiles.columns.updatedAt", "expression"),
    ("fan_track_events", {"columns": {"device": "gadget"}}, "column_missing", "datasets.fan_track_events.columns.device", "expression"),
    ("fan_profiles", {"extra": {"tier": "level"}}, "column_missing", "datasets.fan_profiles.extra.tier", "expression"),
    ("fan_profiles", {"where": "level > 1"}, "column_missing", "datasets.fan_profiles.where", "expression"),
    ("fan_profiles", {"where": "roverID"}, "column_missing", "datasets.fan_profiles.where", "expression"),
    ("fan_profiles", {"where": "at >"}, "column_missing", "datasets.fan_profiles.where", "expression"),
    # resolved, but of a type that cannot serve
    ("fan_profiles", {"columns": {"roverID": "n"}}, "column_type", "datasets.fan_profiles.columns.roverID", 'roverID = "cast(n as string)"'),
    ("fan_identity_graph", {"columns": {"identifier": "n"}}, "column_type", "datasets.fan_identity_graph.columns.identifier", 'identifier = "cast(n as string)"'),
    ("fan_profile_merges", {"columns": {"mergedRoverID": "u"}}, "column_type", "datasets.fan_profile_merges.columns.mergedRoverID", 'mergedRoverID = "cast(u as string)"'),
    ("fan_profiles", {"columns": {"updatedAt": "s"}}, "column_type", "datasets.fan_profiles.columns.updatedAt", 'updatedAt = "to_timestamp(s)"'),
    ("fan_profiles", {"columns": {"traits": "n"}}, "column_type", "datasets.fan_profiles.columns.traits", "traits = "),
    ("fan_profiles", {"columns": {"traits": "a"}}, "column_type", "datasets.fan_profiles.columns.traits", "traits = "),
    ("fan_track_events", {"columns": {"eventID": "d"}}, "column_type", "datasets.fan_track_events.columns.eventID", 'eventID = "cast(cast(d as bigint) as string)"'),
    ("fan_track_events", {"columns": {"name": "t"}}, "column_type", "datasets.fan_track_events.columns.name", 'name = "cast(t as string)"'),
    ("fan_profiles", {"extra": {"tier": "d"}, "natural_key": ("roverID", "tier")}, "column_type", "datasets.fan_profiles.natural_key: tier", 'tier = "cast(d as string)"'),
]  # fmt: skip


def test_what_cannot_serve_is_refused_with_its_setting_and_the_mend(spark: SparkSession) -> None:
    for dataset, chosen, code, setting, mend in REFUSED:
        with pytest.raises(ConfigError) as caught:
            _mapped(spark, dataset, source(dataset, **chosen))
        assert caught.value.code == code, chosen
        assert str(caught.value).startswith(setting), chosen
        assert mend in caught.value.remedy, chosen


def test_the_mend_that_is_offered_mends(spark: SparkSession) -> None:
    failed = []
    for dataset, chosen, code, setting, _ in REFUSED:
        if code != "column_type" or "columns" not in chosen:
            continue
        with pytest.raises(ConfigError) as caught:
            _mapped(spark, dataset, source(dataset, **chosen))
        mend = caught.value.remedy.split('"')[1]
        try:
            _mapped(spark, dataset, source(dataset, columns={next(iter(chosen["columns"])): mend}))
        except ConfigError as error:
            failed.append((setting, mend, error.code))
    assert failed == []


def test_optional_fields_may_have_no_column_but_required_ones_need_theirs(spark: SparkSession) -> None:
    rows = table(spark, "fan_track_events", []).drop("namespace", "device")
    chosen = source("fan_track_events")
    assert mapped(rows, DATASETS["fan_track_events"], chosen).columns == [
        "f_eventID", "f_roverID", "f_name", "f_attributes", "f_timestamp",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match=r"columns\.attributes"):
        mapped(rows.drop("attributes"), DATASETS["fan_track_events"], chosen)
    # one that the configuration names must be there
    with pytest.raises(ConfigError, match=r"columns\.device"):
        mapped(rows, DATASETS["fan_track_events"], source("fan_track_events", columns={"device": "gadget"}))


def test_names_are_matched_whatever_their_case(spark: SparkSession) -> None:
    rows = table(spark, "fan_track_events", []).toDF(
        "EVENTID", "roverid", "Name", "NameSpace", "ATTRIBUTES", "DEVICE", "at"
    )
    assert len(mapped(rows, DATASETS["fan_track_events"], source("fan_track_events")).columns) == 7


FAR, LONG_AGO = 253_402_300_800 * SECOND, -62_135_596_800 * SECOND - 1
LONG = "x" * 2_000
# eventID, roverID, name, namespace, attributes, device, at → reason
REASONS: list[tuple[Any, ...]] = [
    ("fine", uuid(1), "n", None, None, None, NOON, None),
    (None, uuid(1), "n", None, "{}", None, NOON, "eventID_missing"),
    ("", uuid(1), "n", None, "{}", None, NOON, None),
    ("no fan", None, "n", None, "{}", None, NOON, "roverID_missing"),
    ("no uuid", "", "n", None, "{}", None, NOON, "roverID_malformed"),
    ("braces", "{" + uuid(1) + "}", "n", None, "{}", None, NOON, "roverID_malformed"),
    ("no dashes", uuid(1).replace("-", ""), "n", None, "{}", None, NOON, "roverID_malformed"),
    ("blank", " " + uuid(1), "n", None, "{}", None, NOON, "roverID_malformed"),
    ("no name", uuid(1), None, None, "{}", None, NOON, "name_missing"),
    ("no time", uuid(1), "n", None, "{}", None, None, "timestamp_missing"),
    ("far", uuid(1), "n", None, "{}", None, FAR, "timestamp_out_of_range"),
    ("last", uuid(1), "n", None, "{}", None, FAR - 1, None),
    ("long ago", uuid(1), "n", None, "{}", None, LONG_AGO, "timestamp_out_of_range"),
    ("first", uuid(1), "n", None, "{}", None, LONG_AGO + 1, None),
    ("no object", uuid(1), "n", None, "[]", None, NOON, "no_json_object"),
    ("no text", uuid(1), "n", None, "", None, NOON, "no_json_object"),
    ("no device", uuid(1), "n", None, "{}", '"x"', NOON, "no_json_object"),
    # 25 octets of names and braces, 13 of `tier` and the overhead: just fits
    ("fits", uuid(1), "x" * (1_500 - 25 - 13 - OVERHEAD), None, "{}", None, NOON, None),
    ("one too many", uuid(1), "x" * (1_501 - 25 - 13 - OVERHEAD), None, "{}", None, NOON, "record_too_large"),
    ("too large", uuid(1), LONG, None, "{}", None, NOON, "record_too_large"),
    ("too large in octets", uuid(1), "😀" * 400, None, "{}", None, NOON, "record_too_large"),
    # the first reason is told
    (None, None, None, None, "[]", None, None, "eventID_missing"),
    ("several", uuid(1), "n", None, "[]", None, None, "timestamp_missing"),
]


def test_what_cannot_be_delivered_says_why_and_keeps_the_row(spark: SparkSession) -> None:
    made = plan(
        "fan_track_events",
        inserts_only=True,
        max_record_bytes=1_500,
        source=source("fan_track_events", extra={"tier": "'gold'"}),
    )
    rows = feed(
        spark, "fan_track_events", [("insert", 12 + n % 3, *case[:-1]) for n, case in enumerate(REASONS)]
    )
    found = set_aside(units(rows, made, None), made)
    broken = [(n, case) for n, case in enumerate(REASONS) if case[-1] is not None]
    expected = [("acme", "fan_track_events", made.batch, 12 + n % 3, case[-1], case[0]) for n, case in broken]
    shown = found.withColumn("row", F.get_json_object("row", "$.eventID"))
    assert_df_equality(
        shown, spark.createDataFrame(expected, found.schema), ignore_row_order=True, ignore_nullable=True
    )
    kept = json.loads(found.where("reason = 'no_json_object'").orderBy("row").collect()[0]["row"])
    assert kept == {
        "eventID": "no device", "roverID": uuid(1), "name": "n", "namespace": None, "attributes": "{}",
        "device": '"x"', "timestamp": "2026-01-01T12:00:00.000000Z", "tier": "gold",
    }  # fmt: skip


def test_an_additional_number_json_cannot_say_is_quarantined(spark: SparkSession) -> None:
    made = snapshot_plan("fan_profiles", source=source("fan_profiles", extra={"score": "1D / x"}))
    rows = table(
        spark,
        "fan_profiles",
        [(uuid(n), "{}", NOON, x) for n, x in enumerate([2.0, float("inf"), None])],
        SCHEMAS["fan_profiles"] + ", x double",
    )
    found = units(
        rows.withColumn("x", F.when(F.col("x") == float("inf"), F.lit(float("nan"))).otherwise(F.col("x"))),
        made,
        None,
    )
    told = {row["rover_id"]: (row["problem"], row["tail"]) for row in found.collect()}
    assert told[uuid(0)] == (None, '"score":0.5')
    assert told[uuid(1)][0] == "number_not_finite"
    assert told[uuid(2)] == (None, "")


def test_an_additional_field_of_the_natural_key_may_not_be_null(spark: SparkSession) -> None:
    chosen = source("fan_profiles", extra={"tier": "level"}, natural_key=("roverID", "tier", "updatedAt"))
    made = snapshot_plan("fan_profiles", source=chosen)
    rows = table(
        spark,
        "fan_profiles",
        [(uuid(1), "{}", NOON, 7), (uuid(1), "{}", NOON, 8), (uuid(2), "{}", NOON, None)],
        SCHEMAS["fan_profiles"] + ", level int",
    )
    found = units(rows, made, None).select("rover_id", "problem").collect()
    assert sorted(row["problem"] or "" for row in found) == ["", "", "tier_missing"]
    lines = arranged(units(rows, made, None), made).where("line is not null").select("line").collect()
    assert len({json.loads(row["line"])["id"] for row in lines}) == 2


def test_a_table_may_have_columns_that_are_named_like_the_feeds(spark: SparkSession) -> None:
    schema = SCHEMAS["fan_profiles"] + ", commit string, change string, commit_us string"
    rows = [
        (uuid(1), '{"a":1}', NOON, "9", "x", "y"),
        (uuid(1), '{"a":2}', NOON, "1", "x", "y"),
        (uuid(2), "[]", NOON, "a", "x", "y"),
    ]
    made = snapshot_plan("fan_profiles")
    found = units(table(spark, "fan_profiles", rows, schema), made, None)
    lines, _ = staged(arranged(found, made), made)
    assert [json.loads(line)["traits"] for line in lines] == [{"a": 2}]
    assert [row["source_version"] for row in set_aside(found, made).collect()] == [20]


def test_a_delete_that_is_told_is_never_larger_than_a_record_may_be(spark: SparkSession) -> None:
    made = plan("fan_identity_graph", max_record_bytes=1_500)
    rows = [("delete", 12, uuid(1), "email", LONG, NOON), ("delete", 12, uuid(2), "email", "a", NOON)]
    lines = (
        arranged(units(feed(spark, "fan_identity_graph", rows), made, None), made).select("line").collect()
    )
    assert [
        len(row["line"].encode()) for row in lines if row["line"] and len(row["line"].encode()) > 1_500
    ] == []
