"""Law 3: pinned.

All that could vary is decided once, in the plan, and stored: table id, source versions and their commit timestamps,
instant, epoch, chunk rule, all expressions and settings, versions of package, Spark, Java and encoder. Recovery and
redelivery use the plan, not the configuration of their own day. Nothing below the plan reads a clock, a random number,
the environment or a default of Spark.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from rover_spark.face import commands
from tests.crash.child import NOW, settings_of
from tests.crash.scene import EACH, copy_tables, seen_by_receivers
from tests.e2e.world import uuid
from tests.effects import Fault, Killed, effects


@pytest.mark.law(3)
@pytest.mark.law(4)
@pytest.mark.parametrize("contract", EACH)
def test_a_planned_batch_and_a_redelivery_keep_to_their_plan_whatever_the_settings_say_now(
    spark: SparkSession, whole: Path, tmp_path: Path, contract: str
) -> None:
    copy_tables(whole, tmp_path)
    with pytest.raises(Killed), effects(Fault("ledger PLANNED", "after")):
        commands.export(spark, settings_of(tmp_path), now=NOW)
    agreed: dict[str, Any] = json.loads((tmp_path / "agreed.json").read_text())
    changed = {
        "files": {
            "target_records": 7,
            "compression_level": 3,
            "layout": "auto" if contract == "rover" else "hash",
            "reader": "spark",
        },
        "destination": f"file://{tmp_path}/other/acme",
    }
    (tmp_path / "agreed.json").write_text(json.dumps({**agreed, **changed}))
    # and the source goes on
    late = f"('{uuid(999)}', 'email', 'late', TIMESTAMP '2026-11-21 11:00:00')"
    spark.sql(f"INSERT INTO delta.`{tmp_path}/tables/ids` VALUES {late}")
    spark.conf.set("spark.sql.session.timeZone", "Asia/Kolkata")
    try:
        result = commands.export(
            spark, settings_of(tmp_path), now=NOW + timedelta(minutes=30), datasets=_stream(contract)
        )
        assert result.ok and result.batches[0].instant == int(NOW.timestamp() * 1000)
        assert seen_by_receivers(tmp_path) == seen_by_receivers(whole)
        assert commands.redeliver(spark, settings_of(tmp_path), result.batches[0].batch).ok
        assert seen_by_receivers(tmp_path) == seen_by_receivers(whole)
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")


def _stream(contract: str) -> list[str]:
    return ["events" if contract == "currents" else "fan_identity_graph"]
