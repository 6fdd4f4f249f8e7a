"""Law 1: whole.

An object that a receiver can see is complete and valid: at every moment of a run it has the bytes that the ledger says.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from rover_spark.face import commands
from tests.crash.child import FILES, NOW, settings_of
from tests.crash.scene import ONE_EACH, copy_tables, seen_by_receivers
from tests.effects import effects


@pytest.mark.law(1)
@pytest.mark.law(2)
@pytest.mark.parametrize("contract", ONE_EACH)
def test_whoever_looks_after_each_effect_sees_whole_files_and_none_before_the_manifest(
    spark: SparkSession, whole: Path, tmp_path: Path, contract: str
) -> None:
    copy_tables(whole, tmp_path)
    sound, seen = seen_by_receivers(whole), list[tuple[str, int]]()

    def look(effect: str) -> None:
        there = seen_by_receivers(tmp_path)
        assert there.items() <= sound.items(), "what can be seen is what was to be delivered"
        announced = any("manifests" in key for key in there)
        assert not announced or there == sound, "whoever sees the manifest sees all of the batch"
        seen.append((effect, len(there)))

    with effects(look=look) as journal:
        assert commands.export(spark, settings_of(tmp_path), now=NOW).ok
    assert journal.names("source") == [
        "ledger PLANNED",
        "staging",
        "ledger STAGED",
        "store publish",
        "ledger COMMITTED",
    ]
    order = journal.names()
    assert order[0] == "source state"
    assert not [name for name in order[order.index("ledger STAGED") :] if name.startswith("source")]
    staged = next(n for n, (effect, _) in enumerate(seen) if effect == "ledger STAGED")
    assert {count for _, count in seen[: staged + 1]} == {0}, "nothing before the manifest is durable"
    assert seen[-1] == ("ledger COMMITTED", FILES + 1)
    assert seen_by_receivers(tmp_path) == sound
