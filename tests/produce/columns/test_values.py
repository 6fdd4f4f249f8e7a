"""JSON text from every kind of column: what is kept, what is taken out, what is reported."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal

import pytest
from chispa import assert_df_equality
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from rover_spark.produce.columns.values import json_object as json_object_of
from rover_spark.produce.columns.values import json_text
from tests.produce.cases import json_object

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
    (
        "octets, intervals, arrays",
        "named_struct('b', X'00ff', 'y', interval '1-2' year to month, 's', interval '1 02:03:04' day to second, "
        "'a', array(array(), null, array(null, 1)), 'm', array(map(), null, map('k', null)), 'v', null)",
        """{"b":"AP8=","y":"INTERVAL '1-2' YEAR TO MONTH","s":"INTERVAL '1 02:03:04' DAY TO SECOND","""
        '"a":[[],null,[null,1]],"m":[{},null,{"k":null}]}',
        None,
    ),
    (
        "days and instants of any year",
        "named_struct('d', date'-0044-03-15', 'e', date_from_unix_date(2147483647), 'f', date'1582-10-10', "
        "'t', timestamp_micros(-9223372036854775808), 'u', timestamp_micros(9223372036854775807), "
        "'n', cast(timestamp_micros(253402300800000000) as timestamp_ntz))",
        '{"d":"-0044-03-15","e":"+5881580-07-11","f":"1582-10-10","t":"-290308-12-21T19:59:05.224192Z",'
        '"u":"+294247-01-10T04:00:54.775807Z","n":"+10000-01-01T00:00:00.000000"}',
        None,
    ),
    (
        "text of a fixed length",
        "named_struct('c', cast('x' as char(3)), 'v', cast('y' as varchar(3)))",
        '{"c":"x","v":"y"}',
        None,
    ),
    ("texts", "map('a\"b', 'q\"\\\\ \\n\\t', 'e', '😀é')", '{"a\\"b":"q\\"\\\\ \\n\\t","e":"😀é"}', None),
]


def _columns(spark: SparkSession, selects: list[tuple[str, str]]) -> DataFrame:
    return spark.range(1).select(*(F.expr(sql).alias(name) for name, sql in selects))


def test_every_kind_of_column_gives_the_same_canonical_object(spark: SparkSession) -> None:
    frame = _columns(spark, [(f"c{n}", sql) for n, (_, sql, _, _) in enumerate(COLUMNS)])
    texts = {
        f"t{n}": json_text(F.col(f"c{n}"), field.dataType) for n, field in enumerate(frame.schema.fields)
    }
    shown = []
    for n, field in enumerate(frame.schema.fields):
        for drop in (False, True):
            text, problem = json_object_of(F.col(f"t{n}"), F.col(field.name), field.dataType, drop_nulls=drop)
            shown += [text.alias(f"text{n}{drop}"), problem.alias(f"problem{n}{drop}")]
    row = frame.withColumns(texts).select(*shown).collect()[0]
    for n, (name, _, attribute, trait) in enumerate(COLUMNS):
        assert (row[f"text{n}False"], row[f"problem{n}False"]) == (attribute, None), name
        assert (row[f"text{n}True"], row[f"problem{n}True"]) == (trait or attribute, None), name


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
        _, problem = json_object(F.col(f"`{name}`"), frame.schema[name].dataType, drop_nulls=True)
        assert problem is not None
        found.append(problem.alias(name))
    told = frame.select(*found).collect()[0].asDict()
    assert told == {name: "number_not_finite" if bad else None for name, _, bad in NOT_FINITE}


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
        ("1", "1", "no_json_object"),
        ("1.50", "1.5", "no_json_object"),
        ("true", "true", "no_json_object"),
    ]
    frame = spark.createDataFrame(cases, "text string, expected string, expected_problem string")
    frame = frame.withColumn("v", F.expr("parse_json(text)"))
    text, problem = json_object(F.col("v"), frame.schema["v"].dataType, drop_nulls=True)
    assert problem is not None
    found = frame.select("expected", "expected_problem", text.alias("found"), problem.alias("problem"))
    assert_df_equality(
        found.select("found", "problem"),
        found.select(F.col("expected").alias("found"), F.col("expected_problem").alias("problem")),
        ignore_nullable=True,
    )


def test_what_a_variant_holds_beyond_json_has_a_text_and_raises_nothing(spark: SparkSession) -> None:
    _needs_variant(spark)
    whole = (
        "date'2026-01-31' as d, timestamp'2026-01-31 10:00:00' as t, timestamp_ntz'2026-01-31 10:00:00' as n"
    )
    frame = spark.sql(
        f"select to_variant_object(struct({whole}, X'00ff' as b, 1.50 as x, 1.5f as f, array(date'1582-10-10') as a)) as o, "
        "to_variant_object(array(1)) as l, cast(date'2026-01-31' as variant) as d, cast(X'00ff' as variant) as b, "
        "cast(timestamp_micros(253402300800000000) as variant) as t, cast(1.50 as variant) as x, "
        "cast(cast(null as string) as variant) as nothing"
    )
    found = {}
    for name in frame.columns:
        text, problem = json_object(F.col(name), frame.schema[name].dataType, drop_nulls=True)
        row = frame.select(text.alias("text"), problem.alias("problem")).collect()[0]
        found[name] = row["problem"] or row["text"]
    assert found.pop("o") == (
        '{"a":["1582-10-10"],"b":"AP8=","d":"2026-01-31","f":1.5,"n":"2026-01-31 10:00:00",'
        '"t":"2026-01-31 10:00:00+00:00","x":1.5}'
    )
    assert found.pop("nothing") is None
    assert set(found.values()) == {"no_json_object"}


def test_a_variant_says_what_is_no_json_number_as_text(spark: SparkSession) -> None:
    """A known limit, which docs/guarantees.md names: Spark's own text of a VARIANT does not tell NaN from \"NaN\"."""
    _needs_variant(spark)
    frame = spark.sql("select to_variant_object(named_struct('a', double('NaN'))) as v")
    text, _ = json_object(F.col("v"), frame.schema["v"].dataType, drop_nulls=True)
    assert frame.select(text.alias("text")).collect()[0]["text"] == '{"a":"NaN"}'


def test_a_decimal_or_a_time_in_python_is_what_spark_writes(spark: SparkSession) -> None:
    value = Decimal("-0.000000001")
    moment = datetime.datetime(2026, 1, 1, 12, 0, 0, 1, tzinfo=datetime.timezone.utc)
    frame = spark.createDataFrame([(value, moment)], "d decimal(38,9), t timestamp").select(
        F.struct("d", "t").alias("s")
    )
    text, _ = json_object(F.col("s"), frame.schema["s"].dataType, drop_nulls=False)
    found = json.loads(frame.select(text.alias("t")).collect()[0]["t"], parse_float=Decimal)
    assert found == {"d": value, "t": "2026-01-01T12:00:00.000001Z"}
