"""Google Cloud Storage: what each refusal says that the role lacks, how credentials are found, what sweep may claim."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.auth.transport.requests import Request

from rover_spark.config.access import Access
from rover_spark.errors import StoreError
from rover_spark.model.file import StagedFile
from rover_spark.store import Store, open_store, staged_whole
from rover_spark.store.gcs import REMEDIES, _client
from tests.proxy import Proxy
from tests.store import buckets
from tests.store.buckets import Bucket, before, behind

KEY = "acme/exports/fan_profiles/date=2026-11-21/hour=10/one.ndjson.gz"
DATA = b"not much"
LATER = datetime.now(timezone.utc) + timedelta(days=1)


@dataclass
class Role:
    """A bucket behind a proxy that refuses what the role may not do."""

    proxy: Proxy
    bucket: Bucket

    def store(self, *, can_read: bool) -> Store:
        access = behind(self.bucket.access, self.proxy, can_read=can_read)
        return open_store(f"{self.bucket.url}/acme", "acme", access)

    def lacks(self, *names: str) -> None:
        self.proxy.decide = lambda seen, number: "refuse" if seen in names else None


@pytest.fixture
def role(gcs: str) -> Iterator[Role]:
    with before("gcs", gcs) as proxy:
        yield Role(proxy, buckets.gcs(gcs))


def staged(store: Store, attempt: str = "one") -> StagedFile:
    return staged_whole(store.stage(KEY, "fan_profiles.1.1", attempt), KEY, DATA)


def described(reference: str) -> StagedFile:
    digest = hashlib.sha256(DATA).hexdigest()
    return StagedFile(KEY, 1, len(DATA), digest, len(DATA), digest, 0, 0, reference)


def refused(store: Store, act: str) -> StoreError:
    acts = {
        "stage": lambda: staged(store),
        "publish": lambda: store.publish(described("_rover_staging/acme/one")),
        "overwrite": lambda: store.overwrite(described("_rover_staging/acme/one")),
        "read": lambda: store.read(KEY).__enter__(),
        "list": lambda: list(store.listing("")),
        "sweep": lambda: store.sweep(LATER, frozenset(), lambda key: True),
    }
    with pytest.raises(StoreError) as caught:
        acts[act]()
    return caught.value


def test_a_file_that_is_put_twice_without_reading_needs_a_right_that_is_named(role: Role) -> None:
    """A run that died half published, and lost what it had staged, puts its files again: over what is there."""
    store = role.store(can_read=False)
    store.publish(staged(store))
    again = staged(store, "again")
    role.lacks("Rewrite")  # as Google does where the role may not delete what stands at the key
    with pytest.raises(StoreError) as caught:
        store.publish(again)
    remedy = caught.value.remedy
    assert "storage.objects.delete at the keys" in remedy and "store.can_read = true" in remedy
    assert "storage.objects.delete at the keys" in store.untried, "check says that it cannot try it"
    looking = role.store(can_read=True)
    looking.publish(again)
    assert looking.untried == "" and role.bucket.objects() == {KEY: DATA}


@pytest.mark.parametrize(
    ("act", "permission"),
    [
        ("stage", "storage.objects.create below _rover_staging/"),
        ("publish", "storage.objects.create at the keys"),
        ("overwrite", "storage.objects.delete there"),
        ("read", "storage.objects.get"),
        ("list", "storage.objects.list"),
        ("sweep", "storage.objects.list"),
    ],
)
def test_a_refusal_names_the_permission_of_what_was_refused(role: Role, act: str, permission: str) -> None:
    # a look is allowed, so that publishing itself is what is refused
    role.proxy.decide = lambda seen, number: (
        None if act in {"publish", "overwrite"} and seen == "GetObject" else "refuse"
    )
    error = refused(role.store(can_read=act != "overwrite"), act)
    assert error.message.endswith("Forbidden") and permission in error.remedy
    others = {"create", "delete", "list"} - {
        word for word in ("create", "delete", "list") if word in permission
    }
    assert act in {"publish", "overwrite"} or not any(f"objects.{word}" in error.remedy for word in others)


@pytest.mark.parametrize("can_read", [True, False])
def test_sweep_claims_only_what_it_removed_and_asks_only_what_it_may(role: Role, can_read: bool) -> None:
    store = role.store(can_read=can_read)
    file = staged(store)
    role.lacks("DeleteObject") if can_read else role.lacks("GetObject", "ListObjects")
    before = len(role.proxy.seen)
    assert store.sweep(LATER, frozenset(), lambda key: True) == []
    assert bool(store.unswept) is not can_read
    assert can_read or role.proxy.seen[before:] == [], "a role that may not list is not asked to"
    role.lacks()
    assert store.sweep(LATER, frozenset({file.staged}), lambda key: True) == []
    assert role.bucket.staged() == 1
    assert role.store(can_read=True).sweep(LATER, frozenset(), lambda key: True) == [file.staged]
    assert role.bucket.staged() == 0


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Where the SDK looks for credentials: a file of its own, and no project anywhere."""
    place = tmp_path / "credentials.json"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(place))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    for name in ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "STORAGE_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    _client.cache_clear()
    yield place
    _client.cache_clear()


@pytest.mark.parametrize("can_read", [True, False])
@pytest.mark.parametrize("act", ["stage", "publish", "overwrite", "read", "list"])
@pytest.mark.usefixtures("credentials")
def test_missing_credentials_are_reported_by_every_act(act: str, can_read: bool) -> None:
    error = refused(open_store("gs://bucket/acme", "acme", Access(can_read=can_read)), act)
    assert error.message.endswith("DefaultCredentialsError")
    assert error.remedy == REMEDIES["DefaultCredentialsError"] and error.__cause__ is None


def test_credentials_need_not_know_a_project(credentials: Path) -> None:
    person = {"type": "authorized_user", "client_id": "one", "client_secret": "no", "refresh_token": "no"}
    credentials.write_text(json.dumps(person))
    assert _client(Access().model_dump_json()).project is None


RECEIVER = "receiver@theirs.iam.gserviceaccount.com"


class Tokens(BaseHTTPRequestHandler):
    """Where Google gives out tokens: to the account of a key, and to an account that may act as another."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.seen.append((self.path, self.headers.get("Authorization"), body))  # type: ignore[attr-defined]
        mine = {"access_token": "mine", "expires_in": 3600}
        theirs = {
            "accessToken": "theirs",
            "expireTime": f"{datetime.now(timezone.utc) + timedelta(hours=1):%FT%TZ}",
        }
        text = json.dumps(mine if self.path == "/token" else theirs).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


def test_an_account_is_impersonated_with_the_credentials_that_the_sdk_finds(
    credentials: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HTTPServer(("127.0.0.1", 0), Tokens) as server:
        server.seen = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        place = f"http://127.0.0.1:{server.server_address[1]}"
        pem = rsa.generate_private_key(65537, 2048).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        key = {"type": "service_account", "client_email": "we@ours.iam", "private_key": pem.decode()}
        credentials.write_text(json.dumps({**key, "token_uri": f"{place}/token"}))
        monkeypatch.setattr("google.auth.iam._IAM_ENDPOINT", place + "/accounts/{}")
        found = _client(Access(impersonate=RECEIVER).model_dump_json())._credentials
        found.refresh(Request())
        server.shutdown()
        (own, _, _), (other, bearer, asked) = server.seen  # type: ignore[attr-defined]
    assert (own, other, bearer) == ("/token", f"/accounts/{RECEIVER}", "Bearer mine")
    assert json.loads(asked)["scope"] == ["https://www.googleapis.com/auth/devstorage.read_write"]
    assert found.token == "theirs", "what the bucket is asked with"
