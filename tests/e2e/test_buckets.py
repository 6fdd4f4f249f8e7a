"""Whole exports into buckets: with the least rights, while the bucket is away, when it goes away half way (laws 4, 5, 8)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from pyspark.sql import SparkSession

from rover_spark.errors import ConfigError
from rover_spark.face import commands
from rover_spark.store.aws import client
from tests.crash.child import events_of
from tests.e2e.world import World, row
from tests.proxy import LEAST, Proxy, least_rights
from tests.store.buckets import PUBLISH, SERVERS, STAGE, before, behind, put

FIRST = ", ".join(row(n, "email", f"{n}@example.com", "2026-11-20 10:00:00") for n in range(40))
IN_CI = ("rover", "s3", True)


OBJECTS = 3  # two files of one batch, and its manifest


class Remote:
    """A world that delivers through a proxy, and the bucket as it really is."""

    def __init__(
        self, spark: SparkSession, root: Path, contract: str, server: str, endpoint: str, proxy: Proxy
    ) -> None:
        self.contract, self.server, self.proxy = contract, server, proxy
        self.world = World(spark, root)
        self.world.identities(FIRST)
        self.bucket = SERVERS[server](endpoint)
        self.reach()

    def reach(self, **access: Any) -> None:
        """Through the proxy, without the right to read unless it is given."""
        self._store(behind(self.bucket.access, self.proxy, **{"can_read": False, **access}))

    def straight(self) -> None:
        self._store(self.bucket.access)

    def _store(self, access: Any) -> None:
        self.world.options = {
            "destination": f"{self.bucket.url}/acme",
            "store": access.model_dump(exclude_defaults=True),
            "files": {"target_records": 20},
        }
        if self.contract == "currents":
            self.world.options |= events_of(self.world.table("ids"), partitions=2)

    def fails(self, fault: str, name: str | None = None, after: int = 0) -> None:
        """Requests fail, or those of one name, from the one with that number on."""
        seen = self.proxy.seen.count(name) if name else 0
        self.proxy.decide = lambda told, number: (
            fault if name is None or (told == name and number >= seen + after) else None
        )

    def recovers(self) -> None:
        self.proxy.decide = lambda told, number: None


@pytest.fixture
def remote(
    spark: SparkSession, tmp_path: Path, contract: str, server: str, request: pytest.FixtureRequest
) -> Iterator[Remote]:
    endpoint = request.getfixturevalue(server)
    with before(server, endpoint) as proxy:
        yield Remote(spark, tmp_path, contract, server, endpoint, proxy)


def _on_each(*faults: str) -> pytest.MarkDecorator:
    """Each fault on each server, and under the other contract the first of them; what CI leaves out is marked."""
    cases = [
        pytest.param(contract, server, fault, marks=() if first == IN_CI else pytest.mark.full)
        for server in SERVERS
        for contract, mine in (("rover", faults), ("currents", faults[:1]))
        for fault in mine
        if (first := (contract, server, fault == faults[0]))
    ]
    return pytest.mark.parametrize(("contract", "server", "fault"), cases)


@pytest.mark.parametrize(("contract", "server"), [("rover", "s3")])
def test_put_and_abort_are_rights_enough_to_export_and_to_redeliver(remote: Remote) -> None:
    world, remote.proxy.decide = remote.world, least_rights
    (batch,) = world.delivered().batches
    world.sql("DELETE FROM {t} WHERE value = '3@example.com'", t="ids")
    world.delivered()
    whole = remote.bucket.objects()
    folders = {key.partition("/date=")[0] for key in whole}
    assert len(whole) > 4 and folders == {
        f"acme/{each}/fan_identity_graph" for each in ("exports", "manifests")
    }
    # one object damaged, one removed, and the manifest: redelivery puts all back
    one, two = (file.key for file in batch.files[:2])
    put(remote.bucket, batch.completion[-1].key, b"damaged")
    direct, name = client(remote.bucket.access.model_dump_json()), remote.bucket.url.removeprefix("s3://")
    put(remote.bucket, one, b"damaged")
    direct.delete_object(Bucket=name, Key=two)
    assert commands.redeliver(world.spark, world.settings, batch.batch).ok
    assert remote.bucket.objects() == whole
    with pytest.raises(ConfigError) as caught:
        commands.verify(world.spark, world.settings)
    assert caught.value.code == "store_unreadable"
    swept = commands.sweep(world.spark, world.settings)
    assert "AbortIncompleteMultipartUpload" in swept.left
    assert set(remote.proxy.seen) <= LEAST, "a role that may no more is enough"
    remote.straight()
    assert commands.verify(world.spark, world.settings).ok


@pytest.mark.law(5)
@pytest.mark.parametrize("can_read", [True, pytest.param(False, marks=pytest.mark.full)])
@_on_each("drop", "refuse", "unavailable")
def test_a_bucket_that_is_away_for_a_day_loses_nothing_and_is_drained_when_it_is_back(
    remote: Remote, fault: str, can_read: bool
) -> None:
    world = remote.world
    remote.reach(can_read=can_read)
    world.delivered()
    remote.fails(fault)
    for hour in range(2):
        world.sql(
            f"INSERT INTO {{t}} VALUES {row(100 + hour, 'email', 'new', '2026-11-21 10:00:00')}", t="ids"
        )
        result = world.export()
        assert not result.ok and result.batches == ()
        (problem,) = result.problems
        assert problem.code == "store_refused" and f"{remote.bucket.url}/" in problem.message
        assert "nothing new is visible" in problem.message and "run export again" in problem.remedy.lower()
        assert fault != "refuse" or problem.remedy.startswith("Grant "), "what the task was told to do"
        assert "not-a-secret-on-loopback" not in str(result.document())
    before = remote.bucket.objects()
    remote.recovers()
    drained = world.delivered().batches
    assert sum(batch.counts["delivered"] for batch in drained) == 2
    assert len(remote.bucket.objects()) > len(before)
    remote.straight()
    assert commands.verify(world.spark, world.settings).ok


@pytest.mark.law(7)
@pytest.mark.parametrize("step", ["stage", pytest.param("publish", marks=pytest.mark.full)])
@_on_each("drop", "unavailable", "expired")
def test_a_bucket_that_goes_away_half_way_is_filled_when_it_is_back(
    remote: Remote, fault: str, step: str
) -> None:
    world, name = remote.world, {"stage": STAGE, "publish": PUBLISH}[step][remote.server]
    remote.fails(fault, name, after=1)
    first = world.export()
    assert not first.ok and first.problems[0].remedy
    seen = remote.bucket.objects()
    assert len(seen) == (1 if step == "publish" else 0)
    remote.recovers()
    world.delivered()
    whole = remote.bucket.objects()
    assert len(whole) == OBJECTS and seen.items() <= whole.items()
    remote.straight()
    assert commands.verify(world.spark, world.settings).ok
    assert world.export().result == "nothing to do"


@pytest.mark.full
@pytest.mark.parametrize(("contract", "server"), [("rover", server) for server in SERVERS])
def test_a_server_that_is_gone_for_a_minute_in_the_middle_of_a_run_costs_a_run_at_the_most(
    remote: Remote,
) -> None:
    remote.fails("drop", STAGE[remote.server], after=1)
    back = Timer(60, remote.recovers)
    back.start()
    first = remote.world.export()
    back.join()
    if not first.ok:
        assert remote.bucket.objects() == {}
        remote.world.delivered()
    remote.straight()
    assert (
        len(remote.bucket.objects()) == OBJECTS
        and commands.verify(remote.world.spark, remote.world.settings).ok
    )


@pytest.mark.law(8)
@_on_each("lose", "error 200")
def test_a_run_whose_last_answer_was_lost_is_ended_by_the_next_one(remote: Remote, fault: str) -> None:
    world = remote.world
    remote.fails(fault, PUBLISH[remote.server])
    first = world.export()
    assert "AbortMultipartUpload" not in remote.proxy.seen, "never a clean-up after an unknown outcome"
    remote.recovers()
    if not first.ok:
        world.delivered()
    remote.straight()
    assert commands.verify(world.spark, world.settings).ok
    assert world.export().result == "nothing to do"
