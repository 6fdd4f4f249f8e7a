from __future__ import annotations

import hashlib
import random
import uuid
from collections.abc import Callable

import pyarrow as pa
import pytest

from rover_spark.deliver.repeats import Seen


def batch(*rows: tuple[int, str | None]) -> pa.RecordBatch:
    chunks, ids = zip(*rows, strict=True)
    return pa.record_batch({"chunk": pa.array(chunks, pa.int64()), "id": pa.array(ids, pa.string())})


def record_id(number: int) -> str:
    return hashlib.sha256(b"%d" % number).hexdigest()[:32]


def shouted(number: int) -> str:
    return record_id(number).upper()  # of an id's length, but no record id


def dashed(number: int) -> str:
    return str(uuid.UUID(record_id(number)))


def misdashed(number: int) -> str:
    return dashed(number)[::-1]  # of a UUID's length, but no UUID


def of_any_kind(number: int) -> str:
    kinds = (record_id, shouted, "evt-{}".format, str, dashed, misdashed)
    return kinds[number % len(kinds)](number)


def of_each_kind(number: int) -> str:
    return (record_id, dashed)[number % 2](number // 2)  # a record id and a UUID of the same digits differ


@pytest.mark.parametrize(
    "named",
    [record_id, shouted, "evt-{}".format, "é{}\n".format, dashed, misdashed, of_any_kind, of_each_kind],
)
def test_repeats_are_those_that_a_set_finds(named: Callable[[int], str]) -> None:
    drawn = random.Random(7)
    seen, before = Seen(), set[str]()
    for _ in range(14):
        ids = [None if drawn.random() < 0.05 else named(drawn.randrange(50_000)) for _ in range(5_000)]
        again = {}
        for row, each in enumerate(ids):
            if each in before:
                again[row] = "superseded"
            before |= {each} - {None}
        assert list(seen.among(batch(*((3, each) for each in ids))).items()) == list(again.items())


def test_each_chunk_has_ids_of_its_own() -> None:
    one, two = record_id(1), record_id(2)
    seen = Seen()
    assert seen.among(batch((0, one), (0, two), (1, one), (1, None), (1, None), (1, one))) == {
        5: "superseded"
    }
    assert seen.among(batch((1, two), (1, one), (2, one))) == {1: "superseded"}
    assert seen.among(batch((2, None))) == {}


def test_an_id_repeats_whatever_ids_come_in_its_batch() -> None:
    seen = Seen()
    assert seen.among(batch((0, record_id(1)))) == {}
    assert seen.among(batch((0, "evt-1"), (0, record_id(1)))) == {1: "superseded"}
    assert seen.among(batch((0, record_id(1)), (0, "evt-1"))) == {0: "superseded", 1: "superseded"}


def test_an_id_is_not_taken_for_one_that_it_begins_with() -> None:
    assert Seen().among(batch((0, "a"), (0, "a\0"), (0, ""), (0, "a"))) == {3: "superseded"}
