"""Golden files: the same rows at the same instant give the same keys and text, whatever the Spark, Delta or Java.

`make test` runs this on the main pair and `make test-floor` on the oldest one. The values below never change: another
text under these keys would be another delivery. No doubles with exponents here: their text is Java's own.
"""

from __future__ import annotations

import gzip
import hashlib

import pytest

from tests import receiver
from tests.e2e.world import FEED, IDENTITY_COLUMNS, World, uuid

DETAILS = """STRUCT<
    yes: BOOLEAN, big: BIGINT, price: DECIMAL(12, 2), tiny: DECIMAL(20, 10), wide: DECIMAL(38, 9), share: DOUBLE,
    ratio: FLOAT, born: DATE, seen: TIMESTAMP, local: TIMESTAMP_NTZ, tags: ARRAY<STRING>, raw: BINARY, gone: STRING>"""
NESTED = "MAP<STRING, STRUCT<n: INT, m: MAP<STRING, DECIMAL(6, 3)>>>"
DEVICE = "STRUCT<os: STRING, version: STRING>"
TABLES = {
    "profiles": f"rover_id STRING, traits MAP<STRING, STRING>, at TIMESTAMP, details {DETAILS}, nested {NESTED}",
    "ids": "rover_id STRING, kind STRING, value STRING, at TIMESTAMP",
    "merges": "rover_id STRING, merged STRING, at TIMESTAMP_NTZ",
    "events": f"""
        event_id DECIMAL(12, 3), rover_id STRING, name STRING, namespace STRING, props STRING, device {DEVICE},
        at TIMESTAMP
    """,
}
EVENT_COLUMNS = {"eventID": "event_id", "roverID": "rover_id", "attributes": "props", "timestamp": "at"}
# each struct has its column's type: an INSERT of Delta 3.3 that converts one makes an empty struct of a null one
PROFILES = rf"""
    SELECT upper('{uuid(1)}'),
        map('z', 'ü', 'a', '1', 'gone', NULL, 'Ä', 'tab\t line\n quote\" back\\ slash/', '', '\u2028 \u0001 😀'),
        TIMESTAMP '2026-11-01 10:00:00.123456',
        CAST(named_struct('yes', true, 'big', 9223372036854775807L, 'price', 1.50BD, 'tiny', 0.0000000001BD,
            'wide', 12345678901234567890123456789.123456789BD, 'share', 0.1D, 'ratio', 1.25F, 'born', DATE '1899-12-31',
            'seen', TIMESTAMP '1969-12-31 23:59:59.999999', 'local', TIMESTAMP_NTZ '2026-03-29 02:30:00',
            'tags', array('b', NULL, 'a'), 'raw', X'00ff10', 'gone', NULL) AS {DETAILS}),
        CAST(map('y', named_struct('n', 1, 'm', map('b', 2.000BD, 'a', 0.001BD)), 'x', NULL) AS {NESTED})
    UNION ALL SELECT '{uuid(2)}', map(), TIMESTAMP '1969-07-20 20:17:40', NULL, NULL
    UNION ALL SELECT '{uuid(3)}', NULL, TIMESTAMP '0001-01-01 00:00:00', NULL, map()
    UNION ALL SELECT '{uuid(4)}', map('only', NULL), TIMESTAMP '9999-12-31 23:59:59.999999', NULL, NULL
"""
IDS = f"""
    SELECT concat(lpad(hex(id), 8, '0'), '{uuid(0)[8:]}'), IF(id % 3 = 0, 'e-mail', 'crm "id"'), concat('№ ', id, ' \\\\'),
        timestamp_micros(id * 86400000001 - 400000000000)
    FROM range(12)
"""
MERGES = f"""
    SELECT '{uuid(1)}', upper('{uuid(2)}'), TIMESTAMP_NTZ '2026-11-01 00:00:00'
    UNION ALL SELECT '{uuid(1)}', '{uuid(3)}', TIMESTAMP_NTZ '1815-06-18 11:35:00.5'
"""
EVENTS = rf"""
    SELECT 1.500BD, '{uuid(1)}', 'Ticket "Purchased"', 'shop',
        '{{"total": 40.70, "seats":[1, 2],"e":1E400, "a":null,\n "ü":"\\u00fc", "b": {{}} }}',
        CAST(named_struct('os', 'Android', 'version', NULL) AS {DEVICE}), TIMESTAMP '2026-11-01 10:00:00'
    UNION ALL SELECT -2, '{uuid(2)}', 'Öpened', NULL, NULL, NULL, TIMESTAMP '1969-12-31 00:00:00.000001'
    UNION ALL SELECT 3, '{uuid(2)}', 'broken', NULL, '{{"a":1', NULL, TIMESTAMP '2026-11-01 10:00:00'
    UNION ALL SELECT 4, '{uuid(2)}', 'not strict', NULL, '{{\'a\':01}}', NULL, TIMESTAMP '2026-11-01 10:00:00'
"""
# dataset, hour and token of the key, records, SHA-256 of the text before compression
GOLDEN = """
    fan_identity_graph 13 14f66775c18252ac4e8d4b26d4ff6d02 1 d6331fea1b660fabfaec511d42216ddba0e00819cf13623e2a826e22e9badf09
    fan_identity_graph 13 5c1a2db4e54b891e5cda82a10e6ad8b6 5 75010cd6ae3f527b57dc18ab9fa2666b88d4ac38bd41d460f849ce2ed90f5dd8
    fan_identity_graph 13 97a7c2f52cd61ef8a4ee506393429540 6 d26450256004938f80c5719277fad605fe45979fd2c730a5a78e413228d8546a
    fan_identity_graph 14 833baa73a5c9fff613952275fddb2cc0 5 3f1c6417c86e28e5f27b735663d067c3409ff564f3a7732c6304fd740ad412dc
    fan_profile_merges 13 2aa172bf084cd16bb5566d6f1f24de8b 2 2f6c32b983881d38858fd4a8dad7d785d0ec36ca59e439a5305c839203628f19
    fan_profiles       13 afe4075082cf4f4139f569b67f290492 4 7260f3e6de9c2d7b9903e9d9abfda84411fec67e6f88447cae4d124f65ef8e85
    fan_profiles       14 a832b38e42bcd048f7c910dd8b8954f7 1 5d87431de4be782d936cd5f543aa823f31700d6ec829954f8e64bdf1caa82146
    fan_track_events   13 9a1cba2a135d5d5916e30b8f64ca0e7c 2 8f1b792294d12c2a0077ce2b04878b092b878b14d599be99ab8ea67b1b3b064a
    fan_track_events   14 3bcc3d5b42ee8d6dabc51de34de52ffd 1 741fbde5c8fff5b5d276dfe578363e44025964c6d0174f0b4b5a539c914f9594
"""


@pytest.mark.law(4)
def test_the_same_rows_give_the_same_keys_and_text_everywhere(world: World) -> None:
    for name, columns in TABLES.items():
        world.sql(f"CREATE TABLE {{t}} ({columns}) USING delta {FEED}", t=name)
    first = {"profiles": PROFILES, "ids": IDS, "merges": MERGES, "events": EVENTS}
    _write(world, *(("INSERT INTO", name, rows) for name, rows in first.items()))
    world.datasets = {
        "fan_profiles": {
            "table": world.table("profiles"),
            "columns": {"roverID": "rover_id", "updatedAt": "at"},
            "extra": {"details": "details", "nested": "nested"},
        },
        "fan_identity_graph": {"table": world.table("ids"), "columns": IDENTITY_COLUMNS},
        "fan_profile_merges": {
            "table": world.table("merges"),
            "columns": {"roverID": "rover_id", "mergedRoverID": "merged", "occurredAt": "at"},
        },
        "fan_track_events": {
            "table": world.table("events"),
            "columns": EVENT_COLUMNS,
            "start": "earliest",
        },
    }
    world.options["files"] = {"target_records": 5, "layout": "hash"}  # data files have names of chance
    world.delivered()

    # changes that are newer than what they replace: the clock of the commits is in none of them
    newer = f"SET traits = map('b', '2', 'a', '1'), at = TIMESTAMP '2026-11-02' WHERE rover_id = '{uuid(2)}'"
    _write(
        world,
        ("UPDATE", "profiles", newer),
        ("UPDATE", "ids", "SET at = at + INTERVAL 1 DAY WHERE kind = 'e-mail'"),
        ("INSERT INTO", "ids", f"VALUES ('{uuid(99)}', 'e-mail', '', TIMESTAMP '1950-01-01')"),
        (
            "INSERT INTO",
            "events",
            f"VALUES (5, '{uuid(3)}', 'late', NULL, '{{}}', NULL, TIMESTAMP '1950-01-01')",
        ),
    )
    world.delivered()

    texts = {key: gzip.decompress((world.bucket / key).read_bytes()) for key in receiver.keys(world.bucket)}
    found = {key: (text.count(b"\n"), hashlib.sha256(text).hexdigest()) for key, text in texts.items()}
    golden = _golden()
    other = {key: text.decode() for key, text in texts.items() if found[key] != golden.get(key)}
    assert found == golden, "".join(f"\n{key}\n{text}" for key, text in other.items())


def _golden() -> dict[str, tuple[int, str]]:
    files = {}
    for dataset, hour, token, records, sha256 in map(str.split, GOLDEN.strip().splitlines()):
        name = f"{dataset}-20261121T{hour}0000Z-part-{token}.ndjson.gz"
        files[f"exports/{dataset}/date=2026-11-21/hour={hour}/{name}"] = (int(records), sha256)
    return files


def _write(world: World, *statements: tuple[str, str, str]) -> None:
    # Spark 3.5 asks how times before 1900 are meant
    mode = "spark.sql.parquet.int96RebaseModeInWrite"
    before = str(world.spark.conf.get(mode))
    world.spark.conf.set(mode, "CORRECTED")
    try:
        for verb, name, rest in statements:
            world.spark.sql(f"{verb} delta.`{world.table(name)}` {rest}")
    finally:
        world.spark.conf.set(mode, before)
