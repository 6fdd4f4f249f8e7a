"""An S3 bucket: tasks leave multipart uploads open, the driver completes them.

Promises delivery with ``s3:PutObject`` and ``s3:AbortMultipartUpload`` alone, and then makes no other request. With
``can_read`` it never publishes over another object (``If-None-Match: *``), and it looks at the key after a lost answer.
Without it the same bytes are staged and published again: the contract takes an equal payload for the same object.
Every refusal of S3 becomes a StoreError that names the remedy and holds no secret.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, BinaryIO
from urllib.parse import urlencode

from botocore.exceptions import BotoCoreError, ClientError

from rover_spark.config.access import Access
from rover_spark.errors import StoreError
from rover_spark.model.file import StagedFile
from rover_spark.store.aws import OF_CREDENTIALS, AnswerCut, client, error_code, met, remedy
from rover_spark.store.base import AGAIN, Mine, ObjectInfo, content_type
from rover_spark.store.outcome import OVERWRITE, PUBLISH, Answer, Seen, Table, settle

PART_BYTES = 16 << 20  # at most 10,000 parts: files up to 160 GB; a worker holds at most two parts in memory
_BLOCK = 1 << 20
_TRY = "rover-try"
_GONE = {"NoSuchUpload", "InvalidPart", "404"}
_NOT_FREE = {"PreconditionFailed", "412", "ConditionalRequestConflict", "409"}
_ANSWERS = {
    **dict.fromkeys(_GONE, Answer.GONE),
    **dict.fromkeys(_NOT_FREE, Answer.NOT_FREE),
}
_FAILURES = (ClientError, BotoCoreError)
# a field that every answer to the operation has: without it the answer was cut, which botocore does not notice
_HOLDS = {
    "create_multipart_upload": "UploadId",
    "upload_part": "ETag",
    "complete_multipart_upload": "ETag",
    "head_object": "ETag",
}


class S3Staging:
    """One multipart upload. Its parts are durable, and invisible until the upload is completed."""

    def __init__(self, store: S3Store, key: str, attempt: str) -> None:
        self._store, self._key, self._try = store, key, attempt
        self._waiting = bytearray()
        self._parts: list[dict[str, str]] = []
        begun = store.begin(key, attempt)
        self._upload = str(begun["UploadId"])
        self._clock: str = begun["ResponseMetadata"]["HTTPHeaders"].get("date", "")

    def write(self, data: bytes) -> None:
        """Buffers up to one part."""
        self._waiting += data
        while len(self._waiting) >= PART_BYTES:
            self._send(bytes(self._waiting[:PART_BYTES]))
            del self._waiting[:PART_BYTES]

    def _send(self, data: bytes) -> None:
        self._parts.append(self._store.send(self._key, self._upload, len(self._parts) + 1, data))

    def finish(self) -> str:
        """Sends the rest; the upload stays open."""
        self._send(bytes(self._waiting))
        self._waiting.clear()
        reference = {"key": self._key, "upload": self._upload, "try": self._try, "parts": self._parts}
        return json.dumps(reference, separators=(",", ":"))

    def abort(self) -> None:
        """Aborts the upload."""
        self._store.forget(self._key, self._upload)

    def clock(self) -> datetime | None:
        """The Date header of the answer that began the upload."""
        return parsedate_to_datetime(self._clock) if self._clock else None


class S3Store:
    """One bucket and prefix."""

    untried = ""

    def __init__(self, location: str, access: Access) -> None:
        self._bucket, _, prefix = location.partition("/")
        self._prefix = prefix.strip("/")
        self._access = access
        self._owner = {"ExpectedBucketOwner": access.expected_owner} if access.expected_owner else {}

    @property
    def prefix(self) -> str:
        """What follows the bucket's name."""
        return self._prefix

    @property
    def can_read(self) -> bool:
        """Returns the setting ``store.can_read``: whether the role may list and read."""
        return self._access.can_read

    def stage(self, key: str, batch: str, attempt: str) -> S3Staging:
        """Begins a multipart upload at the key itself: no listing of objects shows an open upload."""
        return S3Staging(self, key, attempt)

    def begin(self, key: str, attempt: str) -> dict[str, Any]:
        """Begins an upload; returns S3's answer."""
        access = self._access
        more: dict[str, str] = {"ChecksumAlgorithm": "CRC32"}
        if access.encryption or access.kms_key:
            more["ServerSideEncryption"] = access.encryption or "aws:kms"
        if access.kms_key:
            more["SSEKMSKeyId"] = access.kms_key
        if access.tags:
            more["Tagging"] = urlencode(access.tags)
        metadata = {_TRY: attempt}
        with self._mapping_errors("stage", key):
            return self._call(
                "create_multipart_upload", key, Metadata=metadata, ContentType=content_type(key), **more
            )

    def send(self, key: str, upload: str, number: int, data: bytes) -> dict[str, str]:
        """Uploads one part; returns what completing the upload needs of it."""
        with self._mapping_errors("stage", key):
            # named here too: an SDK that adds checksums only when required would send the part without one
            sent = self._call(
                "upload_part", key, UploadId=upload, PartNumber=number, Body=data, ChecksumAlgorithm="CRC32"
            )
        return {name: sent[name] for name in ("ETag", "ChecksumCRC32") if name in sent}

    def publish(self, file: StagedFile) -> None:
        """Completes the upload; under ``can_read`` only where the key is free."""
        self._settle(PUBLISH, file, {"IfNoneMatch": "*"} if self.can_read else {})

    def overwrite(self, file: StagedFile) -> None:
        """Completes the upload whatever is at the key."""
        self._settle(OVERWRITE, file, {})

    def _settle(self, table: Table, file: StagedFile, condition: dict[str, str]) -> None:
        # under can_read even a success is looked up: some servers answer 200 for an upload that is gone
        look = (lambda: self._look(file)) if self.can_read else None
        seen = settle(table, file, *self._complete(file, condition), look)
        if seen is Seen.EQUAL:  # another try's object is there, so this try's upload is still open
            self.abort([file.staged])

    def _complete(self, file: StagedFile, condition: dict[str, str]) -> tuple[Answer, StoreError | None]:
        staged = json.loads(file.staged)
        parts = [{**part, "PartNumber": number} for number, part in enumerate(staged["parts"], 1)]
        try:
            self._call(
                "complete_multipart_upload",
                file.key,
                UploadId=staged["upload"],
                MultipartUpload={"Parts": parts},
                **condition,
            )
        except _FAILURES as error:
            return _ANSWERS.get(error_code(error), Answer.UNCLEAR), self._refused("publish", file.key, error)
        return Answer.DONE, None

    def _look(self, file: StagedFile) -> Seen:
        try:
            found = self._call("head_object", file.key)
            if self._is_ours(found, file):
                return Seen.OURS
            return Seen.EQUAL if self._holds(found, file) else Seen.OTHER
        except FileNotFoundError:  # removed since the first answer
            return Seen.FREE
        except _FAILURES as error:
            if error_code(error) in {"404", "NoSuchKey", "NotFound"}:
                return Seen.FREE
            raise self._refused("look at", file.key, error) from None

    def _is_ours(self, found: dict[str, Any], file: StagedFile) -> bool:
        """Whether the object is of this very try."""
        mine: str = json.loads(file.staged)["try"]
        return bool(found["ContentLength"] == file.bytes and found["Metadata"].get(_TRY) == mine)

    def _holds(self, found: dict[str, Any], file: StagedFile) -> bool:
        """Whether another try's object has the same bytes."""
        if found["ContentLength"] != file.bytes:
            return False
        digest = hashlib.sha256()
        with self.read(file.key) as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
        return digest.hexdigest() == file.sha256

    def abort(self, staged: Iterable[str]) -> list[str]:
        """Aborts uploads by reference."""
        known = {reference: json.loads(reference) for reference in staged}
        return [each for each, upload in known.items() if not self.forget(upload["key"], upload["upload"])]

    def forget(self, key: str, upload: str) -> bool:
        """Aborts one upload; False where that fails, and the bucket's lifecycle rule ends the upload."""
        try:
            self._call("abort_multipart_upload", key, UploadId=upload)
        except _FAILURES as error:
            return error_code(error) in _GONE
        return True

    def listing(self, prefix: str) -> Iterator[ObjectInfo]:
        """Objects by key prefix, page by page."""
        with self._mapping_errors("list", prefix):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=prefix, **self._owner):
                for each in page.get("Contents", ()):
                    yield ObjectInfo(each["Key"], each["Size"])

    def folders(self, prefix: str) -> Iterator[str]:
        """Common prefixes up to the next slash, page by page."""
        with self._mapping_errors("list", prefix):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=prefix, Delimiter="/", **self._owner):
                for each in page.get("CommonPrefixes", ()):
                    yield each["Prefix"]

    @contextmanager
    def read(self, key: str) -> Iterator[BinaryIO]:
        """Streams the object."""
        try:
            body = self._call("get_object", key)["Body"]
        except _FAILURES as error:
            if error_code(error) in {"NoSuchKey", "404"}:
                raise FileNotFoundError(key) from None
            raise self._refused("read", key, error) from None
        with closing(body), self._mapping_errors("read", key):
            yield body

    @property
    def unswept(self) -> str:
        """Without ``can_read`` ``sweep`` finds only uploads that the ledger names."""
        rule = "the bucket's own rule AbortIncompleteMultipartUpload ends uploads that no ledger names"
        return "" if self.can_read else rule

    def sweep(self, older_than: datetime, keep: frozenset[str], mine: Mine) -> list[str]:
        """Aborts open uploads below the prefix that began before ``older_than``; none without ``can_read``."""
        if not self.can_read:
            return []
        kept = {json.loads(reference)["upload"] for reference in keep}
        removed = []
        with self._mapping_errors("sweep", self._prefix):
            pages = self._client.get_paginator("list_multipart_uploads")
            prefix = f"{self._prefix}/" if self._prefix else ""
            for page in pages.paginate(Bucket=self._bucket, Prefix=prefix, **self._owner):
                for each in page.get("Uploads", ()):
                    name = f"{each['Key']} {each['UploadId']}"
                    if each["UploadId"] in kept or each["Initiated"] >= older_than:
                        continue
                    if mine(each["Key"]) and self.forget(each["Key"], each["UploadId"]):
                        removed.append(name)
        return sorted(removed)

    @property
    def _client(self) -> Any:
        return client(self._access.model_dump_json())

    def _call(self, operation: str, key: str, **more: Any) -> dict[str, Any]:
        found: dict[str, Any] = getattr(self._client, operation)(
            Bucket=self._bucket, Key=key, **self._owner, **more
        )
        if _HOLDS.get(operation, "ResponseMetadata") not in found:
            raise AnswerCut
        return found

    @contextmanager
    def _mapping_errors(self, what: str, key: str) -> Iterator[None]:
        try:
            yield
        except _FAILURES as error:
            raise self._refused(what, key, error) from None

    def _refused(self, what: str, key: str, error: Exception) -> StoreError:
        if error_code(error) in OF_CREDENTIALS:
            client.cache_clear()  # the next client looks for renewed ones
        todo = remedy(error, AGAIN)
        if self._owner and todo.startswith("Grant "):
            todo = f"Check that store.expected_owner owns the bucket. {todo}"
        return StoreError(
            f"cannot {what} s3://{self._bucket}/{key}: {met(error, self._access)}",
            code="store_refused",
            remedy=todo,
        )
