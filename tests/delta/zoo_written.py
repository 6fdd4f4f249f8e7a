"""Tables that Spark and ``deltalake`` write, with what each of them adds to a log."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from tests.delta.zoo import parameters_that_are_lists, properties_and_columns_that_change

FEED = "delta.enableChangeDataFeed = true"


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
