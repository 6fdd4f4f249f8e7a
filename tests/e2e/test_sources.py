"""Sources as people have them: kinds of columns, tables and writers that all give the same records."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from rover_spark.config.settings import parse
from rover_spark.face import commands
from tests import receiver
from tests.e2e.world import FEED, World, fingerprint, uuid

TRAITS: dict[str, tuple[str, str]] = {
    "map": ("MAP<STRING, STRING>", "map('z', 'ü', 'a', '1', 'gone', NULL)"),
    "struct": (
        "STRUCT<z: STRING, a: STRING, gone: STRING>",
        "named_struct('z', 'ü', 'a', '1', 'gone', CAST(NULL AS STRING))",
    ),
    "text": ("STRING", """'{"z":"ü", "gone": null, "a":"1"}'"""),
    "variant": ("VARIANT", """parse_json('{"z":"ü", "gone": null, "a":"1"}')"""),
}


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        ("map", f"PARTITIONED BY (day) {FEED}"),
        pytest.param(
            "struct",
            "TBLPROPERTIES (delta.enableChangeDataFeed = true, delta.enableDeletionVectors = true)",
            marks=pytest.mark.full,
        ),
        ("text", "TBLPROPERTIES (delta.enableChangeDataFeed = true, 'delta.columnMapping.mode' = 'name')"),
        pytest.param("variant", FEED, marks=pytest.mark.full),
    ],
)
def test_traits_of_every_kind_and_tables_of_every_kind_give_the_same_profiles(
    world: World, kind: str, table: str
) -> None:
    dtype, value = TRAITS[kind]
    if kind == "variant" and world.spark.version < "4":
        pytest.skip("VARIANT is Spark 4's")
    zone = "TIMESTAMP_NTZ" if kind == "text" else "TIMESTAMP"
    columns = f"rover_id STRING, t {dtype}, at {zone}, plan STRING, day DATE"
    world.sql(f"CREATE TABLE {{t}} ({columns}) USING delta {table}", t="profiles")
    insert = f"INSERT INTO {{t}} SELECT upper('{uuid(1)}'), {value}, {zone} '2026-11-01 10:00:00.123456', 'gold', DATE '2026-11-01'"
    world.sql(insert.replace("{", "{{").replace("}", "}}").replace("{{t}}", "{t}"), t="profiles")
    world.datasets["fan_profiles"] = {
        "table": world.table("profiles"),
        "columns": {"roverID": "rover_id", "traits": "t", "updatedAt": "at"},
        "extra": {"tier": "concat(plan, '!')"},
        "deletes": "tombstone",
    }
    world.delivered()
    (record,) = receiver.records(world.bucket, "fan_profiles")
    assert list(record) == ["id", "version", "roverID", "emittedAt", "traits", "tier", "updatedAt"]
    assert (record["roverID"], record["traits"], record["tier"]) == (uuid(1), {"z": "ü", "a": "1"}, "gold!")
    assert record["updatedAt"] == "2026-11-01T10:00:00.123456Z"
    world.sql(f"UPDATE {{t}} SET at = {zone} '2026-11-02 00:00:00', plan = 'lead'", t="profiles")
    world.sql("DELETE FROM {t} WHERE true", t="profiles")
    result = world.delivered()
    assert result.batches[0].counts["delivered"] == 2
    assert receiver.profiles(world.bucket) == {}
    last = max(receiver.records(world.bucket, "fan_profiles"), key=lambda each: each["updatedAt"])
    assert (
        list(last) == ["id", "version", "roverID", "emittedAt", "deleted", "tier", "updatedAt"]
        and last["deleted"] is True
    )


def test_tables_of_another_delta_writer_are_read_as_they_are(spark: SparkSession, tmp_path: Path) -> None:
    deltalake = pytest.importorskip("deltalake")
    pa = pytest.importorskip("pyarrow")
    table = str(tmp_path / "ids")
    at = datetime(2026, 11, 1, tzinfo=timezone.utc)
    rows = [
        {"roverID": uuid(n), "identifierType": "email", "identifier": f"{n}", "updatedAt": at}
        for n in range(4)
    ]
    feed = {"delta.enableChangeDataFeed": "true"}
    deltalake.write_deltalake(table, pa.Table.from_pylist(rows[:3]), configuration=feed)
    settings = _settings(tmp_path, {"fan_identity_graph": {"table": table}})
    now = datetime(2026, 11, 21, 10, 15, tzinfo=timezone.utc)
    first = commands.export(spark, settings, now=now)
    assert first.ok and [b.counts["delivered"] for b in first.batches] == [3]
    before = fingerprint(tmp_path / "bucket")
    assert commands.export(spark, settings, now=now).result == "nothing to do"
    assert fingerprint(tmp_path / "bucket") == before
    deltalake.write_deltalake(table, pa.Table.from_pylist(rows[3:]), mode="append")
    deltalake.DeltaTable(table).delete("identifier = '1'")
    second = commands.export(spark, settings, now=now)
    assert second.ok, second.problems
    assert {name[2] for name in receiver.identities(tmp_path / "bucket")} == {"0", "2", "3"}


def test_catalog_tables_serve_as_source_and_as_ledger(spark: SparkSession, tmp_path: Path) -> None:
    spark.sql("CREATE SCHEMA IF NOT EXISTS crm")
    try:
        spark.sql(
            "CREATE TABLE crm.merges (roverID STRING, mergedRoverID STRING, occurredAt TIMESTAMP) USING delta "
            "TBLPROPERTIES (delta.enableChangeDataFeed = true)"
        )
        spark.sql(f"INSERT INTO crm.merges VALUES ('{uuid(1)}', '{uuid(2)}', TIMESTAMP '2026-11-01')")
        datasets = {"fan_profile_merges": {"table": "spark_catalog.crm.merges"}}
        settings = _settings(tmp_path, datasets, ledger="spark_catalog.crm.ledger")
        assert commands.export(spark, settings).ok
        spark.sql(f"INSERT INTO crm.merges VALUES ('{uuid(1)}', 'broken', TIMESTAMP '2026-11-01')")
        spark.sql(f"DELETE FROM crm.merges WHERE mergedRoverID = '{uuid(2)}'")
        result = commands.export(spark, settings)
        assert result.ok and (
            result.batches[0].counts["suppressed"],
            result.batches[0].counts["quarantined"],
        ) == (1, 1)
        assert (
            spark.table("crm.ledger_quarantine").count() == 1
            and spark.table("crm.ledger_floors").count() == 1
        )
        assert commands.export(spark, settings).result == "nothing to do"
        assert commands.verify(spark, settings).ok
        assert len(list(receiver.records(tmp_path / "bucket", "fan_profile_merges"))) == 1
    finally:
        spark.sql("DROP SCHEMA crm CASCADE")


def _settings(root: Path, datasets: dict[str, Any], ledger: str | None = None) -> Any:
    ledger = ledger or str(root / "ledger")
    return parse(
        {"name": "acme", "destination": f"file://{root}/bucket", "ledger": ledger, "datasets": datasets}
    )
