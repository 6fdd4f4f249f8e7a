"""Single-machine engines that write gzip NDJSON, each as its documentation says is best for large files.

They read the table's data files. Their ids are SHA-256, as all others'; Polars takes it from the plug-in polars-hash.
"""

from __future__ import annotations

import gzip
import hashlib
from typing import IO, Any

from tests.bench.contenders import Act, Job
from tests.bench.sources import EMITTED, ID_PREFIX

THREADS = 2


def duckdb(job: Job) -> Act:
    """A file for each thread: one file would be compressed by one. COPY takes no level for JSON."""
    import duckdb as engine

    connection = engine.connect(config={"threads": THREADS})
    connection.execute("SET preserve_insertion_order = false")
    key = f"concat('{ID_PREFIX}', rover_id, '16:', epoch_us(updated_at))"
    records = f"""
        SELECT substr(sha256({key}), 1, 32) AS id, 1 AS version, rover_id AS "roverID", '{EMITTED}' AS "emittedAt", traits,
            strftime(updated_at::TIMESTAMP, '%Y-%m-%dT%H:%M:%S.%fZ') AS "updatedAt"
        FROM read_parquet('{job.table}/*.parquet')"""
    options = "FORMAT json, COMPRESSION gzip, PER_THREAD_OUTPUT true, OVERWRITE_OR_IGNORE true"
    return lambda: _void(connection.execute(f"COPY ({records}) TO '{job.data}' ({options})"))


def polars(job: Job) -> Act:
    """Streamed; rows need not keep their order."""
    import polars as pl
    import polars_hash as hashes

    key = pl.concat_str(
        pl.lit(ID_PREFIX),
        pl.col("rover_id"),
        pl.lit("16:"),
        pl.col("updated_at").dt.epoch("us").cast(pl.String),
    )
    records = pl.scan_parquet(job.sources).select(
        hashes.concat_str(key).chash.sha2_256().str.slice(0, 32).alias("id"),
        pl.lit(1).alias("version"),
        pl.col("rover_id").alias("roverID"),
        pl.lit(EMITTED).alias("emittedAt"),
        "traits",
        pl.col("updated_at").dt.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").alias("updatedAt"),
    )
    out = job.data / "records.json.gz"
    return lambda: _void(
        records.sink_ndjson(out, compression="gzip", compression_level=1, maintain_order=False)
    )


def chdb(job: Job) -> Act:
    """One file, made from blocks that two threads format."""
    import chdb as engine

    key = f"concat('{ID_PREFIX}', rover_id, '16:', toString(toUnixTimestamp64Micro(updated_at)))"
    text = f"""
        SELECT substring(lower(hex(SHA256({key}))), 1, 32) AS id, 1 AS version, rover_id AS roverID,
            '{EMITTED}' AS emittedAt, traits, formatDateTime(updated_at, '%Y-%m-%dT%H:%i:%S.%fZ', 'UTC') AS updatedAt
        FROM file('{job.table}/*.parquet', Parquet)
        INTO OUTFILE '{job.data}/records.json.gz' COMPRESSION 'gzip' LEVEL 1 FORMAT JSONEachRow
        SETTINGS max_threads = {THREADS}"""
    return lambda: _void(engine.query(text))


def pandas(job: Job) -> Act:
    """Chunk by chunk, since a large table does not fit in memory; ids and maps in Python, as people write it."""
    import pyarrow.parquet as pq

    def act() -> None:
        with gzip.open(job.data / "records.json.gz", "wb", compresslevel=1) as out:
            for source in job.sources:
                for batch in pq.ParquetFile(source).iter_batches(50_000):
                    _write_chunk(batch.to_pandas(maps_as_pydicts="strict"), out)

    return act


def _write_chunk(rows: Any, out: IO[bytes]) -> None:
    micros = rows["updated_at"].astype("datetime64[us]").astype("int64")
    texts = ID_PREFIX + rows["rover_id"] + "16:" + micros.astype(str)
    rows["id"] = [hashlib.sha256(text.encode()).hexdigest()[:32] for text in texts]
    rows["version"] = 1
    rows["emittedAt"] = EMITTED
    rows["updatedAt"] = rows["updated_at"].dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    rows = rows.rename(columns={"rover_id": "roverID"})
    fields = ["id", "version", "roverID", "emittedAt", "traits", "updatedAt"]
    out.write(rows[fields].to_json(orient="records", lines=True, force_ascii=False).encode())


def _void(_: object) -> None:
    """An engine's answer that nobody reads."""
