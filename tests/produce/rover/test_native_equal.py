"""The native reader and Spark's expressions give one record for one row: random rows, held against each other byte for byte."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("sqlglot")

from rover_spark.contract.rover import DATASETS
from rover_spark.delta.data_files import Wanted, batches
from rover_spark.delta.storage import Reached
from rover_spark.produce.rover.native_records import records_of
from rover_spark.produce.rover.plan import BatchPlan, Source
from tests.plans import batch_plan

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROWS = 700
TEXTS = [
    *(chr(code).encode() for code in range(32)),
    *(text.encode() for text in ("plain", '"', "\\", "\x7f", "é", "\u2028\u2029", "\ufffd", "😀", "null", ",", "/", "ß𝔘")),
]  # fmt: skip
BROKEN = [
    b"\xff", b"\xc0\x80", b"\xe1\x80", b"\xe1\x80A", b"\xed\xa0\x80", b"\xed\xa0", b"\xed\xa0A", b"\xed\xb0\x80\xed",
    b"\xf0\x90\x80", b"\xf0\x90A", b"\xf0\x80\x80\x80", b"\xf4\x90\x80\x80", b"\xf5\x80", b"\x80", b"\xe0\x80\x80",
    b"\xf0\x90\x80\x80\x80",
]  # fmt: skip
NAMES = ["", "a", "A", "b", "zz", "é", "𝔘", "\uffff", "\x00", 'quo"te', "null", "\u2028", "aa", "Z"]
EPOCH = datetime(1970, 1, 1)
_INNER = pa.struct([("d", pa.date32()), ("e", pa.decimal128(18, 4)), ("n", pa.map_(pa.string(), pa.int32()))])
_STRUCT = pa.struct(
    [
        ("a", pa.string()),
        ("B", pa.int64()),
        ("c", _INNER),
        ("l", pa.list_(pa.string())),
        ("o", pa.list_(_INNER)),
        ("ts", pa.timestamp("us", tz="UTC")),
        ("nt", pa.timestamp("us")),
        ("by", pa.binary()),
        ("mm", pa.map_(pa.string(), pa.timestamp("us", tz="UTC"))),
    ]
)
SCHEMA = pa.schema(
    [
        ("rover_id", pa.string()),
        ("other_id", pa.string()),
        ("traits", pa.map_(pa.string(), pa.string())),
        ("deep", pa.map_(pa.string(), pa.map_(pa.string(), pa.string()))),
        ("s", _STRUCT),
        ("t8", pa.int8()),
        ("t16", pa.int16()),
        ("t32", pa.int32()),
        ("t64", pa.int64()),
        ("flag", pa.bool_()),
        ("day", pa.date32()),
        ("dec", pa.decimal128(20, 6)),
        ("whole", pa.decimal128(38, 0)),
        ("text", pa.string()),
        ("arr", pa.list_(pa.list_(pa.string()))),
        ("updated_at", pa.timestamp("us", tz="UTC")),
        ("local", pa.timestamp("us")),
    ]
)


class Rows:
    """Random values of every type; ``broken`` with octets that are no UTF-8 and, in maps, with keys that stand twice."""

    def __init__(self, seed: int, *, broken: bool) -> None:
        self.by, self.broken = random.Random(seed), broken

    def text(self) -> bytes:
        kind = self.by.random()
        if kind < 0.1:
            return b""
        if kind < 0.5:
            return b"word%d" % self.by.randrange(1000)
        pool = [*TEXTS, *BROKEN] if self.broken and kind > 0.9 else TEXTS
        return b"".join(self.by.choice(pool) for _ in range(self.by.randrange(1, 5)))

    def uuid(self) -> bytes | None:
        kind = self.by.random()
        if kind < 0.03:
            return None
        if kind < 0.08:
            return self.by.choice([b"no-uuid", b"00000000-0000-4000-8000-00000000000g", b"0" * 36, "é".encode() * 18, b"00000000-0000-4000-8000-0000000000001", b"0000000K-0000-4000-8000-000000000000"])  # fmt: skip
        found = f"{self.by.randrange(1 << 32):08x}-0000-4000-8000-{self.by.randrange(1 << 48):012x}"
        return (found.upper() if kind < 0.3 else found).encode()

    def instant(self, *, outside: bool = False) -> int:
        low, high = -62_135_596_800_000_000, 253_402_300_799_999_999
        edges = [low, high, 0, -1, -12_219_292_800_000_000, -12_219_292_800_000_001]
        if outside and self.by.random() < 0.05:
            return self.by.choice([low - 1, high + 1])
        return self.by.choice(edges) if self.by.random() < 0.3 else self.by.randint(low, high)

    def day(self) -> int:
        return self.by.choice([-719_162, 2_932_896, -141_428, -141_427, self.by.randint(-719_162, 2_932_896)])

    def whole(self, bits: int) -> int:
        top = 1 << (bits - 1)
        return self.by.choice([-top, top - 1, 0, -1, self.by.randrange(-top, top)])

    def decimal(self, digits: int, scale: int) -> Decimal:
        unscaled = self.by.choice([0, 1, -1, 10**digits - 1, 1 - 10**digits, self.by.randrange(10**digits)])
        return Decimal(f"{unscaled}e-{scale}")

    def names(self) -> list[str]:
        if self.by.random() < 0.5:
            return ["lastName", "email", "city"][: self.by.randrange(4)]
        found = self.by.sample(NAMES, self.by.randrange(6))
        if self.broken and found and self.by.random() < 0.03:
            found.append(found[0])
        return found

    def of(self, kind: pa.DataType, *, nulls: bool = True) -> Any:
        if nulls and self.by.random() < 0.1:
            return None
        if pa.types.is_map(kind):
            return [(name, self.of(kind.item_type)) for name in self.names()]
        if pa.types.is_list(kind):
            return [self.of(kind.value_type) for _ in range(self.by.randrange(4))]
        if pa.types.is_struct(kind):
            return {kind.field(n).name: self.of(kind.field(n).type) for n in range(kind.num_fields)}
        if pa.types.is_string(kind) or pa.types.is_binary(kind):
            return self.text()
        if pa.types.is_integer(kind):
            return self.whole(kind.bit_width)
        if pa.types.is_boolean(kind):
            return self.by.random() < 0.5
        if pa.types.is_decimal(kind):
            return self.decimal(kind.precision, kind.scale)
        return self.day() if pa.types.is_date(kind) else self.instant()

    def row(self) -> dict[str, Any]:
        found = {field.name: self.of(field.type) for field in SCHEMA}
        times = {"updated_at": self.instant(outside=True), "local": self.instant(outside=True)}
        if self.by.random() < 0.03:
            times["updated_at"] = None
        return {**found, "rover_id": self.uuid(), "other_id": self.uuid(), **times}


def as_octets(kind: pa.DataType) -> pa.DataType:
    """The type with octets in place of text: Arrow makes no string of octets that are no UTF-8."""
    if pa.types.is_string(kind):
        return pa.binary()
    if pa.types.is_map(kind):
        return pa.map_(kind.key_type, as_octets(kind.item_type))
    if pa.types.is_list(kind):
        return pa.list_(as_octets(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(f.name, as_octets(f.type)) for f in kind])
    return kind


def as_text(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """The octets as text, whatever they are."""
    if pa.types.is_string(kind):
        return values.view(pa.string())
    buffers, nulls = values.buffers(), values.null_count
    if pa.types.is_map(kind):
        entries = pa.StructArray.from_arrays(
            [values.keys, as_text(values.items, kind.item_type)],
            fields=[pa.field("key", pa.string(), nullable=False), pa.field("value", kind.item_type)],
        )
        return pa.Array.from_buffers(kind, len(values), buffers[:2], nulls, 0, [entries])
    if pa.types.is_list(kind):
        inner = as_text(values.values, kind.value_type)
        return pa.Array.from_buffers(kind, len(values), buffers[:2], nulls, 0, [inner])
    if pa.types.is_struct(kind):
        parts = [as_text(values.field(n), field.type) for n, field in enumerate(kind)]
        return pa.Array.from_buffers(kind, len(values), buffers[:1], nulls, 0, parts)
    return values


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    columns = [
        as_text(pa.array([row[field.name] for row in rows], as_octets(field.type)), field.type)
        for field in SCHEMA
    ]
    return pa.table(columns, schema=SCHEMA)


@pytest.fixture(scope="module")
def tables(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Two Delta tables: one of a foreign writer with what Spark does not write, and one that Spark wrote."""
    home = tmp_path_factory.mktemp("native")
    mode = "spark.sql.parquet.datetimeRebaseModeInRead"
    before = spark.conf.get(mode)
    spark.conf.set(mode, "CORRECTED")
    for name, broken in (("foreign", True), ("plain", False)):
        (home / name).mkdir()
        rows = Rows(7, broken=broken)
        made = table_of([rows.row() for _ in range(ROWS)])
        pq.write_table(made, home / name / "part-0.parquet", row_group_size=400)
        spark.sql(f"CONVERT TO DELTA parquet.`{home / name}`")
    plain = spark.read.format("delta").load(str(home / "plain"))
    plain.coalesce(1).write.format("delta").save(str(home / "spark"))
    yield {"foreign": str(home / "foreign"), "spark": str(home / "spark")}
    spark.conf.set(mode, str(before))


def by_spark(spark: SparkSession, plan: BatchPlan) -> list[tuple[Any, ...]]:
    from pyspark.sql import functions as F

    from rover_spark.produce.rover.envelope import line, record_id
    from rover_spark.produce.rover.records import units

    delivered = F.col("outcome") == "delivered"
    found = units(spark.read.format("delta").load(plan.source.table), plan, None)
    found = found.withColumn("id", F.when(delivered, record_id(plan, F.col("operation"), F.col("event_us"))))
    text = F.when(delivered, line(plan, F.col("operation")))
    return [
        tuple(row)
        for row in found.select("outcome", "floor", delivered & F.col("mended"), "id", text).collect()
    ]


def natively(spark: SparkSession, plan: BatchPlan) -> list[tuple[Any, ...]]:
    table = plan.source.table
    schema = json.loads(spark.read.format("delta").load(table).schema.json())
    records, columns = records_of(plan, schema)
    (file,) = (name for name in os.listdir(table) if name.endswith(".parquet"))
    found = []
    for rows in batches(Reached(table), file, os.path.getsize(Path(table) / file), Wanted(columns), {}):
        for batch in (rows.slice(0, 7), rows.slice(7)):
            made = records.of(batch, 3)
            assert set(made.column("chunk").to_pylist()) <= {3}
            made.validate(full=True)
            columns_ = [
                made.column(name).to_pylist() for name in ("outcome", "floor", "mended", "id", "line")
            ]
            found += list(zip(*columns_, strict=True))
    return found


def plan_of(dataset: str, table: str, columns: dict[str, str], **more: Any) -> BatchPlan:
    where, extra = more.get("where"), more.get("extra", {})
    known = DATASETS[dataset]
    key = more.get("natural_key", known.natural_key)
    plan = batch_plan(dataset=dataset, source=Source(table, columns, key, where, extra, "suppress"))
    files = replace(plan.files, max_record_bytes=more.get("max_record_bytes", 1_000_000))
    phase = "snapshot" if known.snapshot else "changes"
    return replace(plan, files=files, phase=phase, from_version=None if known.snapshot else 0)


PROFILE = {"roverID": "rover_id", "updatedAt": "`updated_at`"}
CASES: dict[str, dict[str, Any]] = {
    "traits as a map": {"dataset": "fan_profiles", "columns": {**PROFILE, "traits": "TRAITS"}},
    "traits as a struct": {"dataset": "fan_profiles", "columns": {**PROFILE, "traits": "s"}},
    "traits nested in a struct": {"dataset": "fan_profiles", "columns": {**PROFILE, "traits": "s.C.n"}},
    "traits of maps": {"dataset": "fan_profiles", "columns": {**PROFILE, "traits": "deep"}},
    "a map made of columns": {
        "dataset": "fan_profiles",
        "columns": {
            **PROFILE,
            "traits": "map('z', text, 'a\u00e9', cast(day as string), 'm', cast(dec as string), 'k', string(t64), 'b', cast(flag as string), 'lit', 'x')",
        },
        "extra": {"whole": "whole", "t8": "t8", "deep": "deep", "arr": "arr", "nt": "s.nt", "text": "s.a"},
        "natural_key": ("roverID", "text", "whole", "t8", "updatedAt"),
        "where": "flag or t8 > -5 and text <> 'plain'",
    },
    "a struct made of columns": {
        "dataset": "fan_profiles",
        "columns": {
            **PROFILE,
            "traits": "named_struct('Zed', struct(text, s.B, day AS at, 'q', flag), 'n', 5, 'm', map('q', s.c, 'p', s.c), 't', true)",
        },
        "extra": {"dec": "dec", "flag": "flag", "s": "s", "t16": "t16", "t32": "t32"},
        "where": "not (t32 in (0, -1, 5) or day is null) or s.ts is not null",
    },
    "large records": {
        "dataset": "fan_profiles",
        "columns": {**PROFILE, "traits": "traits"},
        "extra": {"text": "text"},
        "max_record_bytes": 260,
    },
    "identities": {
        "dataset": "fan_identity_graph",
        "columns": {**PROFILE, "identifierType": "'email'", "identifier": "text"},
    },
    "merges": {
        "dataset": "fan_profile_merges",
        "columns": {"roverID": "rover_id", "mergedRoverID": "other_id", "occurredAt": "local"},
        "where": "day >= date '1900-01-01' or text in ('word1', 'plain', '')",
    },
    "events": {
        "dataset": "fan_track_events",
        "columns": {
            "eventID": "t64", "roverID": "rover_id", "name": "text", "namespace": "`namespace`", "attributes": "deep",
            "device": "s.c", "timestamp": "updated_at",
        },
    },
    "events by day": {
        "dataset": "fan_track_events",
        "columns": {
            "eventID": "day", "roverID": "rover_id", "name": "'n'", "namespace": "s.a", "attributes": "s.mm",
            "device": "traits", "timestamp": "local",
        },
        "extra": {"by": "s.by", "l": "s.l"},
    },
}  # fmt: skip


NUMBERS = {"merges", "traits nested in a struct"}
OF_SPARK = ("traits as a map", "traits as a struct", "a struct made of columns", "events by day")


@pytest.mark.parametrize(
    ("case", "writer"), [*((case, "foreign") for case in CASES), *((case, "spark") for case in OF_SPARK)]
)
def test_one_row_gives_one_record(
    spark: SparkSession, tables: dict[str, str], case: str, writer: str
) -> None:
    more = dict(CASES[case])
    plan = plan_of(more.pop("dataset"), tables[writer], more.pop("columns"), **more)
    expected, found = by_spark(spark, plan), natively(spark, plan)
    assert len(expected) > 150
    assert {row[0] for row in expected} == {"delivered", "quarantined"}
    for number, (theirs, ours) in enumerate(zip(expected, found, strict=True)):
        assert ours == theirs, f"row {number}"
    if writer == "foreign":
        assert any(row[2] for row in expected) or case in NUMBERS, "no record was mended"


def test_times_of_the_table_are_times_of_the_record() -> None:
    days = (datetime(9999, 12, 31) - EPOCH).days
    assert days == 2_932_896
    assert EPOCH + timedelta(days=-719_162) == datetime(1, 1, 1)
