"""S3 under a network that fails, and with a role that may put and abort only (laws 2, 6, 8)."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

import pytest

from rover_spark.config.access import Access
from rover_spark.errors import KeyTaken, PublishUnknown, StagedLost, StoreError
from rover_spark.model.file import StagedFile
from rover_spark.store import Store, open_store
from rover_spark.store.aws import REMEDIES, client
from rover_spark.store.s3 import PART_BYTES
from tests.proxy import LEAST, Proxy, least_rights

pytestmark = pytest.mark.usefixtures("hasty")

KEY = "acme/exports/fan_profiles/date=2026-11-21/hour=10/one.ndjson.gz"
DATA = os.urandom(200_000)
COMPLETE = "CompleteMultipartUpload"


@dataclass
class Faulty:
    """A bucket behind the proxy, and a way around it to see what is really there."""

    proxy: Proxy
    bucket: str
    direct: Access

    def store(self, **access: object) -> Store:
        return open_store(
            f"s3://{self.bucket}/acme",
            "acme",
            Access(endpoint=self.proxy.endpoint, **access),  # type: ignore[arg-type]
        )

    def visible(self) -> dict[str, bytes]:
        store = open_store(f"s3://{self.bucket}/acme", "acme", self.direct)
        found = {}
        for info in store.listing(""):
            with store.read(info.key) as stream:
                found[info.key] = stream.read()
        return found

    def uploads(self) -> list[str]:
        found = client(self.direct.model_dump_json()).list_multipart_uploads(Bucket=self.bucket)
        return [each["UploadId"] for each in found.get("Uploads", ())]


@pytest.fixture
def faulty(s3: str) -> Iterator[Faulty]:
    direct, bucket = Access(endpoint=s3, can_read=True), f"f{os.urandom(8).hex()}"
    client(direct.model_dump_json()).create_bucket(Bucket=bucket)
    with Proxy(s3) as proxy:
        yield Faulty(proxy, bucket, direct)


def staged(store: Store, data: bytes = DATA, attempt: str = "one") -> StagedFile:
    staging = store.stage(KEY, "fan_profiles.1.1", attempt)
    staging.write(data)
    digest = hashlib.sha256(data).hexdigest()
    return StagedFile(KEY, 1, len(data), digest, len(data), digest, 0, 0, staging.finish())


def failing(name: str, fault: str, times: int = 1) -> Callable[[str, int], str | None]:
    return lambda seen, number: fault if seen == name and number < times else None


@pytest.mark.parametrize("can_read", [True, pytest.param(False, marks=pytest.mark.full)])
@pytest.mark.parametrize(
    ("name", "fault", "times"),
    [
        ("CreateMultipartUpload", "lose", 1),
        ("CreateMultipartUpload", "unavailable", 2),
        ("UploadPart", "cut", 1),
        ("UploadPart", "drop", 2),
        ("UploadPart", "lose", 1),
        ("UploadPart", "unavailable", 2),
        (COMPLETE, "drop", 1),
        (COMPLETE, "unavailable", 2),
        (COMPLETE, "error 200", 1),
        (COMPLETE, "slow", 1),
    ],
)
def test_a_network_that_fails_for_a_moment_is_not_noticed(
    faulty: Faulty, can_read: bool, name: str, fault: str, times: int
) -> None:
    store = faulty.store(can_read=can_read)
    faulty.proxy.decide = failing(name, fault, times)
    file = staged(store)
    assert faulty.visible() == {}
    _published(store, file)
    assert faulty.visible() == {KEY: DATA}
    assert "AbortMultipartUpload" not in faulty.proxy.seen


def _published(store: Store, file: StagedFile) -> None:
    """Without reading, a complete that was repeated may say NoSuchUpload: then the file is staged again."""
    try:
        store.publish(file)
    except StagedLost:
        assert not store.can_read
        store.publish(staged(store, attempt="again"))


@pytest.mark.law(8)
@pytest.mark.parametrize("can_read", [True, False])
def test_a_lost_answer_to_a_publish_is_looked_up_or_published_again(faulty: Faulty, can_read: bool) -> None:
    store = faulty.store(can_read=can_read)
    file = staged(store)
    faulty.proxy.decide = failing(COMPLETE, "lose")
    _published(store, file)
    assert faulty.visible() == {KEY: DATA}
    assert "AbortMultipartUpload" not in faulty.proxy.seen


@pytest.mark.law(8)
@pytest.mark.parametrize("can_read", [True, False])
@pytest.mark.parametrize("fault", ["unavailable", "drop"])
def test_a_publish_that_fails_for_ever_is_unknown_and_cleans_nothing_up(
    faulty: Faulty, can_read: bool, fault: str
) -> None:
    store = faulty.store(can_read=can_read)
    file = staged(store)
    faulty.proxy.decide = failing(COMPLETE, fault, 99)
    with pytest.raises(StoreError) as caught:
        store.publish(file)
    assert type(caught.value) is PublishUnknown, "unknown is neither lost nor taken"
    assert faulty.visible() == {}
    assert len(faulty.uploads()) == 1 and "AbortMultipartUpload" not in faulty.proxy.seen
    faulty.proxy.decide = lambda name, number: None
    faulty.store(can_read=can_read).publish(file)
    assert faulty.visible() == {KEY: DATA}


def test_the_error_of_a_bucket_in_another_region_names_that_region(faulty: Faulty) -> None:
    faulty.proxy.decide = lambda seen, number: "elsewhere"
    with pytest.raises(StoreError) as caught:
        staged(faulty.store(region="us-west-1"))
    assert caught.value.remedy == 'Set store.region = "eu-north-1".'
    assert caught.value.message.endswith("was asked for region us-west-1, and the bucket lies in eu-north-1")
    assert 1 < len(faulty.proxy.seen) < 5, "the SDK goes there by itself, once"


def test_a_role_that_may_put_and_abort_delivers_and_nothing_else_is_asked(faulty: Faulty) -> None:
    faulty.proxy.decide = least_rights
    store = faulty.store()
    store.publish(staged(store))
    store.overwrite(staged(store, attempt="two"))
    store.abort([staged(store, attempt="three").staged])
    staging = store.stage(KEY, "fan_profiles.1.1", "four")
    staging.write(DATA)
    staging.abort()
    now = datetime.now(timezone.utc) + timedelta(days=1)
    assert store.sweep(now, frozenset(), lambda key: True) == []
    assert "AbortIncompleteMultipartUpload" in store.unswept
    assert set(faulty.proxy.seen) == LEAST - {"PutObject"}
    assert faulty.visible() == {KEY: DATA} and faulty.uploads() == []


@pytest.mark.parametrize(
    ("operation", "permission"),
    [
        ("CreateMultipartUpload", "s3:PutObject "),
        ("UploadPart", "s3:PutObject "),
        (COMPLETE, "s3:PutObject "),
        ("HeadObject", "s3:GetObject "),
        ("GetObject", "s3:GetObject "),
        ("ListObjects", "s3:ListBucket "),
        ("ListMultipartUploads", "s3:ListBucketMultipartUploads "),
    ],
)
def test_a_refusal_names_the_permission_of_what_was_refused(
    faulty: Faulty, operation: str, permission: str
) -> None:
    store = faulty.store(can_read=operation != COMPLETE)
    faulty.proxy.decide = lambda name, number: "refuse" if name == operation else None
    now = datetime.now(timezone.utc)
    with pytest.raises(StoreError) as caught:
        store.publish(staged(store))
        store.read(KEY).__enter__()
        list(store.listing(""))
        store.sweep(now, frozenset(), lambda key: True)
    assert "Grant" in caught.value.remedy and permission in caught.value.remedy
    assert ("s3:PutObject " in caught.value.remedy) is (permission == "s3:PutObject ")


def test_a_part_that_is_not_the_one_that_was_sent_is_staged_again(faulty: Faulty) -> None:
    store = faulty.store()
    file = staged(store)
    reference = json.loads(file.staged)
    reference["parts"][0]["ETag"] = '"0123456789abcdef0123456789abcdef"'
    with pytest.raises(StagedLost):
        store.publish(replace(file, staged=json.dumps(reference)))
    assert faulty.visible() == {}


def test_parts_carry_their_checksum_whatever_the_sdk_is_configured_to_do(
    faulty: Faulty, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    # a region of its own makes a client of its own
    access = Access(endpoint=s3, region="us-east-1", can_read=True)
    client.cache_clear()
    store = open_store(f"s3://{faulty.bucket}/acme", "acme", access)
    file = staged(store)
    assert json.loads(file.staged)["parts"][0]["ChecksumCRC32"]
    store.publish(file)
    client.cache_clear()
    assert faulty.visible() == {KEY: DATA}


def test_another_tries_equal_object_is_success_and_leaves_no_upload(faulty: Faulty) -> None:
    store = faulty.store(can_read=True)
    one, two = staged(store), staged(store, attempt="two")
    store.publish(one)
    store.publish(two)
    assert faulty.visible() == {KEY: DATA} and faulty.uploads() == []


@pytest.mark.law(6)
def test_a_zombie_that_uploads_after_the_publish_changes_nothing(faulty: Faulty) -> None:
    store = faulty.store(can_read=True)
    zombie = store.stage(KEY, "fan_profiles.1.1", "zombie")
    zombie.write(b"half of it")
    store.publish(staged(store))
    zombie.finish()
    assert faulty.visible() == {KEY: DATA}


@pytest.mark.law(6)
def test_a_foreign_object_is_never_replaced_where_reading_is_allowed(faulty: Faulty) -> None:
    store = faulty.store(can_read=True)
    store.publish(staged(store, b"another"))
    with pytest.raises(KeyTaken):
        store.publish(staged(store, attempt="two"))
    assert faulty.visible() == {KEY: b"another"}


@pytest.mark.law(7)
def test_sweep_ends_uploads_that_are_old_and_ours(faulty: Faulty) -> None:
    store = faulty.store(can_read=True)
    files = [staged(store, attempt=attempt) for attempt in ("one", "two", "kept")]
    kept = json.loads(files[2].staged)["upload"]
    now = datetime.now(timezone.utc)
    keep = frozenset({files[2].staged})
    assert store.sweep(now - timedelta(days=7), keep, lambda key: True) == []
    assert store.sweep(now + timedelta(days=1), keep, lambda key: key != KEY) == []
    assert len(faulty.uploads()) == 3
    assert len(store.sweep(now + timedelta(days=1), keep, lambda key: key == KEY)) == 2
    assert faulty.uploads() == [kept]


def test_a_large_file_goes_up_in_parts_and_never_lies_in_memory_whole(faulty: Faulty) -> None:
    store = faulty.store(can_read=True)
    staging, block, digest = (
        store.stage(KEY, "fan_profiles.1.1", "one"),
        os.urandom(1 << 20),
        hashlib.sha256(),
    )
    for _ in range(40):
        staging.write(block)
        digest.update(block)
        assert len(staging._waiting) < PART_BYTES  # type: ignore[attr-defined]
    sha = digest.hexdigest()
    store.publish(StagedFile(KEY, 1, 40 << 20, sha, 40 << 20, sha, 0, 0, staging.finish()))
    assert faulty.proxy.seen.count("UploadPart") == 3
    assert faulty.visible()[KEY] == block * 40


def test_an_error_holds_the_code_of_s3_and_neither_its_text_nor_a_secret(
    faulty: Faulty, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = open_store("s3://no-such-bucket-here/acme", "acme", Access(endpoint=s3))
    with pytest.raises(StoreError) as caught:
        missing.stage(KEY, "b", "one")
    assert caught.value.message == f"cannot stage s3://no-such-bucket-here/{KEY}: NoSuchBucket"
    assert caught.value.remedy == REMEDIES["NoSuchBucket"]
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-and-private")
    # a region of its own makes a client of its own
    wrong = open_store(f"s3://{faulty.bucket}/acme", "acme", Access(endpoint=s3, region="us-east-1"))
    with pytest.raises(StoreError) as caught:
        wrong.stage(KEY, "b", "one")
    assert caught.value.message.endswith("SignatureDoesNotMatch")
    assert "private" not in str(caught.value) + repr(caught.value.__cause__) + caught.value.remedy


@pytest.mark.parametrize("act", ["stage", "list", "read", "sweep"])
def test_the_error_of_a_server_that_is_away_names_its_address(act: str) -> None:
    store = open_store("s3://bucket/acme", "acme", Access(endpoint="http://127.0.0.1:9", can_read=True))
    acts: dict[str, Callable[[], object]] = {
        "stage": lambda: store.stage(KEY, "b", "one"),
        "list": lambda: list(store.listing("")),
        "read": lambda: store.read(KEY).__enter__(),
        "sweep": lambda: store.sweep(datetime.now(timezone.utc), frozenset(), lambda key: True),
    }
    with pytest.raises(StoreError) as caught:
        acts[act]()
    where = "EndpointConnectionError: nothing listens there: http://127.0.0.1:9, region us-east-1"
    assert caught.value.message.endswith(where)
    assert (
        caught.value.remedy.startswith("Check store.endpoint") and "Run export again" in caught.value.remedy
    )
