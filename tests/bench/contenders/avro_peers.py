"""Single-machine writers of Avro object files with deflate. DuckDB has one in an extension that it must fetch: left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.bench.contenders import Act, Job
from tests.bench.contenders.json_peers import THREADS

_SCHEMA = {
    "type": "record",
    "name": "event",
    "fields": [
        {"name": name, "type": ["null", {"time": "int", "amount": "int", "returning": "boolean"}.get(name, "string")]}
        for name in ["id", "time", "timezone", "user_id", "device_id", "platform", "app_version", "campaign", "amount", "session_id", "screen", "returning"]
    ],
}  # fmt: skip


def polars(job: Job) -> Act:
    """A file for each data file: ``write_avro`` holds all rows in memory. It takes no level."""
    import polars as pl

    def act() -> None:
        for number, source in enumerate(job.sources):
            events = pl.read_parquet(source).with_columns(pl.col("time").dt.epoch("s").cast(pl.Int32))
            events.write_avro(job.data / f"{number}.avro", compression="deflate", name="event")

    return act


def chdb(job: Job) -> Act:
    """One file, texts as Avro strings. It takes no level."""
    import chdb as engine

    text = f"""
        SELECT * REPLACE(toInt32(toUnixTimestamp(time)) AS time) FROM file('{job.table}/*.parquet', Parquet)
        INTO OUTFILE '{job.data}/events.avro' FORMAT Avro
        SETTINGS output_format_avro_codec = 'deflate', output_format_avro_string_column_pattern = '.*',
            output_format_avro_rows_in_file = {job.rows}, max_threads = {THREADS}"""

    def act() -> None:
        engine.query(text)

    return act


def fastavro(job: Job) -> Act:
    """Row by row in Python, as people write it."""
    import fastavro as engine

    def act() -> None:
        schema = engine.parse_schema(_SCHEMA)
        with (job.data / "events.avro").open("wb") as out:
            engine.writer(out, schema, _events(job), codec="deflate", codec_compression_level=1)

    return act


def _events(job: Job) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for source in job.sources:
        for batch in pq.ParquetFile(source).iter_batches(50_000):
            seconds = batch.column("time").cast(pa.timestamp("s")).cast(pa.int64())
            yield from batch.set_column(1, "time", seconds).to_pylist()
