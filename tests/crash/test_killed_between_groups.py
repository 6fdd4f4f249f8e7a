"""SIGKILL between two publishes of a role that may put and abort only: no more than one group is in doubt (laws 2, 7, 8)."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from rover_spark.demo import SESSION
from rover_spark.face import commands
from rover_spark.face.results import Result
from tests.crash.child import FILES, GROUP, GROUP_HALF, GROUP_NOTED, NOW, settings_of
from tests.crash.scene import copy_tables, destined, run_child
from tests.proxy import LEAST, Proxy, UsedUp, least_rights
from tests.store.buckets import SERVERS, Bucket

SETTLED = {**SESSION, "spark.master": "local[2]"}
COMPLETE, BEGIN, PART = "CompleteMultipartUpload", "CreateMultipartUpload", "UploadPart"
ABORT, MANIFEST = "AbortMultipartUpload", 1


@dataclass
class Scene:
    """An export into S3 that was killed, and what each later run asks of S3."""

    spark: SparkSession
    root: Path
    bucket: Bucket
    proxy: Proxy

    def export(self) -> tuple[Result, Counter[str]]:
        """One more run; how often it asked for what."""
        before = len(self.proxy.seen)
        result = commands.export(self.spark, settings_of(self.root), now=NOW)
        asked = Counter(self.proxy.seen[before:])
        assert set(asked) <= LEAST
        return result, asked


@pytest.fixture
def scene(spark: SparkSession, whole: Path, tmp_path: Path, s3: str) -> Iterator[Scene]:
    bucket = SERVERS["s3"](s3)
    copy_tables(whole, tmp_path)
    with UsedUp(s3, least_rights) as proxy:
        destined(bucket, tmp_path, can_read=False, endpoint=proxy.endpoint)
        yield Scene(spark, tmp_path, bucket, proxy)


@pytest.mark.full
@pytest.mark.law(7)
@pytest.mark.parametrize("contract", ["rover"])
def test_a_run_that_is_killed_between_two_groups_stages_nothing_again(
    scene: Scene, delivered: dict[str, str]
) -> None:
    assert run_child(scene.root, GROUP_NOTED, SETTLED) == -signal.SIGKILL
    assert len(scene.bucket.fingerprint()) == GROUP
    result, asked = scene.export()
    assert result.ok and asked == {COMPLETE: FILES - GROUP + MANIFEST}
    assert scene.bucket.fingerprint() == delivered and scene.bucket.staged() == 0


@pytest.mark.full
@pytest.mark.law(7)
@pytest.mark.law(8)
@pytest.mark.parametrize("contract", ["rover", pytest.param("currents", marks=pytest.mark.full)])
def test_of_a_run_that_is_killed_inside_a_group_only_that_group_is_staged_again_or_waits(
    scene: Scene, delivered: dict[str, str]
) -> None:
    assert run_child(scene.root, GROUP_HALF, SETTLED) == -signal.SIGKILL
    visible = scene.bucket.fingerprint()
    doubt = len(visible) - GROUP
    assert 0 < doubt <= GROUP

    # VACUUM took the files of the table: what is in doubt cannot be staged again
    table, away = scene.root / "tables" / "ids", scene.root / "away"
    away.mkdir()
    for path in table.glob("*.parquet"):
        path.rename(away / path.name)
    result, asked = scene.export()
    (problem,) = result.problems
    assert problem.code == "source_gap" and "store.can_read = true" in problem.remedy
    assert f"{FILES - doubt} of its {FILES} files are published" in problem.message
    assert asked == {COMPLETE: FILES - GROUP}
    files = {key: digest for key, digest in delivered.items() if "manifests" not in key}
    assert scene.bucket.fingerprint() == files, "what was in doubt was visible, and the rest is so now"
    assert len(delivered) == len(files) + MANIFEST, "which waits with what is in doubt"
    result, asked = scene.export()
    assert [*result.problems] == [problem] and asked == {COMPLETE: doubt}, "the rest is not published again"

    for path in away.iterdir():
        path.rename(table / path.name)
    result, asked = scene.export()
    assert result.ok
    again = doubt + MANIFEST
    assert asked == {COMPLETE: doubt + again, BEGIN: again, PART: again, ABORT: MANIFEST}, (
        "nothing else is staged again"
    )
    assert scene.bucket.fingerprint() == delivered and scene.bucket.staged() == 0
