"""No secret in an error, its cause or its traceback, which Spark writes into its event log."""

from __future__ import annotations

import os
import traceback
from typing import Any

import pytest

from rover_spark.config.access import Access
from rover_spark.errors import StoreError
from rover_spark.store import azure as adapter
from rover_spark.store import open_store
from tests.servers import AZURE_ACCOUNT, free_port

KEY = "exports/fan_profiles/date=2026-11-21/hour=10/one.ndjson.gz"
SAS = "sv=2026-01-01&sr=c&sp=cw&sig=hunter2"


def test_no_error_holds_the_sas_of_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", SAS)
    monkeypatch.setattr(adapter, "_options", lambda: {"retry_total": 0})
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING", raising=False)
    access = Access(endpoint=f"http://127.0.0.1:{free_port()}/{AZURE_ACCOUNT}", can_read=True)
    staging = open_store("az://container/acme", "acme", access).stage(KEY, "fan_profiles.1.1", "one")
    staging.write(os.urandom(1000))
    with pytest.raises(StoreError) as caught:
        staging.finish()
    text = "".join(traceback.format_exception(caught.value))
    assert "hunter2" not in text and "azure/core" not in text


@pytest.mark.parametrize("fails", ["stage", "publish", "read"])
def test_whatever_an_sdk_says_stays_out_of_the_traceback(s3: str, fails: str) -> None:
    store: Any = open_store("s3://no-such-bucket/acme", "acme", Access(endpoint=s3, can_read=True))
    acts = {
        "stage": lambda: store.stage(KEY, "b", "one"),
        "publish": lambda: list(store.listing("")),
        "read": lambda: store.read(KEY).__enter__(),
    }
    with pytest.raises(StoreError) as caught:
        acts[fails]()
    assert "botocore/" not in "".join(traceback.format_exception(caught.value))
