"""Law 9: nothing silent.

Each row key and commit that is read is delivered, or counted under a named rule (no change, superseded, suppressed,
conflict), or quarantined with its reason and where to find it. Counts add up: read = delivered + the others.
"""

from __future__ import annotations

import gzip
import json

import pytest

from rover_spark.face import commands
from tests import receiver
from tests.e2e.world import FEED, World, uuid
from tests.effects import effects

FAN = f"'{uuid(1)}'"
AT = "TIMESTAMP '2026-11-01 10:00:00'"
# attributes as a map of doubles beside JSON text: eventID, roverID, name, attributes, device, at → the reason
BROKEN = {
    "roverID_missing": f"'b1', NULL, 'n', '{{}}', map('a', 1D), {AT}",
    "roverID_malformed": f"'b2', '../../etc/passwd', 'n', '{{}}', map('a', 1D), {AT}",
    "eventID_missing": f"NULL, {FAN}, 'n', '{{}}', map('a', 1D), {AT}",
    "name_missing": f"'b3', {FAN}, NULL, '{{}}', map('a', 1D), {AT}",
    "timestamp_missing": f"'b4', {FAN}, 'n', '{{}}', map('a', 1D), NULL",
    "timestamp_out_of_range": f"'b5', {FAN}, 'n', '{{}}', map('a', 1D), timestamp_micros(253402300800000000)",
    "no_json_object": f"'b6', {FAN}, 'n', '[1]', map('a', 1D), {AT}",
    "number_not_finite": f"'b7', {FAN}, 'n', '{{}}', map('a', double('NaN')), {AT}",
    "record_too_large": f"'b8', {FAN}, 'n', concat('{{\"a\":\"', repeat('x', 1000001), '\"}}'), map('a', 1D), {AT}",
}
ALSO_BROKEN = [
    f"'c1', {FAN}, 'n', '{{}}{{\"id\":\"forged\"}}', map('a', 1D), {AT}",
    f"'c2', {FAN}, 'n', '{{\"a\":1}}\\n{{\"b\":2}}', map('a', 1D), {AT}",
    f"'c3', {FAN}, 'n', '\"}}\\n', map('a', 1D), {AT}",
    f"'c4', {FAN}, 'n', '{{\"a\":01}}', map('a', 1D), {AT}",
    f"'c5', {FAN}, 'n', '{{}}', map('a', double('-Infinity')), {AT}",
    f"'c6', {FAN}, 'n', '{{}}', map('a', 1D), timestamp_micros(-62135596800000001)",
]
NAMES = [
    "Robert'); DROP TABLE events;--",
    'a "quoted" \\ back\\\\slash',
    "tab\tline\nfeed\rreturn\x00nul\x1f\x7f",
    "\u2028\u2029 and 😀 and \u0645\u0631\u062d\u0628\u0627",
    "${jndi:ldap://x} {{7*7}} %s",
    "</script>",
]
# digit for digit, never through a double
NUMBERS = '{"big":9223372036854775807,"bigger":123456789012345678901234567890,"exact":0.10000000000000000000001,"e":1e400,"trailing":1.50}'


@pytest.mark.law(9)
def test_hostile_rows_are_delivered_exactly_or_quarantined(world: World) -> None:
    columns = "event_id STRING, rover_id STRING, name STRING, attributes STRING, device MAP<STRING, DOUBLE>, at TIMESTAMP"
    world.spark.sql(f"CREATE TABLE delta.`{world.table('events')}` ({columns}) USING delta {FEED}")
    union = " UNION ALL ".join(f"SELECT {values}" for values in (*BROKEN.values(), *ALSO_BROKEN))
    world.spark.sql(f"INSERT INTO delta.`{world.table('events')}` {union}")
    good = [(f"g{n}", uuid(2).upper(), name, NUMBERS) for n, name in enumerate(NAMES)]
    frame = world.spark.createDataFrame(
        good, "event_id STRING, rover_id STRING, name STRING, attributes STRING"
    )
    frame.selectExpr("*", "map('x', 1.5D) AS device", f"{AT} AS at").write.format("delta").mode(
        "append"
    ).save(world.table("events"))
    world.datasets["fan_track_events"] = {
        "table": world.table("events"),
        "columns": {"eventID": "event_id", "roverID": "rover_id", "timestamp": "at"},
        "start": "earliest",
    }
    with effects() as journal:
        result = world.export(strict=True)
    assert journal.names("source", "store")[:4] == [
        "ledger PLANNED",
        "staging",
        "side table quarantine",
        "ledger STAGED",
    ], "what was set aside can be found before anything is visible"
    (batch,) = result.batches
    assert not result.ok and batch.state == "COMMITTED", (
        "--strict fails the run, and what is sound is delivered"
    )
    broken = len(BROKEN) + len(ALSO_BROKEN)
    assert (batch.counts["read"], batch.counts["delivered"]) == (broken + len(NAMES), len(NAMES))
    held = world.spark.read.format("delta").load(world.settings.ledger + "_quarantine").collect()
    assert len(held) == broken == batch.counts["quarantined"] and {r["reason"] for r in held} == set(BROKEN)
    assert all(json.loads(r["row"]).keys() >= {"roverID", "attributes"} for r in held)
    records = list(receiver.records(world.bucket, "fan_track_events"))
    assert sorted(record["name"] for record in records) == sorted(NAMES)
    assert {record["roverID"] for record in records} == {uuid(2)}
    texts = [gzip.decompress(path.read_bytes()).decode() for path in world.bucket.rglob("*.gz")]
    assert "".join(texts).count(NUMBERS) == len(NAMES), "every digit as it was"
    assert batch.counts["read"] == sum(count for name, count in batch.counts.items() if name != "read")
    assert commands.verify(world.spark, world.settings).ok
