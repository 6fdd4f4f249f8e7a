"""Law 7: abortable, then only forward.

Until a batch is STAGED nothing of it is visible and it may be aborted; from STAGED on it only goes forward. There is one
open batch a dataset (Currents: an integration). What an aborted or killed run staged is found and removed by `sweep` as
far as the store's rights allow, and it says what is left to the store's own lifecycle rule.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from rover_spark.face import commands
from tests.crash.child import NOW, POINTS, settings_of
from tests.crash.scene import ONE_EACH, copy_tables, require_ended, require_visible
from tests.effects import Killed, effects

pytestmark = [
    pytest.mark.law(2),
    pytest.mark.law(7),
    pytest.mark.parametrize("contract", ONE_EACH),
]


def _ends_at(spark: SparkSession, root: Path, point: str) -> None:
    with pytest.raises(Killed), effects(replace(POINTS[point])):
        commands.export(spark, settings_of(root), now=NOW)
    require_visible(root, point)


def test_a_batch_whose_runs_end_at_one_point_after_the_other_is_finished_by_the_last(
    spark: SparkSession, whole: Path, tmp_path: Path, contract: str
) -> None:
    """Each run goes on from where the one before it ended, and ends further on."""
    copy_tables(whole, tmp_path)
    for point in POINTS:
        _ends_at(spark, tmp_path, point)
    require_ended(spark, whole, tmp_path, "COMMITTED", strays=True)


@pytest.mark.full  # CI has them one after the other
@pytest.mark.parametrize("point", POINTS)
def test_a_run_that_ends_anywhere_is_finished_by_the_next_one(
    spark: SparkSession, whole: Path, tmp_path: Path, contract: str, point: str
) -> None:
    copy_tables(whole, tmp_path)
    _ends_at(spark, tmp_path, point)
    require_ended(spark, whole, tmp_path, point, strays=point == "before STAGED")
