"""Keys of maps and names of JSON objects: each has one text that stays, and stands once; else the row says why not."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from rover_spark.contract.rover import DATASETS
from rover_spark.errors import ConfigError
from rover_spark.produce.columns import json_text
from rover_spark.produce.columns.maps import as_stored
from rover_spark.produce.rover.fields import mapped
from tests.produce.cases import NOON, SCHEMAS, json_object, source, table, uuid

DUPLICATE, NOT_FINITE, NO_OBJECT = "duplicate_key", "number_not_finite", "no_json_object"
# SQL of a map → its JSON: a key reads as the value would
KEYS: list[tuple[str, str]] = [
    ("map(date'2026-01-31', 2)", '{"2026-01-31":2}'),
    ("map(date'2026-02-01', 1, date'2026-01-31', 2)", '{"2026-01-31":2,"2026-02-01":1}'),
    ("map(date'1582-10-10', 1, date'-0044-03-15', 2)", '{"-0044-03-15":2,"1582-10-10":1}'),
    ("map(date_add(date'9999-12-31', 1), 1)", '{"+10000-01-01":1}'),
    ("map(timestamp'2026-01-31 10:00:00.5+02:00', 1)", '{"2026-01-31T08:00:00.500000Z":1}'),
    ("map(timestamp_micros(253402300800000000), 1)", '{"+10000-01-01T00:00:00.000000Z":1}'),
    ("map(timestamp_ntz'2026-01-31 10:00:00', 1)", '{"2026-01-31T10:00:00.000000":1}'),
    ("map(X'00ff', 1)", '{"AP8=":1}'),
    ("map(cast(repeat('x', 60) as binary), 1)", '{"' + "eHh4" * 20 + '":1}'),
    ("map(X'', 1)", '{"":1}'),
    ("map(named_struct('a', 1, 'b', date'2026-01-31'), 1)", r'{"{\"a\":1,\"b\":\"2026-01-31\"}":1}'),
    ("map(array(X'00ff', null), 1)", r'{"[\"AP8=\",null]":1}'),
    ("map(array(timestamp_ntz'2026-01-31 10:00:00'), 1)", r'{"[\"2026-01-31T10:00:00.000000\"]":1}'),
    ("map(1.50, 1, 0.75, 2)", '{"0.75":2,"1.50":1}'),
    ("map(cast('12345678901234567890.1230' as decimal(38,4)), 1)", '{"12345678901234567890.1230":1}'),
    ("map(10.5D, 1, 9D, 2, double('NaN'), 3)", '{"9.0":2,"10.5":1,"NaN":3}'),
    ("map(float(1.1), 1, 2.5f, 2)", '{"1.1":1,"2.5":2}'),
    ("map(true, 1, false, 2)", '{"false":2,"true":1}'),
    ("map(10Y, 1, 9Y, 2)", '{"9":2,"10":1}'),
    ("map(-9223372036854775808L, 1)", '{"-9223372036854775808":1}'),
    ("map(interval '1-2' year to month, 1)", """{"INTERVAL '1-2' YEAR TO MONTH":1}"""),
    ("map(interval '1 02:03:04' day to second, 1)", """{"INTERVAL '1 02:03:04' DAY TO SECOND":1}"""),
    ("map('b', 1, 'B', 2, '', 3)", '{"":3,"B":2,"b":1}'),
    # at any depth
    ("named_struct('by_day', map(date'2026-01-31', 2), 'by_hash', map(X'00ff', 1))", '{"by_day":{"2026-01-31":2},"by_hash":{"AP8=":1}}'),
    ("map('a', array(map(X'00ff', map(date'2026-01-31', array(1)))))", '{"a":[{"AP8=":{"2026-01-31":[1]}}]}'),
    ("named_struct('a', array(named_struct('m', map(1.50, map('z', 1, 'y', 2))), null))", '{"a":[{"m":{"1.50":{"y":2,"z":1}}},null]}'),
    # values that Spark cannot sort, or names that it cannot tell apart
    ("map('b', map(date'2026-01-30', 1), 'a', map(date'2026-01-31', 2))", '{"a":{"2026-01-31":2},"b":{"2026-01-30":1}}'),
    ("named_struct('a', 1D, 'A', map('k', 2D), 'x', map(1, 2))", '{"a":1.0,"A":{"k":2.0},"x":{"1":2}}'),
    ("named_struct('a', cast(null as map<date,int>), 'b', cast(map() as map<binary,int>))", '{"b":{}}'),
]  # fmt: skip
# only Spark 4 has such values, or tells Python of them
NEW_KEYS: list[tuple[str, str]] = [
    ("map(make_interval(1), 1)", '{"1 years":1}'),
    ("map(true, make_interval(0, 1), false, make_interval(0, 2))", '{"false":"2 months","true":"1 months"}'),
    ("map('b', parse_json('1'), 'a', parse_json('\"x\"'), 'c', parse_json('null'), 'd', null)", '{"a":"x","b":1,"c":null,"d":null}'),
    ("named_struct('a', map(date'2026-01-31', array(parse_json('{\"z\":1,\"a\":[]}'))))", '{"a":{"2026-01-31":[{"a":[],"z":1}]}}'),
    ("map('a', map('b', parse_json('1')), 'c', map())", '{"a":{"b":1},"c":{}}'),
    ("named_struct('a', array(named_struct('v', parse_json('1'), 'm', map('k', parse_json('2')))))", '{"a":[{"v":1,"m":{"k":2}}]}'),
    ("map('x' collate UTF8_LCASE, 1)", '{"x":1}'),
]  # fmt: skip


def _told(
    frame: DataFrame, names: list[str], *, drop_nulls: bool = False
) -> list[tuple[str | None, str | None]]:
    """(JSON, problem) of each of the columns of the one row."""
    chosen = []
    for n, name in enumerate(names):
        text, problem = json_object(F.col(name), frame.schema[name].dataType, drop_nulls=drop_nulls)
        chosen += [text.alias(f"t{n}"), problem.alias(f"p{n}")]
    row = frame.select(*chosen).collect()[0]
    return [(row[f"t{n}"], row[f"p{n}"]) for n in range(len(names))]


def test_every_type_of_key_has_a_text_that_stays_at_any_depth(spark: SparkSession) -> None:
    cases = KEYS + ([] if spark.version.startswith("3.") else NEW_KEYS)
    names = [f"c{n}" for n in range(len(cases))]
    frame = spark.range(1).select(
        *(F.expr(sql).alias(name) for name, (sql, _) in zip(names, cases, strict=True))
    )
    for (sql, expected), found in zip(cases, _told(frame, names), strict=True):
        assert found == (expected, None), sql
    # and beside a record, as the row of a quarantine, nothing raises either
    frame.select(
        *(F.to_json(F.struct(as_stored(F.col(f.name), f.dataType))) for f in frame.schema.fields)
    ).collect()


def maps(entries: Any, kind: pa.DataType) -> pa.Array:
    return pa.array([entries], type=kind)


def test_a_key_that_stands_twice_is_told_at_any_depth(spark: SparkSession, tmp_path: Any) -> None:
    text, number, octets = pa.string(), pa.int64(), pa.binary()
    flat, inner = pa.map_(text, number), pa.map_(text, pa.map_(text, number))
    two, one = [("a", 1), ("a", 2)], [("b", 2), ("a", 1)]
    columns: dict[str, tuple[pa.Array, str | None]] = {
        "once": (maps(one, flat), None),
        "twice": (maps(two, flat), DUPLICATE),
        "twice_equal": (maps([("a", 1), ("a", 1)], flat), DUPLICATE),
        "twice_null": (maps([("a", 1), ("a", None)], flat), DUPLICATE),
        "other_case": (maps([("a", 1), ("A", 2)], flat), None),
        "inside_map": (maps([("x", one), ("y", two)], inner), DUPLICATE),
        "around_map": (maps([("x", one), ("x", one)], inner), DUPLICATE),
        "inside_none": (maps([("x", one), ("y", None)], inner), None),
        "in_array": (maps({"a": [one, None, two]}, pa.struct([("a", pa.list_(flat))])), DUPLICATE),
        "in_struct": (maps({"s": {"m": two}}, pa.struct([("s", pa.struct([("m", flat)]))])), DUPLICATE),
        "deep": (maps([("a", [{"m": [("k", [two])]}])], pa.map_(text, pa.list_(pa.struct([("m", pa.map_(text, pa.list_(flat)))])))), DUPLICATE),
        "numbers": (maps([(1, 1), (1, 2)], pa.map_(pa.int32(), number)), DUPLICATE),
        "octets": (maps([(b"\0", 1), (b"\0", 2)], pa.map_(octets, number)), DUPLICATE),
        "other_octets": (maps([(b"\0", 1), (b"\1", 2)], pa.map_(octets, number)), None),
        # equal as text only
        "zeros": (maps([(0.0, 1), (0.0, 2)], pa.map_(pa.float64(), number)), DUPLICATE),
        "days": (maps([(0, 1), (0, 2)], pa.map_(pa.date32(), number)), DUPLICATE),
        "nan_and_twice": (maps([("a", float("nan")), ("a", 1.0)], pa.map_(text, pa.float64())), NOT_FINITE),
    }  # fmt: skip
    pq.write_table(pa.table({name: array for name, (array, _) in columns.items()}), tmp_path / "f.parquet")
    frame = spark.read.parquet(str(tmp_path / "f.parquet"))
    told = _told(frame, list(columns), drop_nulls=True)
    assert {name: problem for name, (_, problem) in zip(columns, told, strict=True)} == {
        name: problem for name, (_, problem) in columns.items()
    }
    assert told[0] == ('{"a":1,"b":2}', None)
    types = {field.name: field.dataType for field in frame.schema.fields}
    kept = F.to_json(
        F.struct(*(as_stored(F.col(name), types[name]).alias(name) for name in ("twice", "octets")))
    )
    assert frame.select(kept.alias("row")).collect()[0]["row"] == (
        '{"twice":{"a":1,"a":2},"octets":[{"key":"AA==","value":1},{"key":"AA==","value":2}]}'
    )


def test_keys_that_are_equal_once_their_octets_are_mended_stand_twice(spark: SparkSession) -> None:
    cases = [
        ("map(cast(X'ff' as string), 1, cast(X'fe' as string), 2)", DUPLICATE),
        ("map(cast(X'ff' as string), 1, 'a', 2)", None),
        ("named_struct('a', map('x', map(cast(X'61ff' as string), 1, concat('a', decode(X'efbfbd', 'UTF-8')), 2)))", DUPLICATE),
    ]  # fmt: skip
    names = [f"c{n}" for n in range(len(cases))]
    frame = spark.range(1).select(
        *(F.expr(sql).alias(name) for name, (sql, _) in zip(names, cases, strict=True))
    )
    assert [problem for _, problem in _told(frame, names)] == [problem for _, problem in cases]


DEEP = '{"a":' * 60 + '{"x":1,"x":2}' + "}" * 60
NAMES: list[tuple[str, bool]] = [
    ('{"a":1,"a":2}', True),
    ('{"a":1,"a":null}', True),
    ('{"a":1,"a":1}', True),
    ('{"a":1,"b":{"a":1}}', False),
    ('{"a":1,"A":2}', False),
    ('{"":1,"":2}', True),
    ('{"a":1," a":2,"a ":3}', False),
    (r'{"a":1,"\u0061":2}', True),
    (r'{"/":1,"\/":2}', True),
    (r'{"é":1,"\u00e9":2}', True),
    (r'{"a\"":1,"a\u0022":2}', True),
    (r'{"a\\":1,"a":2}', False),
    (r'{"\ud83d\ude00":1,"😀":2}', True),
    (r'{"\ud800":1,"\ud801":2}', True),  # both become U+FFFD
    (r'{"\ud800":1,"?":2}', False),
    ('{"a" \t:1 , "a"\r\n: 2}', True),
    # inside
    ('{"a":{"b":1,"b":2}}', True),
    ('{"a":{"b":1},"c":{"b":1}}', False),
    ('{"a":[{"b":1},{"b":2}]}', False),
    ('{"a":[{"b":1},{"b":2,"b":3}]}', True),
    ('{"a":[[[{"b":1,"b":2}]]]}', True),
    ('{"a":{"b":1},"a":2}', True),
    ('{"a":[],"b":{},"a":[]}', True),
    (r'{"a":{"b":1,"\u0062":2}}', True),
    (r'{"a":[{"x\\":{"y":1}},{"y":1}],"y":1}', False),
    (DEEP, True),
    (DEEP.replace('"x":2', '"y":2'), False),
    ('{"a":' + "[" * 900 + '{"b":1,"b":1}' + "]" * 900 + "}", True),
    # text that looks like an object is text
    (r'{"a":"{\"b\":1,\"b\":2}","c":{"d":1}}', False),
    (r'{"a":"\",\"a\":","b":{"c":":"}}', False),
    (r'{"a":["{","}","\\","\"a\":1"],"b":{"a":"a"}}', False),
    ('{"a":["x",":b",{"b":1}],"b":1}', False),
    # of any size
    (json.dumps({f"k{n}": {"id": n, "tags": ["x"]} for n in range(2_000)}), False),
    (json.dumps({"items": [{"id": n} for n in range(2_000)]}), False),
    (json.dumps({"items": [{"id": n} for n in range(2_000)]})[:-2] + ',{"id":1,"id":1}]}', True),
    (json.dumps({"a": '"' * 100_000, "b": {"a": 1}}), False),
    ('{"a":1e400,"b":{"c":' + "9" * 900 + "}}", False),
    (json.dumps({"a" * 100_000: 1, "b": {"c": None}}), False),
]


@pytest.mark.parametrize("cheap", ["variant", "names"])
def test_a_name_that_stands_twice_in_json_text_is_found_at_any_depth(spark: SparkSession, cheap: str) -> None:
    if cheap == "variant" and not hasattr(F, "try_parse_json"):
        pytest.skip("VARIANT is Spark 4's")
    look = json_text.not_one_variant if cheap == "variant" else json_text.some_name_twice
    frame = spark.createDataFrame([(n, text) for n, (text, _) in enumerate(NAMES)], "n int, text string")
    text = json_text.well_formed(json_text.one_line(F.col("text")))
    exact = json_text.somewhere_twice(text)
    rows = frame.select("n", look(text).alias("suspect"), exact.alias("exact")).collect()
    assert len(rows) == len(NAMES)
    for row in rows:
        shown, twice = NAMES[row["n"]]
        assert row["exact"] == twice, shown[:200]
        assert row["suspect"] or not twice, shown[:200]
        assert cheap == "names" or len(shown) > 100_000 or row["suspect"] == twice, shown[:200]


def test_json_text_with_a_name_twice_is_a_problem_whatever_is_taken_out(spark: SparkSession) -> None:
    cases = [
        ('{"a":1,"a":2}', DUPLICATE), ('{"a":1,"a":null}', DUPLICATE), ('{"a":{"b":null,"b":null}}', DUPLICATE),
        ('{"a":1,"a":2', NO_OBJECT), ("[1]", NO_OBJECT), ('{"a":null}', None), (None, None),
    ]  # fmt: skip
    frame = spark.createDataFrame(cases, "text string, expected string")
    for drop in (False, True):
        _, problem = json_object(F.col("text"), frame.schema["text"].dataType, drop_nulls=drop)
        assert [tuple(row) for row in frame.select("text", problem).collect()] == cases


def test_what_has_no_json_is_refused_by_its_name(spark: SparkSession) -> None:
    rows = table(spark, "fan_profiles", [(uuid(1), "{}", NOON)], SCHEMAS["fan_profiles"])
    wrong = "named_struct('a', array(named_struct('b', 1, 'b', 2)))"
    for chosen, setting in (
        ({"columns": {"traits": wrong}}, "datasets.fan_profiles.columns.traits: two fields of"),
        ({"extra": {"tier": wrong}}, "datasets.fan_profiles.extra.tier: two fields of"),
    ):
        with pytest.raises(ConfigError) as caught:
            mapped(rows, DATASETS["fan_profiles"], source("fan_profiles", **chosen))
        assert str(caught.value).startswith(setting) and "another name" in caught.value.remedy


def _doubles(count: int) -> str:
    return "named_struct(" + ", ".join(f"'c{n}', {n}D" for n in range(count)) + ")"


def test_a_struct_may_have_three_thousand_numbers(spark: SparkSession) -> None:
    """An expression that nests once a field ends Spark's stack at about a thousand."""
    frame = spark.range(2).select(
        F.expr(_doubles(3_000)).alias("s"),
        F.expr(_doubles(1_500).replace("'c7', 7D", "'c7', if(id = 1, double('NaN'), 7D)")).alias("t"),
    )
    types: dict[str, DataType] = {field.name: field.dataType for field in frame.schema.fields}
    told = []
    for name in ("s", "t"):
        text, problem = json_object(F.col(name), types[name], drop_nulls=True)
        told += [text.alias(f"text_{name}"), problem.alias(f"problem_{name}")]
    rows = frame.select(*told).collect()
    assert json.loads(rows[0]["text_s"]) == {f"c{n}": float(n) for n in range(3_000)}
    assert [(row["problem_s"], row["problem_t"]) for row in rows] == [(None, None), (None, NOT_FINITE)]
