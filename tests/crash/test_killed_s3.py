"""SIGKILL in the middle of a run that delivers into S3; the next run ends as if nothing had happened (laws 2, 4, 7)."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from rover_spark import commands
from rover_spark.access import Access
from rover_spark.demo import SESSION
from rover_spark.store import open_store
from rover_spark.store.aws import client
from tests.crash.child import FILES, NOW, POINTS, settings_of
from tests.crash.scene import copy_tables, run_child
from tests.e2e.world import fingerprint

SETTLED = {**SESSION, "spark.master": "local[2]"}
MATTER_MOST = ("half staged", "half published")


class Bucket:
    """A new bucket, and what is really in it."""

    def __init__(self, endpoint: str) -> None:
        self.access = Access(endpoint=endpoint, can_read=True)
        self.name = f"k{os.urandom(8).hex()}"
        self.client = client(self.access.model_dump_json())
        self.client.create_bucket(Bucket=self.name)

    def tell(self, root: Path, **access: Any) -> None:
        store = {"endpoint": self.access.endpoint, **access}
        (root / "destination.json").write_text(
            json.dumps({"destination": f"s3://{self.name}", "store": store})
        )

    def visible(self) -> dict[str, str]:
        store = open_store(f"s3://{self.name}", "acme", self.access)
        found = {}
        for info in store.listing(""):
            with store.read(info.key) as stream:
                found[info.key] = hashlib.sha256(stream.read()).hexdigest()
        return found

    def uploads(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])
        return found


@pytest.fixture
def bucket(s3: str) -> Bucket:
    return Bucket(s3)


def _points() -> list[Any]:
    rest = [pytest.param(point, marks=pytest.mark.full) for point in POINTS if point not in MATTER_MOST]
    return [*MATTER_MOST, *rest]


@pytest.mark.parametrize("can_read", [True, pytest.param(False, marks=pytest.mark.full)])
@pytest.mark.parametrize("point", _points())
def test_a_killed_run_is_finished_by_the_next_one(
    spark: SparkSession, undisturbed: Path, tmp_path: Path, bucket: Bucket, point: str, can_read: bool
) -> None:
    copy_tables(undisturbed, tmp_path)
    bucket.tell(tmp_path, can_read=can_read)
    assert run_child(tmp_path, point, SETTLED) == -signal.SIGKILL
    seen = bucket.visible()
    visible = {"half published": FILES // 2, "before COMMITTED": FILES, "COMMITTED": FILES}.get(point, 0)
    assert len(seen) >= visible, "what was published stays"
    assert bool(seen) == bool(visible), "nothing is visible before the manifest is durable"
    settings = settings_of(tmp_path)
    assert commands.export(spark, settings, now=NOW).ok
    assert bucket.visible() == fingerprint(undisturbed / "bucket")
    swept = commands.sweep(spark, settings, older_than=timedelta(days=-1)).more
    assert bool(swept["left"]) == (not can_read)
    if can_read:
        assert bucket.uploads() == []
    assert commands.export(spark, settings, now=NOW).result == "nothing to do"


def test_uploads_that_a_lifecycle_rule_removed_are_staged_again(
    spark: SparkSession, undisturbed: Path, tmp_path: Path, bucket: Bucket
) -> None:
    copy_tables(undisturbed, tmp_path)
    bucket.tell(tmp_path)
    assert run_child(tmp_path, "STAGED", SETTLED) == -signal.SIGKILL
    for each in bucket.uploads():
        bucket.client.abort_multipart_upload(Bucket=bucket.name, Key=each["Key"], UploadId=each["UploadId"])
    assert bucket.uploads() == [] and bucket.visible() == {}
    assert commands.export(spark, settings_of(tmp_path), now=NOW).ok
    assert bucket.visible() == fingerprint(undisturbed / "bucket")
