"""Spark's ids are those of ``contract.ids``, value by value and for a whole record of each dataset."""

from __future__ import annotations

import json
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

from chispa import assert_column_equality
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from rover_spark.contract import ids as contract
from rover_spark.produce.columns.ids import digest32, encoded, id_text
from rover_spark.produce.rover.layout import arranged
from rover_spark.produce.rover.plan import BatchPlan
from rover_spark.produce.rover.records import units
from tests.produce.cases import NOON, plan, snapshot_plan, source, table, uuid

UTC = timezone.utc
# SQL of a value, and the same value in Python
VALUES: list[tuple[str, contract.Value]] = [
    ("cast(null as string)", None),
    ("''", ""),
    ("'~'", "~"),
    ("'1:a'", "1:a"),
    ("'é😀\\n\\t'", "é😀\n\t"),
    ("'\\u0000x'", "\x00x"),
    ("' a '", " a "),
    ("cast(null as int)", None),
    ("0", 0),
    ("-128Y", -128),
    ("32767S", 32767),
    ("-2147483648", -2147483648),
    ("9223372036854775807L", 9223372036854775807),
    ("-9223372036854775808L", -9223372036854775808),
    ("cast(null as decimal(38,4))", None),
    ("cast('-12345678901234567890.1230' as decimal(38,4))", Decimal("-12345678901234567890.1230")),
    ("cast('0.10' as decimal(10,2))", Decimal("0.10")),
    ("cast('-0.001' as decimal(10,3))", Decimal("-0.001")),
    ("cast('99999999999999999999999999999999999999' as decimal(38,0))", Decimal("9" * 38)),
    ("cast('0' as decimal(38,18))", Decimal("0E-18")),
    ("cast('0.0000001' as decimal(38,18))", Decimal("0.000000100000000000")),
    ("true", True),
    ("false", False),
    ("cast(null as boolean)", None),
    ("date'2026-02-28'", date(2026, 2, 28)),
    ("date'0999-01-02'", date(999, 1, 2)),
    ("date'1969-12-31'", date(1969, 12, 31)),
    ("timestamp'2026-01-01 12:00:00.123456Z'", datetime(2026, 1, 1, 12, 0, 0, 123456, UTC)),
    ("timestamp'2026-01-01 12:00:00+02:00'", datetime(2026, 1, 1, 10, 0, 0, 0, UTC)),
    ("timestamp'1970-01-01 00:00:00Z'", datetime(1970, 1, 1, tzinfo=UTC)),
    ("timestamp'1969-12-31 23:59:59.999999Z'", datetime(1969, 12, 31, 23, 59, 59, 999999, UTC)),
    ("timestamp'0001-01-01 00:00:00Z'", datetime(1, 1, 1, tzinfo=UTC)),
    ("timestamp_ntz'1969-07-20 20:17:40.000001'", datetime(1969, 7, 20, 20, 17, 40, 1, UTC)),
    ("cast(null as timestamp)", None),
]


def test_spark_encodes_and_digests_every_allowed_type_as_the_contract_does(spark: SparkSession) -> None:
    frame = spark.range(1).select(*(F.expr(sql).alias(f"v{n}") for n, (sql, _) in enumerate(VALUES)))
    prefix = ["rover", "acmé", 3, None]
    rows = []
    for n, (sql, value) in enumerate(VALUES):
        text = encoded(id_text(F.col(f"v{n}"), frame.schema[n].dataType))
        rows.append(
            F.struct(
                F.lit(sql).alias("sql"),
                text.alias("text"),
                F.lit(contract.canonical([value])).alias("expected_text"),
                digest32(prefix, [text, text]).alias("digest"),
                F.lit(contract.digest32([*prefix, value, value])).alias("expected_digest"),
            )
        )
    told = frame.select(F.explode(F.array(*rows)).alias("r")).select("r.*")
    assert_column_equality(told, "text", "expected_text")
    assert_column_equality(told, "digest", "expected_digest")


def test_a_decimal_in_an_id_reads_the_same_in_spark_and_python(spark: SparkSession) -> None:
    frame = spark.sql("select cast('0.000000100' as decimal(38,9)) as d, cast(0 as decimal(38,9)) as z")
    row = frame.select(
        *(encoded(id_text(F.col(f.name), f.dataType)).alias(f.name) for f in frame.schema)
    ).collect()[0]
    assert (row["d"], row["z"]) == ("7:1.00E-7", "4:0E-9")
    assert contract.canonical([Decimal("0.000000100"), Decimal("0E-9")]) == "7:1.00E-74:0E-9"


def test_ids_do_not_collide_where_values_are_split_otherwise(spark: SparkSession) -> None:
    pairs = [
        ("ab", "c"),
        ("a", "bc"),
        ("abc", ""),
        ("abc", None),
        (None, "abc"),
        ("", "abc"),
        ("~", "abc"),
        ("1:a", "b"),
        ("", None),
        (None, ""),
    ]
    frame = spark.createDataFrame(pairs, "a string, b string")
    found = (
        frame.select(digest32([], [encoded(F.col("a")), encoded(F.col("b"))]).alias("id")).distinct().count()
    )
    assert found == len(pairs)


NOON_UTC = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
FAN, OTHER = "0A000000-0000-4000-8000-00000000000F", uuid(2).upper()
# one record of each dataset: plan, row, natural key values as emitted, golden id
RECORDS: list[tuple[BatchPlan, tuple[Any, ...], list[contract.Value], str]] = [
    (
        snapshot_plan("fan_profiles"),
        (FAN, '{"a":1}', NOON),
        [FAN.lower(), NOON_UTC],
        "caa54d0c2f841fadc09f7b6ea7db47c9",
    ),
    (
        snapshot_plan("fan_identity_graph", epoch=2),
        (FAN, "email", "é@x.io", NOON),
        [FAN.lower(), "email", "é@x.io", "create", NOON_UTC],
        "277575b881be8ca698694156937541f1",
    ),
    (
        snapshot_plan("fan_profile_merges"),
        (FAN, OTHER, NOON),
        [FAN.lower(), OTHER.lower(), NOON_UTC],
        "e098530175c5c624f8bb2901a9bf8c4b",
    ),
    (
        plan("fan_track_events", inserts_only=True),
        ("evt-1", FAN, "opened", None, "{}", None, NOON),
        ["evt-1"],
        "17d879049411d197a7405d1bd00e3214",  # also a doctest of contract.ids
    ),
    (
        snapshot_plan(
            "fan_profiles",
            source=source(
                "fan_profiles",
                extra={"tier": "cast(7 as decimal(5,2))"},
                natural_key=("tier", "updatedAt", "roverID"),
            ),
        ),
        (FAN, None, NOON),
        [Decimal("7.00"), NOON_UTC, FAN.lower()],
        "e4ddda3722ca909eefdfd0f8241eda12",
    ),
]


def test_the_id_of_a_record_is_a_golden_digest_of_its_natural_key(spark: SparkSession) -> None:
    lines = None
    for made, row, _, _ in RECORDS:
        found = arranged(units(table(spark, made.dataset, [row]), made, None), made).select("line")
        lines = found if lines is None else lines.union(found)
    assert lines is not None
    ids = [json.loads(row["line"])["id"] for row in lines.collect()]
    python = [
        contract.digest32(["rover", "acme", made.epoch, made.dataset, *natural])
        for made, _, natural, _ in RECORDS
    ]
    golden = [golden for *_, golden in RECORDS]
    assert ids == python == golden
