"""What the cases of this folder are made of: plans, sources, feeds. Times are microseconds since 1970."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from rover_spark.contract.rover import DATASETS
from rover_spark.deliver.task import stage_batches
from rover_spark.model.table import HistoryRow
from rover_spark.produce.columns import values
from rover_spark.produce.rover.files import RoverFiles
from rover_spark.produce.rover.plan import BatchPlan, Files, Source
from rover_spark.store import open_store
from tests.arranged import SCHEMA as ARRANGED
from tests.plans import batch_plan

SECOND = 1_000_000
DAY = 86_400 * SECOND
NOON = 1_767_268_800 * SECOND  # 2026-01-01T12:00:00Z
INSTANT = 1_767_355_200_250  # 2026-01-02T12:00:00.250Z, in ms

# the columns of the frames below; `at` is the row's own time in microseconds
SCHEMAS = {
    "fan_profiles": "roverID string, traits string, at bigint",
    "fan_identity_graph": "roverID string, identifierType string, identifier string, at bigint",
    "fan_profile_merges": "roverID string, mergedRoverID string, at bigint",
    "fan_track_events": (
        "eventID string, roverID string, name string, namespace string, attributes string, device string, at bigint"
    ),
}


def json_object(column: Column, dtype: DataType, *, drop_nulls: bool) -> tuple[Column, Column]:
    """A value's object text and its problem, in one step."""
    return values.json_object(values.json_text(column, dtype), column, dtype, drop_nulls=drop_nulls)


def uuid(number: int) -> str:
    """The same UUID for the same number."""
    return f"00000000-0000-4000-8000-{number:012x}"


def source(dataset: str, **fields: Any) -> Source:
    """A dataset's source with every default; ``columns`` are merged into the defaults, the rest replaces them."""
    contract = DATASETS[dataset]
    columns = {field.name: f"`{field.name}`" for field in contract.fields}
    columns[contract.event_time] = "timestamp_micros(at)"
    columns.update(fields.pop("columns", {}))
    whole = Source("/data/t", columns, contract.natural_key, None, {}, "suppress")
    return replace(whole, **fields)


def plan(dataset: str, *, source: Source | None = None, chunks: int = 1, **fields: Any) -> BatchPlan:
    """A whole valid plan of a batch of changes 11 to 20; ``fields`` replaces what a case is about."""
    files = Files(chunks, 268_435_456, fields.pop("max_record_bytes", 1_000_000), 1)
    whole = batch_plan(
        dataset=dataset,
        seq=2,
        phase="changes",
        instant=INSTANT,
        from_version=11,
        to_version=20,
        commits=tuple(HistoryRow(v, commit_us(v) // 1000, "WRITE") for v in range(11, 21)),
        source=source or globals()["source"](dataset),
        files=files,
        inserts_only=False,
    )
    return replace(whole, **fields)


def snapshot_plan(dataset: str, **fields: Any) -> BatchPlan:
    """A plan of a snapshot at version 20."""
    return plan(dataset, **{"phase": "snapshot", "from_version": None, **fields})


def commit_us(version: int) -> int:
    """When version ``version`` was committed: noon and as many seconds."""
    return NOON + version * SECOND


def feed(
    spark: SparkSession,
    dataset: str,
    rows: Sequence[Sequence[Any]],
    schema: str | None = None,
    micros: Sequence[int] | None = None,
) -> DataFrame:
    """(_change_type, _commit_version, _commit_timestamp and the columns of the dataset) as the change data feed gives them.

    ``micros`` are added to the commits' times, one a row: a row is known again by it.
    """
    late = micros or [0] * len(rows)
    told = [(row[0], row[1], commit_us(row[1]) + us, *row[2:]) for row, us in zip(rows, late, strict=True)]
    columns = f"_change_type string, _commit_version bigint, us bigint, {schema or SCHEMAS[dataset]}"
    frame = spark.createDataFrame(told, columns)
    return frame.withColumn("_commit_timestamp", F.timestamp_micros("us")).drop("us")


def table(
    spark: SparkSession, dataset: str, rows: Iterable[Sequence[Any]], schema: str | None = None
) -> DataFrame:
    """(columns of the dataset...) as a table gives them."""
    return spark.createDataFrame([tuple(row) for row in rows], schema or SCHEMAS[dataset])


def staged(frame: DataFrame, made: BatchPlan) -> tuple[list[str], dict[str, int]]:
    """What staging an arranged frame delivers: its lines in file order, and rows per outcome."""
    batch = pa.RecordBatch.from_pylist([row.asDict() for row in frame.collect()], schema=ARRANGED)
    store = open_store("memory://cases", made.export)
    lines: list[str] = []
    rows: dict[str, int] = {}
    for entry in stage_batches([batch], made.batch, RoverFiles(made), store).to_pylist():
        if entry["key"] is None:
            rows[entry["counted"]] = entry["rows"]
        else:
            text = gzip.decompress(base64.b64decode(entry["staged"])).decode()
            lines += text.removesuffix("\n").split("\n")
    return lines, rows
