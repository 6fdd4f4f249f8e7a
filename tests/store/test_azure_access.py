"""Azure: whose account is meant, what each refusal says that the role lacks, what stands in a listing."""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest
from azure.storage.blob import generate_container_sas

from rover_spark.config.access import Access
from rover_spark.errors import ConfigError, StoreError
from rover_spark.model.file import StagedFile
from rover_spark.store import Store, open_store, staged_whole
from rover_spark.store import azure as adapter
from rover_spark.store.azure import REMEDIES, _client
from tests.proxy import Proxy
from tests.servers import AZURE_ACCOUNT, AZURE_KEY
from tests.store import buckets
from tests.store.buckets import Bucket, before, behind

KEY = "acme/exports/fan_profiles/date=2026-11-21/hour=10/one.ndjson.gz"
DATA = b"not much"
OURS = "https://ours.blob.core.windows.net"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No variable but those of a test, and clients that have seen no others."""
    for name in ("CONNECTION_STRING", "ACCOUNT", "SAS_TOKEN"):
        monkeypatch.delenv(f"AZURE_STORAGE_{name}", raising=False)
    _client.cache_clear()
    yield
    _client.cache_clear()


def staged(store: Store) -> StagedFile:
    return staged_whole(store.stage(KEY, "fan_profiles.1.1", "one"), KEY, DATA)


def described(reference: str) -> StagedFile:
    digest = hashlib.sha256(DATA).hexdigest()
    return StagedFile(KEY, 1, len(DATA), digest, len(DATA), digest, 0, 0, reference)


def refused(store: Store, act: str) -> StoreError:
    acts = {
        "stage": lambda: staged(store),
        "publish": lambda: store.publish(described('{"token":"0","blocks":1}')),
        "read": lambda: store.read(KEY).__enter__(),
        "list": lambda: list(store.listing("")),
    }
    with pytest.raises(StoreError) as caught:
        acts[act]()
    return caught.value


def connection(endpoint: str) -> str:
    return f"AccountName={AZURE_ACCOUNT};AccountKey={AZURE_KEY};BlobEndpoint={endpoint};"


# -- whose account -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "theirs"),
    [
        (f"AccountName=theirs;AccountKey={AZURE_KEY}", "theirs.blob.core.windows.net"),
        (
            "BlobEndpoint=https://theirs.example.com/?sv=1&sig=hunter2;SharedAccessSignature=sv=1&sig=hunter2",
            "theirs.example.com",
        ),
        (connection(f"http://hunter2:hunter2@127.0.0.1:9/{AZURE_ACCOUNT}"), f"127.0.0.1:9/{AZURE_ACCOUNT}"),
    ],
    ids=["a name", "an address with a SAS", "an emulator"],
)
def test_a_connection_string_to_another_account_is_refused(
    monkeypatch: pytest.MonkeyPatch, text: str, theirs: str
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
    with pytest.raises(ConfigError) as caught:
        open_store("az://container/acme", "acme", Access(endpoint=OURS))
    text = "".join(traceback.format_exception(caught.value)) + caught.value.remedy
    assert (caught.value.code, caught.value.exit_code) == ("account_ambiguous", 2)
    assert f"ours.blob.core.windows.net, but AZURE_STORAGE_CONNECTION_STRING {theirs}" in text
    assert "hunter2" not in text and AZURE_KEY not in text


@pytest.mark.parametrize("endpoint", [None, OURS, f"{OURS}/", "https://Ours.blob.core.windows.net:443"])
def test_a_connection_string_to_the_account_of_the_settings_is_taken(
    monkeypatch: pytest.MonkeyPatch, endpoint: str | None
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", f"AccountName=ours;AccountKey={AZURE_KEY}")
    open_store("az://container/acme", "acme", Access(endpoint=endpoint))


def test_a_connection_string_reaches_its_account(azure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = buckets.azure(azure)
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection(azure))
    monkeypatch.delenv("AZURE_STORAGE_KEY")
    store = open_store(f"{bucket.url}/acme", "acme", Access(endpoint=azure))
    store.publish(staged(store))
    assert bucket.objects() == {KEY: DATA}


def test_a_token_that_may_create_and_write_is_right_enough_and_no_more(
    azure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token itself is what refuses here: a receiver hands it out for its container, for c and w."""
    bucket = buckets.azure(azure)
    until = datetime.now(timezone.utc) + timedelta(hours=1)
    name = bucket.url[len("az://") :]
    token = generate_container_sas(AZURE_ACCOUNT, name, AZURE_KEY, permission="cw", expiry=until)
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", token)
    monkeypatch.delenv("AZURE_STORAGE_KEY")
    store = open_store(f"{bucket.url}/acme", "acme", Access(endpoint=azure))
    file = staged(store)
    store.publish(file)
    store.overwrite(staged(store))
    for act in ("read", "list"):
        error = refused(store, act)
        assert error.remedy == f"Grant {act} on the container, or a SAS with {act[0]}."
        assert "sig=" not in "".join(traceback.format_exception(error))
    monkeypatch.undo()
    _client.cache_clear()
    assert bucket.objects() == {KEY: DATA}


@pytest.mark.parametrize("text", ["hunter2", "hunter2=x", "AccountKey=hunter2", "https://theirs?sig=hunter2"])
def test_a_connection_string_that_is_none_is_refused_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
    with pytest.raises(ConfigError) as caught:
        open_store("az://container/acme", "acme", Access())
    assert caught.value.code == "account_invalid" and caught.value.remedy
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("endpoint", "key"),
    [("http://ours.example.com", None), ("https://ours.example.com", AZURE_KEY)],
    ids=["a token in clear text", "a key without an account"],
)
def test_credentials_that_do_not_fit_the_account_are_refused(
    monkeypatch: pytest.MonkeyPatch, endpoint: str, key: str | None
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_KEY", key) if key else monkeypatch.delenv("AZURE_STORAGE_KEY")
    with pytest.raises(ConfigError, match=r"ours\.example\.com") as caught:
        open_store("az://container/acme", "acme", Access(endpoint=endpoint))
    assert caught.value.code == "account_invalid"


@pytest.mark.parametrize("can_read", [True, False])
@pytest.mark.parametrize("act", ["stage", "publish", "read", "list"])
@pytest.mark.parametrize("key", [None, "hunter2"], ids=["none", "no base64"])
def test_missing_and_malformed_credentials_are_reported_by_every_act(
    monkeypatch: pytest.MonkeyPatch, act: str, can_read: bool, key: str | None
) -> None:
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")  # asks nobody
    monkeypatch.setattr(adapter, "_options", lambda: {"retry_total": 0})
    monkeypatch.setenv("AZURE_STORAGE_KEY", key) if key else monkeypatch.delenv("AZURE_STORAGE_KEY")
    error = refused(open_store("az://container/acme", "acme", Access(endpoint=OURS, can_read=can_read)), act)
    assert error.remedy in REMEDIES.values() and error.__cause__ is None
    assert "hunter2" not in "".join(traceback.format_exception(error))


# -- what a refusal says -------------------------------------------------------------------------------------


@pytest.fixture
def role(azure: str) -> Iterator[tuple[Bucket, Proxy]]:
    with before("azure", azure) as proxy:
        yield buckets.azure(azure), proxy


@pytest.mark.parametrize(
    ("act", "permission"),
    [
        ("stage", "a SAS with c and w"),
        ("publish", "a SAS with c and w"),
        ("read", "a SAS with r"),
        ("list", "a SAS with l"),
    ],
)
def test_a_refusal_names_the_permission_of_what_was_refused(
    role: tuple[Bucket, Proxy], act: str, permission: str
) -> None:
    bucket, proxy = role
    proxy.decide = lambda name, number: "refuse"
    store = open_store(f"{bucket.url}/acme", "acme", behind(bucket.access, proxy, can_read=False))
    remedy = refused(store, act).remedy
    assert remedy.startswith("Grant ") and remedy.endswith(f"{permission}.")


def test_tags_need_a_right_of_their_own_that_only_a_publish_shows(role: tuple[Bucket, Proxy]) -> None:
    bucket, proxy = role
    access = behind(bucket.access, proxy, can_read=False, tags={"source": "acme"})
    store = open_store(f"{bucket.url}/acme", "acme", access)
    proxy.decide = lambda name, number: "refuse" if name == "PutBlockList" else None
    file = staged(store)
    with pytest.raises(StoreError) as caught:
        store.publish(file)
    for text in (caught.value.remedy, store.untried):
        assert "store.tags" in text and "blobs/tags/write" in text and "a SAS with t" in text
    assert open_store(bucket.url, "acme", bucket.access).untried == ""
    proxy.decide = lambda name, number: None
    store.publish(file)
    assert bucket.objects() == {KEY: DATA}


# -- what a listing shows ------------------------------------------------------------------------------------


def test_directories_of_a_hierarchical_account_are_no_objects(azure: str) -> None:
    bucket = buckets.azure(azure)
    container = _client(bucket.access.model_dump_json()).get_container_client(bucket.url[len("az://") :])
    container.upload_blob("acme/exports", b"", metadata={"hdi_isfolder": "true"})
    container.upload_blob("acme/exports/fan_profiles", b"", metadata={"Hdi_isfolder": "true"})
    container.upload_blob("acme/exports/foreign", b"", metadata={"source": "elsewhere"})
    container.upload_blob("acme/exports/plain", b"")
    store = open_store(f"{bucket.url}/acme", "acme", bucket.access)
    store.publish(staged(store))
    found = {info.key for info in store.listing("acme/")}
    assert found == {"acme/exports/foreign", "acme/exports/plain", KEY}
