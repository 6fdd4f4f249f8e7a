"""Whole exports into S3: with the least rights, and while the bucket is away (laws 4, 5, 8)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from rover_spark import commands
from rover_spark.access import Access
from rover_spark.errors import ConfigError
from rover_spark.store import open_store
from rover_spark.store.aws import client
from tests.e2e.world import World, row
from tests.proxy import LEAST, Proxy, least_rights

FIRST = ", ".join(row(n, "email", f"{n}@example.com", "2026-11-20 10:00:00") for n in range(40))


class Remote:
    """A world that delivers through the proxy, and the bucket as it really is."""

    def __init__(self, spark: SparkSession, root: Path, endpoint: str, proxy: Proxy) -> None:
        self.proxy = proxy
        self.world = World(spark, root)
        self.world.identities(FIRST)
        self.direct = Access(endpoint=endpoint, can_read=True)
        self.bucket = f"e{os.urandom(8).hex()}"
        self.client = client(self.direct.model_dump_json())
        self.client.create_bucket(Bucket=self.bucket)
        self.reach()

    def reach(self, **access: Any) -> None:
        """Through the proxy as it is told, or straight."""
        store = {"endpoint": self.proxy.endpoint, **access}
        self.world.options = {
            "destination": f"s3://{self.bucket}/acme",
            "store": store,
            "files": {"target_records": 20},
        }

    def straight(self) -> None:
        self.reach(endpoint=self.direct.endpoint, can_read=True)

    def objects(self) -> dict[str, bytes]:
        store = open_store(f"s3://{self.bucket}/acme", "acme", self.direct)
        found = {}
        for info in store.listing(""):
            with store.read(info.key) as stream:
                found[info.key] = stream.read()
        return found


@pytest.fixture
def remote(spark: SparkSession, tmp_path: Path, s3: str) -> Iterator[Remote]:
    with Proxy(s3) as proxy:
        yield Remote(spark, tmp_path, s3, proxy)


def test_put_and_abort_are_rights_enough_to_export_and_to_redeliver(remote: Remote) -> None:
    world, remote.proxy.decide = remote.world, least_rights
    (batch,) = world.delivered().batches
    world.sql("DELETE FROM {t} WHERE value = '3@example.com'", t="ids")
    world.delivered()
    whole = remote.objects()
    assert len(whole) > 2 and all(key.startswith("acme/exports/fan_identity_graph/") for key in whole)
    # one object damaged, one removed: redelivery puts both back
    one, two = (file.key for file in batch.files[:2])
    remote.client.put_object(Bucket=remote.bucket, Key=one, Body=b"damaged")
    remote.client.delete_object(Bucket=remote.bucket, Key=two)
    assert commands.redeliver(world.spark, world.settings, batch.batch).ok
    assert remote.objects() == whole
    with pytest.raises(ConfigError) as caught:
        commands.verify(world.spark, world.settings)
    assert caught.value.code == "store_unreadable"
    swept = commands.sweep(world.spark, world.settings).more
    assert "AbortIncompleteMultipartUpload" in swept["left"]
    assert set(remote.proxy.seen) <= LEAST, "a role that may no more is enough"
    remote.straight()
    assert commands.verify(world.spark, world.settings).ok


@pytest.mark.parametrize("can_read", [True, False])
def test_a_bucket_that_is_away_loses_nothing_and_is_drained_when_it_is_back(
    remote: Remote, can_read: bool
) -> None:
    world = remote.world
    remote.reach(can_read=can_read)
    world.delivered()
    remote.proxy.decide = lambda name, number: "drop"
    for hour in range(3):
        world.sql(
            f"INSERT INTO {{t}} VALUES {row(100 + hour, 'email', 'new', '2026-11-21 10:00:00')}", t="ids"
        )
        result = world.export()
        assert not result.ok and result.batches == ()
        (problem,) = result.problems
        assert problem.code == "store_refused" and f"s3://{remote.bucket}/" in problem.message
        assert "nothing of this batch is visible" in problem.message and "run export again" in problem.remedy
        assert "not-a-secret-on-loopback" not in str(result.document())
    before = remote.objects()
    remote.proxy.decide = lambda name, number: None
    drained = world.delivered().batches
    assert sum(batch.counts["delivered"] for batch in drained) == 3
    assert len(remote.objects()) > len(before)
    remote.straight()
    assert commands.verify(world.spark, world.settings).ok


def test_a_run_whose_last_answer_was_lost_is_ended_by_the_next_one(remote: Remote) -> None:
    world = remote.world
    remote.proxy.decide = lambda name, number: "lose" if name == "CompleteMultipartUpload" else None
    first = world.export()
    assert "AbortMultipartUpload" not in remote.proxy.seen, "never a clean-up after an unknown outcome"
    remote.proxy.decide = lambda name, number: None
    if not first.ok:
        world.delivered()
    remote.straight()
    assert commands.verify(world.spark, world.settings).ok
    assert world.export().result == "nothing to do"
