"""The source tables and settings of the measurements. A process of either version loads this: no import of rover_spark."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FEED = "TBLPROPERTIES (delta.enableChangeDataFeed = true)"
UUID = "concat(lpad(hex({0}), 8, '0'), '-0000-4000-8000-', lpad(hex({0}), 12, '0'))"
AT = "timestamp_seconds(1700000000 + id)"
FAN = UUID.format("id")

# one table for each dataset, in the contract's own names; `id` numbers the rows
DATASETS = {
    "fan_profiles": f"""
        {FAN} AS roverID, map('email', concat(id, '@example.com'), 'city', md5(cast(id AS string)), 'tier', 'gold') AS traits,
        {AT} AS updatedAt""",
    "fan_identity_graph": f"""
        {FAN} AS roverID, 'email' AS identifierType, concat(id, '@example.com') AS identifier, {AT} AS updatedAt""",
    "fan_profile_merges": f"""
        {FAN} AS roverID, {UUID.format("(id + 500000000)")} AS mergedRoverID, {AT} AS occurredAt""",
    "fan_track_events": f"""
        concat('evt-', id) AS eventID, {FAN} AS roverID, 'ticket_scanned' AS name,
        map('gate', cast(id % 20 AS string), 'seat', sha1(cast(id AS string))) AS attributes, {AT} AS timestamp""",
}
EVENT = """
    concat('evt-', id) AS id, timestamp_seconds(1700000000 + id) AS time, 'Europe/Oslo' AS timezone,
    concat('user-', pmod(hash(id), 100000)) AS user_id, concat('7.', pmod(id, 9)) AS app_version,
    concat('campaign-', pmod(id, 50)) AS campaign, pmod(id, 1000) AS amount, id % 3 = 0 AS returning"""


def make_datasets(spark: SparkSession, root: Path, rows: int) -> None:
    """The tables of the four datasets, each of so many rows."""
    for name, columns in DATASETS.items():
        spark.sql(
            f"CREATE TABLE delta.`{root}/tables/{name}` USING delta {FEED} AS SELECT {columns} FROM range({rows})"
        )


def append(spark: SparkSession, root: Path, dataset: str, first: int, rows: int) -> None:
    """A plain Delta append of new rows, numbered from ``first`` on."""
    new = spark.sql(f"SELECT {DATASETS[dataset]} FROM range({first}, {first + rows}, 1, 1)")
    new.write.format("delta").mode("append").save(f"{root}/tables/{dataset}")


def make_events(spark: SparkSession, root: Path, types: int, each: int) -> None:
    """Events of many types, ``each`` of every type: in one table, and in a table for each type."""
    kinds = f"concat('kind-', id % {types}) AS kind"
    spark.sql(
        f"CREATE TABLE delta.`{root}/tables/many` USING delta {FEED} AS SELECT {EVENT}, {kinds} FROM range({types * each})"
    )
    first = root / "tables/apart/0"
    spark.sql(f"CREATE TABLE delta.`{first}` USING delta {FEED} AS SELECT {EVENT} FROM range({each})")
    for number in range(1, types):
        shutil.copytree(first, first.with_name(str(number)))


def write_datasets(root: Path, name: str, place: str | None = None) -> Path:
    """The settings of a delivery of the four datasets; ``place`` names the ledger and the bucket, by default as ``name``."""
    path, place = root / f"{name}.toml", place or name
    lines = [
        f'name = "{place}"',
        f"destination = {json.dumps(f'file://{root}/bucket/{place}')}",
        f"ledger = {json.dumps(f'{root}/control/{place}')}",
    ]
    for dataset in DATASETS:
        lines += [f"[datasets.{dataset}]", f"table = {json.dumps(f'{root}/tables/{dataset}')}"]
    path.write_text("\n".join(lines))
    return path


def write_events(root: Path, name: str, types: int, *, apart: bool) -> Path:
    """The settings of a delivery of many event types, out of a table each or out of one."""
    path = root / f"{name}.toml"
    lines = [
        f'name = "{name}"',
        'contract = "currents"',
        f"destination = {json.dumps(f'file://{root}/bucket/{name}')}",
        f"ledger = {json.dumps(f'{root}/control/{name}')}",
        "[currents]",
        f'cluster = "prod-01"\nconnection = "S3"\nintegration_id = "{name}"\nzone = "eu"\npartitions = 2',
    ]
    for number in range(types):
        table = f"{root}/tables/apart/{number}" if apart else f"{root}/tables/many"
        lines += [f'[events."bench.Kind{number}"]', 'start = "earliest"', f"table = {json.dumps(table)}"]
        lines += [] if apart else [f"where = \"kind = 'kind-{number}'\""]
    path.write_text("\n".join(lines))
    return path
