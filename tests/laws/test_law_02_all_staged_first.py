"""Law 2: all staged before any visible.

Nothing of a batch is visible before its manifest (every file with key, records, bytes, sha256) is durable in the ledger.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from rover_spark.face import commands
from tests.crash.child import NOW, settings_of
from tests.crash.scene import ONE_EACH, copy_tables, seen_by_receivers
from tests.effects import Fault, effects, no_answer


@pytest.mark.law(2)
@pytest.mark.law(7)
@pytest.mark.parametrize("contract", ONE_EACH)
def test_a_batch_that_could_not_be_staged_shows_nothing_and_is_staged_by_the_next_run(
    spark: SparkSession, whole: Path, tmp_path: Path, contract: str
) -> None:
    copy_tables(whole, tmp_path)
    with effects(Fault("staging", "after", error=no_answer)) as journal:
        result = commands.export(spark, settings_of(tmp_path), now=NOW)
    assert not result.ok and [problem.code for problem in result.problems] == [no_answer().code]
    assert journal.names("source") == ["ledger PLANNED", "staging"]
    assert seen_by_receivers(tmp_path) == {}
    with effects() as journal:
        assert commands.export(spark, settings_of(tmp_path), now=NOW).ok
    assert journal.names("source") == ["staging", "ledger STAGED", "store publish", "ledger COMMITTED"]
    assert seen_by_receivers(tmp_path) == seen_by_receivers(whole)
