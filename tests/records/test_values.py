"""JSON text from every kind of column: what is kept, what is taken out, what is reported."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from typing import Any

import pytest
from chispa import assert_column_equality, assert_df_equality
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from rover_spark.records import values

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
        frame.withColumn("found", values.is_object_text(F.col("text"))), "found", "expected"
    )


def test_nulls_are_taken_out_at_the_top_level_only(spark: SparkSession) -> None:
    frame = spark.createDataFrame(WITHOUT_NULLS, "text string, expected string")
    plain = F.regexp_replace(values.without_null_members(F.col("text")), r"^\{ *\}$", "{}")
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
            values.is_object_text(F.col("text")).alias("valid"),
            values.without_null_members(F.col("text")).alias("clean"),
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
    text, problem = values.json_object(F.col("text"), frame.schema["text"].dataType, drop_nulls=True)
    assert problem is not None
    rows = frame.select("n", text.alias("found"), problem.alias("problem")).collect()
    assert len(rows) == len(cases) >= 300
    for row in rows:
        value, before, expected = cases[row["n"]]
        assert row["problem"] is None, before
        assert json.loads(row["found"]) == _kept(value), before
        assert _unspaced(row["found"]) == _unspaced(expected), before
        assert "\n" not in row["found"] and "\r" not in row["found"], before


# name, SQL of the value, JSON as an attribute, JSON as traits
COLUMNS = [
    (
        "text",
        """'{"b":1,"a":null,"c":{"z":null}}'""",
        '{"b":1,"a":null,"c":{"z":null}}',
        '{"b":1,"c":{"z":null}}',
    ),
    ("text over lines", "'{\"b\":\\r\\n1\\n}'", '{"b":  1 }', '{"b":  1 }'),
    ("no text", "cast(null as string)", None, None),
    ("map", "map('b', 1, 'a', null, 'B', 3)", '{"B":3,"a":null,"b":1}', '{"B":3,"b":1}'),
    (
        "map of maps",
        "map('b', map('z', 1, 'y', cast(null as int), 'é', 2), 'a', null)",
        '{"a":null,"b":{"y":null,"z":1,"é":2}}',
        '{"b":{"y":null,"z":1,"é":2}}',
    ),
    ("empty map", "cast(map() as map<string,string>)", "{}", "{}"),
    ("map of nulls", "map('a', cast(null as string))", '{"a":null}', "{}"),
    ("no map", "cast(null as map<string,string>)", None, None),
    (
        "struct",
        "named_struct('b', 1, 'a', cast(null as int), 'c', 'x')",
        '{"b":1,"c":"x"}',
        '{"b":1,"c":"x"}',
    ),
    ("no struct", "cast(null as struct<a:int>)", None, None),
    ("struct of nulls", "named_struct('a', cast(null as int))", "{}", "{}"),
    (
        "struct of arrays of structs of maps",
        "named_struct('x', array(named_struct('m', map('b', array(map('d', 1, 'c', 2)), 'a', array())), null))",
        '{"x":[{"m":{"a":[],"b":[{"c":2,"d":1}]}},null]}',
        '{"x":[{"m":{"a":[],"b":[{"c":2,"d":1}]}},null]}',
    ),
    (
        "map with other keys inside",
        "map('a', map(10, 'x', 9, 'y'))",
        '{"a":{"9":"y","10":"x"}}',
        '{"a":{"9":"y","10":"x"}}',
    ),
    (
        "names with dots",
        "named_struct('a.b', map('d', 1, 'c', 2))",
        '{"a.b":{"c":2,"d":1}}',
        '{"a.b":{"c":2,"d":1}}',
    ),
    (
        "numbers",
        "named_struct('l', 9223372036854775807L, 'm', -9223372036854775808L, 'd', cast('12345678901234567890.1230' as decimal(38,4)), "
        "'s', cast(7 as decimal(10,3)), 't', 1Y)",
        '{"l":9223372036854775807,"m":-9223372036854775808,"d":12345678901234567890.1230,"s":7.000,"t":1}',
        '{"l":9223372036854775807,"m":-9223372036854775808,"d":12345678901234567890.1230,"s":7.000,"t":1}',
    ),
    (
        "times",
        "named_struct('t', timestamp'2026-01-01 12:00:00+02:00', 'u', timestamp'2026-01-01 12:00:00.5', "
        "'v', timestamp'1969-12-31 23:59:59.999999', 'n', timestamp_ntz'2026-01-01 12:00:00.000001', 'd', date'2026-01-01')",
        '{"t":"2026-01-01T10:00:00.000000Z","u":"2026-01-01T12:00:00.500000Z","v":"1969-12-31T23:59:59.999999Z",'
        '"n":"2026-01-01T12:00:00.000001","d":"2026-01-01"}',
        None,
    ),
    ("texts", "map('a\"b', 'q\"\\\\ \\n\\t', 'e', '😀é')", '{"a\\"b":"q\\"\\\\ \\n\\t","e":"😀é"}', None),
]


def _columns(spark: SparkSession, selects: list[tuple[str, str]]) -> DataFrame:
    return spark.range(1).select(*(F.expr(sql).alias(name) for name, sql in selects))


def test_every_kind_of_column_gives_the_same_canonical_object(spark: SparkSession) -> None:
    frame = _columns(spark, [(name, sql) for name, sql, _, _ in COLUMNS])
    types = {field.name: field.dataType for field in frame.schema.fields}
    shown = []
    for name, _, attribute, trait in COLUMNS:
        for drop, expected in (
            (False, attribute),
            (True, trait if trait or attribute is None else attribute),
        ):
            text, problem = values.json_object(F.col(f"`{name}`"), types[name], drop_nulls=drop)
            told = F.lit(None).cast("string") if problem is None else problem
            shown.append(F.struct(F.lit(f"{name} {drop}"), text, F.lit(expected), told))
    rows = frame.select(
        F.explode(
            F.array(*(F.struct(*(s[f"col{n}"].alias(f"c{n}") for n in (1, 2, 3, 4))) for s in shown))
        ).alias("r")
    )
    table = rows.select("r.c1", F.col("r.c2").alias("found"), F.col("r.c3").alias("expected"), "r.c4")
    assert_column_equality(table, "found", "expected")
    assert_column_equality(table.withColumn("none", F.lit(None).cast("string")), "c4", "none")


# name, SQL of a value that holds NaN or an infinity somewhere, or does not
NOT_FINITE = [
    ("map", "map('a', double('NaN'))", True),
    ("map, infinity", "map('a', 1D, 'b', double('-Infinity'))", True),
    ("float", "named_struct('a', float('Infinity'))", True),
    ("array in struct", "named_struct('a', array(1D, double('NaN')))", True),
    ("map in array in map", "map('a', array(map('b', double('NaN'))))", True),
    ("struct in array", "named_struct('a', array(null, named_struct('b', float('NaN'), 'c', 1)))", True),
    ("finite", "named_struct('a', array(1D, null), 'b', -0D, 'c', 1e308D)", False),
    (
        "nulls",
        "named_struct('a', cast(null as double), 'b', cast(null as array<double>), 'c', cast(null as map<string,double>))",
        False,
    ),
    ("null", "cast(null as map<string,double>)", False),
]


def test_what_json_cannot_say_is_reported_at_any_depth(spark: SparkSession) -> None:
    frame = _columns(spark, [(name, sql) for name, sql, _ in NOT_FINITE])
    found = []
    for name, _, _ in NOT_FINITE:
        _, problem = values.json_object(F.col(f"`{name}`"), frame.schema[name].dataType, drop_nulls=True)
        assert problem is not None
        found.append(problem.alias(name))
    told = frame.select(*found).collect()[0].asDict()
    assert told == {name: "number_not_finite" if bad else None for name, _, bad in NOT_FINITE}


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
    _, problem = values.json_object(F.col("text"), frame.schema["text"].dataType, drop_nulls=True)
    assert problem is not None
    assert_column_equality(frame.withColumn("found", problem), "found", "expected")


# DEFECT in rover_spark/records/values.py: octets that are no UTF-8 become U+FFFD without a word
def test_text_that_is_no_utf8_is_reported_or_kept_but_never_changed(spark: SparkSession) -> None:
    frame = spark.sql("select cast(unhex('7B2261223A22FF227D') as string) as text")
    text, problem = values.json_object(F.col("text"), frame.schema["text"].dataType, drop_nulls=False)
    assert problem is not None
    row = frame.select(F.hex(text).alias("octets"), problem.alias("problem")).collect()[0]
    assert row["problem"] is not None or row["octets"] == "7B2261223A22FF227D"


def _needs_variant(spark: SparkSession) -> None:
    if spark.version.startswith("3."):
        pytest.skip("VARIANT is Spark 4's")


def test_variant_gives_the_same_object_as_text(spark: SparkSession) -> None:
    _needs_variant(spark)
    cases = [
        ('{"b":1,"a":null,"c":{"z":null,"y":[null]}}', '{"b":1,"c":{"y":[null],"z":null}}', None),
        (
            '{"l":9223372036854775807,"d":12345678901234567890.123,"s":"x\\"\\n😀"}',
            '{"d":12345678901234567890.123,"l":9223372036854775807,"s":"x\\"\\n😀"}',
            None,
        ),
        ("{}", "{}", None),
        ('{"a":null}', "{}", None),
        (None, None, None),
        ("[1]", "[1]", "no_json_object"),
        ('"{"', '"{"', "no_json_object"),
        ("null", None, "no_json_object"),
    ]
    frame = spark.createDataFrame(cases, "text string, expected string, expected_problem string")
    frame = frame.withColumn("v", F.expr("parse_json(text)"))
    text, problem = values.json_object(F.col("v"), frame.schema["v"].dataType, drop_nulls=True)
    assert problem is not None
    found = frame.select("expected", "expected_problem", text.alias("found"), problem.alias("problem"))
    assert_df_equality(
        found.select("found", "problem"),
        found.select(F.col("expected").alias("found"), F.col("expected_problem").alias("problem")),
        ignore_nullable=True,
    )


# DEFECT in rover_spark/records/values.py: a VARIANT's NaN becomes the string "NaN"
def test_a_variant_that_holds_no_json_number_is_reported(spark: SparkSession) -> None:
    _needs_variant(spark)
    frame = spark.sql("select to_variant_object(named_struct('a', double('NaN'))) as v")
    text, problem = values.json_object(F.col("v"), frame.schema["v"].dataType, drop_nulls=True)
    assert problem is not None
    row = frame.select(text.alias("text"), problem.alias("problem")).collect()[0]
    assert row["problem"] is not None, row["text"]


def test_a_decimal_or_a_time_in_python_is_what_spark_writes(spark: SparkSession) -> None:
    value = Decimal("-0.000000001")
    moment = datetime.datetime(2026, 1, 1, 12, 0, 0, 1, tzinfo=datetime.timezone.utc)
    frame = spark.createDataFrame([(value, moment)], "d decimal(38,9), t timestamp").select(
        F.struct("d", "t").alias("s")
    )
    text, _ = values.json_object(F.col("s"), frame.schema["s"].dataType, drop_nulls=False)
    found = json.loads(frame.select(text.alias("t")).collect()[0]["t"], parse_float=Decimal)
    assert found == {"d": value, "t": "2026-01-01T12:00:00.000001Z"}
