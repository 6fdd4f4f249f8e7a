"""What a good data engineer writes today: the new objects into one table, each id once, the record that was emitted last."""

from __future__ import annotations

from tests.bench.loading.contenders import DELTA, DUCKDB, RAW, Job


def spark(job: Job) -> None:
    """Spark and Delta, with a schema that is named, few partitions, and nothing counted."""
    from pyspark.sql import functions as F

    from rover_spark import build_session
    from tests.bench.loading.ours import conf

    session = build_session("bench", conf=conf(job))
    fields = "id STRING, version BIGINT, roverID STRING, emittedAt TIMESTAMP, traits STRING, deleted BOOLEAN, updatedAt TIMESTAMP"
    table = f"delta.`{job.into / DELTA}`"
    session.sql(f"CREATE TABLE IF NOT EXISTS {table} ({fields}, object_key STRING) USING delta")
    records = (
        session.read.schema(fields).json(job.files).withColumn("object_key", F.col("_metadata.file_path"))
    )
    records.dropDuplicates(["id"]).createOrReplaceTempView("arrived")
    session.sql(f"""
        MERGE INTO {table} t USING arrived a ON t.id = a.id
        WHEN MATCHED AND a.emittedAt > t.emittedAt THEN UPDATE SET *
        WHEN NOT MATCHED THEN INSERT *""")


def duckdb(job: Job) -> None:
    """DuckDB alone. A primary key would allow ON CONFLICT; its index takes more time and memory than this."""
    import duckdb as engine

    columns = {
        "id": "VARCHAR", "version": "BIGINT", "roverID": "VARCHAR", "emittedAt": "TIMESTAMP",
        "traits": "JSON", "deleted": "BOOLEAN", "updatedAt": "TIMESTAMP",
    }  # fmt: skip
    fields = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
    typed = ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items())
    with engine.connect(job.into / DUCKDB) as connection:
        connection.execute(
            f"SET threads = 2; SET memory_limit = '{job.memory}B'; SET preserve_insertion_order = false"
        )
        connection.execute(f"CREATE TABLE IF NOT EXISTS {RAW} ({fields}, object_key VARCHAR)")
        connection.execute(f"""
            MERGE INTO {RAW} t USING (
                SELECT DISTINCT ON (id) * RENAME (filename AS object_key) FROM read_json('{job.files}',
                    format = 'newline_delimited', columns = {{{typed}}}, filename = true, hive_partitioning = false)
            ) a ON t.id = a.id
            WHEN MATCHED AND a."emittedAt" > t."emittedAt" THEN UPDATE
            WHEN NOT MATCHED THEN INSERT""")
