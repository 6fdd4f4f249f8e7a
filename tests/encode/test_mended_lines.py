"""Lines mended for loaders: held against Python's own JSON reader, and octet for octet where nothing is to be mended."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rover_spark.encode import json_integers
from rover_spark.encode.json_integers import quoted_integers
from rover_spark.encode.json_mended import last_members, without_nul
from rover_spark.encode.mended_lines import Mended, mended

LARGEST = 2**53 - 1


class Raw(str):
    """A number's text, as it stands."""


class Members(list[tuple[str, Any]]):
    """An object's members, all of them."""


# -- texts: spelled at random, read by the standard library ----------------------------------------------------

NAMES = ["a", "b", "\u00e9", "\U0001f600", "\x00", "a\x00", "\ufffd", "traits", 'q"', "\\", "\\u0000", ""]
NUMBERS = [
    "0", "-0", "1.50", "1e400", "-1E-7", "1234567890123456789.0", "12345678901234567890e2", "0.12345678901234567890",
    "1e12345678901234567890", "1E-12345678901234567890", "9007199254740991", "-9007199254740991", "9007199254740992", "-9007199254740992",
]  # fmt: skip


def some_value(by: random.Random, depth: int = 0) -> Any:
    kind = by.random()
    if depth < 5 and kind < 0.2:
        return [some_value(by, depth + 1) for _ in range(by.randrange(4))]
    if depth < 5 and kind < 0.5:
        return some_object(by, depth + 1)
    if kind < 0.65:
        return Raw(by.choice([by.choice(NUMBERS), str(by.randint(-(10**40), 10**40))]))
    if kind < 0.75:
        return by.choice([None, True, False])
    return "".join(
        by.choice([*NAMES, "9007199254740992", "{", "]", ",", ":"]) for _ in range(by.randrange(4))
    )


def some_object(by: random.Random, depth: int = 0) -> Members:
    return Members((by.choice(NAMES), some_value(by, depth)) for _ in range(by.randrange(6)))


def spelled(value: Any, by: random.Random) -> str:
    """JSON of a value with blanks and escapes wherever the grammar has room for them."""
    gap = " " * by.choice((0, 0, 0, 1, 2))
    if isinstance(value, Raw):
        return f"{gap}{value}"
    if isinstance(value, str):
        return gap + '"' + "".join(_sign(sign, by) for sign in value) + '"'
    if isinstance(value, Members):
        inner = ",".join(f"{spelled(name, by)}{gap}:{spelled(each, by)}{gap}" for name, each in value)
        return f"{gap}{{{gap}{inner}}}"
    if isinstance(value, list):
        return f"{gap}[{gap}{','.join(spelled(each, by) + gap for each in value)}]"
    return gap + json.dumps(value)


def _sign(sign: str, by: random.Random) -> str:
    if by.random() < 0.2:
        units = sign.encode("utf-16-be")
        hexes = [units[n : n + 2].hex() for n in range(0, len(units), 2)]
        return "".join(f"\\u{by.choice((text, text.upper()))}" for text in hexes)
    return json.dumps(sign, ensure_ascii=False)[1:-1]


def read(text: str | bytes) -> Any:
    """The value with every member of an object, and numbers as their text."""
    return json.loads(text, object_pairs_hook=Members, parse_int=Raw, parse_float=Raw)


def last_wins(value: Any) -> Any:
    if isinstance(value, Members):
        last = {name: number for number, (name, _) in enumerate(value)}
        return Members(
            (name, last_wins(each)) for number, (name, each) in enumerate(value) if last[name] == number
        )
    return [last_wins(each) for each in value] if isinstance(value, list) else value


def replaced(value: Any) -> Any:
    if isinstance(value, Members):
        return Members((replaced(name), replaced(each)) for name, each in value)
    if isinstance(value, list):
        return [replaced(each) for each in value]
    return value.replace("\x00", "\ufffd") if isinstance(value, str) and not isinstance(value, Raw) else value


def as_strings(value: Any) -> Any:
    if isinstance(value, Members):
        return Members((name, as_strings(each)) for name, each in value)
    if isinstance(value, list):
        return [as_strings(each) for each in value]
    whole = isinstance(value, Raw) and value.lstrip("-").isdigit()
    return str(value) if whole and abs(int(value)) > LARGEST else value


def same(found: Any, expected: Any) -> bool:
    """Equal, numbers by their text and apart from strings."""
    if isinstance(expected, list):
        alike = type(found) is type(expected) and len(found) == len(expected)
        return alike and all(same(one, other) for one, other in zip(found, expected, strict=True))
    if isinstance(expected, tuple):
        return found[0] == expected[0] and same(found[1], expected[1])
    return type(found) is type(expected) and found == expected


CASE = settings(max_examples=200, deadline=None)


@CASE
@given(st.integers(0, 1 << 40))
def test_the_last_member_of_each_name_stays_and_all_else_is_as_it_was(seed: int) -> None:
    by = random.Random(seed)
    value = some_object(by)
    text = spelled(value, by).encode()
    found = last_members(text)
    assert same(read(found), last_wins(read(text)))
    if same(last_wins(value), value):
        assert found == text
    assert last_members(found) == found


@CASE
@given(st.integers(0, 1 << 40))
def test_integers_beyond_2_to_the_53_become_strings_of_their_digits(seed: int) -> None:
    by = random.Random(seed)
    values = [some_object(by) for _ in range(by.randrange(1, 6))]
    texts = [spelled(value, by) if by.random() < 0.8 else None for value in values]
    lines = pa.array(["y" * by.randrange(9), *texts])[1:]
    found, marked = quoted_integers(lines)
    found.validate(full=True)
    for value, text, quoted, has in zip(values, texts, found.to_pylist(), marked.tolist(), strict=True):
        if text is None:
            assert quoted is None and not has
            continue
        assert same(read(quoted), as_strings(read(text)))
        assert has == (not same(as_strings(value), value)) == (quoted != text)
        assert len(quoted) - len(text) <= len(text) * 2 / 17
    assert quoted_integers(found)[0] is found


@CASE
@given(st.integers(0, 1 << 40))
def test_every_nul_becomes_a_replacement_however_it_is_spelled(seed: int) -> None:
    by = random.Random(seed)
    value = some_object(by)
    text = spelled(value, by).encode()
    found = without_nul(text)
    assert same(read(found), replaced(read(text)))
    if same(replaced(value), value):
        assert found == text


@CASE
@given(st.integers(0, 1 << 40))
def test_a_column_is_mended_line_by_line(seed: int) -> None:
    by = random.Random(seed)
    lines = [(some_object(by), by.random() < 0.8) for _ in range(by.randrange(9))]
    names = by.random() < 0.7
    values = [value if names else last_wins(value) for value, _ in lines]  # else such a row has no line
    texts = [
        f"{spelled(value, by)}\n" if there else None for value, (_, there) in zip(values, lines, strict=True)
    ]
    twice = [not same(last_wins(value), value) for value in values]
    asked = {"nul": by.random() < 0.7, "integers": by.random() < 0.7}
    begin = by.randrange(len(texts) + 1)
    column = pa.array(["x" * by.randrange(9), *texts])[1:]
    done = mended(column.slice(begin), np.array(twice[begin:], bool) if names else None, **asked)
    done.lines.validate(full=True)
    assert done.lines.type == column.type
    for row, (value, text) in enumerate(zip(values[begin:], texts[begin:], strict=True)):
        found = done.lines[row].as_py()
        if text is None:
            assert found is None and not (done.names[row] or done.nul[row] or done.integers[row])
            continue
        expected = replaced(value) if asked["nul"] else value
        held_nul = not same(expected, value)
        made_one = not same(last_wins(expected), expected) and same(last_wins(value), value)
        if (names and twice[begin + row]) or made_one:
            expected = last_wins(expected)
        if asked["integers"]:
            expected, before = as_strings(expected), expected
            assert done.integers[row] == (not same(expected, before))
        assert found.endswith("\n") and same(read(found), expected)
        assert done.nul[row] == held_nul
        assert done.names[row] == ((names and twice[begin + row]) or made_one)
        if not (done.names[row] or done.nul[row] or done.integers[row]):
            assert found == text


# -- cases -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a":1,"a":2}', '{"a":2}'),
        ('{ "a" : 1 , "b":2, "a":3 }', '{ "b":2, "a":3 }'),
        ('{"a":1,"\\u0061":2.50}', '{"\\u0061":2.50}'),
        ('{"x":[{"a":1,"a":[{"b":1,"b":2}]}],"x":[{"c":{"d":1,"d":2}}]}', '{"x":[{"c":{"d":2}}]}'),
        ('{"a":{"a":1},"b":"a"}', '{"a":{"a":1},"b":"a"}'),
        ('{"\\ud83d\\ude00":1,"\U0001f600":2}', '{"\U0001f600":2}'),
        ('{"a":"\\",\\"a\\":1","a":"{"}', '{"a":"{"}'),
        ("{}", "{}"),
        ('{"":1,"":2}', '{"":2}'),
    ],
)
def test_names_are_compared_as_they_are_read(text: str, expected: str) -> None:
    assert last_members(text.encode()).decode() == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"id":1,"traits":{"a":1,"a":null},"x":null}', '{"id":1,"traits":{},"x":null}'),
        ('{"traits":{"a":null,"a":1,"b":null,"c":{"d":null}}}', '{"traits":{"a":1,"c":{"d":null}}}'),
        ('{"traits":{"a":1,"b": null ,"c":null}}', '{"traits":{"a":1}}'),
        ('{"x":{"traits":{"a":null}},"traits":{"b":null,"c":2}}', '{"x":{"traits":{"a":null}},"traits":{"c":2}}'),
        ('[{"traits":{"a":null}}]', '[{"traits":{"a":null}}]'),
    ],
)  # fmt: skip
def test_nulls_of_one_object_go_after_the_last_member_was_found(text: str, expected: str) -> None:
    assert last_members(text.encode(), "traits").decode() == expected


def test_neither_depth_nor_length_exhausts_anything() -> None:
    numbers = "[" + ",".join(["12345678901234567", '"\\""'] * 60_000) + "]"
    found, _ = quoted_integers(pa.array([numbers]))
    assert found[0].as_py() == numbers.replace("12345678901234567", '"12345678901234567"')
    deep = b'{"a":1,"a":' * 3000 + b"0" + b"}" * 3000
    assert last_members(deep) == b'{"a":' * 3000 + b"0" + b"}" * 3000
    for long in (
        b'{"a":"' + b"\\u0000" * 200_000 + b'"}',
        b'{"a":"' + b"\\" * 1_000_000 + b'"}',
        b"[" + b"1" * 1_000_000 + b".0]",
    ):
        found = mended(pa.array([long.decode()]), None, nul=True, integers=True)
        assert found.lines[0].as_py() == long.decode().replace("\\u0000", "\ufffd")


# -- the tests of whole buffers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("lead", range(9))
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_a_long_number_is_found_wherever_it_begins(lead: int, kind: pa.DataType) -> None:
    digits = [15, 16, 17, 23, 24, 40]
    texts = ["[" + " " * lead + "9" * count + "]" for count in digits]
    for rows in (texts, [None, *texts, None], texts[::-1]):
        found = mended(pa.array(rows, kind), None, nul=False, integers=True)
        quoted = [None if text is None else text.replace("[", "").strip("] ") for text in rows]
        assert found.integers.tolist() == [text is not None and len(text) > 15 for text in quoted]
        assert found.lines.type == kind and json.loads(found.lines.to_pylist()[1]) in (
            [quoted[1]],
            [int("9" * 15)],
        )


def test_a_number_may_end_a_line_and_begin_it() -> None:
    lines = ["-9007199254740992", "", None, '"a":-9007199254740993', '"b":1', "-9007199254740994"]
    found, marked = quoted_integers(pa.array(lines))
    assert found.to_pylist() == [
        '"-9007199254740992"', "", None, '"a":"-9007199254740993"', '"b":1', '"-9007199254740994"'
    ]  # fmt: skip
    assert marked.tolist() == [True, False, False, True, False, True]


def test_lines_that_grow_beyond_offsets_of_32_bits_get_wider_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_integers, "_NARROW", 20)
    found, _ = quoted_integers(pa.array(["[1]", None, "[-12345678901234567]"]))
    assert found.type == pa.large_string() and found.to_pylist() == ["[1]", None, '["-12345678901234567"]']


def test_lines_that_need_nothing_are_handed_on_as_they_are() -> None:
    rows = ['{"id":"12345678901234567890","a":"\\\\u0000","b":1.12345678901234567890}\n', None, "{}\n"]
    lines = pa.array(rows)
    calm = mended(lines.slice(1), None, nul=True, integers=True)
    assert calm.lines.buffers()[2].address == lines.buffers()[2].address, "nothing is copied"
    found = mended(lines, np.zeros(3, bool), nul=True, integers=True)
    assert found.lines.to_pylist() == rows
    assert not (found.names | found.nul | found.integers).any()
    empty = mended(pa.array([], pa.string()), None, nul=True, integers=True)
    assert isinstance(empty, Mended) and not len(empty.lines)
