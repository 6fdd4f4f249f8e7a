"""Tables made by hand, commit by commit: what writers may leave in a log, and what they rarely do."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

SCHEMA = json.dumps(
    {
        "type": "struct",
        "fields": [
            {"name": name, "type": "string", "nullable": True, "metadata": {}} for name in ("who", "day")
        ],
    }
)
T0 = 1_790_000_000_000


def commit(table: Path, version: int, *actions: dict[str, Any], at: int | None = None) -> Path:
    """A commit written by hand; ``at`` is its file's modification time in ms."""
    log = table / "_delta_log"
    log.mkdir(parents=True, exist_ok=True)
    file = log / f"{version:020d}.json"
    file.write_text("".join(f"{json.dumps(action)}\n" for action in actions), encoding="utf-8")
    when = (T0 + version * 1000 if at is None else at) * 1_000_000
    os.utime(file, ns=(when, when))
    return file


def made(
    properties: dict[str, str] | None = None, features: tuple[list[str], list[str]] | None = None
) -> list[dict[str, Any]]:
    """The first actions of a table by hand."""
    protocol: dict[str, Any] = {"minReaderVersion": 1, "minWriterVersion": 4}
    if features is not None:
        protocol = {
            "minReaderVersion": 3,
            "minWriterVersion": 7,
            "readerFeatures": features[0],
            "writerFeatures": features[1],
        }
    metadata = {
        "id": "a-table-by-hand",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": SCHEMA,
        "partitionColumns": ["day"],
        "configuration": {"delta.enableChangeDataFeed": "true", **(properties or {})},
    }
    return [{"protocol": protocol}, {"metaData": metadata}]


def info(operation: str = "WRITE", **more: Any) -> dict[str, Any]:
    return {"commitInfo": {"timestamp": 1, "operation": operation, "operationParameters": {}, **more}}


def add(name: str, day: str | None = "d", *, rows: int | None = 1, **more: Any) -> dict[str, Any]:
    stats = {} if rows is None else {"stats": json.dumps({"numRecords": rows})}
    fields = {
        "path": name,
        "partitionValues": {"day": day},
        "size": 10,
        "modificationTime": 1,
        "dataChange": True,
    }
    return {"add": {**fields, **stats, **more}}


def remove(name: str, **more: Any) -> dict[str, Any]:
    return {"remove": {"path": name, "deletionTimestamp": 1, "dataChange": True, **more}}


def times_that_do_not_rise(_: SparkSession, table: Path) -> None:
    commit(table, 0, info(), *made(), at=T0)
    for version, at in enumerate((T0 - 5000, T0 - 5000, T0 + 1, T0, T0 + 7, T0 + 7), start=1):
        commit(
            table,
            version,
            info("MERGE", operationMetrics={"numOutputRows": str(version)}),
            add(f"f{version}"),
            at=at,
        )


def equal_times_over_a_hundred_commits(_: SparkSession, table: Path) -> None:
    commit(table, 0, info(), *made(), at=T0)
    for version in range(1, 140):
        commit(table, version, info(), add(f"f{version}"), at=T0)


def in_commit_timestamps_from_the_start(_: SparkSession, table: Path) -> None:
    properties = {"delta.enableInCommitTimestamps": "true"}
    start = made(properties, ([], ["inCommitTimestamp", "changeDataFeed", "invariants", "appendOnly"]))
    commit(table, 0, info(inCommitTimestamp=T0 + 5), *start)
    for version in (1, 2, 3):
        commit(table, version, info(inCommitTimestamp=T0 + 50 + version), add(f"f{version}"), at=T0 - version)


def in_commit_timestamps_enabled_later(_: SparkSession, table: Path) -> None:
    start = made(None, ([], ["changeDataFeed"]))
    commit(table, 0, info(), *start, at=T0)
    commit(table, 1, info(), add("f1"), at=T0 - 100)
    commit(table, 2, info(inCommitTimestamp=T0 - 50), add("f2"), at=T0 + 9)  # said, but not enabled yet
    later = made(
        {
            "delta.enableInCommitTimestamps": "true",
            "delta.inCommitTimestampEnablementVersion": "3",
            "delta.inCommitTimestampEnablementTimestamp": str(T0 + 20),
        },
        ([], ["changeDataFeed", "inCommitTimestamp"]),
    )
    commit(table, 3, info(inCommitTimestamp=T0 + 20), *later, at=T0 + 500)
    commit(table, 4, info(inCommitTimestamp=T0 + 21), add("f4"), at=T0 + 400)


def in_commit_timestamps_disabled_again(spark: SparkSession, table: Path) -> None:
    in_commit_timestamps_from_the_start(spark, table)
    off = made(None, ([], ["inCommitTimestamp", "changeDataFeed"]))
    commit(table, 4, info(inCommitTimestamp=T0 + 900), *off)
    commit(table, 5, info(), add("f5"), at=T0 + 4000)


def parameters_that_are_lists(_: SparkSession, table: Path) -> None:
    commit(table, 0, info(), *made(), at=T0)
    commit(
        table,
        1,
        info(
            "MERGE",
            operationParameters={"predicates": [1, 2], "o": {"a": 1}},
            operationMetrics={"num_added_rows": 7},
        ),
        add("f1"),
        at=T0,
    )
    commit(table, 2, info("OPTIMIZE"), add("f2", dataChange=False), remove("f1", dataChange=False), at=T0)


def commits_without_a_word(_: SparkSession, table: Path) -> None:
    commit(table, 0, *made())
    commit(table, 1, add("f1"))
    commit(table, 2, add("f2", rows=None), info("last"))


def odd_partition_values(_: SparkSession, table: Path) -> None:
    commit(table, 0, info(), *made())
    odd = ("", None, "a b", "a%20b", "é/ü", "x=y", "null", "__HIVE_DEFAULT_PARTITION__", '"', "1", "true")
    commit(
        table, 1, info(), *(add(f"day=x{n}/f{n}%20.parquet", value, rows=n) for n, value in enumerate(odd))
    )
    cdc = {
        "cdc": {"path": "_change_data/c", "partitionValues": {"day": None}, "size": 3, "dataChange": False}
    }
    commit(table, 2, info("UPDATE"), cdc, add("f20", "d"), remove("day=x0/f0%20.parquet"))


def files_removed_with_few_words(_: SparkSession, table: Path) -> None:
    commit(table, 0, info(), *made())
    commit(table, 1, info(), add("f1"), add("f2"), add("f3", dataChange=False))
    commit(table, 2, info("DELETE"), remove("f1"))
    commit(
        table,
        3,
        info("DELETE"),
        remove("f2", extendedFileMetadata=True, partitionValues={"day": "d"}, size=10),
    )
    commit(table, 4, info("OPTIMIZE"), remove("f3", dataChange=False), add("f4", dataChange=False))
    commit(
        table,
        5,
        info("DELETE"),
        remove("f4"),
        {"cdc": {"path": "_change_data/c", "partitionValues": {}, "size": 3, "dataChange": False}},
    )


def properties_and_columns_that_change(_: SparkSession, table: Path) -> None:
    commit(table, 0, info(), *made())
    commit(table, 1, info(), add("f1"))
    wider = json.loads(SCHEMA)
    wider["fields"].append(
        {"name": "n", "type": "decimal(10,2)", "nullable": False, "metadata": {"comment": "né", "k": 1}}
    )
    metadata = made({"delta.appendOnly": "true", "mine": "x"})[1]
    metadata["metaData"]["schemaString"] = json.dumps(wider)
    commit(table, 2, info("ADD COLUMNS"), metadata)
    commit(table, 3, info("UPGRADE"), {"protocol": {"minReaderVersion": 2, "minWriterVersion": 6}})
    commit(table, 4, info("DROP COLUMNS"), made()[1])


def statistics_of_other_writers(_: SparkSession, table: Path) -> None:
    commit(table, 0, info(), *made())
    late = json.dumps({"minValues": {"numRecords": 3}, "numRecords": 5})
    commit(
        table, 1, info(), add("f1", rows=None, stats=late), add("f2", rows=None, stats='{"minValues": {}}')
    )
    commit(table, 2, info(), add("f3", rows=None, stats=""), add("f4", 'q"', rows=4, tags={"a": "b"}))


def vectors_by_hand(_: SparkSession, table: Path) -> None:
    commit(table, 0, info(), *made(None, (["deletionVectors"], ["deletionVectors", "changeDataFeed"])))
    commit(table, 1, info(), add("f1", rows=9))
    vector = {
        "storageType": "u",
        "pathOrInlineDv": "vBn[lx{q8@P<9BNH/isA",
        "offset": 1,
        "sizeInBytes": 36,
        "cardinality": 2,
    }
    commit(
        table,
        2,
        info("DELETE"),
        remove("f1", extendedFileMetadata=True),
        add("f1", rows=9, deletionVector=vector),
    )
    commit(
        table,
        3,
        info("OPTIMIZE"),
        remove("f1", dataChange=False, deletionVector=vector),
        add("f5", rows=7, dataChange=False),
    )


def vectors_of_widened_columns(_: SparkSession, table: Path) -> None:
    features = ["deletionVectors", "typeWidening"]
    commit(
        table,
        0,
        info(),
        *made({"delta.enableTypeWidening": "true"}, (features, [*features, "changeDataFeed"])),
    )
    commit(table, 1, info(), add("f1", rows=9))


BY_HAND: tuple[Callable[[SparkSession, Path], None], ...] = (
    times_that_do_not_rise,
    equal_times_over_a_hundred_commits,
    in_commit_timestamps_from_the_start,
    in_commit_timestamps_enabled_later,
    in_commit_timestamps_disabled_again,
    parameters_that_are_lists,
    commits_without_a_word,
    odd_partition_values,
    files_removed_with_few_words,
    properties_and_columns_that_change,
    statistics_of_other_writers,
    vectors_by_hand,
    vectors_of_widened_columns,
)
