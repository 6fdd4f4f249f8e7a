"""Merges followed to their end: with recursion and with joins alike, held against plain Python."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from rover_spark.consume.ddl.merges import JOINED_STEPS, RECURSIVE_STEPS, resolved
from tests.consume.ddl.export import MERGES, Export, merge, person

STEPS = {True: RECURSIVE_STEPS, False: JOINED_STEPS}
both = pytest.mark.parametrize("recursive", [True, False], ids=["recursive", "joined"])
QUERIES = {
    recursive: resolved(exp.table_("merges", quoted=True), recursive=recursive).sql("duckdb")
    for recursive in STEPS
}


def asked(export: Export, recursive: bool) -> dict[str, tuple[str, bool]]:
    """What the view says of each absorbed profile."""
    rows = [
        [each[name] for name in ("id", "roverID", "mergedRoverID", "occurredAt", "emittedAt")]
        for each in export.records(MERGES)
    ]
    with duckdb.connect() as connection:
        connection.execute(
            'CREATE TABLE merges (id VARCHAR, "roverID" VARCHAR, "mergedRoverID" VARCHAR, '
            '"occurredAt" TIMESTAMP, "emittedAt" TIMESTAMP)'
        )
        if rows:
            connection.executemany("INSERT INTO merges VALUES (?, ?, ?, ?, ?)", rows)
        found: list[Any] = connection.execute(QUERIES[recursive]).fetchall()
    answer = {absorbed: (canonical, cycle) for absorbed, _, canonical, cycle, _ in found}
    assert len(answer) == len(found), "one row per absorbed profile"
    return answer


def chain(length: int) -> Export:
    """Merges of so many profiles, each into the next, the last ones first."""
    found = Export()
    found.add(MERGES, *(merge(n, n + 1, 1000 - 7 * n % 13) for n in reversed(range(length))))
    return found


def ring(length: int, way: int) -> Export:
    """A cycle of so many profiles, and a way of others that leads into it with older merges."""
    found = Export()
    found.add(MERGES, *(merge(n, (n + 1) % length, 1000 + 7 * n % length) for n in range(length)))
    found.add(MERGES, *(merge(1000 + n, 1001 + n if n + 1 < way else 0, n) for n in range(way)))
    return found


@both
def test_a_chain_is_followed_to_its_end(recursive: bool) -> None:
    for length in (1, 2, STEPS[recursive] // 2, STEPS[recursive] - 1):
        answer = asked(chain(length), recursive)
        assert set(answer.values()) == {(person(length), False)}


@both
def test_a_longer_chain_is_marked_and_loops_no_more_than_a_cycle(recursive: bool) -> None:
    answer = asked(chain(STEPS[recursive] + 5), recursive)
    assert [cycle for _, cycle in answer.values()].count(True) == 6, "those that begin too far away"


@both
def test_in_a_cycle_the_oldest_merge_is_left_out(recursive: bool) -> None:
    half = STEPS[recursive] // 2
    for length, way in ((2, 0), (2, 1), (3, half), (half, 2), (half, half)):
        export = ring(length, way)
        expected = export.canonical()
        assert all(cycle for _, cycle in expected.values()) and len(expected) == length + way
        assert asked(export, recursive) == expected


@both
def test_the_newest_merge_of_a_profile_counts_and_none_with_itself(recursive: bool) -> None:
    export = Export()
    export.add(MERGES, merge(1, 2, 30), merge(1, 3, 40), merge(4, 4, 1), merge(3, 3, 99))
    export.add(MERGES, merge(1, 5, 35), merge(1, 3, 40))
    assert asked(export, recursive) == {person(1): (person(3), False)} == export.canonical()


@both
def test_nothing_merged_is_nothing(recursive: bool) -> None:
    assert asked(Export(), recursive) == {}


@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.integers(0, 9)), max_size=12),
    st.booleans(),
)
@settings(max_examples=25)
def test_any_merges_are_what_plain_python_says(merges: list[tuple[int, int, int]], recursive: bool) -> None:
    export = Export()
    for absorbed, survivor, seconds in merges:
        export.add(MERGES, merge(absorbed, survivor, seconds))
    assert asked(export, recursive) == export.canonical()
