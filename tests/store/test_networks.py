"""Every kind of bucket behind a network that goes bad for seconds: what was asked for may have been done (laws 1, 2, 8)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rover_spark.errors import StagedLost, StoreError
from rover_spark.store import open_store
from tests.store.buckets import SERVERS, Bucket, behind
from tests.store.test_faults import DATA, KEY, staged
from tests.toxic import AWAY, TOXICS, Network, toxiproxy

SECONDS = 2


@pytest.fixture(scope="module")
def toxics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with toxiproxy(tmp_path_factory.mktemp("toxiproxy")) as api:
        yield api


@pytest.fixture(params=SERVERS)
def bucket(request: pytest.FixtureRequest) -> Bucket:
    return SERVERS[request.param](request.getfixturevalue(request.param))


@pytest.fixture
def network(toxics: str, bucket: Bucket) -> Network:
    return Network(toxics, bucket.url.partition("://")[2], bucket.access.endpoint or "")


@pytest.mark.law(1)
@pytest.mark.law(8)
@pytest.mark.parametrize("can_read", [True, pytest.param(False, marks=pytest.mark.full)])
@pytest.mark.parametrize("fault", [*TOXICS, AWAY])
def test_a_network_that_goes_bad_for_seconds_delays_a_file_and_does_not_harm_it(
    network: Network, bucket: Bucket, fault: str, can_read: bool
) -> None:
    access = behind(bucket.access, network, can_read=can_read)
    store = open_store(f"{bucket.url}/acme", "acme", access)
    network.goes_bad(fault, SECONDS)
    try:
        file = staged(store)
    except StoreError as error:
        assert error.remedy
        network.recovers()
        file = staged(store, "two")
    network.recovers()
    assert bucket.objects() == {}
    network.goes_bad(fault, SECONDS)
    try:
        store.publish(file)
    except StagedLost:
        assert not can_read, "who may look knows better"
        network.recovers()
        store.publish(staged(store, "again"))
    except StoreError as error:
        assert error.remedy
        network.recovers()
        try:
            store.publish(file)
        except StagedLost:
            assert not can_read
            store.publish(staged(store, "again"))
    network.recovers()
    assert bucket.objects() == {KEY: DATA}
