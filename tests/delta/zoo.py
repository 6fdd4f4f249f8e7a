"""Tables of every kind that a log can be of: made by Spark, by ``deltalake``, and by hand, commit by commit."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

FEED = "delta.enableChangeDataFeed = true"
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


# -- by hand ---------------------------------------------------------------------------------------------------------


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
)


# -- by Spark and by deltalake ---------------------------------------------------------------------------------------


def sql(spark: SparkSession, table: Path, *statements: str) -> None:
    for text in statements:
        spark.sql(text.replace("{t}", f"delta.`{table}`"))


def checkpoint(spark: SparkSession, table: Path) -> None:
    delta: Any = spark._jvm.org.apache.spark.sql.delta  # type: ignore[union-attr]
    delta.DeltaLog.forTable(spark._jsparkSession, str(table)).checkpoint()


def plain_with_a_cleaned_log(spark: SparkSession, table: Path) -> None:
    sql(
        spark,
        table,
        f"CREATE TABLE {{t}} (who STRING COMMENT 'a name', n INT) USING delta TBLPROPERTIES ({FEED}, 'delta.checkpointInterval' = '2')",
        "INSERT INTO {t} VALUES ('a', 1), ('b', 2)",
        "UPDATE {t} SET n = 3 WHERE who = 'a'",
        "INSERT INTO {t} VALUES ('c', 1)",
        "DELETE FROM {t} WHERE who = 'b'",
        "RESTORE TABLE {t} TO VERSION AS OF 1",
    )
    for version in range(2):
        (table / "_delta_log" / f"{version:020d}.json").unlink()


def everything_new(spark: SparkSession, table: Path) -> None:
    properties = (
        f"{FEED}, delta.enableDeletionVectors = true, delta.enableRowTracking = true, delta.enableTypeWidening = true, "
        "delta.columnMapping.mode = 'name', delta.checkpointPolicy = 'v2', delta.enableInCommitTimestamps = true, "
        "delta.checkpointInterval = 3"
    )
    sql(
        spark,
        table,
        f"CREATE TABLE {{t}} (who STRING NOT NULL, n SMALLINT, day DATE, s STRUCT<a: INT, b: ARRAY<STRING>>) USING delta PARTITIONED BY (day) TBLPROPERTIES ({properties})",
        "INSERT INTO {t} VALUES ('a', 1, DATE'2026-01-01', NULL), ('b', 2, NULL, struct(1, array('x'))), ('c', 3, NULL, NULL)",
        "DELETE FROM {t} WHERE who = 'b'",
        "ALTER TABLE {t} ALTER COLUMN n TYPE INT",
        "ALTER TABLE {t} RENAME COLUMN who TO name",
        "MERGE INTO {t} USING (SELECT 'a' k) ON name = k WHEN MATCHED THEN UPDATE SET n = 7 WHEN NOT MATCHED THEN INSERT (name) VALUES (k)",
    )


def replaced_and_mapped_by_id(spark: SparkSession, table: Path) -> None:
    table.mkdir()
    sql(
        spark,
        table,
        f"CREATE TABLE zoo_replaced (who STRING) USING delta LOCATION '{table}'",
        "INSERT INTO {t} VALUES ('a')",
        f"CREATE OR REPLACE TABLE zoo_replaced (c CHAR(3), v VARCHAR(4) NOT NULL, d DECIMAL(10, 2) DEFAULT 1.5 COMMENT 'né', g STRING GENERATED ALWAYS AS (upper(v)), i BIGINT GENERATED ALWAYS AS IDENTITY, s STRUCT<x: CHAR(2) COMMENT 'deep', y: ARRAY<STRUCT<z: VARCHAR(2)>>> COMMENT 'outer', m MAP<STRING, STRUCT<n: INT COMMENT 'x'>>, q TIMESTAMP_NTZ) USING delta LOCATION '{table}' TBLPROPERTIES (delta.columnMapping.mode = 'id', 'delta.feature.allowColumnDefaults' = 'supported', 'delta.feature.timestampNtz' = 'supported')",
        "INSERT INTO {t} (c, v) VALUES ('a', 'b')",
        "OPTIMIZE {t}",
        "DROP TABLE zoo_replaced",
    )


def a_table_with_vectors(spark: SparkSession, table: Path) -> None:
    sql(
        spark,
        table,
        f"CREATE TABLE {{t}} (n INT) USING delta TBLPROPERTIES ({FEED}, delta.enableDeletionVectors = true)",
        "INSERT INTO {t} SELECT /*+ COALESCE(1) */ CAST(id AS INT) FROM range(1000)",
        "DELETE FROM {t} WHERE n % 3 = 0",
        "DELETE FROM {t} WHERE n % 3 = 1 AND n > 500",
    )


def columns_of_many_kinds(spark: SparkSession, table: Path) -> None:
    sql(
        spark,
        table,
        "CREATE TABLE {t} (c CHAR(3), v VARCHAR(4) NOT NULL, n INT DEFAULT 7 COMMENT 'né', g STRING GENERATED ALWAYS AS (upper(v)), "
        "s STRUCT<x: CHAR(2) COMMENT 'deep', y: ARRAY<STRUCT<z: VARCHAR(2)>>>, m MAP<STRING, STRUCT<n: INT COMMENT 'x'>>, q TIMESTAMP, "
        "`däy` STRING) USING delta PARTITIONED BY (n) "
        f"TBLPROPERTIES ({FEED}, 'delta.feature.allowColumnDefaults' = 'supported')",
        "INSERT INTO {t} (c, v) VALUES ('a', 'b c')",
        "INSERT INTO {t} VALUES ('x', 'é', NULL, 'É', struct('p', array(struct('z'))), map('k', struct(1)), TIMESTAMP'2026-01-01 00:00:00', 'd'), "
        "(NULL, 'é', 1, 'É', NULL, NULL, NULL, NULL)",
        "ALTER TABLE {t} ALTER COLUMN n SET DEFAULT 9",
        "INSERT INTO {t} (c, v) VALUES ('a', 'b')",
    )


def a_shallow_clone(spark: SparkSession, table: Path) -> None:
    original = table.parent / f"{table.name} original"
    sql(
        spark,
        original,
        f"CREATE TABLE {{t}} (who STRING) USING delta TBLPROPERTIES ({FEED})",
        "INSERT INTO {t} VALUES ('a')",
    )
    spark.sql(f"CREATE TABLE delta.`{table}` SHALLOW CLONE delta.`{original}`")
    sql(spark, table, "INSERT INTO {t} VALUES ('b')")


def by_deltalake(_: SparkSession, table: Path) -> None:
    import pyarrow as pa
    from deltalake import DeltaTable, write_deltalake

    rows = pa.table({"n": [1, 2, 3], "day": ["a", "b/c", None]})
    for mode in ("append", "append", "overwrite"):
        write_deltalake(
            str(table),
            rows,
            partition_by=["day"],
            mode=mode,
            configuration={"delta.enableChangeDataFeed": "true"} if mode == "append" else None,
        )  # type: ignore[arg-type]
    DeltaTable(str(table)).create_checkpoint()
    write_deltalake(str(table), rows, mode="append")
    DeltaTable(str(table)).delete("n = 2")
    DeltaTable(str(table)).compact_logs(3, 4)


def removed_and_made_anew(spark: SparkSession, table: Path) -> None:
    parameters_that_are_lists(spark, table)
    spark.sql(f"DESCRIBE DETAIL delta.`{table}`").collect()
    shutil.rmtree(table)
    properties_and_columns_that_change(spark, table)


BY_WRITERS: tuple[Callable[[SparkSession, Path], None], ...] = (
    plain_with_a_cleaned_log,
    everything_new,
    replaced_and_mapped_by_id,
    a_table_with_vectors,
    a_shallow_clone,
    by_deltalake,
    removed_and_made_anew,
)


# -- what deltalake does not read: Spark does, or says why it does not either ------------------------------------------


def no_table(_: SparkSession, table: Path) -> None:
    (table / "something").mkdir(parents=True)


def nothing_at_all(_: SparkSession, __: Path) -> None: ...


def a_log_with_a_hole(_: SparkSession, table: Path) -> None:
    commit(table, 0, info(), *made())
    commit(table, 1, info(), add("f1"))
    commit(table, 3, info(), add("f3"))


def a_log_without_its_beginning(_: SparkSession, table: Path) -> None:
    commit(table, 1, info(), *made())
    commit(table, 2, info(), add("f3"))


def a_damaged_commit(_: SparkSession, table: Path) -> None:
    commit(table, 0, info(), *made())
    file = commit(table, 1, info(), add("f1"), add("f2"))
    file.write_bytes(file.read_bytes()[:-40])


def a_half_written_checkpoint(spark: SparkSession, table: Path) -> None:
    properties_and_columns_that_change(spark, table)
    sql(spark, table, "ALTER TABLE {t} SET TBLPROPERTIES (mine = 'y')")
    checkpoint(spark, table)
    (written,) = (table / "_delta_log").glob("*.checkpoint*parquet")
    written.write_bytes(written.read_bytes()[:-100])
    for crc in (table / "_delta_log").glob(".*.crc"):
        crc.unlink()


def an_unknown_feature(_: SparkSession, table: Path) -> None:
    commit(table, 0, info(), *made(None, (["fromTheFuture"], ["fromTheFuture"])))


def a_newer_protocol(_: SparkSession, table: Path) -> None:
    protocol, metadata = made()
    protocol["protocol"]["minReaderVersion"] = 9
    commit(table, 0, info(), protocol, metadata)


def a_file_removed_without_saying_why(spark: SparkSession, table: Path) -> None:
    files_removed_with_few_words(spark, table)
    commit(table, 6, info("DELETE"), {"remove": {"path": "f4", "deletionTimestamp": 1}})


def in_commit_timestamps_that_are_missing(spark: SparkSession, table: Path) -> None:
    in_commit_timestamps_from_the_start(spark, table)
    commit(table, 4, info(), add("f4"))


TROUBLED: tuple[Callable[[SparkSession, Path], None], ...] = (
    no_table,
    nothing_at_all,
    a_log_with_a_hole,
    a_log_without_its_beginning,
    a_damaged_commit,
    a_half_written_checkpoint,
    an_unknown_feature,
    a_newer_protocol,
    a_file_removed_without_saying_why,
    in_commit_timestamps_that_are_missing,
)
