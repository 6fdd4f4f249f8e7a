"""What a change is, row by row: before and after of one key in one commit, whatever the feed calls them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from chispa import assert_df_equality
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from rover_spark.produce.rover.plan import BatchPlan
from rover_spark.produce.rover.records import units
from tests.produce.cases import NOON, SECOND, feed, plan, source, uuid

INSERT, DELETE = "insert", "delete"
PRE, POST = "update_preimage", "update_postimage"
T0, T1, T2 = NOON, NOON + SECOND, NOON + 2 * SECOND
FAR = 300_000_000_000 * SECOND  # the year 11476

# case, change, commit, roverID, identifierType, identifier, at → outcome, operation
#
# Each case has a roverID of its own: the number of the case.
IDENTITIES: list[tuple[Any, ...]] = [
    # create, update, delete
    ("create", INSERT, 12, uuid(1), "email", "a", T0, "delivered", "create"),
    ("update", PRE, 12, uuid(2), "email", "a", T0, "before", None),
    ("update", POST, 12, uuid(2), "email", "a", T1, "delivered", "update"),
    ("delete", DELETE, 12, uuid(3), "email", "a", T0, "delivered", "delete"),
    # a MERGE that sets equal values; an overwrite of an equal row
    ("no change", PRE, 12, uuid(4), "email", "a", T0, "before", None),
    ("no change", POST, 12, uuid(4), "email", "a", T0, "no_change", None),
    ("overwrite, equal", DELETE, 12, uuid(5), "email", "a", T0, "before", None),
    ("overwrite, equal", INSERT, 12, uuid(5), "email", "a", T0, "no_change", None),
    # an overwrite: one row equal, one different, one gone, one new
    ("overwrite", DELETE, 12, uuid(6), "email", "same", T0, "before", None),
    ("overwrite", INSERT, 12, uuid(6), "email", "same", T0, "no_change", None),
    ("overwrite", DELETE, 12, uuid(6), "email", "other", T0, "before", None),
    ("overwrite", INSERT, 12, uuid(6), "email", "other", T1, "delivered", "update"),
    ("overwrite", DELETE, 12, uuid(6), "email", "gone", T0, "delivered", "delete"),
    ("overwrite", INSERT, 12, uuid(6), "email", "new", T0, "delivered", "create"),
    # an update that moves a key
    ("moved", PRE, 12, uuid(7), "email", "old", T0, "delivered", "delete"),
    ("moved", POST, 12, uuid(7), "email", "new", T1, "delivered", "create"),
    # the same key, written otherwise
    ("upper case", PRE, 12, "0000000A-0000-4000-8000-00000000000A", "email", "a", T0, "before", None),
    ("upper case", POST, 12, "0000000a-0000-4000-8000-00000000000a", "email", "a", T0, "no_change", None),
    # one record per commit
    ("several commits", INSERT, 12, uuid(8), "email", "a", T0, "delivered", "create"),
    ("several commits", PRE, 13, uuid(8), "email", "a", T0, "before", None),
    ("several commits", POST, 13, uuid(8), "email", "a", T1, "delivered", "update"),
    ("several commits", DELETE, 14, uuid(8), "email", "a", T1, "delivered", "delete"),
    ("several commits", INSERT, 15, uuid(8), "email", "a", T0, "delivered", "create"),
    # duplicate rows of a key: one state, the later own time, then the greater digest of its content
    ("duplicates", INSERT, 12, uuid(9), "email", "a", T0, "delivered", "create"),
    ("duplicates", INSERT, 12, uuid(9), "email", "a", T0, "superseded", None),
    ("duplicates", INSERT, 12, uuid(9), "email", "a", T0, "superseded", None),
    ("different duplicates", INSERT, 12, uuid(10), "email", "a", T0, "conflict", None),
    ("different duplicates", INSERT, 12, uuid(10), "email", "a", T1, "delivered", "create"),
    ("duplicates deleted", DELETE, 12, uuid(11), "email", "a", T0, "before", None),
    ("duplicates deleted", DELETE, 12, uuid(11), "email", "a", T1, "delivered", "delete"),
    ("duplicates become one", DELETE, 12, uuid(12), "email", "a", T0, "before", None),
    ("duplicates become one", DELETE, 12, uuid(12), "email", "a", T0, "before", None),
    ("duplicates become one", INSERT, 12, uuid(12), "email", "a", T0, "no_change", None),
    # null event times
    ("no time", INSERT, 12, uuid(13), "email", "a", None, "quarantined", "create"),
    ("no time any more", PRE, 12, uuid(14), "email", "a", T0, "before", None),
    ("no time any more", POST, 12, uuid(14), "email", "a", None, "quarantined", "update"),
    ("no time, no change", PRE, 12, uuid(15), "email", "a", None, "before", None),
    ("no time, no change", POST, 12, uuid(15), "email", "a", None, "no_change", None),
    ("time mended", PRE, 12, uuid(16), "email", "a", None, "before", None),
    ("time mended", POST, 12, uuid(16), "email", "a", T0, "delivered", "update"),
    ("no time, deleted", DELETE, 12, uuid(17), "email", "a", None, "delivered", "delete"),
    ("no time beside a time", INSERT, 12, uuid(18), "email", "a", None, "conflict", None),
    ("no time beside a time", INSERT, 12, uuid(18), "email", "a", T0, "delivered", "create"),
    # broken keys
    ("no roverID", INSERT, 12, None, "email", "no roverID", T0, "quarantined", "create"),
    ("no roverID, deleted", DELETE, 13, None, "email", "no roverID", T0, "quarantined", "delete"),
    ("malformed roverID", INSERT, 12, "42", "email", "a", T0, "quarantined", "create"),
    ("malformed roverID, equal", DELETE, 13, "42", "email", "a", T0, "before", None),
    ("malformed roverID, equal", INSERT, 13, "42", "email", "a", T0, "no_change", None),
    ("malformed roverID, longer", INSERT, 12, uuid(19) + "0", "email", "a", T0, "quarantined", "create"),
    (
        "malformed roverID, no hex",
        INSERT,
        12,
        uuid(20).replace("4000", "4G00"),
        "email",
        "a",
        T0,
        "quarantined",
        "create",
    ),
    ("no identifier", INSERT, 12, uuid(21), "email", None, T0, "quarantined", "create"),
    ("empty identifier", INSERT, 12, uuid(22), "", "", T0, "delivered", "create"),
    ("mended roverID", PRE, 12, "43", "email", "a", T0, "quarantined", "delete"),
    ("mended roverID", POST, 12, uuid(23), "email", "a", T0, "delivered", "create"),
    # times no record can carry
    ("far time", INSERT, 12, uuid(24), "email", "a", FAR, "quarantined", "create"),
    ("far time mended", PRE, 12, uuid(25), "email", "a", FAR, "before", None),
    ("far time mended", POST, 12, uuid(25), "email", "a", T0, "delivered", "update"),
]

# case, change, commit, roverID, traits, at → outcome, operation; where: at < T2
PROFILES: list[tuple[Any, ...]] = [
    ("create", INSERT, 12, uuid(1), '{"a":1}', T0, "delivered", "create"),
    ("update", PRE, 12, uuid(2), '{"a":1}', T0, "before", None),
    ("update", POST, 12, uuid(2), '{"a":2}', T0, "delivered", "update"),
    ("no change", PRE, 12, uuid(3), '{"a":1,"b":null}', T0, "before", None),
    ("no change", POST, 12, uuid(3), '{"a":1}', T0, "no_change", None),
    ("delete", DELETE, 12, uuid(4), '{"a":1}', T0, "suppressed", "delete"),
    # rows that enter and leave the filter; where it cannot tell, a row is out
    ("enters", PRE, 12, uuid(5), "{}", T2, None, None),
    ("enters", POST, 12, uuid(5), "{}", T0, "delivered", "create"),
    ("leaves", PRE, 12, uuid(6), "{}", T0, "suppressed", "delete"),
    ("leaves", POST, 12, uuid(6), "{}", T2, None, None),
    ("stays outside", PRE, 12, uuid(7), "{}", T2, None, None),
    ("stays outside", POST, 12, uuid(7), "{}", T2, None, None),
    ("cannot tell", INSERT, 12, uuid(8), "{}", None, None, None),
    # the row itself is broken before, or after
    ("mended", PRE, 12, uuid(9), "[]", T0, "before", None),
    ("mended", POST, 12, uuid(9), "{}", T0, "delivered", "update"),
    ("broken", PRE, 12, uuid(10), "{}", T0, "before", None),
    ("broken", POST, 12, uuid(10), "[]", T0, "quarantined", "update"),
    ("broken, equal", PRE, 12, uuid(11), "[]", T0, "before", None),
    ("broken, equal", POST, 12, uuid(11), "[]", T0, "no_change", None),
    ("broken, deleted", DELETE, 12, uuid(12), "[]", T0, "suppressed", "delete"),
    ("no roverID, deleted", DELETE, 12, None, "{}", T0, "quarantined", "delete"),
    # null and empty traits are the same record
    ("null is empty", PRE, 12, uuid(13), None, T0, "before", None),
    ("null is empty", POST, 12, uuid(13), "{}", T0, "no_change", None),
    ("different duplicates", INSERT, 12, uuid(14), '{"a":1}', T0, "conflict", None),
    ("different duplicates", INSERT, 12, uuid(14), '{"a":2}', T0, "delivered", "create"),
    ("update back and forth", PRE, 12, uuid(15), '{"a":1}', T0, "before", None),
    ("update back and forth", POST, 12, uuid(15), '{"a":2}', T0, "delivered", "update"),
    ("update back and forth", PRE, 13, uuid(15), '{"a":2}', T0, "before", None),
    ("update back and forth", POST, 13, uuid(15), '{"a":1}', T0, "delivered", "update"),
]

# case, change, commit, roverID, mergedRoverID, at → outcome, operation
MERGES: list[tuple[Any, ...]] = [
    ("create", INSERT, 12, uuid(1), uuid(101), T0, "delivered", "create"),
    ("update", PRE, 12, uuid(2), uuid(101), T0, "before", None),
    ("update", POST, 12, uuid(2), uuid(101), T1, "delivered", "update"),
    ("delete", DELETE, 12, uuid(3), uuid(101), T0, "suppressed", "delete"),
    ("upper case", PRE, 12, uuid(4), uuid(0xABC), T0, "before", None),
    ("upper case", POST, 12, uuid(4), uuid(0xABC).upper(), T0, "no_change", None),
    ("moved", PRE, 12, uuid(5), uuid(101), T0, "suppressed", "delete"),
    ("moved", POST, 12, uuid(5), uuid(102), T0, "delivered", "create"),
    ("malformed", INSERT, 12, uuid(6), "nobody", T0, "quarantined", "create"),
    ("missing", INSERT, 12, uuid(7), None, T0, "quarantined", "create"),
]

# case, change, commit, eventID, roverID, name, namespace, attributes, device, at → outcome, operation
EVENTS: list[tuple[Any, ...]] = [
    ("new", INSERT, 12, "new", uuid(1), "n", None, "{}", None, T0, "delivered", "create"),
    ("update", PRE, 12, "update", uuid(1), "n", None, "{}", None, T0, "before", None),
    ("update", POST, 12, "update", uuid(1), "m", None, "{}", None, T0, "suppressed", "update"),
    ("no change", PRE, 12, "same", uuid(1), "n", "s", '{"a":1}', "{}", T0, "before", None),
    ("no change", POST, 12, "same", uuid(1), "n", "s", '{"a":1}', "{}", T0, "no_change", None),
    ("delete", DELETE, 12, "gone", uuid(1), "n", None, "{}", None, T0, "suppressed", "delete"),
    ("overwrite", DELETE, 12, "over", uuid(1), "n", None, "{}", None, T0, "before", None),
    ("overwrite", INSERT, 12, "over", uuid(1), "n", None, "{}", None, T0, "no_change", None),
    ("moved", PRE, 12, "old", uuid(1), "n", None, "{}", None, T0, "suppressed", "delete"),
    ("moved", POST, 12, "moved", uuid(1), "n", None, "{}", None, T0, "delivered", "create"),
    ("again", INSERT, 12, "twice", uuid(1), "n", None, "{}", None, T0, "delivered", "create"),
    ("again", INSERT, 13, "twice", uuid(1), "n", None, "{}", None, T0, "delivered", "create"),
    ("null attributes stay", PRE, 12, "nulls", uuid(1), "n", None, '{"a":null}', None, T0, "before", None),
    ("null attributes stay", POST, 12, "nulls", uuid(1), "n", None, "{}", None, T0, "suppressed", "update"),
    ("no eventID", INSERT, 12, None, uuid(1), "n", None, "{}", None, T0, "quarantined", "create"),
    ("no name", INSERT, 12, "nameless", uuid(1), None, None, "{}", None, T0, "quarantined", "create"),
    ("no object", INSERT, 12, "bad", uuid(1), "n", None, "{}", "[]", T0, "quarantined", "create"),
]

# the same, where the fan is all that differs: the contract emits roverID
FANS: list[tuple[Any, ...]] = [
    ("another fan", PRE, 12, "e1", uuid(1), "n", None, "{}", None, T0, "before", None),
    ("another fan", POST, 12, "e1", uuid(2), "n", None, "{}", None, T0, "suppressed", "update"),
    ("two fans", INSERT, 12, "e2", uuid(1), "n", None, "{}", None, T0, "delivered", "create"),
    ("two fans", INSERT, 12, "e2", uuid(2), "n", None, "{}", None, T0, "conflict", None),
]


def _assert_outcomes(spark: SparkSession, made: BatchPlan, cases: list[tuple[Any, ...]]) -> None:
    """The outcome and the operation of every row, and no other rows than ``where`` keeps.

    A row is known again by the microsecond of its commit, which decides no outcome; equal rows share one.
    """
    numbers = [cases.index(next(each for each in cases if each[1:-2] == case[1:-2])) for case in cases]
    rows = feed(spark, made.dataset, [case[1:-2] for case in cases], micros=numbers)
    names = F.create_map(*(F.lit(each) for n, case in enumerate(cases) for each in (n, f"{n} {case[0]}")))
    found = units(rows, made, None).select(
        names[(F.col("commit_us") % SECOND).cast("int")].alias("case"),
        "change",
        "commit",
        "outcome",
        "operation",
    )
    kept = [(n, case) for n, case in zip(numbers, cases, strict=True) if case[-2] is not None]
    expected = spark.createDataFrame(
        [(f"{n} {cases[n][0]}", case[1], case[2], case[-2], case[-1]) for n, case in kept], found.schema
    )
    assert_df_equality(found, expected, ignore_row_order=True, ignore_nullable=True)


def test_an_identity_is_created_updated_or_deleted_per_commit_and_key(spark: SparkSession) -> None:
    _assert_outcomes(spark, plan("fan_identity_graph"), IDENTITIES)


def test_a_profile_tells_creates_and_updates_and_counts_its_deletes(spark: SparkSession) -> None:
    made = plan("fan_profiles", source=source("fan_profiles", where=f"at < {T2}"))
    _assert_outcomes(spark, made, PROFILES)


def test_a_tombstone_tells_the_deletes_of_profiles_too(spark: SparkSession) -> None:
    made = plan("fan_profiles", source=source("fan_profiles", where=f"at < {T2}", deletes="tombstone"))
    told = [
        (*case[:-2], "delivered" if case[-2] == "suppressed" else case[-2], case[-1]) for case in PROFILES
    ]
    _assert_outcomes(spark, made, told)


def test_a_merge_is_told_unless_it_is_deleted(spark: SparkSession) -> None:
    _assert_outcomes(spark, plan("fan_profile_merges"), MERGES)


def test_of_events_only_new_keys_are_told(spark: SparkSession) -> None:
    _assert_outcomes(spark, plan("fan_track_events"), EVENTS)


def test_an_event_of_another_fan_is_another_event(spark: SparkSession) -> None:
    _assert_outcomes(spark, plan("fan_track_events"), FANS)


def test_in_a_range_of_inserts_each_event_stands_for_itself(spark: SparkSession) -> None:
    rows = [case for case in EVENTS + FANS if case[1] == INSERT]
    alone = [(*case[:-2], "delivered" if case[-2] != "quarantined" else case[-2], "create") for case in rows]
    _assert_outcomes(spark, plan("fan_track_events", inserts_only=True), alone)


def test_the_order_in_which_rows_arrive_changes_nothing(spark: SparkSession) -> None:
    made = plan("fan_identity_graph")
    rows = [case[1:-2] for case in IDENTITIES]
    one = units(feed(spark, made.dataset, rows).coalesce(1), made, None)
    other = units(feed(spark, made.dataset, rows[::-1]).repartition(7), made, None)
    columns = ["change", "commit", "key", "own_us", "outcome", "operation", "event_us", "floor"]
    told = [Counter(tuple(row) for row in frame.select(*columns).collect()) for frame in (one, other)]
    assert told[0] == told[1]
    assert sum(told[0].values()) == len(IDENTITIES)
