"""What requests to S3 carry beside the bytes: encryption, tags, the owner, whose credentials (on a server that keeps all of it)."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs
from urllib.request import Request, urlopen

import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from rover_spark.config.access import Access
from rover_spark.errors import StoreError
from rover_spark.model.file import StagedFile
from rover_spark.store import open_store
from rover_spark.store.aws import REMEDIES, client, remedy

KEY = "acme/exports/fan_profiles/date=2026-11-21/hour=10/one.ndjson.gz"
DATA = b"not much"
ROLE = "arn:aws:iam::123456789012:role/receiver"


class Recorded:
    """A server, and every request that it took since it began."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._ask("reset-recording")
        self._ask("start-recording")

    def requests(self, holding: str) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in self._ask("download-recording").splitlines()]
        for each in found:
            if each.pop("body_encoded"):
                each["body"] = b64decode(each["body"]).decode("utf-8", "replace")
        return [each for each in found if holding in json.dumps(each)]

    def _ask(self, what: str) -> str:
        method = "GET" if what.startswith("download") else "POST"
        with urlopen(Request(f"{self.endpoint}/moto-api/recorder/{what}", method=method)) as answer:
            text: str = answer.read().decode()
            return text


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[Recorded]:
    monkeypatch.setenv("MOTO_RECORDER_FILEPATH", str(tmp_path / "recording"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://{host}:{port}")
    client.cache_clear()
    try:
        recorded = Recorded(f"http://{host}:{port}")
        client(Access(endpoint=recorded.endpoint).model_dump_json()).create_bucket(Bucket="receiver")
        yield recorded
    finally:
        running.stop()
        client.cache_clear()


def deliver(access: Access) -> None:
    store = open_store("s3://receiver/acme", "acme", access)
    staging = store.stage(KEY, "fan_profiles.1.1", "one")
    staging.write(DATA)
    digest = hashlib.sha256(DATA).hexdigest()
    store.publish(StagedFile(KEY, 1, len(DATA), digest, len(DATA), digest, 0, 0, staging.finish()))


def looked_at(server: Recorded) -> tuple[dict[str, Any], dict[str, str]]:
    """The object's dataset state and its tags, as an owner sees them."""
    owner = client(Access(endpoint=server.endpoint).model_dump_json())
    tags = owner.get_object_tagging(Bucket="receiver", Key=KEY)["TagSet"]
    return owner.head_object(Bucket="receiver", Key=KEY), {each["Key"]: each["Value"] for each in tags}


def test_objects_are_encrypted_with_the_key_of_the_settings_and_carry_its_tags(server: Recorded) -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    tags = {"from": "acme + sons", "kind": "export"}
    deliver(Access(endpoint=server.endpoint, kms_key=key, tags=tags, expected_owner="123456789012"))
    dataset_state, found = looked_at(server)
    assert (dataset_state["ServerSideEncryption"], dataset_state["SSEKMSKeyId"]) == ("aws:kms", key)
    assert (dataset_state["ContentType"], found) == ("application/gzip", tags)
    asked = server.requests("/acme/exports/")
    sent = [{name.lower(): value for name, value in each["headers"].items()} for each in asked]
    mine = [each for each in sent if "x-amz-expected-bucket-owner" in each]
    assert len(mine) == 3, "begin, send, complete: each names the owner"


def test_s3s_own_encryption_is_asked_for_by_its_name(server: Recorded) -> None:
    deliver(Access(endpoint=server.endpoint, encryption="AES256"))
    dataset_state, found = looked_at(server)
    assert (dataset_state["ServerSideEncryption"], found) == ("AES256", {})


def test_a_role_is_assumed_with_its_external_id_and_again_before_it_expires(
    server: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = Access(endpoint=server.endpoint, role_arn=ROLE, external_id="agreed-with-them")
    deliver(access)
    (first,) = server.requests("AssumeRole")
    asked = parse_qs(first["body"])
    assert (asked["RoleArn"], asked["ExternalId"]) == ([ROLE], ["agreed-with-them"])
    credentials = client(access.model_dump_json())._request_signer._credentials
    before = credentials.get_frozen_credentials().access_key
    deliver(access)
    assert len(server.requests("AssumeRole")) == 1, "credentials are kept while they last"
    # two clocks: that of the credentials, and that of the one who fetches them
    later = lambda: datetime.now(timezone.utc) + timedelta(minutes=58)  # noqa: E731
    monkeypatch.setattr(credentials, "_time_fetcher", later)
    monkeypatch.setattr("botocore.credentials._local_now", later)
    deliver(access)
    assert len(server.requests("AssumeRole")) >= 2
    signed = [each["headers"]["Authorization"] for each in server.requests("/acme/exports/")]
    assert before in signed[0] and before in signed[5], "the first two files, of three requests each"
    assert not [each for each in signed[6:] if before in each], "the third under other credentials"


def test_a_role_is_assumed_in_the_region_of_the_settings(server: Recorded) -> None:
    deliver(Access(endpoint=server.endpoint, role_arn=ROLE, region="eu-central-1"))
    (asked,) = server.requests("AssumeRole")
    assert "/eu-central-1/sts/" in asked["headers"]["Authorization"]


@pytest.mark.parametrize("role", [None, ROLE], ids=["a key", "a role"])
def test_credentials_that_come_late_are_found(
    server: Recorded, monkeypatch: pytest.MonkeyPatch, role: str | None
) -> None:
    """An instance's metadata may be away for a moment: a long run must not keep a client that found nobody."""
    access = Access(endpoint=server.endpoint, role_arn=role, can_read=True, region="us-west-2")
    with monkeypatch.context() as without:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            without.delenv(name)
        store = open_store("s3://receiver/acme", "acme", access)
        for act in (
            lambda: deliver(access),
            lambda: list(store.listing("")),
            lambda: store.read(KEY).__enter__(),
        ):
            with pytest.raises(StoreError) as caught:
                act()
            assert caught.value.message.endswith("NoCredentialsError")
            assert caught.value.remedy == REMEDIES["NoCredentialsError"] and caught.value.__cause__ is None
    deliver(access)
    assert looked_at(server)[0]["ContentLength"] == len(DATA)


def test_a_profile_of_the_sdks_configuration_is_the_one_that_signs(
    server: Recorded, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    text = "[{}]\nregion = eu-north-1\naws_access_key_id = {}\naws_secret_access_key = no\n"
    (tmp_path / "config").write_text(
        text.format("default", "OURS") + text.format("profile receiver", "THEIRS")
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    deliver(Access(endpoint=server.endpoint, profile="receiver"))
    signed = {each["headers"]["Authorization"] for each in server.requests("/acme/exports/")}
    assert len(signed) == 3
    assert all("Credential=THEIRS/" in each and "/eu-north-1/s3/" in each for each in signed)


def test_a_role_that_may_not_be_assumed_gets_a_remedy_of_its_own() -> None:
    text = remedy(ClientError({"Error": {"Code": "AccessDenied"}}, "AssumeRole"), "")
    assert "sts:AssumeRole" in text and "s3:" not in text
