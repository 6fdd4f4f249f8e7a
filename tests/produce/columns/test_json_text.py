"""JSON text: valid by the letter, spliced as it stands, without its top-level nulls."""

from __future__ import annotations

import json
from typing import Any

from chispa import assert_column_equality
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from rover_spark.produce.columns import json_text
from tests.produce.cases import json_object

LONG_NUMBER = '{"a":12345678901234567890.1230,"b":1e400,"c":-0.0,"d":1E+2,"e":0}'
DEEP, TOO_DEEP = "[" * 48 + "]" * 48, "[" * 49 + "]" * 49

IS_OBJECT = [
    (None, None),
    # one object, spaced as JSON allows
    ("{}", True),
    (' \t\r\n{"a" :\r\n1\t,"b": [ ]}\n ', True),
    (LONG_NUMBER, True),
    (r'{"a":"\u00e9\/\n\"\\\b\f\r\t","\ud83d\ude00":1}', True),
    ('{"a":"\u2028\u2029\x7f\u00a0"}', True),
    ('{"😀":"é"}', True),
    ('{"":"","a":{"b":[{"c":[1,[2]]}]},"t":true,"f":false,"n":null}', True),
    ('{"a":1,"a":2}', True),
    ('{"a":"],\\"x\\"]{}//#"}', True),
    (f'{{"a":{"[" * 900}{"]" * 900}}}', True),
    # another value
    ("[1]", False),
    ('[{"a":1}]', False),
    ("1", False),
    ('"a"', False),
    ('"{}"', False),
    ("null", False),
    ("true", False),
    ("", False),
    (" \n", False),
    # no JSON number
    ('{"a":NaN}', False),
    ('{"a":Infinity}', False),
    ('{"a":-Infinity}', False),
    ('{"a":INF}', False),
    ('{"a":01}', False),
    ('{"a":-01}', False),
    ('{"a":+1}', False),
    ('{"a":.5}', False),
    ('{"a":1.}', False),
    ('{"a":1e}', False),
    ('{"a":0x1}', False),
    ('{"a":--1}', False),
    ('{"a":１}', False),
    # no JSON string
    ("{'a':1}", False),
    ("{\"a\":'x'}", False),
    ("{a:1}", False),
    ("{1:2}", False),
    ('{"a":"x\ny"}', False),
    ('{"a":"x\ty"}', False),
    ('{"a":"\x01"}', False),
    ('{"a":"\\x"}', False),
    ('{"a":"\\\'"}', False),
    ('{"a":"\\u12"}', False),
    ('{"a":"\\u12g4"}', False),
    ('{"a":"\\\n"}', False),
    ('{"a":"b}', False),
    # no JSON structure
    ('{"a":1,}', False),
    ('{"a":[1,]}', False),
    ('{"a":[,1]}', False),
    ('{"a":1,,"b":2}', False),
    ('{"a":1 "b":2}', False),
    ('{"a":1;"b":2}', False),
    ('{"a"}', False),
    ('{"a":}', False),
    ('{"a":1', False),
    ('{"a":[1}', False),
    ("{,}", False),
    ("}{", False),
    ('{"a":TRUE}', False),
    ('{"a":nul}', False),
    ('{"a":undefined}', False),
    # something beside the object
    ('{"a":1}{"b":2}', False),
    ('{"a":1} {"b":2}', False),
    ('{"a":1},{"b":2}', False),
    ('{"a":1}]', False),
    ('{"a":1},"x"]', False),
    ('{"a":1}],["x"', False),
    ('{"a":1},', False),
    ('{"a":1}x', False),
    ("{}\x00", False),
    ("\ufeff{}", False),
    ("\u00a0{}", False),
    ("{}\u00a0", False),
    ("\x0c{}", False),
    ("{}\x0b", False),
    # comments
    ('{/**/"a":1}', False),
    ("{}//", False),
    ("{} /* x */", False),
    ("{} #", False),
]

WITHOUT_NULLS = [
    (None, None),
    ("{}", "{}"),
    ('{"a":null}', "{}"),
    (' { "a" : null } ', "{ }"),
    ('{"a":null,"b":1,"c":2}', '{"b":1,"c":2}'),
    ('{"b":1,"a":null,"c":2}', '{"b":1,"c":2}'),
    ('{"b":1,"c":2,"a":null}', '{"b":1,"c":2}'),
    ('{"a":null,"b":null,"c":null}', "{}"),
    ('{"a":null,"b":1,"c":null,"d":null,"e":2,"f":null}', '{"b":1,"e":2}'),
    # deeper ones stay
    ('{"a":{"b":null},"c":[null,{"d":null}],"e":null}', '{"a":{"b":null},"c":[null,{"d":null}]}'),
    ('{"a":[[null],null],"b":null}', '{"a":[[null],null]}'),
    # text that looks like a member stays
    (r'{"a":"\"b\":null,","c":null}', r'{"a":"\"b\":null,"}'),
    (r'{"a":"null","null":"x","b":null}', r'{"a":"null","null":"x"}'),
    (r'{"a":"x\\","b":null,"c":"\\\""}', r'{"a":"x\\","c":"\\\""}'),
    ('{"a":"}","b":null,"c":"{["}', '{"a":"}","c":"{["}'),
    # keys of any shape
    (r'{"a,b":null,"c\"d":null,"e\\":null,"":null,"f:null":1}', '{"f:null":1}'),
    ('{"\u00e9":null,"😀":null,"\u2028":1}', '{"\u2028":1}'),
    # numbers and escapes stay as they are
    ('{"z":null,"a":12345678901234567890.1230,"b":1e400}', '{"a":12345678901234567890.1230,"b":1e400}'),
    (r'{"z":null,"a":"\u00e9\/$1\\$0"}', r'{"a":"\u00e9\/$1\\$0"}'),
    # as deep as can be told, and one deeper
    (f'{{"a":{DEEP},"b":null}}', f'{{"a":{DEEP}}}'),
    (f'{{"a":{TOO_DEEP},"b":null}}', None),
    (f'{{"a":{TOO_DEEP},"b":1}}', f'{{"a":{TOO_DEEP},"b":1}}'),
]


def test_json_text_is_one_object_by_the_letter_of_the_standard(spark: SparkSession) -> None:
    frame = spark.createDataFrame(IS_OBJECT, "text string, expected boolean")
    assert_column_equality(
        frame.withColumn("found", json_text.is_object_text(F.col("text"))), "found", "expected"
    )


def test_nulls_are_taken_out_at_the_top_level_only(spark: SparkSession) -> None:
    frame = spark.createDataFrame(WITHOUT_NULLS, "text string, expected string")
    plain = F.regexp_replace(json_text.without_null_members(F.col("text")), r"^\{ *\}$", "{}")
    expected = F.regexp_replace("expected", r"^\{ *\}$", "{}")
    assert_column_equality(
        frame.select(plain.alias("found"), expected.alias("expected")), "found", "expected"
    )


def test_ten_thousand_members_and_long_strings_do_not_exhaust_the_stack(spark: SparkSession) -> None:
    members = {f"k{n}": None if n % 3 == 0 else ["\\" * n, {"x": None}] for n in range(4_000)}
    hostile = {
        "many": json.dumps(members),
        "quotes": json.dumps({"a": '"' * 200_000, "b": None}),
        "open": '{"a":' + "[" * 900 + "]" * 900 + ',"b":null}',
    }
    frame = spark.createDataFrame(list(hostile.items()), "name string, text string")
    found = {
        row["name"]: (row["valid"], row["clean"])
        for row in frame.select(
            "name",
            json_text.is_object_text(F.col("text")).alias("valid"),
            json_text.without_null_members(F.col("text")).alias("clean"),
        ).collect()
    }
    assert found["many"][0] and json.loads(found["many"][1]) == _kept(members)
    assert found["quotes"][0] and json.loads(found["quotes"][1]) == {"a": '"' * 200_000}
    assert found["open"] == (True, None)


TEXT = st.text(st.sampled_from('ab"\\{}[]:,n\n\té😀\u2028 $0'), max_size=6) | st.sampled_from(
    ["null", '":null,"', '"a":null', "}", "\\"]
)
SCALAR = st.none() | st.booleans() | st.integers() | TEXT
VALUE = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8
)
OBJECT = st.dictionaries(TEXT, st.none() | VALUE, max_size=6)
SPACING = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:\r\n"), (",", " : "), ("\r\n , ", ":")])


def _generated(count: int) -> list[tuple[dict[str, Any], str, str]]:
    """(object, its text, its text without top-level nulls), the same ones at every run."""
    cases: list[tuple[dict[str, Any], str, str]] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(OBJECT, SPACING, st.booleans(), st.sampled_from(["", " ", "\n"]))
    def collect(value: dict[str, Any], spacing: tuple[str, str], ascii_only: bool, edge: str) -> None:
        def text(kept: dict[str, Any]) -> str:
            return json.dumps(kept, separators=spacing, ensure_ascii=ascii_only)

        cases.append((value, edge + text(value) + edge, text(_kept(value))))

    collect()
    return cases


def _kept(value: dict[str, Any]) -> dict[str, Any]:
    return {key: each for key, each in value.items() if each is not None}


def _unspaced(text: str) -> str:
    """The text without blanks between tokens: what is left must be digit-identical."""
    out, inside, escaped = [], False, False
    for char in text:
        if inside:
            inside = escaped or char != '"'
            escaped = not escaped and char == "\\"
        elif char in " \t\r\n":
            continue
        elif char == '"':
            inside = True
        out.append(char)
    return "".join(out)


def test_any_object_in_any_spacing_keeps_all_but_its_top_level_nulls(spark: SparkSession) -> None:
    cases = _generated(400)
    frame = spark.createDataFrame([(n, text) for n, (_, text, _) in enumerate(cases)], "n int, text string")
    text, problem = json_object(F.col("text"), frame.schema["text"].dataType, drop_nulls=True)
    assert problem is not None
    rows = frame.select("n", text.alias("found"), problem.alias("problem")).collect()
    assert len(rows) == len(cases) >= 300
    for row in rows:
        value, before, expected = cases[row["n"]]
        assert row["problem"] is None, before
        assert json.loads(row["found"]) == _kept(value), before
        assert _unspaced(row["found"]) == _unspaced(expected), before
        assert "\n" not in row["found"] and "\r" not in row["found"], before


def test_text_that_is_no_object_is_reported_and_nested_too_deeply_too(spark: SparkSession) -> None:
    cases = [
        (None, None),
        ("{}", None),
        ("[]", "no_json_object"),
        ("", "no_json_object"),
        ("null", "no_json_object"),
        ('{"a":NaN}', "no_json_object"),
        (f'{{"a":{TOO_DEEP},"b":1}}', None),
        (f'{{"a":{TOO_DEEP},"b":null}}', "nested_too_deeply"),
    ]
    frame = spark.createDataFrame(cases, "text string, expected string")
    _, problem = json_object(F.col("text"), frame.schema["text"].dataType, drop_nulls=True)
    assert problem is not None
    assert_column_equality(frame.withColumn("found", problem), "found", "expected")


def test_octets_that_are_no_utf8_become_the_replacement_character(spark: SparkSession) -> None:
    # Spark itself reads them so, wherever it decodes text
    frame = spark.sql("select cast(unhex('7B2261223A22FF227D') as string) as text")
    text, _ = json_object(F.col("text"), frame.schema["text"].dataType, drop_nulls=False)
    lines = frame.select(F.concat(text, F.lit("\n")).alias("line")).collect()
    assert lines[0]["line"] == '{"a":"\ufffd"}\n'


SURROGATES = [  # JSON text → what is delivered
    (r'{"a":"\ud83d\ude00"}', None),
    (r'{"a":"\uD83D\uDE00\ud83d\ude00"}', None),
    (r'{"a":"\\ud83d"}', None),  # a backslash, then letters
    (r'{"a":"\\\\ud83d\u0041"}', None),
    (r'{"a":"\ud83d"}', '{"a":"\ufffd"}'),
    (r'{"a":"\ude00"}', '{"a":"\ufffd"}'),
    (r'{"a":"\ude00\ud83d"}', '{"a":"\ufffd\ufffd"}'),
    (r'{"a":"\ud83d\ud83d\ude00"}', '{"a":"\ufffd\\ud83d\\ude00"}'),
    (r'{"a":"\ud83d\ude00\ude00"}', '{"a":"\\ud83d\\ude00\ufffd"}'),
    (r'{"a":"\\\ud83d"}', '{"a":"\\\\\ufffd"}'),
    (r'{"a":"\\ud83d\ude00"}', '{"a":"\\\\ud83d\ufffd"}'),  # the first one is letters
    (r'{"\ud83dx":1}', '{"\ufffdx":1}'),
]


def test_half_a_surrogate_pair_becomes_the_replacement_character(spark: SparkSession) -> None:
    frame = spark.createDataFrame(
        [(text, after or text) for text, after in SURROGATES], "text string, expected string"
    )
    found, _ = json_object(F.col("text"), frame.schema["text"].dataType, drop_nulls=False)
    assert_column_equality(frame.withColumn("found", found), "found", "expected")
