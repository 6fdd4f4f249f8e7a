"""SIGKILL in the middle of a run that delivers into a bucket; the next run ends as if nothing had happened (laws 2, 4, 7)."""

from __future__ import annotations

import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from rover_spark.delta.session import Session
from rover_spark.demo import SESSION
from rover_spark.face import commands
from rover_spark.ledger.table import Ledger
from rover_spark.produce.port import decode
from tests.crash.child import NOW, POINTS, VISIBLE, settings_of
from tests.crash.scene import copy_tables, destined, run_child
from tests.crash.undisturbed import Undisturbed
from tests.e2e.world import fingerprint
from tests.proxy import LEAST, Proxy, least_rights
from tests.store.buckets import SERVERS, Bucket

SETTLED = {**SESSION, "spark.master": "local[2]"}
MATTERS_MOST = "half published"  # before it a bucket decides nothing


# what a kill leaves in each kind of bucket is the store's affair: its faults are tried at each server in every run
@pytest.fixture(
    params=["s3", *(pytest.param(name, marks=pytest.mark.full) for name in SERVERS if name != "s3")]
)
def bucket(request: pytest.FixtureRequest) -> Bucket:
    return SERVERS[request.param](request.getfixturevalue(request.param))


def _points() -> list[Any]:
    rest = [point for point in POINTS if point != MATTERS_MOST]
    return [MATTERS_MOST, *(pytest.param(point, marks=pytest.mark.full) for point in rest)]


@pytest.mark.law(2)
@pytest.mark.law(7)
@pytest.mark.parametrize("contract", ["rover", pytest.param("currents", marks=pytest.mark.full)])
@pytest.mark.parametrize("can_read", [True, pytest.param(False, marks=pytest.mark.full)])
@pytest.mark.parametrize("point", _points())
def test_a_killed_run_is_finished_by_the_next_one(
    spark: SparkSession,
    whole: Path,
    delivered: dict[str, str],
    tmp_path: Path,
    bucket: Bucket,
    point: str,
    can_read: bool,
    contract: str,
) -> None:
    copy_tables(whole, tmp_path)
    destined(bucket, tmp_path, can_read=can_read)
    assert run_child(tmp_path, point, SETTLED) == -signal.SIGKILL
    seen = bucket.fingerprint()
    visible = VISIBLE.get(point, 0)
    assert len(seen) >= visible, "what was published stays"
    assert bool(seen) == bool(visible), "nothing is visible before the manifest is durable"
    settings = settings_of(tmp_path)
    assert commands.export(spark, settings, now=NOW).ok
    assert bucket.fingerprint() == delivered
    swept = commands.sweep(spark, settings, older_than=timedelta(days=-1))
    assert swept.left or bucket.staged() == 0
    assert commands.export(spark, settings, now=NOW).result == "nothing to do"


@pytest.mark.law(7)
def test_staged_bytes_that_the_store_dropped_are_staged_again_with_the_least_rights(
    spark: SparkSession, undisturbed: Undisturbed, tmp_path: Path, s3: str
) -> None:
    whole = undisturbed("rover")
    bucket = SERVERS["s3"](s3)
    copy_tables(whole, tmp_path)
    with Proxy(s3, least_rights) as proxy:
        destined(bucket, tmp_path, can_read=False, endpoint=proxy.endpoint)
        assert run_child(tmp_path, "STAGED", SETTLED) == -signal.SIGKILL
        ledger = Ledger(
            Session.of(spark), settings_of(tmp_path).ledger, "acme", decode, settings_of(tmp_path).tables
        )
        ledger.open(create=False)
        (batch,) = ledger.batches()
        for file in (*batch.files, *batch.completion):
            bucket.lose(file)
        assert bucket.staged() == 0 and bucket.fingerprint() == {}
        assert commands.export(spark, settings_of(tmp_path), now=NOW).ok
        assert set(proxy.seen) <= LEAST, "to recover takes no other right"
    assert bucket.fingerprint() == fingerprint(whole / "bucket")
