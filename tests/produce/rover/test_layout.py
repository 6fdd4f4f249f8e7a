"""Which partition and chunk a record lands in, in what order, and what becomes of repeated ids."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from chispa import assert_column_equality
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from rover_spark.produce.columns.chunks import chunk_of, murmur3_long, salts
from rover_spark.produce.columns.lookup import lookup
from rover_spark.produce.rover.layout import arranged
from rover_spark.produce.rover.records import units
from tests.produce.cases import NOON, feed, plan, snapshot_plan, source, staged, table, uuid

LONGS = sorted(
    {0, 1, -1, 42, 2**31 - 1, 2**31, -(2**31), 2**32, 2**63 - 1, -(2**63)}
    | {sign * (2**bit + low) for bit in range(62) for low in (0, 3, -7) for sign in (1, -1)}
    | set(range(-300, 300))
)


def test_murmur3_in_python_is_sparks_hash_of_a_bigint(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(n, murmur3_long(n)) for n in LONGS], "n bigint, expected int")
    assert_column_equality(frame.withColumn("found", F.hash("n")), "found", "expected")


@pytest.mark.parametrize("n", [1, 2, 7, 37, 200])
def test_salts_are_the_smallest_that_hit_each_chunk(n: int) -> None:
    found = salts(n)
    assert [murmur3_long(salt) % n for salt in found] == list(range(n))
    assert all(murmur3_long(low) % n != chunk for chunk, salt in enumerate(found) for low in range(salt))


def test_repartitioning_by_the_salt_uses_every_partition_once(spark: SparkSession) -> None:
    for n in (1, 2, 7, 37, 200):
        frame = spark.createDataFrame([(chunk,) for chunk in range(n)], "chunk int")
        spread = frame.repartition(n, lookup(salts(n), F.col("chunk"))).select(
            F.spark_partition_id().alias("p")
        )
        assert sorted(row["p"] for row in spread.collect()) == list(range(n))


def test_a_chunk_is_pmod_of_sparks_hash(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(uuid(n),) for n in range(200)] + [(None,)], "id string")
    told = frame.withColumn("found", chunk_of(F.col("id"), 7)).withColumn(
        "expected", F.expr("pmod(hash(id), 7)")
    )
    assert_column_equality(told, "found", "expected")


def test_one_chunk_stays_in_one_partition_in_the_order_of_time_and_id(spark: SparkSession) -> None:
    rows = [(uuid(n * 7919 % 500), "{}", NOON + n % 5) for n in range(500)]
    found = {}
    for shape in (1, 5):
        made = snapshot_plan("fan_profiles", chunks=7)
        frame = arranged(units(table(spark, "fan_profiles", rows).repartition(shape), made, None), made)
        found[shape] = frame.withColumn("p", F.spark_partition_id()).collect()
    lines = {shape: [(row["chunk"], row["line"]) for row in told] for shape, told in found.items()}
    assert lines[1] == lines[5]
    partitions: dict[int, set[int]] = {}
    chunks: dict[int, list[tuple[str, str]]] = {}
    for row in found[1]:
        record = json.loads(row["line"])
        partitions.setdefault(row["chunk"], set()).add(row["p"])
        chunks.setdefault(row["chunk"], []).append((record["updatedAt"], record["id"]))
    assert sorted(chunks) == list(range(7))
    assert all(len(each) == 1 for each in partitions.values())
    assert len({p for each in partitions.values() for p in each}) == 7
    assert all(told == sorted(told) for told in chunks.values())
    # the rows of a chunk stand together
    assert (
        len(
            [
                1
                for before, after in zip(found[1], found[1][1:], strict=False)
                if before["chunk"] != after["chunk"]
            ]
        )
        == 6
    )


def _event(commit: int, event: str, name: str, at: int = NOON, fan: int = 1) -> tuple[Any, ...]:
    return ("insert", commit, event, uuid(fan), name, None, "{}", None, at)


def test_of_events_with_one_id_the_last_commit_wins(spark: SparkSession) -> None:
    cases = [  # row → outcome
        (_event(12, "alone", "a"), "delivered"),
        (_event(12, "identical", "a"), "superseded"),
        (_event(13, "identical", "a"), "delivered"),
        (_event(14, "identical", "a"), "superseded"),
        (_event(12, "different", "zzz"), "conflict"),
        (_event(13, "different", "a"), "delivered"),
        (_event(12, "two of three", "a"), "superseded"),
        (_event(13, "two of three", "b"), "conflict"),
        (_event(14, "two of three", "a"), "delivered"),
        # at other times, earlier and later: still one id
        (_event(12, "later first", "a", NOON + 9), "conflict"),
        (_event(13, "later first", "a", NOON), "delivered"),
        (_event(12, "earlier first", "a", NOON), "conflict"),
        (_event(13, "earlier first", "a", NOON + 9), "delivered"),
        # in one commit the greatest line
        (_event(12, "one commit", "b"), "delivered"),
        (_event(12, "one commit", "a"), "conflict"),
        (_event(12, "another fan", "a", fan=1), "conflict"),
        (_event(12, "another fan", "a", fan=2), "delivered"),
        (("insert", 15, "broken", uuid(1), "a", None, "[]", None, NOON), "quarantined"),
        (_event(12, "broken", "a"), "delivered"),
    ]
    made = plan(
        "fan_track_events",
        inserts_only=True,
        chunks=3,
        source=source("fan_track_events", extra={"event": "eventID"}),
    )
    rows = feed(spark, "fan_track_events", [case[0] for case in cases])
    lines, outcomes = staged(arranged(units(rows, made, None), made), made)
    assert outcomes == Counter(case[1] for case in cases)
    told = sorted(
        (record["event"], record["name"], record["timestamp"][-5:-1], record["roverID"])
        for record in map(json.loads, lines)
    )
    assert told == sorted(
        (row[2], row[4], f"{row[-1] - NOON:04d}", row[3]) for row, outcome in cases if outcome == "delivered"
    )


def test_in_a_snapshot_the_greatest_line_wins(spark: SparkSession) -> None:
    rows = [
        (uuid(1), '{"a":1}', NOON),
        (uuid(1), '{"a":3}', NOON),
        (uuid(1), '{"a":2}', NOON),
        (uuid(2), '{"a":1}', NOON),
        (uuid(2), '{"a":1}', NOON),
        (uuid(3), '{"a":1}', NOON),
        (uuid(3), '{"a":1}', NOON + 1),  # another time is another id
    ]
    made = snapshot_plan("fan_profiles", chunks=2)
    lines, outcomes = staged(arranged(units(table(spark, "fan_profiles", rows), made, None), made), made)
    told = sorted((record["roverID"], record["traits"]["a"]) for record in map(json.loads, lines))
    assert told == [(uuid(1), 3), (uuid(2), 1), (uuid(3), 1), (uuid(3), 1)]
    assert outcomes == {"delivered": 4, "conflict": 2, "superseded": 1}


def test_a_natural_key_without_the_time_lets_the_last_commit_of_a_key_win(spark: SparkSession) -> None:
    made = plan("fan_profiles", chunks=2, source=source("fan_profiles", natural_key=("roverID",)))
    rows = [
        ("insert", 12, uuid(1), '{"a":9}', NOON),
        ("update_preimage", 13, uuid(1), '{"a":9}', NOON),
        ("update_postimage", 13, uuid(1), '{"a":1}', NOON + 1),
    ]
    lines, outcomes = staged(arranged(units(feed(spark, "fan_profiles", rows), made, None), made), made)
    assert outcomes == {"delivered": 1, "conflict": 1, "before": 1}
    assert [json.loads(line)["traits"] for line in lines] == [{"a": 1}]
