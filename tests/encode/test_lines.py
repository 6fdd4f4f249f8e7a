"""Arrow string columns as text: offsets, slices, nulls, and how many rows fit."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rover_spark.encode.lines import Lines

TYPES = [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()]
VALUES = ["a\n", None, "größe\n", None, "😀\n", "b\n"]


def text(values: list[str | None]) -> bytes:
    return "".join(value or "" for value in values).encode()


def naive_fit(values: list[str | None], start: int, stop: int, room: int) -> int:
    end = start
    while end < stop and len(text(values[start : end + 1])) <= room:
        end += 1
    return end


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_the_value_buffer_is_the_text(kind: pa.DataType) -> None:
    lines = Lines(pa.array(VALUES, kind))
    for start in range(len(VALUES) + 1):
        for stop in range(start, len(VALUES) + 1):
            assert bytes(lines.text(start, stop)) == text(VALUES[start:stop])
            assert lines.records(start, stop) == sum(value is not None for value in VALUES[start:stop])


@pytest.mark.parametrize("kind", TYPES, ids=str)
@pytest.mark.parametrize("offset", range(len(VALUES) + 1))
@pytest.mark.parametrize("length", [0, 1, 3, None])
def test_a_slice_is_read_from_where_it_begins(kind: pa.DataType, offset: int, length: int | None) -> None:
    values = VALUES[offset:] if length is None else VALUES[offset : offset + length]
    lines = Lines(pa.array(VALUES, kind).slice(offset, length))
    assert bytes(lines.text(0, len(values))) == text(values)
    assert lines.records(0, len(values)) == sum(value is not None for value in values)
    assert [lines.fit(0, len(values), room) for room in range(30)] == [
        naive_fit(values, 0, len(values), room) for room in range(30)
    ]


@pytest.mark.parametrize("kind", TYPES, ids=str)
@pytest.mark.parametrize("values", [[], [None], [None, None]], ids=str)
def test_a_column_without_text_has_none(kind: pa.DataType, values: list[None]) -> None:
    lines = Lines(pa.array(values, kind))
    assert bytes(lines.text(0, len(values))) == b""
    assert lines.records(0, len(values)) == 0
    assert lines.fit(0, len(values), 0) == len(values)


def test_nothing_is_copied() -> None:
    column = pa.array(VALUES)
    view = Lines(column).text(0, 3)
    assert isinstance(view, memoryview)
    assert pa.py_buffer(view).address == column.buffers()[2].address


@pytest.mark.parametrize(
    ("start", "room", "end"),
    [
        (0, 100, 6),
        (0, 2, 2),  # "a\n" fits exactly, and the null after it takes nothing
        (0, 1, 0),
        (0, 0, 0),
        (0, -1, 0),
        (1, 0, 2),  # a null fits into nothing
        (1, -1, 1),
        (2, 7, 2),
        (2, 8, 4),
        (2, 13, 5),
        (2, 12, 4),
        (6, 0, 6),
        (6, 100, 6),
    ],
)
def test_as_many_rows_fit_as_there_is_room_for(start: int, room: int, end: int) -> None:
    assert Lines(pa.array(VALUES)).fit(start, 6, room) == end


@given(data=st.data())
def test_fit_agrees_with_counting(data: st.DataObject) -> None:
    values = data.draw(st.lists(st.none() | st.text(max_size=3), max_size=12))
    skipped = data.draw(st.integers(0, len(values)))
    column = pa.array(values, data.draw(st.sampled_from(TYPES))).slice(skipped)
    values = values[skipped:]
    stop = data.draw(st.integers(0, len(values)))
    start = data.draw(st.integers(0, stop))
    room = data.draw(st.integers(-2, 40))
    assert Lines(column).fit(start, stop, room) == naive_fit(values, start, stop, room)
