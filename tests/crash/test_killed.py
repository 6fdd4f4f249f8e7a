"""SIGKILL in the middle of a run, in a real process; the next run ends as if nothing had happened.

Only what a double cannot do is done so: executors that end with their driver while they write, a driver that ends while
other files of the batch are on their way. ``laws/test_law_07_only_forward.py`` has the other points, in this process.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from rover_spark.demo import SESSION
from tests.crash.child import ROVER
from tests.crash.scene import ONE_EACH, copy_tables, require_ended, require_visible, run_child

SETTLED = {**SESSION, "spark.master": "local[2]"}
EACH = [
    pytest.param(ONE_EACH[0], "half staged"),
    pytest.param("currents", "half published"),
    *(pytest.param(each, "half staged", marks=pytest.mark.full) for each in ROVER if each != ONE_EACH[0]),
    pytest.param("native", "half published", marks=pytest.mark.full),
    pytest.param("currents", "half staged", marks=pytest.mark.full),
    pytest.param("rover", "half published", marks=pytest.mark.full),
]


@pytest.mark.law(2)
@pytest.mark.law(7)
@pytest.mark.parametrize(("contract", "point"), EACH)
def test_a_killed_run_is_finished_by_the_next_one(
    spark: SparkSession, whole: Path, tmp_path: Path, contract: str, point: str
) -> None:
    copy_tables(whole, tmp_path)
    assert run_child(tmp_path, point, SETTLED) == -signal.SIGKILL
    require_visible(tmp_path, point)
    require_ended(spark, whole, tmp_path, point, strays=point == "half staged")
