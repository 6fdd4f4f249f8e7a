"""Law 5: no gap, no overlap.

Every source change is in exactly one batch. The ledger remembers the table's id and the history row of the last version
delivered: a missing or different row is a gap, even where the feed can be read. Where the feed cannot be read without a
gap (enabled late, log cleaned, files vacuumed, incompatible schema) the run stops, says which versions, and offers the
rerun. The ledger stays as it is until then.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rover_spark.errors import SourceGap
from rover_spark.face import commands
from tests import receiver
from tests.e2e.world import FEED, World, row

pytestmark = pytest.mark.law(5)

AT = "2026-11-01 10:00:00"


def _refused(world: World, *words: str) -> None:
    """The export fails with exit 1, names what the words say, and nothing moves but the ledger's ABORTED rows."""
    before = world.fingerprint()
    result = world.export()
    assert not result.ok
    (problem,) = result.problems
    assert problem.code == "source_gap" and "rerun" in problem.remedy
    for word in words:
        assert word in problem.message, problem.message
    assert world.fingerprint() == before, "nothing visible, nothing staged"
    assert (
        commands.status(world.spark, world.settings, now=world.now()).document()["datasets"][0][
            "delivered_version"
        ]
        == 1
    )


def _mended(world: World, *phases: str) -> None:
    commands.rerun(world.spark, world.settings, "fan_identity_graph")
    result = world.delivered()
    assert [b.phase for b in result.batches] == list(phases)
    if "lost" in phases:
        assert result.batches[0].state == "LOST" and "truncate" in str(result.batches[0].note)
    newest = result.batches[-1].plan
    assert newest is not None and newest.epoch == 2
    shown = {
        r["identifier"]
        for r in receiver.records(world.bucket, "fan_identity_graph")
        if r["emittedAt"] == result.document()["batches"][-1]["emitted_at"]
    }
    table = world.spark.read.format("delta").load(world.table("ids"))
    assert shown == {r["value"] for r in table.collect()}
    assert world.delivered().result == "nothing to do"


def test_vacuumed_changes_stop_the_run_and_a_rerun_records_them_lost(world: World) -> None:
    world.identities(f"{row(1, 'email', 'a', AT)}, {row(2, 'email', 'b', AT)}")
    world.delivered()
    world.sql("UPDATE {t} SET at = TIMESTAMP '2026-11-02 00:00:00' WHERE value = 'a'", t="ids")
    shutil.rmtree(Path(world.table("ids")) / "_change_data")  # what VACUUM takes
    _refused(world, "versions 2 to 2", "VACUUM")
    _mended(world, "lost", "snapshot")


def test_a_feed_that_was_off_for_a_while_stops_the_run(world: World) -> None:
    world.identities(row(1, "email", "a", AT))
    world.delivered()
    world.sql("ALTER TABLE {t} SET TBLPROPERTIES (delta.enableChangeDataFeed = false)", t="ids")
    world.sql(f"INSERT INTO {{t}} VALUES {row(2, 'email', 'b', AT)}", t="ids")
    world.sql("ALTER TABLE {t} SET TBLPROPERTIES (delta.enableChangeDataFeed = true)", t="ids")
    _refused(world, "versions 2 to 4", "off")
    _mended(world, "lost", "snapshot")


def test_a_table_removed_and_made_anew_is_a_gap_though_its_feed_can_be_read(world: World) -> None:
    world.identities(row(1, "email", "a", AT))
    world.delivered()
    shutil.rmtree(world.table("ids"))
    world.spark.catalog.clearCache()
    world.sql(
        f"CREATE TABLE {{t}} (rover_id STRING, kind STRING, value STRING, at TIMESTAMP) USING delta {FEED}",
        t="ids",
    )
    for n in range(2):
        world.sql(f"INSERT INTO {{t}} VALUES {row(n, 'email', f'new{n}', AT)}", t="ids")
    _refused(world, "after version 1", "made anew")
    _mended(world, "lost", "snapshot")


@pytest.mark.full  # in CI one is, in test_table_changes
def test_a_renamed_column_is_an_incompatible_schema(world: World) -> None:
    mapping = (
        "'delta.columnMapping.mode' = 'name', 'delta.minReaderVersion' = '2', 'delta.minWriterVersion' = '5'"
    )
    feed = FEED.replace(")", f", {mapping})")
    world.sql(
        f"CREATE TABLE {{t}} (rover_id STRING, kind STRING, val STRING, at TIMESTAMP) USING delta {feed}",
        t="ids",
    )
    world.sql(f"INSERT INTO {{t}} VALUES {row(1, 'email', 'a', AT)}", t="ids")
    columns = {"roverID": "rover_id", "identifierType": "kind", "updatedAt": "at"}
    world.datasets["fan_identity_graph"] = {
        "table": world.table("ids"),
        "columns": {**columns, "identifier": "val"},
    }
    world.delivered()
    world.sql(f"INSERT INTO {{t}} VALUES {row(2, 'email', 'b', AT)}", t="ids")
    world.sql("ALTER TABLE {t} RENAME COLUMN val TO value", t="ids")
    world.datasets["fan_identity_graph"]["columns"] = {**columns, "identifier": "value"}
    commands.rerun(world.spark, world.settings, "fan_identity_graph")  # the mapping changed: to be confirmed
    result = world.delivered()
    assert [b.phase for b in result.batches] == ["lost", "snapshot"]
    assert receiver.identities(world.bucket) == {
        (f"{n:08x}-0000-4000-8000-{n:012x}", "email", v) for n, v in ((1, "a"), (2, "b"))
    }


@pytest.mark.full  # in CI one batch is, in test_delivery
def test_every_batch_can_be_delivered_again_until_its_versions_are_vacuumed(world: World) -> None:
    world.identities(f"{row(1, 'email', 'a', AT)}, {row(2, 'email', 'b', AT)}")
    batches = [world.delivered().batches[0].batch]
    for value in "ab":
        world.sql(f"DELETE FROM {{t}} WHERE value = '{value}'", t="ids")
        world.sql(f"INSERT INTO {{t}} VALUES {row(1, 'email', value * 2, AT)}", t="ids")
        batches.append(world.delivered().batches[0].batch)
    intact = world.fingerprint()
    for batch in batches:
        assert commands.redeliver(world.spark, world.settings, batch, now=world.now()).ok
        assert world.fingerprint() == intact, "the same keys and bytes, and nothing besides"
    world.spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
    try:
        world.sql("VACUUM {t} RETAIN 0 HOURS", t="ids")
    finally:
        world.spark.conf.unset("spark.databricks.delta.retentionDurationCheck.enabled")
    for batch in batches:
        with pytest.raises(SourceGap, match="VACUUM"):
            commands.redeliver(world.spark, world.settings, batch, now=world.now())
        assert world.fingerprint() == intact, "refused, and nothing was replaced"
    assert commands.verify(world.spark, world.settings).ok
