"""A store that does not answer: the error names address and reason, whatever the SDK wraps them in."""

from __future__ import annotations

import socket
import ssl

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.storage.blob import BlobServiceClient
from google.api_core.exceptions import RetryError
from requests import get
from requests.exceptions import RequestException
from urllib3.exceptions import NewConnectionError

from rover_spark.config.access import Access
from rover_spark.errors import StoreError
from rover_spark.store import open_store
from rover_spark.store.base import unreachable


def test_a_host_without_a_name_and_one_without_a_listener_give_different_reasons() -> None:
    for host, words in (("nowhere.invalid", "no such host is known"), ("127.0.0.1", "nothing listens there")):
        store = open_store(
            "s3://bucket/acme", "acme", Access(endpoint=f"http://{host}:9", region="eu-west-3")
        )
        with pytest.raises(StoreError) as caught:
            store.stage("acme/k", "b", "one")
        assert caught.value.message.endswith(f"{words}: http://{host}:9, region eu-west-3")
        with pytest.raises(RequestException) as wrapped:
            get(f"http://{host}:9", timeout=5)
        assert unreachable(RetryError("timed out", wrapped.value)) == words, "as Google's SDK wraps it"
        client = BlobServiceClient(f"http://{host}:9/account", credential=None, retry_total=0)
        with pytest.raises(ServiceRequestError) as asked:
            client.get_blob_client("c", "b").stage_block("aaaa", b"x")
        assert unreachable(asked.value) == words, "as Azure's SDK wraps it"


def test_other_reasons_are_found_wherever_they_stand() -> None:
    def chained(inner: Exception) -> Exception:
        try:
            try:
                raise inner
            except Exception:
                raise ValueError("AccountKey=hunter2")  # noqa: B904 - its context is what is looked for
        except ValueError as outer:
            return outer

    assert unreachable(chained(TimeoutError())) == "it does not answer in time"
    assert unreachable(chained(ssl.SSLError("bad"))) == "it speaks no TLS that this machine trusts"
    assert unreachable(chained(socket.gaierror(-2, "x"))) == "no such host is known"
    assert unreachable(NewConnectionError(None, "refused")) is None  # type: ignore[arg-type]
    assert unreachable(chained(KeyError("x"))) is None
