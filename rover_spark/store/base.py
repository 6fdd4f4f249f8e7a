"""The narrow interface to a destination, and its laws.

A store turns a staged file into an object that receivers see, in one step. Every adapter keeps these laws, and one
behaviour suite holds all of them to it:

1. staged bytes are invisible: ``listing`` and ``read`` do not know them;
2. ``publish`` makes the whole object visible under its key, or nothing; never a part of it;
3. publishing the same bytes to a key again is success; another payload at the key is KeyTaken;
4. ``overwrite`` puts the staged bytes at the key whatever is there; it is for redelivery only;
5. any process may publish or abort what another one staged: it needs only the reference;
6. when staged bytes are gone and the key is not visible, ``publish`` raises StagedLost and changes nothing;
7. where nobody knows whether the object is visible, ``publish`` and ``overwrite`` raise PublishUnknown and remove nothing.

The table in ``store/outcome.py`` decides between these outcomes for every adapter.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Protocol

from rover_spark.errors import StoreError
from rover_spark.model.file import StagedFile


@dataclass(frozen=True)
class ObjectInfo:
    """A visible object: key and size in bytes."""

    key: str
    bytes: int


class Staging(Protocol):
    """One try at one file. Exactly one of ``finish`` and ``abort`` ends it."""

    def write(self, data: bytes) -> None:
        """Appends compressed bytes."""
        ...

    def finish(self) -> str:
        """Makes the bytes durable, still invisible; returns the reference that publishes them."""
        ...

    def abort(self) -> None:
        """Removes what was written, as far as it can. Bytes that are gone already are no error."""
        ...

    def clock(self) -> datetime | None:
        """The time by the store's own clock when it took bytes of this try; None where it has no clock."""
        ...


STAGING = "_rover_staging"  # the folder of staged files in stores that show them, beside what receivers read
Mine = Callable[[str], bool]


class Store(Protocol):
    """A destination. Keys are whole object keys, prefix included."""

    @property
    def can_read(self) -> bool:
        """Whether the role may call ``listing`` and ``read``."""
        ...

    @property
    def unswept(self) -> str:
        """What ``sweep`` cannot find here, and who removes it; empty where it finds everything."""
        ...

    @property
    def untried(self) -> str:
        """A right that publishing needs and staging does not try, and how to grant it; empty where there is none."""
        ...

    @property
    def prefix(self) -> str:
        """The key prefix of everything delivered, without outer slashes; may be empty."""
        ...

    def stage(self, key: str, batch: str, attempt: str) -> Staging:
        """Begins a file. ``attempt`` is unique to this try and is part of no key."""
        ...

    def publish(self, file: StagedFile) -> None:
        """Makes a staged file visible (laws 2, 3, 6, 7)."""
        ...

    def overwrite(self, file: StagedFile) -> None:
        """Makes a staged file visible in place of what is there (laws 4, 7)."""
        ...

    def abort(self, staged: Iterable[str]) -> list[str]:
        """Removes staged files by reference; returns those that it could not remove. What is gone already is no error."""
        ...

    def listing(self, prefix: str) -> Iterator[ObjectInfo]:
        """Visible objects whose keys begin with ``prefix``, in no order."""
        ...

    def folders(self, prefix: str) -> Iterator[str]:
        """What follows ``prefix`` in visible keys up to the next slash, each once: ``a/b/`` for ``a/b/c`` below ``a/``.

        ``prefix`` is empty or ends with a slash. On a disk a folder may be empty.
        """
        ...

    def read(self, key: str) -> AbstractContextManager[BinaryIO]:
        """The object's bytes. Raises FileNotFoundError."""
        ...

    def sweep(self, older_than: datetime, keep: frozenset[str], mine: Mine) -> list[str]:
        """Removes this export's staged files last written before ``older_than``, except ``keep``; returns their names.

        ``mine`` says whether this export may have staged a key, for stores where nothing else shows it.
        """
        ...


def prefix_of(destination: str) -> str:
    """The key prefix of what is delivered to a destination URL; empty for a directory, which itself is the prefix."""
    scheme, _, rest = destination.partition("://")
    return "" if scheme == "file" else rest.partition("/")[2].strip("/")


def below(prefix: str, *parts: str) -> str:
    """A key, or the beginning of keys, below a prefix that may be empty."""
    return "/".join((prefix, *parts) if prefix else parts)


def staged_name(key: str, attempt: str) -> str:
    """A unique name for one try at a key: a hash, the end of the key for people, the attempt; short enough for file systems."""
    end = key.rpartition("/")[2].encode()[-180:].decode(errors="ignore")
    return f"{hashlib.sha256(key.encode()).hexdigest()[:12]}-{end}.{attempt}"


def staged_whole(staging: Staging, key: str, data: bytes) -> StagedFile:
    """Stages a small object in one call. Raises StoreError, and leaves nothing behind then."""
    try:
        staging.write(data)
        reference = staging.finish()
    except StoreError:
        staging.abort()
        raise
    digest = hashlib.sha256(data).hexdigest()
    return StagedFile(key, 1, len(data), digest, len(data), digest, 0, 0, reference)


AGAIN = "Run export again: it goes on where it stopped."
UNREACHED = "Check store.endpoint, its host's name and port, a proxy, and this machine's network."


def unreachable(error: BaseException) -> str | None:
    """Why no server answered, or None: read off the SDK's chain of causes, because its text may hold a secret."""
    waiting: list[object] = [error]
    seen = set[int]()
    while waiting:
        each = waiting.pop(0)
        if not isinstance(each, BaseException) or id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, socket.gaierror) or type(each).__name__ == "NameResolutionError":
            return "no such host is known"
        if isinstance(each, ConnectionRefusedError):
            return "nothing listens there"
        if isinstance(each, ssl.SSLError):
            return "it speaks no TLS that this machine trusts"
        if isinstance(each, TimeoutError) or "Timeout" in type(each).__name__:
            return "it does not answer in time"
        waiting += [each.__cause__, each.__context__, *each.args]
        waiting += [getattr(each, name, None) for name in ("reason", "inner_exception", "cause")]
    return None


_CONTENT_TYPES = {
    ".avro": "application/avro",
    ".avsc": "application/json",
    ".json": "application/json",
    ".md": "text/markdown",
    ".sha256": "text/plain",
    ".txt": "text/plain",
}


def content_type(key: str) -> str:
    """The Content-Type of an object."""
    name = key.rpartition("/")[2]
    return next((kind for ending, kind in _CONTENT_TYPES.items() if ending in name), "application/gzip")
