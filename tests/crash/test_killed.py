"""SIGKILL in the middle of a run, in a real process; the next run ends as if nothing had happened (laws 2, 4, 7)."""

from __future__ import annotations

import signal
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from rover_spark.demo import SESSION
from rover_spark.face import commands
from rover_spark.ledger.table import Ledger
from rover_spark.produce.port import decode
from tests.crash.child import FILES, NOW, POINTS, settings_of
from tests.crash.scene import copy_tables, run_child
from tests.e2e.world import fingerprint

SETTLED = {**SESSION, "spark.master": "local[2]"}
VARIED = {  # the compiler on, one core, AQE on: everything that must not matter
    "spark.master": "local[1]",
    "spark.sql.shuffle.partitions": "37",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "777",
    "spark.databricks.delta.snapshotPartitions": "1",
}


IN_CI = {  # the rest is run with all of them: pytest --full
    "rover": ("PLANNED", "half staged", "STAGED", "half published"),
    "currents": ("half staged", "STAGED", "half published"),
}
EACH = [
    pytest.param(contract, point, marks=() if point in IN_CI[contract] else pytest.mark.full)
    for contract in IN_CI
    for point in POINTS
]


@pytest.mark.parametrize(("contract", "point"), EACH)
def test_a_killed_run_is_finished_by_the_next_one(
    spark: SparkSession, whole: Path, tmp_path: Path, contract: str, point: str
) -> None:
    copy_tables(whole, tmp_path)
    assert run_child(tmp_path, point, SETTLED) == -signal.SIGKILL
    seen = [key for key in fingerprint(tmp_path / "bucket") if not key.startswith("_rover_staging/")]
    visible = {"half published": FILES // 2, "before COMMITTED": FILES, "COMMITTED": FILES}.get(point, 0)
    assert len(seen) >= visible, "what was published stays"
    assert bool(seen) == bool(visible), "nothing is visible before the manifest is durable"
    settings = settings_of(tmp_path)
    result = commands.export(spark, settings, now=NOW)
    assert result.ok and [b.state for b in result.batches] == ["COMMITTED"] * (point != "COMMITTED")
    # what a try left that no manifest names is sweep's; a finished run leaves nothing itself
    swept = commands.sweep(spark, settings, older_than=timedelta(0), now=datetime.now(timezone.utc))
    assert bool(swept.removed) == (point in {"half staged", "before STAGED"})
    assert fingerprint(tmp_path / "bucket") == fingerprint(whole / "bucket")
    assert _ledger(spark, tmp_path) == _ledger(spark, whole)
    assert commands.verify(spark, settings).ok
    assert commands.export(spark, settings, now=NOW).result == "nothing to do"


def _ledger(spark: SparkSession, root: Path) -> list[object]:
    """What the ledger says of each batch; where a try was staged is its own affair."""
    ledger = Ledger(spark, settings_of(root).ledger, "acme", decode)
    ledger.open(create=False)
    return [
        (each.batch, each.state, each.counts, each.instant, [replace(file, staged="") for file in each.files])
        for each in ledger.batches()
    ]


@pytest.mark.parametrize("contract", list(IN_CI))
def test_bytes_are_the_same_on_one_core_and_two_with_other_partitions_and_batches(
    spark: SparkSession, whole: Path, tmp_path: Path, contract: str
) -> None:
    copy_tables(whole, tmp_path)
    assert run_child(tmp_path, "never", VARIED) == 0
    assert fingerprint(tmp_path / "bucket") == fingerprint(whole / "bucket")
    for n, (aqe, shuffles, arrow) in enumerate([("true", "3", "50000"), ("false", "37", "777")]):
        root = tmp_path / str(n)
        copy_tables(whole, root)
        changed = {
            "spark.sql.adaptive.enabled": aqe,
            "spark.sql.shuffle.partitions": shuffles,
            "spark.sql.execution.arrow.maxRecordsPerBatch": arrow,
        }
        before = {name: spark.conf.get(name) for name in changed}
        for name, value in changed.items():
            spark.conf.set(name, value)
        try:
            assert commands.export(spark, settings_of(root), now=NOW).ok
        finally:
            for name, value in before.items():
                spark.conf.set(name, value or "")
        assert fingerprint(root / "bucket") == fingerprint(whole / "bucket")
