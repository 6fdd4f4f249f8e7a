"""A bucket in this process's memory, for tests and for looking at small exports.

A reference holds the staged bytes themselves, so tasks in other processes can stage; only the driver's process has the
objects. They end with the process.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import BinaryIO

from rover_spark.model.file import StagedFile
from rover_spark.store.base import Mine, ObjectInfo
from rover_spark.store.outcome import OVERWRITE, PUBLISH, Answer, Seen, settle

_BUCKETS: dict[str, dict[str, bytes]] = {}


class MemoryStaging:
    """Bytes that become a reference."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()

    def write(self, data: bytes) -> None:
        """Appends bytes."""
        self._buffer.write(data)

    def finish(self) -> str:
        """The bytes, as text."""
        return base64.b64encode(self._buffer.getvalue()).decode()

    def abort(self) -> None:
        """Forgets the bytes."""
        self._buffer = io.BytesIO()

    def clock(self) -> None:
        """None: the store has no clock but this process's."""


class MemoryStore:
    """Objects of one bucket; every MemoryStore of that name in this process has the same ones."""

    can_read = True
    unswept = ""
    untried = ""

    def __init__(self, location: str) -> None:
        bucket, _, prefix = location.partition("/")
        self._objects = _BUCKETS.setdefault(bucket, {})
        self._prefix = prefix.strip("/")

    @property
    def prefix(self) -> str:
        """What follows the bucket's name in the URL."""
        return self._prefix

    def stage(self, key: str, batch: str, attempt: str) -> MemoryStaging:
        """Begins a buffer."""
        return MemoryStaging()

    def publish(self, file: StagedFile) -> None:
        """Puts the object where the key is free; a key that holds the same bytes is success."""
        if file.key in self._objects:
            settle(PUBLISH, file, Answer.NOT_FREE, None, lambda: self._look(file))
        else:
            settle(PUBLISH, file, self._put(file), None, None)

    def overwrite(self, file: StagedFile) -> None:
        """Puts the object."""
        settle(OVERWRITE, file, self._put(file), None, None)

    def _put(self, file: StagedFile) -> Answer:
        data = base64.b64decode(file.staged)
        if hashlib.sha256(data).hexdigest() != file.sha256:
            return Answer.GONE
        self._objects[file.key] = data
        return Answer.DONE

    def _look(self, file: StagedFile) -> Seen:
        same = hashlib.sha256(self._objects[file.key]).hexdigest() == file.sha256
        return Seen.EQUAL if same else Seen.OTHER

    def abort(self, staged: Iterable[str]) -> list[str]:
        """Does nothing: only the references hold staged bytes."""
        return []

    def listing(self, prefix: str) -> Iterator[ObjectInfo]:
        """Objects by key prefix."""
        for key, data in list(self._objects.items()):
            if key.startswith(prefix):
                yield ObjectInfo(key, len(data))

    def folders(self, prefix: str) -> Iterator[str]:
        """Folders by key prefix."""
        keys = (key[len(prefix) :] for key in list(self._objects) if key.startswith(prefix))
        for name in dict.fromkeys(key.partition("/")[0] for key in keys if "/" in key):
            yield f"{prefix}{name}/"

    def read(self, key: str) -> BinaryIO:
        """The object's bytes."""
        if key not in self._objects:
            raise FileNotFoundError(key)
        return io.BytesIO(self._objects[key])

    def sweep(self, older_than: datetime, keep: frozenset[str], mine: Mine) -> list[str]:
        """Removes nothing: nothing is left behind."""
        return []
