"""Of a wide row one row an identifier: what each becomes, and what has no exact text."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from pyspark.sql import SparkSession

from rover_spark.errors import ConfigError
from rover_spark.produce.rover.identifiers import counting
from rover_spark.produce.rover.records import units
from tests.produce.cases import NOON, SECOND, commit_us, feed, plan, source, uuid

INSERT, DELETE, PRE, POST = "insert", "delete", "update_preimage", "update_postimage"
T0, T1 = NOON, NOON + SECOND

WIDE = "email string, n bigint, d decimal(20,2), fine decimal(38,10), x double, at timestamp, ok boolean"


def test_each_that_is_not_null_is_a_row_and_its_value_is_text(spark: SparkSession) -> None:
    rows = spark.sql(
        f"SELECT from_csv('A@b.c,9007199254740993,1.50,0,1.5,2026-01-01,true', '{WIDE}') r"
    ).select("r.*")
    rows = rows.union(rows.selectExpr("cast(null as string)", "-1", "0.00", "fine", "x", "at", "ok"))
    rows = rows.union(
        rows.selectExpr("cast(null as string)", *["cast(null as bigint)"] * 2, "fine", "x", "at", "ok")
    )
    identifiers = {"mail": "lower(email)", "n": "n", "ü 'x'": "d", "loud": "upper(email)"}
    found = counting(rows, "fan_identity_graph", source("fan_identity_graph", identifiers=identifiers))
    assert found.columns == [*rows.columns, "_identifierType", "_identifier"]
    assert sorted((row[-2], row[-1]) for row in found.collect()) == [
        ("loud", "A@B.C"), ("mail", "a@b.c"), ("n", "-1"), ("n", "9007199254740993"), ("ü 'x'", "0.00"), ("ü 'x'", "1.50")
    ]  # fmt: skip
    kept = source("fan_identity_graph", identifiers=identifiers, where="n > 0")
    assert counting(rows, "fan_identity_graph", kept).count() == 4
    refused = {
        "x": ("double", "cast(x as bigint)"), "at": ("timestamp", "cast(at as string)"), "null": ("void", "cast(null"),
        "ok": ("boolean", "cast(ok as string)"), "fine": ("decimal(38,10)", "decimal(38, 0)"),
        "array(n)": ("array<bigint>", ""), "nowhere": ("nowhere", "email, n, d"), "n +": ("n +", "email, n, d"),
    }  # fmt: skip
    for text, (named, mend) in refused.items():
        wide = source("fan_identity_graph", identifiers={"mail": "email", "x": text})
        with pytest.raises(ConfigError, match=r"datasets\.fan_identity_graph\.identifiers\.x: ") as caught:
            counting(rows, "fan_identity_graph", wide)
        assert named in caught.value.message and mend in caught.value.remedy, text
    taken = rows.withColumnRenamed("email", "_IDENTIFIER")
    with pytest.raises(ConfigError, match="_IDENTIFIER"):
        counting(taken, "fan_identity_graph", source("fan_identity_graph", identifiers={"n": "n"}))


# case, change, commit, fan, email, phone, n, at → (type, value, outcome, operation)…; the other half of a change is left out
CHANGES: list[tuple[tuple[Any, ...], set[tuple[str, str, str, str | None]]]] = [
    # the time of the whole row says nothing of one identifier
    ((PRE, 12, 1, "a", "p", 0, T0), {("email", "a", "delivered", "delete")}),
    ((POST, 12, 1, "b", "p", 0, T1), {("email", "b", "delivered", "create"), ("phone", "p", "no_change", None)}),
    ((PRE, 12, 2, "a", None, 0, T0), set()),
    ((POST, 12, 2, "a", None, 0, T1), {("email", "a", "no_change", None)}),
    # but one that goes back: records of before may carry the later one
    ((PRE, 12, 3, "a", None, 0, T1), set()),
    ((POST, 12, 3, "a", None, 0, T0), {("email", "a", "delivered", "update")}),
    # null to a value and back, both at once; values that change places
    ((PRE, 12, 4, "a", None, 0, T0), {("email", "a", "delivered", "delete")}),
    ((POST, 12, 4, None, "p", 0, T0), {("phone", "p", "delivered", "create")}),
    ((PRE, 12, 5, "a", "b", 0, T0), {("email", "a", "delivered", "delete"), ("phone", "b", "delivered", "delete")}),
    ((POST, 12, 5, "b", "a", 0, T0), {("email", "b", "delivered", "create"), ("phone", "a", "delivered", "create")}),
    # an additional field
    ((PRE, 12, 6, "a", "p", 0, T0), set()),
    ((POST, 12, 6, "a", "p", 1, T0), {("email", "a", "delivered", "update"), ("phone", "p", "delivered", "update")}),
    # an overwrite; the row gone, made again, nothing in it
    ((DELETE, 12, 7, "a", "p", 0, T0), {("phone", "p", "delivered", "delete")}),
    ((INSERT, 12, 7, "a", None, 0, T1), {("email", "a", "no_change", None)}),
    ((DELETE, 13, 7, "a", None, 0, T1), {("email", "a", "delivered", "delete")}),
    ((INSERT, 14, 7, "a", "", 0, T1), {("email", "a", "delivered", "create"), ("phone", "", "delivered", "create")}),
    ((INSERT, 12, 8, None, None, 0, T1), set()),
    # without a time, and with one again
    ((INSERT, 12, 9, "a", None, 0, None), {("email", "a", "quarantined", "create")}),
    ((PRE, 13, 9, "a", None, 0, None), set()),
    ((POST, 13, 9, "a", None, 0, T0), {("email", "a", "delivered", "update")}),
    # rows that repeat each other, and one that does not
    ((INSERT, 12, 10, "a", None, 0, T0), {("email", "a", "conflict", None)}),
    ((INSERT, 12, 10, "a", None, 0, T1), {("email", "a", "delivered", "create")}),
    ((INSERT, 12, 10, "a", None, 0, T1), {("email", "a", "superseded", None)}),
]  # fmt: skip


def test_before_and_after_are_compared_per_identifier(spark: SparkSession) -> None:
    wide = source(
        "fan_identity_graph",
        identifiers={"email": "email", "phone": "phone"},
        extra={"n": "n", "kind": "_identifierType"},
        columns={"identifierType": "_identifierType", "identifier": "_identifier"},
    )
    made = plan("fan_identity_graph", source=wide)
    schema = "roverID string, email string, phone string, n int, at bigint"
    rows = [(*row[:2], uuid(row[2]), *row[3:]) for row, _ in CHANGES]
    told = units(feed(spark, "fan_identity_graph", rows, schema), made, None).collect()
    found = Counter(
        (int(row["rover_id"][-12:], 16), *(part.partition(":")[2] for part in row["naturals"][1:]), row["outcome"], row["operation"])
        for row in told
        if row["outcome"] != "before"
    )  # fmt: skip
    assert found == Counter((row[2], *each) for row, wanted in CHANGES for each in wanted)
    assert all(row["naturals"][1].endswith(f":{json.loads('{' + row['tail'] + '}')['kind']}") for row in told)
    (back,) = (row for row in told if row["rover_id"] == uuid(3) and row["operation"] == "update")
    assert back["event_us"] == max(commit_us(12), T1 + 1)
