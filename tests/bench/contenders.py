"""What is measured: one function each, run as `python -m tests.bench.contenders NAME ROOT ROWS`, JSON at its end.

`table` makes the source. `export` and `df.write` deliver the same records of it; `nightly` delivers what an overwrite of
the whole table changed; `status` reads a ledger of 10,000 batches.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from rover_spark import build_session
from rover_spark.config.settings import Settings, parse
from rover_spark.face import commands
from tests.bench.meter import Meter

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=timezone.utc)
SESSION = {"spark.master": "local[2]", "spark.driver.memory": "2g"}
FEED = "TBLPROPERTIES (delta.enableChangeDataFeed = true)"
COLUMNS = {"roverID": "rover_id", "updatedAt": "updated_at"}
# some 600 octets of JSON a profile, as short and long texts
PROFILE = """
    concat(lpad(hex(id), 8, '0'), '-0000-4000-8000-', lpad(hex(id), 12, '0')) AS rover_id,
    map('firstName', concat('n', id), 'lastName', sha1(cast(id AS string)), 'city', md5(cast(id AS string)),
        'email', concat(id, '@example.com'), 'tier', 'gold', 'bio', sha2(cast(id AS string), 256),
        'note', sha2(cast(id + 1 AS string), 512)) AS traits,
    timestamp_seconds(1700000000 + id) AS updated_at"""
BATCHES = 10_000


def _profiles(root: Path) -> str:
    return str(root / "profiles")


def _settings(root: Path, name: str, source: str) -> Settings:
    return parse(
        {
            "name": name,
            "destination": f"file://{root}/bucket-{name}",
            "ledger": f"{root}/control-{name}",
            "datasets": {"fan_profiles": {"table": source, "columns": COLUMNS}},
        }
    )


def table(spark: SparkSession, root: Path, rows: int) -> dict[str, Any]:
    """The source: one Delta table of profiles."""
    name = f"delta.`{_profiles(root)}`"
    spark.sql(
        f"CREATE TABLE {name} (rover_id STRING, traits MAP<STRING, STRING>, updated_at TIMESTAMP) USING delta {FEED}"
    )
    spark.sql(f"INSERT INTO {name} SELECT {PROFILE} FROM range({rows})")
    return {}


def _exported(spark: SparkSession, settings: Settings, now: datetime) -> dict[str, Any]:
    with Meter() as meter:
        result = commands.export(spark, settings, now=now)
    (batch,) = result.batches
    sizes = {"raw_bytes": sum(file.raw_bytes for file in batch.files), "files": len(batch.files)}
    return {**meter.figures, "records": batch.counts["delivered"], **sizes}


def export(spark: SparkSession, root: Path, rows: int) -> dict[str, Any]:
    """The whole run: planned, staged, published, committed."""
    shutil.rmtree(root / "control-bench", ignore_errors=True)
    shutil.rmtree(root / "bucket-bench", ignore_errors=True)
    return _exported(spark, _settings(root, "bench", _profiles(root)), NOW)


def plain(spark: SparkSession, root: Path, rows: int) -> dict[str, Any]:
    """What people write today: the same fields of the same records, neither ordered nor cut."""
    out = root / "plain"
    shutil.rmtree(out, ignore_errors=True)
    micros = F.unix_micros("updated_at").cast("string")
    key = F.concat(F.lit("5:rover5:bench1:112:fan_profiles36:"), "rover_id", F.lit("16:"), micros)
    form = "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'"
    with Meter() as meter:
        frame: DataFrame = spark.read.format("delta").load(_profiles(root))
        records = frame.select(
            F.substring(F.sha2(key, 256), 1, 32).alias("id"),
            F.lit(1).alias("version"),
            F.col("rover_id").alias("roverID"),
            F.lit("2026-11-21T12:00:00.000Z").alias("emittedAt"),
            "traits",
            F.date_format("updated_at", form).alias("updatedAt"),
            F.lit("2026-11-21").alias("date"),
            F.lit("12").alias("hour"),
        )
        records.write.partitionBy("date", "hour").json(str(out), compression="gzip")
    files = [path for path in out.rglob("*.gz") if path.is_file()]
    return {**meter.figures, "records": rows, "files": len(files)}


def nightly(spark: SparkSession, root: Path, rows: int) -> dict[str, Any]:
    """A table overwritten as a whole, in which one row of 256 differs: two feed rows for each row of the table."""
    source = root / "nightly-source"
    for each in (source, root / "control-nightly", root / "bucket-nightly"):
        shutil.rmtree(each, ignore_errors=True)
    spark.sql(
        f"CREATE TABLE delta.`{source}` USING delta {FEED} AS SELECT * FROM delta.`{_profiles(root)}` LIMIT {rows // 5}"
    )
    settings = _settings(root, "nightly", str(source))
    commands.export(spark, settings, now=NOW)
    changed = "CASE WHEN rover_id LIKE '______00%' THEN map('tier', 'silver') ELSE traits END"
    spark.sql(
        f"INSERT OVERWRITE delta.`{source}` SELECT rover_id, {changed}, updated_at FROM delta.`{source}`"
    )
    return {**_exported(spark, settings, NOW.replace(hour=13)), "rows": rows // 5}


def status(spark: SparkSession, root: Path, rows: int) -> dict[str, Any]:
    """`status` on a ledger of 10,000 batches, each with its plan, three transitions and two files."""
    source = root / "status-source"
    for each in (source, root / "control-status", root / "bucket-status"):
        shutil.rmtree(each, ignore_errors=True)
    spark.sql(f"CREATE TABLE delta.`{source}` USING delta {FEED} AS SELECT {PROFILE} FROM range(10)")
    settings = _settings(root, "status", str(source))
    commands.export(spark, settings, now=NOW)
    ledger = f"delta.`{settings.ledger}`"
    # the snapshot, copied under other numbers as batches of changes
    names = spark.table(ledger).columns
    copied = {
        "transition": "transition + 3 * n",
        "seq": "seq + n",
        "instant": "instant + n",
        "batch": "replace(batch, '.1.1', concat('.1.', 1 + n))",
        "phase": "'changes'",
        "plan": """
            replace(replace(replace(plan, '"seq":1,', concat('"seq":', 1 + n, ',')),
                '"phase":"snapshot"', '"phase":"changes"'), '"from_version":null', '"from_version":0')""",
    }
    columns = ", ".join(f"{copied.get(name, name)} AS {name}" for name in names)
    spark.sql(
        f"INSERT INTO {ledger} SELECT {columns} FROM {ledger}, (SELECT id + 1 AS n FROM range({BATCHES - 1}))"
    )
    commands.status(spark, settings, now=NOW)
    with Meter() as meter:
        standing = commands.status(spark, settings, now=NOW)
    assert standing.datasets[0].last_batch.endswith(f".{BATCHES}")
    return {**meter.figures, "batches": BATCHES}


CONTENDERS: dict[str, Callable[[SparkSession, Path, int], dict[str, Any]]] = {
    "df.write": plain,
    "export": export,
    "nightly": nightly,
    "status": status,
}


def main(name: str, root: Path, rows: int) -> None:
    """Runs one and prints what it measured."""
    spark = build_session("bench", conf={**SESSION, "spark.local.dir": str(root / "local")})
    print(json.dumps({"table": table, **CONTENDERS}[name](spark, root, rows)))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
