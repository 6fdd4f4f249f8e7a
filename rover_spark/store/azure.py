"""An Azure container: tasks upload uncommitted blocks, the driver commits their list.

No listing shows uncommitted blocks, and Azure drops them after a week: there is nothing to abort. With ``can_read`` a
commit needs a free key, and a lost answer is followed by a look at the key; without it the same list may be committed
again. A commit drops the blocks of every other try at that key. No error keeps its cause: an address may hold a SAS.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobBlock, BlobPrefix, BlobServiceClient, ContentSettings, ExponentialRetry

from rover_spark.config.access import Access
from rover_spark.errors import ConfigError, StoreError
from rover_spark.model.file import StagedFile
from rover_spark.store.base import (
    AGAIN,
    UNREACHED,
    Mine,
    ObjectInfo,
    content_type,
    unreachable,
)
from rover_spark.store.outcome import OVERWRITE, PUBLISH, Answer, Seen, settle

PART_BYTES = 8 << 20  # at most 50,000 blocks: files up to 390 GB
_SHA = "rover_sha256"
_DIRECTORY = ("hdi_isfolder", "true")  # the metadata of a directory, which listings show as an empty blob
_ANSWERS = {
    "InvalidBlockList": Answer.GONE,
    "BlobAlreadyExists": Answer.NOT_FREE,
    "ConditionNotMet": Answer.NOT_FREE,
}
_ENVIRON = os.environ  # noqa: TID251 - Azure's SDK leaves its variables, secrets among them, to the caller
REMEDIES = {
    "AuthenticationFailed": "Renew the SAS or the key, and check this machine's clock.",
    "NoAuthenticationInformation": "Give the SDK credentials: a managed identity, or AZURE_STORAGE_SAS_TOKEN.",
    "ClientAuthenticationError": "Give the SDK credentials: a managed identity, or AZURE_STORAGE_SAS_TOKEN.",
    "CredentialUnavailableError": "Give the SDK credentials: a managed identity, or AZURE_STORAGE_SAS_TOKEN.",
    "AzureSigningError": "Correct the account's key: it is not base64.",
    "ContainerNotFound": "Correct the container's name in destination.",
}
_REFUSED = {"AuthorizationFailure", "AuthorizationPermissionMismatch"}
_PUTTING = "create and write on the container, or a SAS with c and w"
# the act that was refused -> the permission that it needs
_PERMISSIONS = {
    "look at": "read on the container, or a SAS with r",
    "read": "read on the container, or a SAS with r",
    "list": "list on the container, or a SAS with l",
}
_TAGGING = "blobs/tags/write (Storage Blob Data Owner has it, Contributor has not), or a SAS with t"


class AzureStaging:
    """The blocks of one try; none of them is committed."""

    def __init__(self, store: AzureStore, key: str, attempt: str) -> None:
        self._store, self._key = store, key
        self._token = hashlib.sha256(attempt.encode()).hexdigest()[
            :32
        ]  # all block ids of a blob must have one length
        self._waiting = bytearray()
        self._count = 0
        self._clock: datetime | None = None

    def write(self, data: bytes) -> None:
        """Buffers up to one block."""
        self._waiting += data
        while len(self._waiting) >= PART_BYTES:
            self._send(bytes(self._waiting[:PART_BYTES]))
            del self._waiting[:PART_BYTES]

    def _send(self, data: bytes) -> None:
        with self._store.mapping_errors("stage", self._key):
            taken = self._store.blob(self._key).stage_block(
                _block(self._token, self._count), data, validate_content=True
            )
        self._clock = taken.get("date")
        self._count += 1

    def finish(self) -> str:
        """Sends the rest."""
        if self._waiting:
            self._send(bytes(self._waiting))
            self._waiting.clear()
        return json.dumps({"token": self._token, "blocks": self._count}, separators=(",", ":"))

    def abort(self) -> None:
        """Does nothing: Azure drops the blocks by itself."""
        self._waiting.clear()

    def clock(self) -> datetime | None:
        """The Date header of the last answer."""
        return self._clock


class AzureStore:
    """One container and prefix."""

    unswept = "Azure itself drops blocks that were never committed, a week after the last one"

    def __init__(self, location: str, access: Access) -> None:
        self._container, _, prefix = location.partition("/")
        self._prefix = prefix.strip("/")
        self._access = access
        _client(access.model_dump_json())  # raises ConfigError before anything is written

    @property
    def prefix(self) -> str:
        """What follows the container's name."""
        return self._prefix

    @property
    def can_read(self) -> bool:
        """Returns the setting ``store.can_read``: whether the role may list and read."""
        return self._access.can_read

    @property
    def untried(self) -> str:
        """Tags are written when the list of blocks is committed, and not before."""
        return f"For store.tags let the role have {_TAGGING}." if self._access.tags else ""

    def blob(self, key: str) -> Any:
        """A client of one blob; makes no request."""
        return self._service.get_blob_client(self._container, key)

    def stage(self, key: str, batch: str, attempt: str) -> AzureStaging:
        """Begins blocks of this try's own at the key itself."""
        return AzureStaging(self, key, attempt)

    def publish(self, file: StagedFile) -> None:
        """Commits the list; under ``can_read`` only where the key is free."""
        answer, cause = self._commit(
            file, {"match_condition": MatchConditions.IfMissing} if self.can_read else {}
        )
        looks = self.can_read and answer is not Answer.DONE
        settle(PUBLISH, file, answer, cause, (lambda: self._look(file)) if looks else None)

    def overwrite(self, file: StagedFile) -> None:
        """Commits the list whatever is at the key."""
        settle(OVERWRITE, file, *self._commit(file, {}), None)

    def _commit(self, file: StagedFile, condition: dict[str, Any]) -> tuple[Answer, StoreError | None]:
        staged = json.loads(file.staged)
        blocks = [BlobBlock(_block(staged["token"], number)) for number in range(staged["blocks"])]
        try:
            self.blob(file.key).commit_block_list(
                blocks,
                metadata={_SHA: file.sha256},
                content_settings=ContentSettings(content_type=content_type(file.key)),
                tags=self._access.tags or None,
                **condition,
            )
        except AzureError as error:
            return _ANSWERS.get(_code(error), Answer.UNCLEAR), self._refused("publish", file.key, error)
        return Answer.DONE, None

    def _look(self, file: StagedFile) -> Seen:
        try:
            with self.mapping_errors("look at", file.key):
                found = self.blob(file.key).get_blob_properties()
        except FileNotFoundError:
            return Seen.FREE
        same = found.size == file.bytes and (found.metadata or {}).get(_SHA) == file.sha256
        return Seen.EQUAL if same else Seen.OTHER

    def abort(self, staged: Iterable[str]) -> list[str]:
        """Does nothing: Azure drops uncommitted blocks by itself."""
        return []

    def listing(self, prefix: str) -> Iterator[ObjectInfo]:
        """Committed blobs by key prefix, without the blobs that represent directories in a hierarchical account."""
        container = self._service.get_container_client(self._container)
        with self.mapping_errors("list", prefix):
            for each in container.list_blobs(name_starts_with=prefix or None, include=["metadata"]):
                # names of metadata ignore case
                if _DIRECTORY not in {(name.lower(), value) for name, value in (each.metadata or {}).items()}:
                    yield ObjectInfo(each.name, each.size)

    def folders(self, prefix: str) -> Iterator[str]:
        """Prefixes up to the next slash."""
        container = self._service.get_container_client(self._container)
        with self.mapping_errors("list", prefix):
            for each in container.walk_blobs(name_starts_with=prefix or None, delimiter="/"):
                if isinstance(each, BlobPrefix):
                    yield each.name

    @contextmanager
    def read(self, key: str) -> Iterator[BinaryIO]:
        """Streams the blob."""
        with self.mapping_errors("read", key):
            yield self.blob(key).download_blob()

    def sweep(self, older_than: datetime, keep: frozenset[str], mine: Mine) -> list[str]:
        """Removes nothing: an uncommitted block cannot be removed without making its blob visible."""
        return []

    @property
    def _service(self) -> Any:
        return _client(self._access.model_dump_json())

    @contextmanager
    def mapping_errors(self, what: str, key: str) -> Iterator[None]:
        """Maps the SDK's errors to StoreError, and a missing blob to FileNotFoundError."""
        try:
            yield
        except ResourceNotFoundError as error:
            if _code(error) in {"BlobNotFound", "ResourceNotFoundError"}:
                raise FileNotFoundError(key) from None
            raise self._refused(what, key, error) from None
        except AzureError as error:
            raise self._refused(what, key, error) from None

    def _refused(self, what: str, key: str, error: Exception) -> StoreError:
        code = _code(error)
        remedy = REMEDIES.get(code, AGAIN)
        if why := unreachable(error):
            code = f"{code}: {why}: {_host(self._service.url)}"
            remedy = f"{UNREACHED} {AGAIN}"
        if code in _REFUSED:
            tags = f"; for store.tags also {_TAGGING}" if what == "publish" and self._access.tags else ""
            remedy = f"Grant {_PERMISSIONS.get(what, _PUTTING)}{tags}."
        return StoreError(
            f"cannot {what} az://{self._container}/{key}: {code}", code="store_refused", remedy=remedy
        )


def _block(token: str, number: int) -> str:
    return f"{token}{number:08d}"


def _code(error: Exception) -> str:
    """Azure's error code, or the class of the SDK's error; never text that could hold a secret."""
    code = getattr(error, "error_code", None) if isinstance(error, HttpResponseError) else None
    return str(getattr(code, "value", code) or type(error).__name__)[:60]


@lru_cache(maxsize=8)
def _client(access: str) -> Any:
    """One client per process and access."""
    wanted = Access.model_validate_json(access)
    if text := _ENVIRON.get("AZURE_STORAGE_CONNECTION_STRING"):
        return _connected(text, wanted.endpoint)
    account = _ENVIRON.get("AZURE_STORAGE_ACCOUNT")
    if not (wanted.endpoint or account):
        raise ConfigError(
            "destination: az:// needs the storage account",
            code="account_missing",
            remedy='Set store.endpoint = "https://ACCOUNT.blob.core.windows.net", or AZURE_STORAGE_ACCOUNT.',
        )
    place = wanted.endpoint or f"https://{account}.blob.core.windows.net"
    credential: Any = _ENVIRON.get("AZURE_STORAGE_SAS_TOKEN") or _ENVIRON.get("AZURE_STORAGE_KEY")
    try:
        if credential is None:
            from azure.identity import DefaultAzureCredential

            credential = DefaultAzureCredential()
        return BlobServiceClient(place, credential=credential, **_options())
    except ValueError:
        raise ConfigError(
            f"destination: the SDK takes no client for {_host(place)} with the credentials that it finds",
            code="account_invalid",
            remedy="A token goes to https:// only; a key to https://ACCOUNT.blob.core.windows.net, which names its account.",
        ) from None


def _connected(text: str, endpoint: str | None) -> Any:
    """A client of the account in a connection string, which must be the one in the settings."""
    try:
        made = BlobServiceClient.from_connection_string(text, **_options())
    except ValueError:
        raise ConfigError(
            "AZURE_STORAGE_CONNECTION_STRING is no connection string",
            code="account_invalid",
            remedy="Copy it whole from the account's access keys, or unset it.",
        ) from None
    theirs = _host(f"{made.scheme}://{made.primary_hostname}")
    if endpoint and _host(endpoint) != theirs:
        raise ConfigError(
            f"store.endpoint names {_host(endpoint)}, but AZURE_STORAGE_CONNECTION_STRING {theirs}",
            code="account_ambiguous",
            remedy="Correct the one that is wrong, or leave it out.",
        )
    return made


def _host(url: str) -> str:
    """The host of an account, with the path of an emulator's account; without user name, password and query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2].lower()
    if parts.scheme == "https":
        host = host.removesuffix(":443")
    return host + parts.path.rstrip("/")


def _options() -> dict[str, Any]:
    # the SDK's default policy waits 15 seconds before the first retry
    again = ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=5)
    return {"retry_policy": again, "connection_timeout": 10, "read_timeout": 60}
