"""Columns in the shape that an Avro schema asks for: what fits is read back as it was, what does not says why."""

from __future__ import annotations

import io
import json
import math
import uuid
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import fastavro
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.avro.functions import to_avro

from rover_spark.contract.avro import type_of
from rover_spark.delta.session import Session
from rover_spark.face.pinned import pinned
from rover_spark.produce.columns.avro import Misfit, shaped

POINT = {
    "type": "record",
    "name": "Point",
    "fields": [{"name": "x", "type": "int"}, {"name": "y", "type": ["null", "long"]}],
}
UUID = {"type": "string", "logicalType": "uuid"}
CASES: list[tuple[str, Any, Any]] = [  # expression, Avro type, what is read back
    ("true", "boolean", True),
    ("7", "int", 7),
    ("7", ["null", "long"], 7),
    ("cast(null AS int)", ["null", "long"], None),
    ("cast(7 AS bigint)", "int", 7),
    ("cast(1.5 AS double)", "double", 1.5),
    ("3", "double", 3.0),
    ("9007199254740992", "double", 2.0**53),
    ("-9223372036854775808L", "double", -(2.0**63)),
    ("-9223372036854775808L", "float", -(2.0**63)),
    ("16777216", "float", 2.0**24),
    ("1e300D", "double", 1e300),
    ("0.1D", "float", 0.10000000149011612),
    ("3.4028234e38D", "float", 3.4028234663852886e38),
    ("double('-Infinity')", "float", -math.inf),
    ("float('Infinity')", "double", math.inf),
    ("array(1L, null)", {"type": "array", "items": ["null", "double"]}, [1.0, None]),
    ("'text'", "string", "text"),
    ("7", "string", "7"),
    ("'6F9619FF-8b86-d011-b42d-00c04fc964ff'", UUID, uuid.UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff")),
    ("cast(null AS string)", ["null", UUID], None),
    ("'x'", {"type": "string", "logicalType": "ours"}, "x"),
    ("cast(X'61FF62' AS string)", "string", "a\ufffdb"),
    (
        "timestamp '1800-01-01 00:00:00'",
        {"type": "long", "logicalType": "timestamp-micros"},
        datetime(1800, 1, 1, tzinfo=timezone.utc),
    ),
    ("date '9999-12-31'", {"type": "int", "logicalType": "date"}, date(9999, 12, 31)),
    (
        "map('k', named_struct('d', map(date'2026-01-31', 1, date'2026-01-30', 2)))",
        {"type": "map", "values": "string"},
        {"k": '{"d":{"2026-01-30":2,"2026-01-31":1}}'},
    ),
    ("named_struct('h', map(X'00ff', 1))", ["null", "string"], '{"h":{"AP8=":1}}'),
    ("array(map(array(1.50), true))", "string", '[{"[1.50]":true}]'),
    ("date '0001-01-01'", {"type": "int", "logicalType": "date"}, date(1, 1, 1)),
    ("map('b', 1, 'a', 2)", "string", '{"a":2,"b":1}'),
    ("named_struct('a', 1)", "string", '{"a":1}'),
    ("cast('raw' AS binary)", "bytes", b"raw"),
    ("cast('four' AS binary)", {"type": "fixed", "name": "F", "size": 4}, b"four"),
    ("'red'", {"type": "enum", "name": "E", "symbols": ["red", "green"]}, "red"),
    ("1.25", {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 3}, Decimal("1.250")),
    ("date '2026-11-21'", {"type": "int", "logicalType": "date"}, date(2026, 11, 21)),
    (
        "timestamp '2026-11-21 10:00:00.123456'",
        {"type": "long", "logicalType": "timestamp-micros"},
        datetime(2026, 11, 21, 10, 0, 0, 123456, tzinfo=timezone.utc),
    ),
    ("timestamp '2026-11-21 10:00:00.9'", "long", 1795255200),
    ("timestamp '2026-11-21 10:00:00.9'", {"type": "long", "logicalType": "ours"}, 1795255200),
    ("7", {"type": "int", "logicalType": "ours"}, 7),
    (
        "timestamp_ntz '2026-11-21 10:00:00.123456'",
        {"type": "long", "logicalType": "local-timestamp-micros"},
        datetime(2026, 11, 21, 10, 0, 0, 123456),
    ),
    (
        "timestamp_ntz '1800-01-01 10:00:00.123'",
        {"type": "long", "logicalType": "local-timestamp-millis"},
        datetime(1800, 1, 1, 10, 0, 0, 123000),
    ),
    (
        "timestamp_ntz '1800-01-01 10:00:00.5'",
        {"type": "long", "logicalType": "timestamp-millis"},
        datetime(1800, 1, 1, 10, 0, 0, 500000, tzinfo=timezone.utc),
    ),
    ("array(1, null)", {"type": "array", "items": ["null", "int"]}, [1, None]),
    ("map(cast(X'FF' AS string), 1)", {"type": "map", "values": "int"}, {"\ufffd": 1}),
    ("map('k', array(1))", {"type": "map", "values": {"type": "array", "items": "int"}}, {"k": [1]}),
    ("named_struct('x', 1, 'y', 2)", POINT, {"x": 1, "y": 2}),
    ("named_struct('x', 1)", POINT, {"x": 1, "y": None}),
]
WRONG: list[tuple[str, Any, str]] = [  # expression, Avro type, why it is kept out
    ("cast(null AS string)", "string", "v: null"),
    ("cast(3000000000 AS bigint)", "int", "v: does not fit int"),
    ("'blue'", {"type": "enum", "name": "E", "symbols": ["red"]}, "v: no such symbol"),
    ("cast('five!' AS binary)", {"type": "fixed", "name": "F", "size": 4}, "v: does not fit fixed"),
    (
        "1.2345",
        {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 3},
        "v: does not fit bytes",
    ),
    (
        "12345.1",
        {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 1},
        "v: does not fit bytes",
    ),
    ("9007199254740993", "double", "v: does not fit double"),
    ("-9007199254740993", "double", "v: does not fit double"),
    ("9223372036854775807L", "double", "v: does not fit double"),
    ("9223372036854775807L", "float", "v: does not fit float"),
    ("16777217", "float", "v: does not fit float"),
    ("1e300D", "float", "v: does not fit float"),
    ("-1e39D", ["null", "float"], "v: does not fit float"),
    (
        "array(1L, 9007199254740993L)",
        {"type": "array", "items": ["null", "double"]},
        "v: does not fit double",
    ),
    ("timestamp '2200-01-01 00:00:00'", "int", "v: does not fit int"),
    *(
        (text, ["null", UUID], "v: no UUID")
        for text in (
            "'no-uuid'",
            "''",
            "'6f9619ff8b86d011b42d00c04fc964ff'",
            "'{6f9619ff-8b86-d011-b42d-00c04fc964ff}'",
            "'6f9619ff-8b86-d011-b42d-00c04fc964ff\\n'",
            "'\\n6f9619ff-8b86-d011-b42d-00c04fc964ff'",
            "'６f9619ff-8b86-d011-b42d-00c04fc964ff'",
            "cast(X'FF6f9619ff' AS string)",
        )
    ),
    ("array(1, null)", {"type": "array", "items": "int"}, "v: null"),
    ("map('k', cast(null AS int))", {"type": "map", "values": "int"}, "v: null"),
    ("named_struct('x', cast(null AS int))", POINT, "v.x: null"),
    ("date '+10000-01-01'", {"type": "int", "logicalType": "date"}, "v: does not fit int"),
    ("date '0000-12-31'", ["null", {"type": "int", "logicalType": "date"}], "v: does not fit int"),
    (
        "array(timestamp_micros(253402300800000000))",
        {"type": "array", "items": {"type": "long", "logicalType": "timestamp-micros"}},
        "v: does not fit long",
    ),
    (
        "timestamp_micros(-62135596800000001)",
        {"type": "long", "logicalType": "timestamp-millis"},
        "v: does not fit long",
    ),
    (
        "timestamp_ntz '+10000-01-01 00:00:00'",
        {"type": "long", "logicalType": "local-timestamp-micros"},
        "v: does not fit long",
    ),
    ("map('k', map(date'2026-01-31', 1), 'l', null)", {"type": "map", "values": "string"}, "v: null"),
    ("map('k', double('NaN'))", "string", "v: a number that JSON has not"),
    ("named_struct('a', array(float('Infinity')))", ["null", "string"], "v: a number that JSON has not"),
    (
        "map(cast(X'FF' AS string), 1, cast(X'FE' AS string), 2)",
        {"type": "map", "values": "int"},
        "v: duplicate_key",
    ),
]


def encoded(
    spark: SparkSession, cases: list[tuple[str, Any, Any]]
) -> list[tuple[bytes | None, str | None, str]]:
    """Datum, reason and schema of each case: one row, one query."""
    frame = spark.sql(f"SELECT {', '.join(f'{text} AS c{n}' for n, (text, *_) in enumerate(cases))}")
    columns, schemas = [], []
    for n, (_, avro, _) in enumerate(cases):
        schema = {"type": "record", "name": "Event", "fields": [{"name": "v", "type": avro}]}
        given, wrong = shaped(F.col(f"c{n}"), frame.schema[n].dataType, type_of(avro), "v")
        datum = F.when(wrong.isNull(), to_avro(F.struct(given.alias("v")), json.dumps(schema)))
        columns += [datum.alias(f"d{n}"), wrong.alias(f"w{n}")]
        schemas.append(json.dumps(schema))
    with pinned(Session.of(spark)):
        row = frame.select(*columns).collect()[0]
    return [(row[f"d{n}"], row[f"w{n}"], schemas[n]) for n in range(len(cases))]


def test_what_fits_is_read_back_as_it_was(spark: SparkSession) -> None:
    for (text, _, value), (datum, wrong, schema) in zip(CASES, encoded(spark, CASES), strict=True):
        assert wrong is None, (text, wrong)
        read = fastavro.schemaless_reader(
            io.BytesIO(bytes(datum or b"")), fastavro.parse_schema(json.loads(schema)), None
        )
        assert read == {"v": value}, text


def test_what_is_no_number_stays_one(spark: SparkSession) -> None:
    cases = [("double('NaN')", "float", None), ("float('NaN')", "double", None)]
    for (_, avro, _), (datum, wrong, _) in zip(cases, encoded(spark, cases), strict=True):
        assert wrong is None
        assert math.isnan(fastavro.schemaless_reader(io.BytesIO(bytes(datum or b"")), avro, None))


def test_what_does_not_fit_says_why(spark: SparkSession) -> None:
    for (text, _, reason), (datum, wrong, _) in zip(WRONG, encoded(spark, WRONG), strict=True):
        assert (datum, wrong) == (None, reason), text


@pytest.mark.parametrize(
    ("text", "avro"),
    [
        ("'x'", "int"), ("1.5", "int"), ("now()", "string"), ("'x'", ["null", "int", "string"]), ("1", POINT),
        ("1", UUID), ("map('a', 1)", UUID), ("named_struct('y', 1)", POINT), ("map(1, 2)", {"type": "map", "values": "int"}), ("'x'", "bytes"),
    ],
)  # fmt: skip
def test_a_column_of_another_kind_is_refused_by_its_name(spark: SparkSession, text: str, avro: Any) -> None:
    frame = spark.sql(f"SELECT {text} AS v")
    with pytest.raises(Misfit):
        shaped(F.col("v"), frame.schema[0].dataType, type_of(avro), "v")


OTHER_CLOCKS = [
    ("int", "date"), ("int", "time-millis"), ("long", "time-micros"), ("long", "timestamp-nanos"),
    ("long", "local-timestamp-nanos"),
]  # fmt: skip
INSTANT, LOCAL = "timestamp '2026-11-21 10:00:00'", "timestamp_ntz '2026-11-21 10:00:00'"


@pytest.mark.parametrize(
    ("column", "kind", "logical"),
    [(column, *each) for column in (INSTANT, LOCAL) for each in OTHER_CLOCKS]
    + [(INSTANT, "long", f"local-timestamp-{unit}") for unit in ("millis", "micros")],
)
def test_a_timestamp_is_not_seconds_where_the_schema_counts_something_else(
    spark: SparkSession, column: str, kind: str, logical: str
) -> None:
    frame = spark.sql(f"SELECT {column} AS v")
    with pytest.raises(Misfit, match=logical):
        shaped(F.col("v"), frame.schema[0].dataType, type_of({"type": kind, "logicalType": logical}), "v")
