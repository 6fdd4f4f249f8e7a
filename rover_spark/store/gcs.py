"""A Google Cloud Storage bucket: tasks write temporary objects, the driver rewrites them to their keys.

Temporary objects lie in ``_rover_staging/<export>/`` below the prefix, beside what receivers read. With ``can_read`` a
rewrite needs a free key (``ifGenerationMatch=0``), and a lost answer is followed by a look at the key; without it the
same bytes may be written again. The role needs to create, read and delete below the staging prefix, and to create at
the keys; without ``can_read`` also to delete there, because Google asks for that right to write over an object. No
error keeps its cause: the address of an upload session is a secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import lru_cache
from typing import Any, BinaryIO

import google.auth
from google.api_core.exceptions import (
    GoogleAPICallError,
    NotFound,
    PreconditionFailed,
    RetryError,
    from_http_status,
)
from google.auth import impersonated_credentials
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY
from requests.exceptions import RequestException

from rover_spark.config.access import Access
from rover_spark.errors import StoreError
from rover_spark.model.file import StagedFile
from rover_spark.store.base import (
    AGAIN,
    STAGING,
    UNREACHED,
    Mine,
    ObjectInfo,
    content_type,
    staged_name,
    unreachable,
)
from rover_spark.store.outcome import OVERWRITE, PUBLISH, Answer, Seen, settle

PART_BYTES = 8 << 20  # one chunk of a resumable upload; no more of a file is in memory
_SHA = "rover-sha256"
_RETRY = DEFAULT_RETRY.with_timeout(60.0)
_FAILURES = (
    GoogleAPICallError,
    GoogleAuthError,
    RetryError,
    RequestException,
    InvalidResponse,
    DataCorruption,
)
_CUT = (AttributeError, KeyError, TypeError)  # the SDK raises these for an answer that was cut or is no JSON
REMEDIES = {
    "Unauthorized": "Give the SDK credentials: workload identity, or GOOGLE_APPLICATION_CREDENTIALS.",
    "DefaultCredentialsError": "Give the SDK credentials: workload identity, or GOOGLE_APPLICATION_CREDENTIALS.",
    "RefreshError": "Renew the credentials that the SDK finds, or check store.impersonate.",
    "NotFound": "Correct the bucket's name in destination.",
}
_AT_THE_KEYS = "storage.objects.get below _rover_staging/ and storage.objects.create at the keys"
_LOOKING = "store.can_read = true, with storage.objects.get and .list, and nothing is put twice"
_OVER = "storage.objects.delete at the keys too, where a file whose answer was lost is put a second time"
# the act that was refused -> the permission that it needs
_PERMISSIONS = {
    "stage": "storage.objects.create below _rover_staging/",
    "publish": _AT_THE_KEYS,
    "overwrite": f"{_AT_THE_KEYS}, and storage.objects.delete there to overwrite what is at one",
    "look at": "storage.objects.get at the keys and below _rover_staging/",
    "read": "storage.objects.get at the keys",
    "list": "storage.objects.list on the bucket",
    "sweep": "storage.objects.list on the bucket",
}
_CLOUD = "https://storage.googleapis.com"


class GcsStaging:
    """One resumable upload into a temporary object."""

    def __init__(self, store: GcsStore, name: str) -> None:
        self._store, self._name = store, name
        self._writer = store.blob(name).open("wb", chunk_size=PART_BYTES, content_type=content_type(name))

    def write(self, data: bytes) -> None:
        """Sends whole parts, keeps the rest."""
        with self._store.mapping_errors("stage", self._name):
            self._writer.write(data)

    def finish(self) -> str:
        """Ends the upload; returns the object's name as the reference."""
        with self._store.mapping_errors("stage", self._name):
            self._writer.close()
        return self._name

    def abort(self) -> None:
        """Cancels the upload."""
        with suppress(*_FAILURES, ValueError):
            self._writer.terminate()

    def clock(self) -> datetime | None:
        """When the temporary object was made."""
        made: datetime | None = self._store.made(self._name)
        return made


class GcsStore:
    """One bucket and prefix."""

    def __init__(self, location: str, export: str, access: Access) -> None:
        self._name, _, prefix = location.partition("/")
        self._prefix = prefix.strip("/")
        beside = access.staging.partition(f"gs://{self._name}/")[2] if access.staging else self._prefix
        self._staged = "/".join(filter(None, (beside, STAGING))) + "/"
        self._staging = f"{self._staged}{export}/"
        self._access = access

    @property
    def prefix(self) -> str:
        """What follows the bucket's name."""
        return self._prefix

    @property
    def can_read(self) -> bool:
        """Returns the setting ``store.can_read``: whether the role may list and read."""
        return self._access.can_read

    def blob(self, name: str) -> Any:
        """A handle; makes no request."""
        return self._bucket.blob(name)

    def stage(self, key: str, batch: str, attempt: str) -> GcsStaging:
        """Begins a temporary object of this try's own."""
        with self.mapping_errors("stage", key):
            return GcsStaging(self, f"{self._staging}{batch}/{staged_name(key, attempt)}")

    def publish(self, file: StagedFile) -> None:
        """Rewrites the temporary object to its key; under ``can_read`` only where the key is free."""
        answer, cause = self._rewrite("publish", file, {"if_generation_match": 0} if self.can_read else {})
        looks = self.can_read and answer is not Answer.DONE
        settle(PUBLISH, file, answer, cause, (lambda: self._look(file)) if looks else None)
        self.abort([file.staged])

    def overwrite(self, file: StagedFile) -> None:
        """Rewrites the temporary object to its key whatever is there."""
        settle(OVERWRITE, file, *self._rewrite("overwrite", file, {}), None)
        self.abort([file.staged])

    def _rewrite(
        self, what: str, file: StagedFile, condition: dict[str, int]
    ) -> tuple[Answer, StoreError | None]:
        token = None
        try:
            target = self.blob(file.key)
            target.metadata, target.content_type = {_SHA: file.sha256}, content_type(file.key)
            while True:
                # a repeated request is harmless: it writes the same object, or its condition fails
                token, _, _ = target.rewrite(self.blob(file.staged), token=token, retry=_RETRY, **condition)
                if token is None:
                    return Answer.DONE, None
        except (*_FAILURES, *_CUT) as error:
            return _answer(error), self._refused(what, file.key, error)

    def _look(self, file: StagedFile) -> Seen:
        found = self._found(file.key)
        if found is None:
            return Seen.FREE
        # published objects carry their hash
        same = found.size == file.bytes and (found.metadata or {}).get(_SHA) == file.sha256
        return Seen.EQUAL if same else Seen.OTHER

    def _found(self, key: str) -> Any:
        with self.mapping_errors("look at", key):
            found = self._bucket.get_blob(key)
            if found is not None and found.size is None:  # every object has a size
                raise KeyError("size")
            return found

    def made(self, name: str) -> Any:
        """When an object was made; None where it is not there."""
        found = self._found(name)
        return found and found.time_created

    def abort(self, staged: Iterable[str]) -> list[str]:
        """Deletes temporary objects; ``sweep`` removes those that cannot be reached now."""
        left = []
        for name in staged:
            try:
                self.blob(name).delete()
            except NotFound:
                continue
            except _FAILURES:
                left.append(name)
        return left

    def listing(self, prefix: str) -> Iterator[ObjectInfo]:
        """Objects by key prefix, without staged ones."""
        with self.mapping_errors("list", prefix):
            for each in self._bucket.list_blobs(prefix=prefix):
                if not each.name.startswith(self._staged):
                    yield ObjectInfo(each.name, each.size)

    def folders(self, prefix: str) -> Iterator[str]:
        """Prefixes up to the next slash, page by page; without the staging folder."""
        with self.mapping_errors("list", prefix):
            for page in self._bucket.list_blobs(prefix=prefix, delimiter="/").pages:
                for each in sorted(page.prefixes):
                    if not each.startswith(self._staged):
                        yield each

    @contextmanager
    def read(self, key: str) -> Iterator[BinaryIO]:
        """Streams the object."""
        blob = self._found(key)
        if blob is None:
            raise FileNotFoundError(key)
        # an error of the reader's own code is no answer of the store
        with self.mapping_errors("read", key, cut=()), blob.open("rb", chunk_size=PART_BYTES) as stream:
            yield stream

    @property
    def unswept(self) -> str:
        """Without ``can_read`` ``sweep`` finds only temporary objects that the ledger names."""
        rule = "the bucket's own lifecycle rule deletes what no ledger names below _rover_staging/"
        return "" if self.can_read else rule

    @property
    def untried(self) -> str:
        """Without ``can_read`` the right to write over an object is needed only after a lost answer."""
        return "" if self.can_read else f"Let the role have {_OVER}; or set {_LOOKING}."

    def sweep(self, older_than: datetime, keep: frozenset[str], mine: Mine) -> list[str]:
        """Deletes temporary objects of this export made before ``older_than``; none without ``can_read``."""
        if not self.can_read:
            return []
        removed = []
        with self.mapping_errors("sweep", self._staging):
            for each in self._bucket.list_blobs(prefix=self._staging):
                if each.name in keep or each.time_created >= older_than:
                    continue
                if not self.abort([each.name]):
                    removed.append(each.name)
        return sorted(removed)

    @property
    def _bucket(self) -> Any:
        return _client(self._access.model_dump_json()).bucket(self._name)

    @contextmanager
    def mapping_errors(self, what: str, key: str, cut: tuple[type[Exception], ...] = _CUT) -> Iterator[None]:
        """Maps the SDK's errors to StoreError."""
        try:
            yield
        except (*_FAILURES, *cut) as error:
            raise self._refused(what, key, error) from None

    def _refused(self, what: str, key: str, error: Exception) -> StoreError:
        if isinstance(
            error, InvalidResponse
        ):  # an upload names by status what all other requests name by class
            named: Any = from_http_status
            error = named(error.response.status_code, "")
        code = "AnswerCut" if isinstance(error, _CUT) else type(error).__name__
        remedy = REMEDIES.get(code, AGAIN)
        if why := unreachable(error):
            code = f"{code}: {why}: {self._access.endpoint or _CLOUD}"
            remedy = f"{UNREACHED} {AGAIN}"
        if code == "Forbidden":
            remedy = f"Grant the role {_PERMISSIONS[what]}"
            remedy += f"; and {_OVER}; or set {_LOOKING}." if what == "publish" and not self.can_read else "."
        return StoreError(
            f"cannot {what} gs://{self._name}/{key}: {code}", code="store_refused", remedy=remedy
        )


def _answer(error: Exception) -> Answer:
    if isinstance(error, PreconditionFailed):
        return Answer.NOT_FREE
    if isinstance(error, NotFound) and "specified bucket does not exist" not in str(error):
        return Answer.GONE
    return Answer.UNCLEAR


@lru_cache(maxsize=8)
def _client(access: str) -> Any:
    """One client per process and access."""
    wanted = Access.model_validate_json(access)
    options: dict[str, Any] = {"client_options": {"api_endpoint": wanted.endpoint}} if wanted.endpoint else {}
    if wanted.endpoint and wanted.endpoint.startswith(
        "http://"
    ):  # an emulator: never a credential in clear text
        nobody: Any = AnonymousCredentials
        return storage.Client(project="none", credentials=nobody(), **options)
    credentials = None  # None: the SDK finds them by itself
    if wanted.impersonate:
        mine, _ = google.auth.default()
        other: Any = impersonated_credentials.Credentials
        credentials = other(
            mine,
            target_principal=wanted.impersonate,
            target_scopes=["https://www.googleapis.com/auth/devstorage.read_write"],
        )
    # no project: bucket names are global, and credentials may have none
    return storage.Client(project=None, credentials=credentials, **options)
