"""The tables that contenders read: profiles of two kinds, and events. One Delta table, written by Spark, for each size.

python -m tests.bench.sources ROOT TABLE ROWS
"""

from __future__ import annotations

import sys
from pathlib import Path

from pyspark.sql import SparkSession

from rover_spark import build_session

FEED = "TBLPROPERTIES (delta.enableChangeDataFeed = true)"
ROWS_OF_A_FILE = 500_000
EMITTED = "2026-11-21T12:00:00.000Z"
ID_PREFIX = (
    "5:rover5:bench1:112:fan_profiles36:"  # what a profile's id is the hash of, up to its two natural keys
)

_ROVER_ID = "lower(concat(lpad(hex(id), 8, '0'), '-0000-4000-8000-', lpad(hex(id), 12, '0')))"
WORDS = {
    "firstName": "Ada Björn Chloé Dmitri Emeka Fatima Giulia Hiroshi Ingrid João Katarzyna Liam Mei Noor Olga Priya",
    "lastName": "Andersen Bianchi Çelik Dubois Eriksen Fernández García Haugen Ivanova Johansson Kowalski Müller Nakamura",
    "city": "Oslo Bergen København Stockholm Berlin Paris Lyon Madrid Barcelona Milano Roma Warszawa Kraków Tokyo Osaka",
    "country": "NO DK SE DE FR ES IT PL JP",
    "tier": "bronze silver gold platinum",
}


def _word(name: str, seed: int) -> str:
    words = ", ".join(f"'{word}'" for word in WORDS[name].split())
    return f"'{name}', element_at(array({words}), 1 + cast(pmod(hash(id, {seed}), {len(WORDS[name].split())}) AS int))"


# long texts that do not compress, in a map: some 600 octets of JSON a profile
HASHES = f"""
    {_ROVER_ID} AS rover_id,
    map('firstName', concat('n', id), 'lastName', sha1(cast(id AS string)), 'city', md5(cast(id AS string)),
        'email', concat(id, '@example.com'), 'tier', 'gold', 'bio', sha2(cast(id AS string), 256),
        'note', sha2(cast(id + 1 AS string), 512)) AS traits,
    timestamp_seconds(1700000000 + id) AS updated_at"""
# names, cities, flags and small numbers, in a struct: some 370 octets
TEXTS = f"""
    {_ROVER_ID} AS rover_id,
    named_struct({", ".join(_word(name, seed) for seed, name in enumerate(WORDS))},
        'email', concat('fan', id, '@example.com'), 'age', cast(16 + pmod(hash(id, 11), 70) AS int),
        'visits', cast(pmod(hash(id, 12), 400) AS int), 'points', cast(pmod(hash(id, 13), 1000000) AS bigint),
        'subscribed', id % 3 = 0) AS traits,
    timestamp_seconds(1700000000 + id) AS updated_at"""
EVENTS = """
    concat('evt-', lower(lpad(hex(id), 8, '0'))) AS id, timestamp_seconds(1700000000 + id) AS time,
    'Europe/Oslo' AS timezone, concat('user-', pmod(hash(id), 100000)) AS user_id,
    sha1(cast(id AS string)) AS device_id, 'iOS' AS platform, concat('7.', pmod(id, 9)) AS app_version,
    concat('campaign-', pmod(id, 50)) AS campaign, cast(pmod(id, 1000) AS int) AS amount,
    md5(cast(id AS string)) AS session_id, concat('screen ', pmod(id, 30)) AS screen, id % 3 = 0 AS returning"""
TABLES = {"hashes": HASHES, "texts": TEXTS, "events": EVENTS}


def table_of(root: Path, table: str, rows: int) -> Path:
    """Where the table of this name and size lies."""
    return root / "tables" / f"{table}-{rows}"


def write(spark: SparkSession, root: Path, table: str, rows: int) -> None:
    """Writes a table, in data files of at most ``ROWS_OF_A_FILE`` rows."""
    spark.conf.set("spark.sql.files.maxRecordsPerFile", ROWS_OF_A_FILE)
    place = f"delta.`{table_of(root, table, rows)}`"
    spark.sql(f"CREATE TABLE {place} USING delta {FEED} AS SELECT {TABLES[table]} FROM range({rows})")


if __name__ == "__main__":
    place, chosen, number = sys.argv[1:]
    session = build_session("bench", conf={"spark.master": "local[2]", "spark.driver.memory": "2g"})
    write(session, Path(place), chosen, int(number))
