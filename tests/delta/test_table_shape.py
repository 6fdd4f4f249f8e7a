"""Two versions of a table held against each other: what is only added goes on, what is gone or other is told by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rover_spark.delta.shape import Shape, difference
from rover_spark.delta.used_columns import used


def fields(text: str) -> list[dict[str, Any]]:
    """`who string:3, traits (tier string, n long)`: names, types, and what column mapping knows them by."""
    found, depth, start = [], 0, 0
    for n, char in enumerate(f"{text},"):
        depth += (char in "(") - (char in ")")
        if char == "," and not depth:
            found.append(text[start:n].strip())
            start = n + 1
    assert depth == 0 and found
    return [field(each) for each in found]


def field(text: str) -> dict[str, Any]:
    name, _, kind = text.partition(" ")
    mark = None
    if ":" in kind.rpartition(")")[2].rpartition("}")[2]:
        kind, _, mark = kind.rpartition(":")
    metadata = {} if mark is None else {"delta.columnMapping.physicalName": mark}
    return {"name": name, "type": dtype(kind.strip()), "nullable": True, "metadata": metadata}


def dtype(kind: str) -> Any:
    if kind.startswith("("):
        return {"type": "struct", "fields": fields(kind[1:-1])}
    if kind.startswith("["):
        return {"type": "array", "elementType": dtype(kind[1:-1]), "containsNull": True}
    if kind.startswith("{"):
        key, _, value = kind[1:-1].partition(">")
        return {"type": "map", "keyType": dtype(key), "valueType": dtype(value), "valueContainsNull": True}
    return kind


def shape(
    text: str, partitions: str = "", features: str | None = "deletionVectors", **properties: str
) -> Shape:
    return Shape(
        {"type": "struct", "fields": fields(text)},
        tuple(partitions.split()),
        {"delta.enableChangeDataFeed": "true", **properties},
        None if features is None else frozenset(features.split()),
    )


BEFORE = "who string, k integer, traits (tier string, n long), at timestamp"


@pytest.mark.parametrize(
    ("before", "after", "reads", "found"),
    [
        (BEFORE, BEFORE, "who traits k", None),
        (BEFORE, BEFORE + ", z string", "who traits k", None),
        (BEFORE, "z string, " + BEFORE, "* ", None),
        (BEFORE, "at timestamp, traits (n long, tier string), WHO string, k integer", "who traits k", None),
        (BEFORE, "who string, k integer, traits (tier string, n long, town string), at timestamp", "traits", None),
        (BEFORE, "who string, traits (tier string, n long), at timestamp", "who traits", None),
        (BEFORE, "who string, traits (tier string, n long), at timestamp", "who k", "column k was dropped"),
        (BEFORE, "who string, k integer, traits (tier string), at timestamp", "traits", "field traits.n was dropped"),
        (BEFORE, "who string, k integer, traits (tier string), at timestamp", "traits.tier", None),
        (BEFORE, "who string, k integer, traits (tier string, N long), at timestamp", "traits", "field traits.n was dropped"),
        (BEFORE, "who string, k integer, traits (tier string, n string), at timestamp", "traits", "traits.n was retyped from long to string"),
        (BEFORE, "who string, k integer, traits string, at timestamp", "traits.tier", "column traits was retyped from struct to string"),
        (BEFORE, "who string, k long, traits (tier string, n long), at timestamp", "k", None),
        (BEFORE, "who string, k short, traits (tier string, n long), at timestamp", "k", "retyped from integer to short"),
        (BEFORE, "who string, k double, traits (tier string, n long), at timestamp", "k", "retyped from integer to double"),
        (BEFORE, "who string, k double, traits (tier string, n long), at timestamp", "who", None),
        ("d decimal(10,2)", "d decimal(12,2)", "d", None),
        ("d decimal(10,2)", "d decimal(12,3)", "d", "retyped from decimal(10,2) to decimal(12,3)"),
        ("d date", "d timestamp_ntz", "d", "retyped"),
        ("a [(x integer, y string)]", "a [(x long, y string, z string)]", "a", None),
        ("a [(x integer, y string)]", "a [(x integer)]", "a", "field a.y was dropped"),
        ("a [(x integer, y string)]", "a [(x integer)]", "a.x", None),
        ("m {string>integer}", "m {string>long}", "m", None),
        ("m {string>(x integer)}", "m {string>(z integer)}", "m", "field m.x was dropped"),
        ("k integer:c1, z string:c2", "kk integer:c1, z string:c2", "k", "column k was renamed to kk"),
        ("k integer:c1, z string:c2", "k integer:c3, z string:c2", "k", "column k was dropped and made again"),
        ("k integer:c1, z string:c2", "k integer:c1, z string:c4", "k", None),
        ("t (a string:c1, b string:c2):c0", "t (a string:c1, c string:c2):c0", "t", "field t.b was renamed to c"),
        ("k integer", "k integer:c3", "k", None),  # column mapping switched on
        ("k integer:k", "k integer", "k", None),  # and off
        (BEFORE, "who string", "nothing", None),
    ],
)  # fmt: skip
def test_a_column_that_is_read_must_stay_what_it_was(
    before: str, after: str, reads: str, found: str | None
) -> None:
    told = difference(shape(before), shape(after), used(reads.split()), by_feed=True)
    assert (told is None) if found is None else (told is not None and found in told), told


def test_a_column_that_becomes_a_partition_is_no_longer_told_of_earlier_rows() -> None:
    plain, parted, other = (shape(BEFORE, partitions) for partitions in ("", "K", "who k"))
    reads = used(["k"])
    assert "column k became a partition" in str(difference(plain, parted, reads, by_feed=True))
    assert difference(plain, parted, used(["who"]), by_feed=True) is None
    assert difference(parted, other, reads, by_feed=True) is None


def test_a_partition_that_becomes_a_column_is_no_longer_told_of_files_that_keep_it_in_their_folders() -> None:
    plain, parted, other = (shape(BEFORE, partitions) for partitions in ("", "K", "who"))
    for after in (plain, other):
        found = difference(parted, after, used(["k"]), by_feed=True)
        assert "column k is no partition any more" in str(found)
    assert difference(parted, plain, used(["traits"]), by_feed=True) is None


def test_partitions_of_which_nothing_is_known_are_not_compared() -> None:
    parted = shape(BEFORE, "k")
    unknown = replace(parted, partitions=None)
    for before, after in ((unknown, parted), (parted, unknown), (unknown, unknown)):
        assert difference(before, after, used(["k"]), by_feed=True) is None
    gone = shape("who string", "k")
    assert difference(unknown, gone, used(["k"]), by_feed=True) == "column k was dropped"


def test_a_feed_that_is_turned_off_is_a_gap_for_who_reads_it() -> None:
    on, off = shape(BEFORE), shape(BEFORE, **{"delta.enableChangeDataFeed": "false"})
    assert difference(on, off, used(["who"]), by_feed=True) == "the change data feed was turned off"
    assert difference(on, off, used(["who"]), by_feed=False) is None
    assert difference(off, off, used(["who"]), by_feed=True) is None


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("a", "a b", None),
        ("deletionVectors rowTracking", "", None),  # tried out, or looked for among the files
        ("somethingNew", "", "the table feature somethingNew was dropped"),
        ("somethingNew", None, None),
        (None, "", None),
    ],
)
def test_a_feature_of_which_nothing_is_known_may_not_be_dropped(
    before: str | None, after: str | None, found: str | None
) -> None:
    shapes = [shape(BEFORE, features=each) for each in (before, after)]
    assert difference(*shapes, used(["who"]), by_feed=True) == found
