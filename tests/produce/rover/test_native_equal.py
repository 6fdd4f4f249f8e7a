"""The native reader and Spark's expressions give one record for one row: random rows, held against each other byte for byte."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("sqlglot")

from rover_spark.contract.rover import DATASETS
from rover_spark.delta.parquet_rows import Wanted, batches
from rover_spark.delta.storage import Reached
from rover_spark.produce.rover.native import plain_records
from rover_spark.produce.rover.plan import BatchPlan, Source, Text
from tests.plans import batch_plan
from tests.produce.rover.native_rows import Rows, table_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROWS = 500
ROWS = 500


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
    twice = delivered & F.col("twice") if plan.text.last else F.lit(False)
    return [
        tuple(row)
        for row in found.select("outcome", "floor", delivered & F.col("mended"), twice, "id", text).collect()
    ]


def natively(spark: SparkSession, plan: BatchPlan) -> list[tuple[Any, ...]]:
    table = plan.source.table
    schema = json.loads(spark.read.format("delta").load(table).schema.json())
    records, columns = plain_records(plan, schema)
    (file,) = (name for name in os.listdir(table) if name.endswith(".parquet"))
    found = []
    for rows in batches(Reached(table), file, os.path.getsize(Path(table) / file), Wanted(columns), {}):
        for batch in (rows.slice(0, 7), rows.slice(7)):
            made = records.of(batch, pa.repeat(3, len(batch)), file)
            assert set(made.column("chunk").to_pylist()) <= {3}
            made.validate(full=True)
            twice = made.column("twice") if plan.text.last else pa.repeat(pa.scalar(False), len(made))
            parts = [made.column(name) for name in ("outcome", "floor", "mended", "id", "line")]
            columns_ = [part.to_pylist() for part in (*parts[:3], twice, *parts[3:])]
            found += list(zip(*columns_, strict=True))
    return found


def plan_of(dataset: str, table: str, columns: dict[str, str], **more: Any) -> BatchPlan:
    where, extra = more.get("where"), more.get("extra", {})
    known = DATASETS[dataset]
    key = more.get("natural_key", known.natural_key)
    source = Source(table, columns, key, where, extra, "suppress")
    plan = batch_plan(dataset=dataset, source=source, text=more.get("text", Text()))
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
    "keys that stand twice, the last of each": {
        "dataset": "fan_track_events",
        "columns": {
            "eventID": "t64", "roverID": "rover_id", "name": "text", "namespace": "`namespace`", "attributes": "deep",
            "device": "named_struct('t', traits, 's', s)", "timestamp": "updated_at",
        },
        "extra": {"arr": "arr", "deep": "deep"},
        "text": Text(duplicate_keys="last"),
    },
    "traits that stand twice, the last of each": {
        "dataset": "fan_profiles",
        "columns": {**PROFILE, "traits": "traits"},
        "text": Text(duplicate_keys="last"),
    },
    "large records of large integers": {
        "dataset": "fan_profiles",
        "columns": {**PROFILE, "traits": "map('k', string(t64))"},
        "extra": {"one": "t64", "two": "t64", "whole": "whole", "text": "traits"},
        "max_record_bytes": 380,
        "text": Text(big_integers="string"),
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
TWICE = {"keys that stand twice, the last of each", "traits that stand twice, the last of each"}
ALSO = {"traits as a struct", "events by day"}  # of both writers; the others with --full only
PAIRS = [
    *((case, "foreign") for case in CASES),
    *(pytest.param(case, "spark", marks=[] if case in ALSO else [pytest.mark.full]) for case in CASES),
]


@pytest.mark.law(4)
@pytest.mark.parametrize(("case", "writer"), PAIRS)
def test_one_row_gives_one_record(
    spark: SparkSession, tables: dict[str, str], case: str, writer: str
) -> None:
    more = dict(CASES[case])
    plan = plan_of(more.pop("dataset"), tables[writer], more.pop("columns"), **more)
    expected, found = by_spark(spark, plan), natively(spark, plan)
    assert len(expected) > 100
    assert {row[0] for row in expected} == {"delivered", "quarantined"}
    for number, (theirs, ours) in enumerate(zip(expected, found, strict=True)):
        assert ours == theirs, f"row {number}"
    if writer == "foreign":
        assert any(row[2] for row in expected) or case in NUMBERS, "no record was mended"
        assert any(row[3] for row in expected) == (case in TWICE)
