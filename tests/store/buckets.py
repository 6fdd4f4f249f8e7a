"""New buckets on the servers, and how their staged bytes get lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from rover_spark.access import Access
from rover_spark.store import StagedFile


@dataclass(frozen=True)
class Bucket:
    """Where it is, how it is reached, and how what was staged there gets lost."""

    url: str
    kind: type
    lose: Callable[[StagedFile], StagedFile]
    access: Access


def _name() -> str:
    return f"b{os.urandom(8).hex()}"


def s3(endpoint: str, patch: pytest.MonkeyPatch) -> Bucket:
    """On the S3 server: an upload that a lifecycle rule aborted."""
    from rover_spark.store.aws import client
    from rover_spark.store.s3 import S3Store

    access, name = Access(endpoint=endpoint, can_read=True), _name()
    client(access.model_dump_json()).create_bucket(Bucket=name)

    def lose(file: StagedFile) -> StagedFile:
        S3Store(name, access).abort([file.staged])
        return file

    return Bucket(f"s3://{name}", S3Store, lose, access)


def gcs(endpoint: str, patch: pytest.MonkeyPatch) -> Bucket:
    """On the GCS server: a temporary object that somebody removed."""
    from rover_spark.store import gcs as adapter

    access, name = Access(endpoint=endpoint, can_read=True), _name()
    adapter._client(access.model_dump_json()).create_bucket(name)

    def lose(file: StagedFile) -> StagedFile:
        adapter.GcsStore(name, "acme", access).abort([file.staged])
        return file

    return Bucket(f"gs://{name}", adapter.GcsStore, lose, access)


def azure(connection: str, patch: pytest.MonkeyPatch) -> Bucket:
    """On the Azure server: blocks that Azure dropped, as it does a week later, or when another list is committed."""
    from azure.storage.blob import BlobBlock

    from rover_spark.store import azure as adapter

    patch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection)
    access, name = Access(can_read=True), _name()
    service: Any = adapter._client(access.model_dump_json())
    service.create_container(name)

    def lose(file: StagedFile) -> StagedFile:
        # a list that is committed drops all other blocks
        blob, other = service.get_blob_client(name, file.key), "0" * 40
        there = blob.download_blob() if blob.exists() else None
        if there is None:
            blob.commit_block_list([])
            blob.delete_blob()
        else:
            blob.stage_block(other, there.readall())
            blob.commit_block_list([BlobBlock(other)], metadata=there.properties.metadata)
        return file

    return Bucket(f"az://{name}", adapter.AzureStore, lose, access)


SERVERS = {"s3": s3, "gcs": gcs, "azure": azure}
