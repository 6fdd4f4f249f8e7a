"""Tasks that die, fail or are lost while they stage: Spark runs them again, and the bucket does not tell (laws 2, 4, 7)."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from rover_spark.demo import SESSION
from rover_spark.face import commands
from tests.crash.child import NOW, settings_of
from tests.crash.scene import blows_of, copy_tables, parted, run_child
from tests.e2e.world import fingerprint

HERE = Path(__file__).parent

# "local[2,4]" tries a task four times; plain "local[2]" never tries again
RETRIED, ONCE = "local[2,4]", "local[2]"


def _troubled(
    patch: pytest.MonkeyPatch, whole: Path, root: Path, master: str, trouble: str, attempts: int
) -> tuple[int, list[dict[str, Any]]]:
    """One export in a process of its own whose third task gets into trouble; its exit code, and each blow."""
    copy_tables(whole, root)
    patch.setenv("PYTHONPATH", os.pathsep.join(map(str, (HERE.parents[1], HERE))))
    patch.setenv("TROUBLE", trouble)
    patch.setenv("TROUBLE_ROOT", str(root))
    patch.setenv("TROUBLE_PARTITION", "2")
    patch.setenv("TROUBLE_ATTEMPTS", str(attempts))
    conf = {**SESSION, "spark.master": master, "spark.python.daemon.module": "troubled"}
    return run_child(root, "never", conf), blows_of(root)


def _swept(spark: SparkSession, root: Path) -> list[str]:
    return list(commands.sweep(spark, settings_of(root), older_than=timedelta()).removed)


@pytest.mark.law(4)
@pytest.mark.parametrize(
    ("contract", "trouble", "attempts", "left"),
    [
        pytest.param("native", "killed", 2, 2, id="its worker is killed twice"),
        pytest.param("rover", "lost", 1, 1, id="it is lost after it staged", marks=pytest.mark.full),
        pytest.param("rover", "killed", 2, 2, id="rover-killed", marks=pytest.mark.full),
        pytest.param("files", "killed", 2, 2, id="files-killed", marks=pytest.mark.full),
        pytest.param("native", "lost", 1, 1, id="native-lost", marks=pytest.mark.full),
        pytest.param("rover", "failing", 2, 0, id="it fails twice", marks=pytest.mark.full),
        pytest.param("native", "failing", 2, 0, id="native-failing", marks=pytest.mark.full),
    ],
)
def test_a_task_that_is_tried_again_changes_nothing_in_the_bucket(
    spark: SparkSession,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trouble: str,
    attempts: int,
    left: int,
) -> None:
    code, blows = _troubled(monkeypatch, whole, tmp_path, RETRIED, trouble, attempts)
    assert code == 0
    assert [blow["visible"] for blow in blows] == [[]] * attempts, "nothing is visible while a task stages"
    visible, strays = parted(tmp_path / "bucket")
    assert visible == fingerprint(whole / "bucket")
    # a worker that is killed cannot clear up; one that fails does
    assert len(strays) == left
    if trouble == "lost":
        (name, digest), by_name = *strays.items(), {Path(key).name: visible[key] for key in visible}
        assert digest == by_name[Path(name).stem.partition("-")[2]], (
            "what was lost was whole: the same bytes under another name"
        )
    assert _swept(spark, tmp_path) == sorted(strays)
    assert fingerprint(tmp_path / "bucket") == fingerprint(whole / "bucket")
    assert commands.verify(spark, settings_of(tmp_path)).ok


@pytest.mark.law(2)
@pytest.mark.law(7)
@pytest.mark.full
@pytest.mark.parametrize("contract", ["rover", "native"])
def test_a_run_that_dies_of_one_killed_worker_shows_nothing_and_the_next_one_delivers(
    spark: SparkSession, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, blows = _troubled(monkeypatch, whole, tmp_path, ONCE, "killed", 1)
    assert code != 0 and len(blows) == 1
    visible, strays = parted(tmp_path / "bucket")
    assert not visible and strays
    result = commands.export(spark, settings_of(tmp_path), now=NOW)
    assert result.ok and [batch.state for batch in result.batches] == ["COMMITTED"]
    visible, left = parted(tmp_path / "bucket")
    assert (visible, left) == (fingerprint(whole / "bucket"), strays)
    assert _swept(spark, tmp_path) == sorted(strays)
    assert fingerprint(tmp_path / "bucket") == fingerprint(whole / "bucket")
