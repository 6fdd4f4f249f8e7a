"""New buckets on the servers: how each is reached, what is really in it, and how its staged bytes get lost."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rover_spark.config.access import Access
from rover_spark.model.file import StagedFile
from rover_spark.store import open_store
from tests.proxy import Conditional, Proxy
from tests.toxic import Network


@dataclass(frozen=True)
class Bucket:
    """``lose`` makes a file's staged bytes vanish as the store itself might."""

    url: str
    access: Access
    lose: Callable[[StagedFile], StagedFile]

    def objects(self) -> dict[str, bytes]:
        """What a receiver sees, whatever the prefix: nothing reads the staging area."""
        store = open_store(self.url, "looks", self.access)
        found = {}
        for info in store.listing(""):
            if "_rover_staging/" in info.key:
                continue
            with store.read(info.key) as stream:
                found[info.key] = stream.read()
        return found

    def fingerprint(self) -> dict[str, str]:
        """Hashes of what a receiver sees."""
        return {key: hashlib.sha256(data).hexdigest() for key, data in self.objects().items()}

    def staged(self) -> int:
        """How many files lie there staged."""
        return staged(self.url, self.access)


def _name() -> str:
    return f"b{os.urandom(8).hex()}"


def _s3(access: Access) -> Any:
    from rover_spark.store.aws import client

    return client(access.model_dump_json())


def _gcs(access: Access) -> Any:
    from rover_spark.store.gcs import _client

    return _client(access.model_dump_json())


def _azure(access: Access) -> Any:
    from rover_spark.store.azure import _client

    return _client(access.model_dump_json())


def staged(url: str, access: Access) -> int:
    """How many files lie staged in a bucket, seen from outside."""
    scheme, _, rest = url.partition("://")
    name = rest.partition("/")[0]
    if scheme == "s3":
        return len(_s3(access).list_multipart_uploads(Bucket=name).get("Uploads", ()))
    if scheme == "gs":
        return sum("_rover_staging/" in each.name for each in _gcs(access).list_blobs(name))
    container = _azure(access).get_container_client(name)
    committed = {each.name for each in container.list_blobs()}
    return len({each.name for each in container.list_blobs(include=["uncommittedblobs"])} - committed)


def s3(endpoint: str) -> Bucket:
    """On the S3 server: a lifecycle rule aborts the upload."""
    access, name = Access(endpoint=endpoint, can_read=True), _name()
    _s3(access).create_bucket(Bucket=name)
    return Bucket(f"s3://{name}", access, _aborting(f"s3://{name}", access))


def gcs(endpoint: str) -> Bucket:
    """On the GCS server: somebody removes the temporary object."""
    access, name = Access(endpoint=endpoint, can_read=True), _name()
    _gcs(access).create_bucket(name)
    return Bucket(f"gs://{name}", access, _aborting(f"gs://{name}", access))


def _aborting(url: str, access: Access) -> Callable[[StagedFile], StagedFile]:
    def lose(file: StagedFile) -> StagedFile:
        open_store(url, "acme", access).abort([file.staged])
        return file

    return lose


def azure(endpoint: str) -> Bucket:
    """On the Azure server: another list is committed, which drops all other blocks, as Azure does after a week."""
    from azure.storage.blob import BlobBlock

    access, name = Access(endpoint=endpoint, can_read=True), _name()
    service = _azure(access)
    service.create_container(name)

    def lose(file: StagedFile) -> StagedFile:
        blob, other = service.get_blob_client(name, file.key), "0" * 40
        there = blob.download_blob() if blob.exists() else None
        if there is None:
            blob.commit_block_list([])
            blob.delete_blob()
        else:
            blob.stage_block(other, there.readall())
            blob.commit_block_list([BlobBlock(other)], metadata=there.properties.metadata)
        return file

    return Bucket(f"az://{name}", access, lose)


def put(bucket: Bucket, key: str, data: bytes) -> None:
    """An object as anybody else puts it."""
    scheme, _, name = bucket.url.partition("://")
    if scheme == "s3":
        _s3(bucket.access).put_object(Bucket=name, Key=key, Body=data)
    elif scheme == "gs":
        _gcs(bucket.access).bucket(name).blob(key).upload_from_string(data)
    else:
        _azure(bucket.access).get_blob_client(name, key).upload_blob(data, overwrite=True)


def before(server: str, endpoint: str) -> Proxy:
    """A proxy to that server."""
    kind = Conditional if server == "gcs" else Proxy
    return kind("http://" + endpoint.split("/")[2])


def behind(access: Access, proxy: Proxy | Network, **more: Any) -> Access:
    """The same access through the proxy."""
    path = "".join(f"/{part}" for part in (access.endpoint or "").split("/")[3:])
    return access.model_copy(update={"endpoint": proxy.endpoint + path, **more})


# which request of each server stages, and which publishes
STAGE = {"s3": "UploadPart", "gcs": "Upload", "azure": "PutBlock"}
PUBLISH = {"s3": "CompleteMultipartUpload", "gcs": "Rewrite", "azure": "PutBlockList"}
SERVERS: dict[str, Callable[[str], Bucket]] = {"s3": s3, "gcs": gcs, "azure": azure}
