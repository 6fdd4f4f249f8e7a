"""The [store] settings: what is taken, and that no secret ever is."""

from __future__ import annotations

import pickle
import traceback
from typing import Any

import pytest

from rover_spark.config.access import Access
from rover_spark.config.settings import overlay, parse
from rover_spark.errors import ConfigError

BASE = {
    "name": "acme",
    "destination": "s3://bucket/acme",
    "ledger": "/data/control/acme",
    "datasets": {"fan_profiles": {"table": "/data/tables/fan_profiles"}},
}
ROLE = "arn:aws:iam::123456789012:role/receives-acme"


@pytest.mark.parametrize(
    "store",
    [
        {},
        {"can_read": True, "region": "eu-central-1", "profile": "delivery"},
        {"endpoint": "https://s3.example.com:9000"},
        {"role_arn": ROLE, "external_id": "agreed"},
        {"encryption": "AES256"},
        {"encryption": "aws:kms", "kms_key": "alias/acme"},
        {"kms_key": "alias/acme"},
        {"expected_owner": "123456789012", "tags": {"a": "b"}},
    ],
    ids=str,
)
def test_what_is_taken_travels_to_executors_as_it_is(store: dict[str, Any]) -> None:
    access = parse({**BASE, "store": store}).store
    assert access.model_dump(exclude_defaults=True) == store
    assert pickle.loads(pickle.dumps(access)) == access
    assert Access.model_validate_json(access.model_dump_json()) == access


@pytest.mark.parametrize(
    "name",
    [
        "secret",
        "aws_secret_access_key",
        "access_key",
        "accessKey",
        "session_token",
        "password",
        "account_key",
        "connection_string",
        "sas",
        "credentials",
    ],
)
def test_a_secret_is_refused_and_the_message_says_where_it_belongs(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse({**BASE, "store": {name: "hunter2"}})
    assert f"{name} is a secret" in caught.value.message and "environment" in caught.value.message
    assert "hunter2" not in caught.value.message + caught.value.remedy


def test_a_secret_in_an_overriding_variable_is_refused_too() -> None:
    tree: dict[str, Any] = dict(BASE)
    overlay(tree, {"ROVER_SPARK__STORE__SECRET_ACCESS_KEY": "hunter2"})
    with pytest.raises(ConfigError) as caught:
        parse(tree)
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    "store",
    [
        {"endpoint": "https://user:hunter2@host"},
        {"endpoint": "https://host/?sig=1#x"},
        {"endpoint": "host:9000"},
        {"role_arn": "receives-acme"},
        {"external_id": "agreed"},
        {"encryption": "AES256", "kms_key": "alias/acme"},
        {"encryption": "none"},
        {"expected_owner": "12"},
        {"impersonate": "nobody"},
        {"tags": {str(n): "x" for n in range(11)}},
        {"unknown": 1},
        {"can_read": "perhaps"},
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused_and_names_the_key(store: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse({**BASE, "store": store})
    assert caught.value.message.startswith("configuration: store")
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    ("destination", "store"),
    [
        ("s3://bucket/x", {"impersonate": "a@b.iam.gserviceaccount.com"}),
        ("gs://bucket/x", {"role_arn": ROLE}),
        ("gs://bucket/x", {"tags": {"a": "b"}}),
        ("az://bucket/x", {"kms_key": "alias/acme"}),
        ("file:///data/bucket", {"endpoint": "http://127.0.0.1:1"}),
    ],
)
def test_a_setting_without_effect_is_refused(destination: str, store: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse({**BASE, "destination": destination, "store": store})
    assert f"store.{next(iter(store))}: has no effect" in caught.value.message


def test_each_destination_takes_its_own() -> None:
    account = {"impersonate": "delivery@project.iam.gserviceaccount.com", "can_read": True}
    for destination, store in (
        ("gs://b1c", account),
        ("az://b1c", {"tags": {"a": "b"}, "endpoint": "http://h"}),
    ):
        assert parse({**BASE, "destination": destination, "store": store}).store == Access(**store)


@pytest.mark.parametrize(
    "destination",
    [
        "s3://Bucket/x",
        "s3://key:secret@bucket/x",
        "s3://bucket?versionId=1",
        "s3://",
        "gs://b",
        "az://a b/x",
        "s3:///x",
    ],
)
def test_a_bucket_that_cannot_be_one_is_refused(destination: str) -> None:
    with pytest.raises(ConfigError, match="destination"):
        parse({**BASE, "destination": destination})


@pytest.mark.parametrize(
    "destination",
    [
        "az://cont/acme?sv=1&sig=hunter2",
        "az://cont?sig=hunter2",
        "s3://bucket/acme/#hunter2",
        "gs://b1c/a?x=hunter2/b",
    ],
)
def test_a_secret_in_a_destination_is_refused_and_not_repeated(destination: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse({**BASE, "destination": destination})
    assert caught.value.message.startswith("configuration: destination: ")
    assert "environment" in caught.value.message
    assert "hunter2" not in "".join(traceback.format_exception(caught.value)) + caught.value.remedy


def test_a_directory_may_hold_what_an_address_may_not() -> None:
    assert parse({**BASE, "destination": "file:///data/what?#1"}).destination == "file:///data/what?#1"


@pytest.mark.parametrize(
    "destination", ["s3://bucket", "s3://bucket/a/b", "gs://my_bucket/x", "az://$web/x", "az://container"]
)
def test_buckets_with_and_without_a_prefix_are_taken(destination: str) -> None:
    assert parse({**BASE, "destination": destination}).destination == destination
