"""Law 8: unknown is not failed.

A lost answer to a publish is never followed by a clean-up: the run looks again where it may, and rolls forward.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from rover_spark.face import commands
from tests.crash.child import FILES, NOW, settings_of
from tests.crash.scene import ONE_EACH, copy_tables, seen_by_receivers
from tests.effects import Fault, effects, no_answer


@pytest.mark.law(8)
@pytest.mark.parametrize("contract", ONE_EACH)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_publish_without_an_answer_is_followed_by_no_clean_up_and_ended_by_the_next_run(
    spark: SparkSession, whole: Path, tmp_path: Path, contract: str, when: str
) -> None:
    copy_tables(whole, tmp_path)
    with effects(Fault("store publish", when, times=FILES, error=no_answer)) as journal:  # type: ignore[arg-type]
        result = commands.export(spark, settings_of(tmp_path), now=NOW)
    assert not result.ok and [problem.code for problem in result.problems] == [no_answer().code]
    assert "store abort" not in journal.names()
    happened = seen_by_receivers(tmp_path)
    assert bool(happened) == (when == "after") and happened.items() <= seen_by_receivers(whole).items()
    with effects() as journal:
        assert commands.export(spark, settings_of(tmp_path), now=NOW).ok
    assert journal.names("source") == ["store publish", "ledger COMMITTED"], "nothing is staged again"
    assert seen_by_receivers(tmp_path) == seen_by_receivers(whole)
    assert commands.verify(spark, settings_of(tmp_path)).ok
