"""Rows decided when a batch is planned are those that its plan gives at any time: every row and every count (law 4, law 9)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from rover_spark.produce.rover.fields import keyed
from rover_spark.produce.rover.identifiers import counting
from rover_spark.produce.rover.kept import kept
from rover_spark.produce.rover.plan import BatchPlan
from rover_spark.produce.rover.records import needed, units
from rover_spark.produce.rover.unchanged import changed_keys
from tests.produce.cases import NOON, feed, plan, uuid
from tests.produce.rover.test_changes import EVENTS, IDENTITIES, PROFILES

CASES = {"fan_identity_graph": IDENTITIES, "fan_profiles": PROFILES, "fan_track_events": EVENTS}
# what an overwrite brings back as it was, by dataset; of the last one JSON cannot say all, and it is quarantined
SAME: dict[str, list[tuple[Any, ...]]] = {
    "fan_identity_graph": [(uuid(n), "email", "a", NOON) for n in range(500, 560)] + [("44", None, "a", None)],
    "fan_profiles": [(uuid(n), '{"a":1}', NOON) for n in range(500, 560)] + [(uuid(600), "[]", NOON)],
    "fan_track_events": [
        (f"e{n}", uuid(n), "n", None, "{}", None, NOON) for n in range(500, 560)
    ] + [("bad", uuid(1), "n", None, "[", None, NOON)],
}  # fmt: skip


def _overwritten(spark: SparkSession, dataset: str) -> tuple[DataFrame, BatchPlan]:
    """Every case of a change, and beside them a table that was overwritten with itself, twice."""
    cases = [case[1:-2] for case in CASES[dataset]]
    rows = [
        (change, at, *each) for each in SAME[dataset] for at in (16, 17) for change in ("delete", "insert")
    ]
    found = feed(spark, dataset, [*cases, *rows])
    return found, plan(dataset, source_rows=len(cases) + len(rows))


def _all(rows: DataFrame) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(map(str, row)) for row in rows.collect())


@pytest.mark.law(4)
@pytest.mark.law(9)
@pytest.mark.parametrize("dataset", CASES)
def test_rows_that_came_back_as_they_were_are_settled_and_all_others_decided_as_ever(
    spark: SparkSession, dataset: str
) -> None:
    rows, made = _overwritten(spark, dataset)
    whole = _all(needed(units(rows, made, None)))
    found = kept(rows, made, None, rewritten=True)
    try:
        assert found.settled["no_change"] == found.settled["before"] >= 2 * len(SAME[dataset])
        told, columns = _all(found.rows), found.rows.columns
        outcome = columns.index("outcome")
        missing = whole - told
        assert not told - whole
        assert Counter(row[outcome] for row in missing.elements()) == found.settled
        assert found.delivered == sum(count for row, count in told.items() if row[outcome] == "delivered")
    finally:
        found.release()


def test_where_most_rows_changed_none_is_looked_for(spark: SparkSession) -> None:
    rows = feed(spark, "fan_identity_graph", [case[1:-2] for case in IDENTITIES])
    made = plan("fan_identity_graph", source_rows=len(IDENTITIES))
    found = kept(rows, made, None, rewritten=True)
    assert found.settled == {} and _all(found.rows) == _all(needed(units(rows, made, None)))
    found.release()


def test_rows_serve_their_own_plan_and_leave_the_disks_when_they_are_let_go(spark: SparkSession) -> None:
    rows, made = _overwritten(spark, "fan_profiles")
    before = _kept_by(spark)
    found = kept(rows, made, None, rewritten=True)
    assert len(_kept_by(spark) - before) == 2
    assert found.serves(plan("fan_profiles", source_rows=made.source_rows, versions={"spark": "later"}))
    assert not found.serves(plan("fan_profiles", source_rows=made.source_rows, to_version=21))
    told = _all(found.rows)
    found.release()
    assert _kept_by(spark) <= before
    assert _all(found.rows) == told, "read again"


def test_an_engine_that_keeps_no_rows_gives_the_same(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, made = _overwritten(spark, "fan_profiles")

    def refused(*_: object) -> DataFrame:
        raise PySparkException("[NOT_SUPPORTED_WITH_SERVERLESS] PERSIST TABLE")

    kept_rows = kept(rows, made, None, rewritten=True)
    told = _all(kept_rows.rows)
    kept_rows.release()
    monkeypatch.setattr(type(rows), "persist", refused)
    again = kept(rows, made, None, rewritten=True)
    assert _all(again.rows) == told and again.settled == kept_rows.settled
    again.release()


@pytest.mark.parametrize("fails_at", [1, 2])
def test_rows_that_cannot_be_decided_leave_the_disks(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    rows, made = _overwritten(spark, "fan_profiles")
    before, actions = _kept_by(spark), 0

    def failing(action: Any) -> Any:
        def act(frame: DataFrame) -> Any:
            nonlocal actions
            actions += 1
            if actions == fails_at:
                raise PySparkException("the source is gone")
            return action(frame)

        return act

    monkeypatch.setattr(type(rows), "collect", failing(type(rows).collect))
    monkeypatch.setattr(type(rows), "count", failing(type(rows).count))
    with pytest.raises(PySparkException, match="is gone"):
        kept(rows, made, None, rewritten=True)
    assert _kept_by(spark) <= before


def test_a_year_before_the_first_one_is_not_that_year_after_it(spark: SparkSession) -> None:
    march = -62_162_035_200_000_000  # of the year 1 BC, which JSON writes as the year 1
    year = 365 * 86_400_000_000
    identity = (16, uuid(1), "email", "a")
    rows = feed(
        spark, "fan_identity_graph", [("delete", *identity, march), ("insert", *identity, march + year)]
    )
    made = plan("fan_identity_graph", source_rows=2)
    frame = keyed(counting(rows, made.dataset, made.source), made)
    assert [row["key"] is None for row in changed_keys(frame, 1).collect()] == [False]


def _kept_by(spark: SparkSession) -> set[int]:
    """The RDDs that the session keeps. Those of earlier tests may leave at any time, as the JVM collects them."""
    context: Any = spark.sparkContext
    return set(context._jsc.getPersistentRDDs().keySet().toArray())
