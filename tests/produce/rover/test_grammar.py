"""The small grammar: what is evaluated without Spark, as Spark evaluates it; anything else is Spark's, with a reason."""

from __future__ import annotations

import pickle
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

pytest.importorskip("sqlglot")

from rover_spark.delta.log.values import DataFile
from rover_spark.delta.storage import NotNative
from rover_spark.produce.rover.grammar import Grammar
from rover_spark.produce.rover.native import plain_records
from rover_spark.produce.rover.plan import Source
from tests.plans import batch_plan


def field(name: str, dtype: Any, **metadata: str) -> dict[str, Any]:
    return {"name": name, "type": dtype, "nullable": True, "metadata": metadata}


def text_map(value: Any = "string", key: Any = "string") -> dict[str, Any]:
    return {"type": "map", "keyType": key, "valueType": value, "valueContainsNull": True}


INNER = {"type": "struct", "fields": [field("City", "string"), field("n", "integer")]}
SCHEMA = {
    "type": "struct",
    "fields": [
        field("rover_id", "string"),
        field("Name", "string"),
        field("n", "integer"),
        field("big", "long"),
        field("flag", "boolean"),
        field("day", "date"),
        field("at", "timestamp"),
        field("price", "decimal(10,2)"),
        field("tiny", "decimal(10,8)"),
        field("ratio", "double"),
        field("address", INNER),
        field("traits", text_map()),
        field("by_day", text_map(key="date")),
        field("tags", {"type": "array", "elementType": "string", "containsNull": True}),
        field("odd name", "string"),
        field("twice", "string"),
        field("TWICE", "string"),
        field("padded", "string", __CHAR_VARCHAR_TYPE_STRING="char(5)"),
        field("folded", "string", __COLLATIONS="{}"),
        field("a.b", "string"),
        field("json", "variant"),
        field("far", text_map("double")),
    ],
}
ROWS = pa.RecordBatch.from_pydict(
    {
        "Name": ["a", None, "b", ""],
        "n": pa.array([1, 2, None, -5], pa.int32()),
        "flag": [True, False, None, True],
        "day": pa.array([0, 1, None, 19_000], pa.date32()),
        "address": pa.array([{"City": "x", "n": 1}, None, {"City": None, "n": 2}, {"City": "y", "n": None}],
                            pa.struct([("City", pa.string()), ("n", pa.int32())])),
        "price": pa.array([None, Decimal(1), Decimal(2), Decimal(3)], pa.decimal128(10, 2)),
        "odd name": ["p", "q", "r", "s"],
        "big": [1, 2, 3, 4],
    }
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NAME", ["a", None, "b", ""]),
        ("`odd name`", ["p", "q", "r", "s"]),
        ("address.city", ["x", None, None, "y"]),
        ("'it'", ["it"] * 4),
        ("-7", [-7] * 4),
        ("true", [True] * 4),
        ("cast(n as string)", ["1", "2", None, "-5"]),
        ("string(flag)", ["true", "false", None, "true"]),
        ("day::STRING", ["1970-01-01", "1970-01-02", None, "2022-01-08"]),
        ("(cast(price as string))", [None, "1.00", "2.00", "3.00"]),
        ("map('k', name, 'é', 'x')", [[("k", name), ("é", "x")] for name in ("a", None, "b", "")]),
        ("named_struct('x', n)", [{"x": n} for n in (1, 2, None, -5)]),
        ("struct(big, n as m)", [{"big": b, "m": n} for b, n in ((1, 1), (2, 2), (3, None), (4, -5))]),
    ],
)
def test_a_plain_value(text: str, expected: list[Any]) -> None:
    value = pickle.loads(pickle.dumps(Grammar(SCHEMA).value(text)))
    found = value.of(ROWS)
    assert found.to_pylist() == expected
    assert found.type == value.kind


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flag", [True, False, None, True]),
        ("not flag", [False, True, None, False]),
        ("name = 'a'", [True, None, False, False]),
        ("Name != ''", [True, None, True, False]),
        ("name >= 'b'", [False, None, True, False]),
        ("n > -5", [True, True, None, False]),
        ("n < 99999999999", [True, True, None, True]),
        ("n in (1, -5)", [True, False, None, True]),
        ("n not in (1, -5)", [False, True, None, False]),
        ("n is null", [False, False, True, False]),
        ("address.n is not null", [True, False, True, False]),
        ("not n is null and flag", [True, False, False, True]),
        ("n = 1 or flag", [True, False, None, True]),
        ("n = 1 and flag", [True, False, None, False]),
        ("flag or n = 2 and name = 'zz'", [True, None, None, True]),
        ("(flag or n = 2) and big <= 3", [True, True, None, False]),
        ("n = 1 or big = 3", [True, False, True, False]),
        ("n = 1 and big = 4", [False, False, False, False]),
        ("flag = true", [True, False, None, True]),
        ("day < date '1970-01-02'", [True, False, None, False]),
    ],
)
def test_a_plain_condition(text: str, expected: list[bool | None]) -> None:
    condition = pickle.loads(pickle.dumps(Grammar(SCHEMA).condition(text)))
    assert condition.of(ROWS).to_pylist() == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nothing", "no column nothing"),
        ("twice", "names several columns"),
        ("lower(name)", "more than a plain"),
        ("upper(name)", "more than a plain"),
        ("concat(name, 'x')", "more than a plain"),
        ("n + 1", "more than a plain"),
        ("traits['x']", "more than a plain"),
        ("traits.x", "no struct"),
        ("tags.x", "no struct"),
        ("address.zip", "no field zip"),
        ("cast(name as int)", "another type than string"),
        ("cast(name as varchar(3))", "another type than string"),
        ("cast(name as char(3))", "another type than string"),
        ("try_cast(name as string)", "more than a plain"),
        ("cast(at as string)", "is Spark's"),
        ("cast(tiny as string)", "is Spark's"),
        ("cast(traits as string)", "is Spark's"),
        ("ratio", "only Spark writes"),
        ("json", "only Spark writes"),
        ("padded", "__CHAR_VARCHAR_TYPE_STRING"),
        ("folded", "__COLLATIONS"),
        ("`a.b`", "point in its name"),
        ("'it''s'", "more than a plain"),
        ("'a' 'b'", "more than a plain"),
        (r"'a\'b'", "holds"),
        ('"name"', "holds"),
        ("name -- text", "holds"),
        ("name /* text */", "holds"),
        ("r'x'", "more than a plain"),
        ("1.5", "more than a plain"),
        ("1L", "more than a plain|another type"),
        ("0x10", "more than a plain"),
        ("null", "more than a plain"),
        ("+name", "more than a plain"),
        ("+ 'a'", "more than a plain"),
        ("map('k', +flag)", "more than a plain"),
        ("name as other", "more than a plain"),
        ("name other", "more than a plain"),
        ("name,", "no plain expression"),
        ("map()", "more than a plain"),
        ("map(name, 'x')", "more than a plain"),
        ("map('k', 'x', 'k', 'y')", "a key twice"),
        ("map('k', 'x', 'l', n)", "different types"),
        ("map('a')", "no plain expression"),
        ("struct(name)", "spells Name otherwise"),
        ("struct(address.city)", "spells City otherwise"),
        ("named_struct('a', n, 'A', n)", "two fields of one name"),
        ("name = 'a'", "more than a plain"),
        ("current_date", "more than a plain"),
    ],
)
def test_another_value_is_left_to_spark(text: str, why: str) -> None:
    with pytest.raises(NotNative, match=why):
        Grammar(SCHEMA).value(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("name", "more than a plain"),
        ("name = 1", "is compared with"),
        ("n = '1'", "is compared with"),
        ("n = 1.0", "more than a plain"),
        ("n = big", "is compared with"),
        ("1 = n", "more than a plain"),
        ("n <=> 1", "more than a plain"),
        ("n between 1 and 2", "more than a plain"),
        ("name like 'a%'", "more than a plain"),
        ("flag is true", "more than a plain"),
        ("n in (1, null)", "is compared with"),
        ("n in (select 1)", "more than a plain"),
        ("at > timestamp '2026-01-01 00:00:00'", "another type|is compared with"),
        ("day > '2026-01-01'", "is compared with"),
        ("day > date '2026-02-30'", "is compared with"),
        ("day > date '2026-2-3'", "is compared with"),
        ("price > 1", "is compared with"),
        ("lower(name) = 'a'", "more than a plain"),
        ("exists (select 1)", "more than a plain"),
        ("n in (1) = true", "more than a plain"),
    ],
)
def test_another_condition_is_left_to_spark(text: str, why: str) -> None:
    with pytest.raises(NotNative, match=why):
        Grammar(SCHEMA).condition(text)


def source(**more: Any) -> Source:
    columns = {"roverID": "rover_id", "traits": "traits", "updatedAt": "at", **more.pop("columns", {})}
    given: dict[str, Any] = {
        "natural_key": ("roverID", "updatedAt"), "where": None, "extra": {}, "deletes": "suppress", **more
    }  # fmt: skip
    return Source("/t", columns, **given)


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        ({"phase": "changes"}, "compared with what was there before"),
        ({"floors": True}, "floors"),
        ({"source": source(identifiers={"email": "name"})}, "several rows of one"),
        ({"source": source(columns={"traits": "name"})}, "which Spark reads"),
        ({"source": source(columns={"traits": "by_day"})}, "keys of date32"),
        ({"source": source(columns={"traits": "far"})}, "only Spark writes"),
        ({"source": source(columns={"updatedAt": "day"})}, "which Spark reads"),
        ({"source": source(columns={"roverID": "n"})}, "which Spark reads"),
        ({"source": source(extra={"tiny": "tiny"})}, "1E-7"),
        ({"source": source(extra={"tags": "tags"}, natural_key=("roverID", "tags"))}, "no exact text"),
        ({"source": source(natural_key=("roverID", "other"))}, "no column gives other"),
    ],
)
def test_a_plan_that_is_left_to_spark(plan: dict[str, Any], why: str) -> None:
    with pytest.raises(NotNative, match=why):
        plain_records(batch_plan(**{"source": source(), **plan}), SCHEMA)


def test_only_columns_that_are_read_decide() -> None:
    records, columns = plain_records(batch_plan(source=source(where="big > 1")), SCHEMA)
    assert [name for name, _ in columns] == ["rover_id", "traits", "at", "big"]
    assert pickle.loads(pickle.dumps(records)) == records


def test_the_task_needs_no_spark_to_make_records() -> None:
    text = "import sys, rover_spark.produce.rover.native; sys.exit('pyspark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", text], check=False).returncode == 0


@pytest.mark.parametrize(
    ("properties", "features", "vectored", "why"),
    [
        ({"delta.columnMapping.mode": "name"}, (), False, "maps its columns"),
        ({"delta.enableTypeWidening": "true"}, (), False, "narrower types"),
        ({}, ("typeWidening-preview",), False, "narrower types"),
        ({}, ("deletionVectors",), True, "deletion vectors"),
    ],
)
def test_a_table_that_is_left_to_spark(
    properties: dict[str, str], features: tuple[str, ...], vectored: bool, why: str
) -> None:
    from rover_spark.config.access import TableAccess
    from rover_spark.produce.rover.native import native_reader

    files = [DataFile("a.parquet", 1, 10, {}, 1, vectored)]
    with pytest.raises(NotNative, match=why):
        native_reader(batch_plan(source=source()), SCHEMA, files, properties, features, TableAccess())
