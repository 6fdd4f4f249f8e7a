"""At what time a change is told, against the rule said one change after the other in Python."""

from __future__ import annotations

import json
import random
from typing import Any

from chispa import assert_df_equality
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from rover_spark.contract.ids import digest32
from rover_spark.produce.rover.layout import arranged
from rover_spark.produce.rover.plan import BatchPlan
from rover_spark.produce.rover.records import floor_rows, units
from tests.produce.cases import DAY, NOON, SECOND, commit_us, feed, plan, snapshot_plan, source, table, uuid

INSERT, DELETE = "insert", "delete"
PRE, POST = "update_preimage", "update_postimage"
FAR = 300_000_000_000 * SECOND  # the year 11476
LAST = 253_402_300_799_999_999  # 9999-12-31T23:59:59.999999Z
C12, C13, C14, C15 = (commit_us(version) for version in (12, 13, 14, 15))
OLD, LATE = NOON - DAY, NOON + DAY
FLOOR = NOON + 10 * DAY


def _floors(spark: SparkSession, floors: dict[str, int]) -> DataFrame:
    """(key, floor_us) of fans, as earlier batches left them."""
    return spark.createDataFrame(
        [(digest32([fan]), floor) for fan, floor in floors.items()], "key string, floor_us bigint"
    )


# case, floor of earlier batches, change, commit, fan, traits, own time → event time, leaves a floor
TOLD: list[tuple[Any, ...]] = [
    ("create", None, INSERT, 12, 1, "{}", OLD, OLD, False),
    ("create, later than its commit", None, INSERT, 12, 2, "{}", LATE, LATE, False),
    ("update", None, PRE, 12, 3, "{}", OLD, None, False),
    ("update", None, POST, 12, 3, '{"a":1}', OLD + 1, OLD + 1, False),
    # a change that is not later than its before-image
    ("same time", None, PRE, 12, 4, "{}", OLD, None, False),
    ("same time", None, POST, 12, 4, '{"a":1}', OLD, C12, True),
    ("earlier", None, PRE, 12, 5, "{}", LATE, None, False),
    ("earlier", None, POST, 12, 5, '{"a":1}', OLD, LATE + 1, True),
    # a delete
    ("delete", None, DELETE, 12, 6, "{}", OLD, C12, True),
    ("delete, later than its commit", None, DELETE, 12, 7, "{}", LATE, LATE + 1, True),
    ("delete at its commit", None, DELETE, 12, 8, "{}", C12, C12 + 1, True),
    ("delete without a time", None, DELETE, 12, 9, "{}", None, C12, True),
    # created again in the batch, with an older time and with a later one
    ("again, older", None, DELETE, 12, 10, "{}", OLD, C12, True),
    ("again, older", None, INSERT, 13, 10, "{}", OLD, C12 + 1, True),
    ("again, later", None, DELETE, 12, 11, "{}", OLD, C12, True),
    ("again, later", None, INSERT, 13, 11, "{}", LATE, LATE, False),
    # in a later batch
    ("floor, older", FLOOR, INSERT, 12, 12, "{}", OLD, FLOOR + 1, True),
    ("floor, equal", FLOOR, INSERT, 12, 13, "{}", FLOOR, FLOOR + 1, True),
    ("floor, later", FLOOR, INSERT, 12, 14, "{}", FLOOR + 1, FLOOR + 1, False),
    ("floor, update", FLOOR, PRE, 12, 15, "{}", OLD, None, False),
    ("floor, update", FLOOR, POST, 12, 15, '{"a":1}', OLD + 1, FLOOR + 1, True),
    ("floor, delete", FLOOR, DELETE, 12, 16, "{}", OLD, FLOOR + 1, True),
    ("floor, no change", FLOOR, PRE, 12, 17, "{}", OLD, None, False),
    ("floor, no change", FLOOR, POST, 12, 17, "{}", OLD, None, False),
    ("floor, quarantined", FLOOR, INSERT, 12, 18, "[]", OLD, None, False),
    # several changes of one key always rise
    ("rising", FLOOR, PRE, 12, 19, "{}", OLD, None, False),
    ("rising", FLOOR, POST, 12, 19, '{"a":1}', OLD, FLOOR + 1, True),
    ("rising", FLOOR, PRE, 13, 19, '{"a":1}', OLD, None, False),
    ("rising", FLOOR, POST, 13, 19, '{"a":2}', OLD, FLOOR + 2, True),
    ("rising", FLOOR, DELETE, 14, 19, '{"a":2}', OLD, FLOOR + 3, True),
    ("rising", FLOOR, INSERT, 15, 19, '{"a":2}', OLD, FLOOR + 4, True),
    ("rising at the commit", None, PRE, 12, 20, "{}", OLD, None, False),
    ("rising at the commit", None, POST, 12, 20, '{"a":1}', OLD, C12, True),
    ("rising at the commit", None, PRE, 13, 20, '{"a":1}', OLD, None, False),
    ("rising at the commit", None, POST, 13, 20, '{"a":2}', OLD, C13, True),
    ("rising to its own time", None, PRE, 12, 21, "{}", OLD, None, False),
    ("rising to its own time", None, POST, 12, 21, '{"a":1}', OLD, C12, True),
    ("rising to its own time", None, PRE, 13, 21, '{"a":1}', OLD, None, False),
    ("rising to its own time", None, POST, 13, 21, '{"a":2}', OLD + 5, C12 + 1, True),
    ("rising to its own time", None, PRE, 14, 21, '{"a":2}', OLD + 5, None, False),
    ("rising to its own time", None, POST, 14, 21, '{"a":3}', LATE, LATE, False),
    # what is not told takes no part
    ("a gap in between", None, PRE, 12, 22, "{}", OLD, None, False),
    ("a gap in between", None, POST, 12, 22, "[]", LATE, None, False),
    ("a gap in between", None, PRE, 13, 22, "[]", LATE, None, False),
    ("a gap in between", None, POST, 13, 22, '{"a":1}', LATE + 7, LATE + 7, False),
    # before 1970, and the first instant there is
    ("long ago", None, PRE, 12, 23, "{}", -1, None, False),
    ("long ago", None, POST, 12, 23, '{"a":1}', 0, 0, False),
]


def _assert_times(spark: SparkSession, made: BatchPlan, cases: list[tuple[Any, ...]]) -> None:
    floors = _floors(spark, {uuid(case[4]): case[1] for case in cases if case[1] is not None})
    rows = feed(spark, made.dataset, [(c[2], c[3], uuid(c[4]), c[5], c[6]) for c in cases])
    told = F.col("outcome").isin("delivered", "suppressed")
    found = units(rows, made, floors).select(
        "rover_id", "commit", "change", F.when(told, F.col("event_us")).alias("event_us"), "floor"
    )
    expected = [(uuid(c[4]), c[3], c[2], c[7], c[8]) for c in cases]
    assert_df_equality(
        found, spark.createDataFrame(expected, found.schema), ignore_row_order=True, ignore_nullable=True
    )


def test_each_change_is_told_later_than_the_state_it_replaces(spark: SparkSession) -> None:
    _assert_times(spark, plan("fan_profiles", floors=True), TOLD)


def test_what_no_time_is_left_for_is_quarantined_and_never_ties(spark: SparkSession) -> None:
    reason = "updatedAt_out_of_range"
    cases: list[
        tuple[Any, ...]
    ] = [  # floor, change, commit, fan, traits, own time → event time or reason, leaves a floor
        (None, INSERT, 12, 1, "{}", LAST, LAST, False),
        (None, DELETE, 13, 1, "{}", LAST, reason, True),
        (None, INSERT, 14, 1, "{}", NOON, reason, True),
        (None, DELETE, 12, 2, "{}", LAST - 1, LAST, True),
        (None, INSERT, 13, 2, "{}", LAST - 1, reason, True),
        (None, PRE, 12, 3, "{}", LAST, None, False),
        (None, POST, 12, 3, '{"a":1}', LAST, reason, True),
        (None, PRE, 12, 4, "{}", LAST, None, False),
        (None, POST, 12, 4, '{"a":1}', NOON, reason, True),
        (None, PRE, 12, 5, "{}", OLD, None, False),
        (None, POST, 12, 5, "{}", LAST, LAST, False),
        # in a later batch
        (LAST, INSERT, 12, 6, '{"a":1}', NOON, reason, True),
        (LAST, DELETE, 12, 7, "{}", NOON, reason, True),
        (LAST - 1, INSERT, 12, 8, "{}", NOON, LAST, True),
    ]
    made = plan("fan_profiles", floors=True, source=source("fan_profiles", deletes="tombstone"))
    silent = [(DELETE, 12, uuid(1), "{}", LAST)]  # told to nobody: nothing is out of range
    (row,) = units(feed(spark, "fan_profiles", silent), plan("fan_profiles"), None).collect()
    assert (row["outcome"], row["floor"]) == ("suppressed", True)
    floors = _floors(spark, {uuid(case[3]): case[0] for case in cases if case[0] is not None})
    rows = feed(spark, "fan_profiles", [(c[1], c[2], uuid(c[3]), c[4], c[5]) for c in cases])
    found = {}
    for row in units(rows, made, floors).collect():
        told = {"delivered": row["event_us"], "quarantined": row["problem"]}.get(row["outcome"])
        found[row["rover_id"], row["commit"], row["change"]] = (told, row["floor"])
        assert row["outcome"] != "quarantined" or json.loads(row["row_json"])["roverID"] == row["rover_id"]
    assert found == {(uuid(c[3]), c[2], c[1]): (c[6], c[7]) for c in cases}


def test_a_time_out_of_range_is_never_emitted_nor_left_as_a_floor(spark: SparkSession) -> None:
    made = plan("fan_profiles", source=source("fan_profiles", deletes="tombstone"))
    rows = [
        (PRE, 12, uuid(1), "{}", FAR),  # was quarantined; now it is mended
        (POST, 12, uuid(1), "{}", NOON),
        (DELETE, 12, uuid(2), "{}", FAR),
        (DELETE, 12, uuid(3), "{}", LAST),
    ]
    lines = (
        arranged(units(feed(spark, "fan_profiles", rows), made, None), made).select("line", "floor").collect()
    )
    times = [row["line"].split('"updatedAt":"')[1].split('"')[0] for row in lines if row["line"]]
    assert [time for time in times if len(time) != len("2026-01-01T12:00:00.000000Z")] == []


def test_a_snapshot_tells_no_key_at_or_before_its_floor(spark: SparkSession) -> None:
    cases = [  # floor, own time → event time, leaves a floor
        (None, OLD, OLD, False),
        (FLOOR, OLD, FLOOR + 1, True),
        (FLOOR, FLOOR, FLOOR + 1, True),
        (FLOOR, FLOOR + 1, FLOOR + 1, False),
        (FLOOR, FLOOR + DAY, FLOOR + DAY, False),
        (OLD, NOON, NOON, False),
    ]
    made = snapshot_plan("fan_profiles", epoch=2, floors=True)
    floors = _floors(spark, {uuid(n): case[0] for n, case in enumerate(cases) if case[0] is not None})
    rows = table(spark, "fan_profiles", [(uuid(n), "{}", case[1]) for n, case in enumerate(cases)])
    found = units(rows, made, floors).select("rover_id", "event_us", "floor")
    expected = [(uuid(n), case[2], case[3]) for n, case in enumerate(cases)]
    assert_df_equality(
        found, spark.createDataFrame(expected, found.schema), ignore_row_order=True, ignore_nullable=True
    )


def test_events_keep_their_own_time_whatever_happened_before(spark: SparkSession) -> None:
    rows = [
        (DELETE, 12, "e1", uuid(1), "n", None, "{}", None, LATE),
        (INSERT, 13, "e1", uuid(1), "n", None, "{}", None, OLD),
    ]
    found = units(feed(spark, "fan_track_events", rows), plan("fan_track_events"), None)
    told = [tuple(row) for row in found.where("outcome = 'delivered'").select("event_us", "floor").collect()]
    assert told == [(OLD, False)]


State = tuple[int, str]  # own time, traits


def _history(draw: random.Random) -> tuple[list[tuple[int, State | None, State | None]], int | None]:
    """(commit, before, after) of one key, as a table could live through it, and the floor of earlier batches."""
    state: State | None = (OLD, "{}") if draw.random() < 0.6 else None
    steps = []
    for commit in range(11, 21):
        if draw.random() < 0.3:
            continue
        at = draw.choice(
            [OLD, OLD, OLD + draw.randrange(3), commit_us(commit) + draw.randrange(-2, 3), LATE, FLOOR]
        )
        after = None if state is not None and draw.random() < 0.3 else (at, f'{{"a":{draw.randrange(3)}}}')
        steps.append((commit, state, after))
        state = after
    floor = draw.choice([None, None, OLD, commit_us(13), FLOOR])
    return steps, floor


def _rule(
    steps: list[tuple[int, State | None, State | None]], floor: int | None
) -> tuple[dict[int, int], int | None]:
    """Event time per commit, one change after the other; and the highest floor this batch leaves."""
    told: dict[int, int] = {}
    left = None
    for commit, before, after in steps:
        if before == after:
            continue
        if after is None:
            assert before is not None
            time = max(commit_us(commit), before[0] + 1)
        elif before is not None and after[0] <= before[0]:
            time = max(commit_us(commit), before[0] + 1)
        else:
            time = after[0]
        if floor is not None:
            time = max(time, floor + 1)
        if after is None or time != after[0]:
            floor = left = time
        told[commit] = time
    return told, left


def _rows(
    fan: str, steps: list[tuple[int, State | None, State | None]], draw: random.Random
) -> list[tuple[Any, ...]]:
    """The feed's rows of a history; an update may come as delete + insert."""
    rows: list[tuple[Any, ...]] = []
    for commit, before, after in steps:
        moved = before is None or after is None or draw.random() < 0.3
        if before is not None:
            rows.append((DELETE if moved else PRE, commit, fan, before[1], before[0]))
        if after is not None:
            rows.append((INSERT if moved else POST, commit, fan, after[1], after[0]))
    return rows


def test_five_hundred_random_histories_follow_the_rule_said_one_after_the_other(spark: SparkSession) -> None:
    draw = random.Random("event times")
    histories = {uuid(n): _history(draw) for n in range(500)}
    rows = [row for fan, (steps, _) in histories.items() for row in _rows(fan, steps, draw)]
    draw.shuffle(rows)
    made = plan("fan_profiles", source=source("fan_profiles", deletes="tombstone"), floors=True)
    floors = _floors(spark, {fan: floor for fan, (_, floor) in histories.items() if floor is not None})
    found = units(feed(spark, "fan_profiles", rows), made, floors).cache()
    told: dict[str, dict[int, int]] = {fan: {} for fan in histories}
    everything = found.select("rover_id", "key", "commit", "outcome", "event_us", "floor").collect()
    assert len(everything) == len(rows)
    for row in everything:
        assert row["key"] == digest32([row["rover_id"]])
        if row["outcome"] == "delivered":
            told[row["rover_id"]][row["commit"]] = row["event_us"]
    left = {row["key"]: row["floor_us"] for row in floor_rows(found, made).collect()}
    found.unpersist()
    for fan, (steps, floor) in histories.items():
        times, kept = _rule(steps, floor)
        assert told[fan] == times, (steps, floor)
        assert left.get(digest32([fan])) == kept, (steps, floor)
        # what a receiver needs: each change later than all before it
        assert list(times.values()) == sorted(set(times.values()))


def test_a_floor_is_left_once_a_key_and_names_its_batch(spark: SparkSession) -> None:
    rows = [
        (DELETE, 12, uuid(1), "{}", OLD),
        (INSERT, 13, uuid(1), "{}", OLD),
        (INSERT, 12, uuid(2), "{}", OLD),
        (DELETE, 12, None, "{}", OLD),
    ]
    made = plan("fan_profiles", seq=7)
    found = units(feed(spark, "fan_profiles", rows), made, None)
    floors = floor_rows(found, made)
    assert [tuple(row) for row in floors.collect()] == [
        ("acme", "fan_profiles", 7, digest32([uuid(1)]), C12 + 1)
    ]
    assert floors.columns == ["export", "dataset", "seq", "key", "floor_us"]
