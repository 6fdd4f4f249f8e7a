"""Every kind of bucket under a network that fails: staging and publishing end whole, or say so (laws 1, 2, 8)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from rover_spark.errors import PublishUnknown, StagedLost, StoreError
from rover_spark.model.file import StagedFile
from rover_spark.store import Store, open_store
from tests.proxy import Proxy
from tests.store.buckets import PUBLISH, SERVERS, STAGE, Bucket, before, behind

pytestmark = pytest.mark.usefixtures("hasty")

KEY = "acme/exports/fan_profiles/date=2026-11-21/hour=10/one.ndjson.gz"
DATA = os.urandom(200_000)


@dataclass
class Faulty:
    """A bucket reached through a proxy, and as it really is."""

    server: str
    proxy: Proxy
    bucket: Bucket

    def store(self, *, can_read: bool) -> Store:
        access = behind(self.bucket.access, self.proxy, can_read=can_read)
        return open_store(f"{self.bucket.url}/acme", "acme", access)

    def fails(self, name: str, fault: str, times: int) -> None:
        self.proxy.decide = lambda seen, number: fault if seen == name and number < times else None

    def recovers(self) -> None:
        self.proxy.decide = lambda seen, number: None


@pytest.fixture(params=SERVERS)
def faulty(request: pytest.FixtureRequest) -> Iterator[Faulty]:
    endpoint = request.getfixturevalue(request.param)
    with before(request.param, endpoint) as proxy:
        yield Faulty(request.param, proxy, SERVERS[request.param](endpoint))


def staged(store: Store, attempt: str = "one") -> StagedFile:
    staging = store.stage(KEY, "fan_profiles.1.1", attempt)
    staging.write(DATA)
    digest = hashlib.sha256(DATA).hexdigest()
    return StagedFile(KEY, 1, len(DATA), digest, len(DATA), digest, 0, 0, staging.finish())


@pytest.mark.law(1)
@pytest.mark.parametrize("can_read", [True, pytest.param(False, marks=pytest.mark.full)])
@pytest.mark.parametrize(
    ("fault", "times"), [("drop", 1), ("unavailable", 2), ("cut", 1), ("lose", 1), ("slow", 1)]
)
def test_a_file_is_staged_whole_or_not_at_all(faulty: Faulty, fault: str, times: int, can_read: bool) -> None:
    store = faulty.store(can_read=can_read)
    faulty.fails(STAGE[faulty.server], fault, times)
    try:
        file = staged(store)
    except StoreError:
        faulty.recovers()
        file = staged(store, "two")
    assert faulty.bucket.objects() == {}
    store.publish(file)
    assert faulty.bucket.objects() == {KEY: DATA}


@pytest.mark.law(1)
@pytest.mark.law(8)
@pytest.mark.parametrize("can_read", [True, False])
@pytest.mark.parametrize(("fault", "times"), [("drop", 1), ("unavailable", 2), ("lose", 1), ("slow", 1)])
def test_a_publish_ends_whole_or_raises_and_may_be_repeated(
    faulty: Faulty, fault: str, times: int, can_read: bool
) -> None:
    store = faulty.store(can_read=can_read)
    file = staged(store)
    faulty.fails(PUBLISH[faulty.server], fault, times)
    try:
        store.publish(file)
    except StagedLost:
        assert not can_read
        store.publish(staged(store, "again"))
    except StoreError:
        faulty.recovers()
        store.publish(file)
    assert faulty.bucket.objects() == {KEY: DATA}


@pytest.mark.law(8)
@pytest.mark.parametrize("can_read", [True, False])
@pytest.mark.parametrize("act", ["publish", "overwrite"])
def test_an_outcome_that_is_unknown_is_an_error_of_its_own_and_nothing_is_cleaned_up(
    faulty: Faulty, act: str, can_read: bool
) -> None:
    store = faulty.store(can_read=can_read)
    file = staged(store)
    faulty.fails(PUBLISH[faulty.server], "refuse", 99)
    with pytest.raises(StoreError) as caught:
        getattr(store, act)(file)
    assert type(caught.value) is PublishUnknown and caught.value.remedy
    assert caught.value.code == "store_refused", "what a reader of --json sees"
    assert faulty.bucket.objects() == {} and faulty.bucket.staged() == 1
    faulty.recovers()
    faulty.store(can_read=can_read).publish(file)
    assert faulty.bucket.objects() == {KEY: DATA}


@pytest.mark.law(8)
@pytest.mark.parametrize("can_read", [True, False])
@pytest.mark.parametrize("act", ["publish", "overwrite"])
def test_an_unknown_outcome_that_was_a_success_takes_nothing_back(
    faulty: Faulty, act: str, can_read: bool
) -> None:
    """The answer is lost, and nobody may ask again: neither publish nor look."""
    store = faulty.store(can_read=can_read)
    file = staged(store)
    first = PUBLISH[faulty.server]
    faulty.proxy.decide = lambda seen, number: "lose" if (seen, number) == (first, 0) else "refuse"
    with pytest.raises(PublishUnknown):
        getattr(store, act)(file)
    assert not [seen for seen in faulty.proxy.seen if seen.startswith(("Abort", "Delete"))]
    assert faulty.bucket.objects() == {KEY: DATA}, "the object stays"


def test_a_role_that_may_not_write_gets_a_remedy_that_names_the_right(faulty: Faulty) -> None:
    faulty.fails(STAGE[faulty.server], "refuse", 99)
    with pytest.raises(StoreError) as caught:
        staged(faulty.store(can_read=False))
    assert "Grant" in caught.value.remedy and caught.value.__cause__ is None
