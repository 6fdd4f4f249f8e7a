"""JSON of whole Arrow columns: each value as a reading of it row by row gives it, keys in their order, texts escaped."""

from __future__ import annotations

import base64
import json
import random
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from rover_spark.encode.digests import digests32
from rover_spark.encode.instants import LAST_DAY, YEAR_1, YEAR_10000, days_text, instants_text
from rover_spark.encode.json_strings import characters, escaped
from rover_spark.encode.json_values import Json, json_of
from rover_spark.encode.map_order import in_order
from rover_spark.encode.pieces import column, constant, flat, gathered, lengths, longest, rows_with
from rover_spark.encode.uuids import uuids
from rover_spark.errors import ReaderRefused
from tests.produce.rover.native_rows import SCHEMA, Rows, as_octets, as_text

EPOCH = datetime(1970, 1, 1)
TEXTS = pa.map_(pa.string(), pa.string())


def texts_of(value: Json, rows: int) -> list[str | None]:
    there = [True] * rows if value.there is None else value.there.tolist()
    made = gathered(rows, value.parts)
    assert lengths(rows, value.parts).tolist() == [len(text) for text in made.to_pylist()]
    assert max(map(len, made.to_pylist())) <= longest(value.parts)
    return [text.decode() if here else None for text, here in zip(made.to_pylist(), there, strict=True)]


def quoted(text: str) -> str:
    plain = json.dumps(text, ensure_ascii=False)
    return "".join(
        f"\\u{part[:4].upper()}{part[4:]}" if n else part for n, part in enumerate(plain.split("\\u"))
    )


def row_by_row(value: Any, kind: pa.DataType) -> str:
    if value is None:
        return "null"
    if pa.types.is_map(kind):
        entries = sorted(value, key=lambda entry: entry[0].encode())
        return "{" + ",".join(f"{quoted(k)}:{row_by_row(v, kind.item_type)}" for k, v in entries) + "}"
    if pa.types.is_list(kind):
        return "[" + ",".join(row_by_row(each, kind.value_type) for each in value) + "]"
    if pa.types.is_struct(kind):
        there = [(f.name, value[f.name], f.type) for f in kind if value[f.name] is not None]
        return "{" + ",".join(f"{quoted(name)}:{row_by_row(v, t)}" for name, v, t in there) + "}"
    if pa.types.is_string(kind):
        return quoted(characters(value))
    if pa.types.is_binary(kind):
        return f'"{base64.b64encode(value).decode()}"'
    if pa.types.is_boolean(kind):
        return str(value).lower()
    if pa.types.is_date(kind):
        return f'"{(EPOCH + timedelta(days=value)).date().isoformat()}"'
    if pa.types.is_timestamp(kind):
        at = (EPOCH + timedelta(microseconds=value)).isoformat(timespec="microseconds")
        return f'"{at}Z"' if kind.tz else f'"{at}"'
    return f"{value:f}" if pa.types.is_decimal(kind) else str(value)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("field", list(SCHEMA), ids=lambda field: field.name)
def test_a_column_is_what_its_rows_are(field: pa.Field, seed: int) -> None:
    rows = Rows(seed, broken=True, twice=False)
    values = [rows.of(field.type) for _ in range(300)]
    stored = as_text(pa.array(values, as_octets(field.type)), field.type)
    expected = [None if value is None else row_by_row(value, field.type) for value in values]
    for begin, stop in ((0, 300), (0, 1), (7, 7), (17, 230)):
        part = stored.slice(begin, stop - begin)
        if len(part):
            assert texts_of(json_of(part), len(part)) == expected[begin:stop]
        else:
            assert gathered(0, json_of(part).parts).to_pylist() == []


def test_null_members_of_the_map_itself_may_be_absent() -> None:
    inner = pa.map_(pa.string(), TEXTS)
    values = pa.array(
        [[("b", None), ("a", [("x", None)])], [], None, [("c", None)], [("z", []), ("y", None), ("x", [])]],
        inner,
    )
    found = texts_of(json_of(values, null_members=False), 5)
    assert found == ['{"a":{"x":null}}', "{}", None, "{}", '{"x":{},"z":{}}']
    assert texts_of(json_of(values), 5)[4] == '{"x":{},"y":null,"z":{}}'


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([["a", "b"], ["a", "b"]], None),
        ([["b", "a"], ["b", "a"]], [1, 0, 3, 2]),
        ([["a"], [], ["a", "b", "c"]], None),
        ([["a"], ["c", "a", "b"], [], ["b", "a"]], [0, 2, 3, 1, 5, 4]),
        ([[], []], None),
        ([["\uffff", "\U00010000"]], None),
    ],
)
def test_entries_are_in_the_order_of_their_keys_octets(
    rows: list[list[str]], expected: list[int] | None
) -> None:
    keys = pa.array([key for row in rows for key in row], pa.string()).dictionary_encode()
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    order, twice = in_order(keys.indices.to_numpy(), keys.dictionary, offsets)
    assert (None if order is None else order.tolist()) == expected
    assert twice is None


def test_a_key_that_stands_twice_is_found_at_every_depth() -> None:
    twice = [("a", "1"), ("b", "2"), ("a", "3")]
    cases = [
        (TEXTS, [twice, [("a", "1")], None]),
        (TEXTS, [twice, twice]),
        (pa.map_(pa.string(), TEXTS), [[("k", twice), ("l", None)], [("k", [])], None]),
    ]
    cases += [
        (pa.list_(TEXTS), [[[], twice], [], None]),
        (pa.struct([("s", TEXTS)]), [{"s": twice}, {"s": []}, None]),
    ]
    for kind, values in cases:
        found = json_of(pa.array(values, kind)).twice
        assert found is not None
        assert found.tolist() == [True, values[1] is twice, False][: len(values)]
    assert json_of(pa.array([[("a", "1")]], TEXTS)).twice is None


def test_of_a_key_that_stands_twice_the_last_entry_may_be_chosen() -> None:
    twice = [("b", "1"), ("a", "2"), ("b", None), ("a", "3")]
    for values in ([twice, [], None, [("c", None), ("b", "9")]], [twice, twice], [[("z", "0")], twice]):
        found = json_of(pa.array(values, TEXTS), last=True)
        expected = [value and dict(value) for value in values]
        assert [text and json.loads(text) for text in texts_of(found, len(values))] == [
            {} if value == [] else value for value in expected
        ]
        assert texts_of(json_of(pa.array([twice], TEXTS), last=True, null_members=False), 1) == ['{"a":"3"}']
        assert found.twice is not None and found.twice.tolist() == [value is twice for value in values]
    deep = pa.struct([("m", pa.map_(pa.string(), pa.list_(TEXTS)))])
    value = {"m": [("k", [twice]), ("l", [[], twice]), ("k", [twice[:2]])]}
    assert texts_of(json_of(pa.array([value, None], deep), last=True), 2) == [
        '{"m":{"k":[{"a":"2","b":"1"}],"l":[{},{"a":"3","b":null}]}}',
        None,
    ]


@pytest.mark.parametrize("seed", range(3))
def test_the_last_of_each_key_is_that_of_a_reading_row_by_row(seed: int) -> None:
    by = random.Random(seed)
    keys, kind = ("a", "b", "\u00e9", "zz"), pa.map_(pa.string(), TEXTS)

    def some() -> Any:
        return [(by.choice(keys), by.choice([None, b"x", b"y"])) for _ in range(by.randrange(5))]

    values = [[(by.choice(keys), some()) for _ in range(by.randrange(4))] for _ in range(200)]
    expected = [[(key, list(dict(value).items())) for key, value in dict(row).items()] for row in values]
    for begin in (0, 17):
        part = pa.array(values, kind).slice(begin)
        found = texts_of(json_of(part, last=True), len(part))
        assert found == [row_by_row(row, kind) for row in expected[begin:]]


def test_values_that_only_spark_writes_are_refused() -> None:
    for value, kind in (
        (YEAR_10000, pa.timestamp("us")),
        (YEAR_1 - 1, pa.timestamp("us", tz="UTC")),
        (LAST_DAY + 1, pa.date32()),
    ):
        with pytest.raises(ReaderRefused, match="years 1 to 9999"):
            json_of(pa.array([0, value, None], kind))
    with pytest.raises(ReaderRefused, match="no UTF-8"):
        json_of(pa.MapArray.from_arrays([0, 1], pa.array([b"\xff"]).view(pa.string()), pa.array(["x"])))


def test_every_day_and_second_has_its_text() -> None:
    days = np.arange(-719_162, LAST_DAY + 1, 97)
    assert days_text(days).to_pylist() == [
        date.fromordinal(int(day) + 719_163).isoformat().encode() for day in days
    ]
    chosen = random.Random(3)
    micros = [YEAR_1, YEAR_10000 - 1, -1, 0, *(chosen.randrange(YEAR_1, YEAR_10000) for _ in range(2000))]
    expected = [(EPOCH + timedelta(microseconds=at)).isoformat(timespec="microseconds") for at in micros]
    assert instants_text(np.array(micros)).to_pylist() == [f"{text}Z".encode() for text in expected]
    near = [10**15 + n * 12_342_857_143 for n in range(350)]
    expected = [(EPOCH + timedelta(microseconds=at)).isoformat(timespec="microseconds") for at in near]
    assert instants_text(np.array(near), zone=False).to_pylist() == [text.encode() for text in expected]


def test_uuids_are_lower_case_and_others_are_marked() -> None:
    good = ["00000000-0000-4000-8000-00000000000A", "ABCDEF01-2345-6789-abcd-ef0123456789"]
    found, fits = uuids(pa.array(good))
    assert (found.to_pylist(), fits.all()) == ([text.lower().encode() for text in good], True)
    bad = [
        "",
        None,
        "x" * 36,
        "0" * 36,
        good[0] + " ",
        "-" * 36,
        good[0].replace("A", "g"),
        good[0].replace("-", "_"),
    ]
    found, fits = uuids(pa.array([good[0], *bad]))
    assert fits.tolist() == [True, *([False] * len(bad))]
    assert found[0].as_py() == good[0].lower().encode()
    assert uuids(pa.array([], pa.string()))[1].tolist() == []


def test_digests_are_those_of_the_contract() -> None:
    text = b"5:rover4:acme1:116:fan_track_events5:evt-1"
    assert digests32(pa.array([text, b""])).to_pylist()[0] == b"17d879049411d197a7405d1bd00e3214"


def test_rows_that_are_not_kept_are_empty() -> None:
    parts = (*json_of(pa.array([[("a", "1")], [("b", "2"), ("c", "3")]], TEXTS)).parts, constant(b"."))
    assert gathered(2, parts, np.array([False, True])).to_pylist() == [b"", b'{"b":"2","c":"3"}.']
    assert gathered(2, parts, np.array([True, False])).to_pylist() == [b'{"a":"1"}.', b""]


def test_rows_are_found_by_what_they_hold() -> None:
    mark = "\ufffd".encode()
    values = pa.array([[("a", "x")], [("b", "y\ufffd"), ("c", "z")], None, [("\ufffd", "x")]], TEXTS)
    assert rows_with(mark, 4, json_of(values).present).tolist() == [False, True, False, True]
    assert (
        rows_with(mark, 2, [column(pa.array(["\ufffd", "a"])).where(np.array([False, True]))]).tolist()
        == [False] * 2
    )


@pytest.mark.parametrize(
    ("octets", "marks"),
    [
        (b"\xff", 1),
        (b"\xc0\x80", 2),
        (b"\xe1\x80", 1),
        (b"\xe0\x80\x80", 3),
        (b"\xed\xa0\x80", 1),
        (b"\xed\xa0", 1),
        (b"\xed\xa0A", 1),
        (b"\xed\xb0\x80\xed", 2),
        (b"\xf0\x90\x80", 1),
        (b"\xf4\x90\x80\x80", 4),
    ],
)
def test_octets_that_are_no_utf8_become_as_many_marks_as_java_puts(octets: bytes, marks: int) -> None:
    assert characters(b"<" + octets).count("\ufffd") == marks


def test_only_texts_that_need_it_are_made_anew() -> None:
    plain = pa.array(["plain", None, "\x7f\u2028é"])
    assert escaped(plain).buffers()[2].address == plain.buffers()[2].address
    assert escaped(pa.array(["a\tb", None, "c"])).to_pylist() == [b"a\\tb", None, b"c"]
    assert flat(constant(b"x")).is_constant


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.list_(pa.string()), [[b"a"], [b"b"]]),
        (pa.list_(pa.string()), [[b"a", b"b"], [b"c", None]]),
        (pa.list_(pa.string()), [[], []]),
        (pa.list_(pa.list_(pa.string())), [[[b"a"], []], [[b"b"], [b"c"]]]),
        (pa.map_(pa.string(), pa.list_(pa.string())), [[("k", [b"a"])], [("l", [b"b"])]]),
        (pa.map_(pa.string(), pa.struct([("s", pa.string())])), [[("k", {"s": b"a"})], [("l", {"s": b"b"})]]),
        (pa.list_(pa.int64()), [[], []]),
        (TEXTS, [[], []]),
    ],
)
def test_rows_with_as_many_items_each_are_as_a_reading_row_by_row_gives_them(
    kind: pa.DataType, values: list[Any]
) -> None:
    stored = as_text(pa.array(values, as_octets(kind)), kind)
    made = texts_of(json_of(stored), len(values))
    assert made == [row_by_row(value, kind) for value in values]
