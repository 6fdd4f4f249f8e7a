"""Sizes and hashes of a file on its way to a store, before and after compression."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable

from rover_spark.encode.lines import Lines


class CountedFile(ABC):
    """A file on its way to ``sink``; an encoder takes records in through ``_take`` and gives bytes out through ``_emit``.

    ``raw_bytes`` and ``raw_sha256`` are of the records, ``bytes`` and ``sha256`` of the file.
    """

    def __init__(self, sink: Callable[[bytes], object]) -> None:
        self._sink = sink
        self._raw, self._packed = hashlib.sha256(), hashlib.sha256()
        self._waiting = bytearray()
        self.raw_bytes = 0
        self.bytes = 0

    @abstractmethod
    def write(self, lines: Lines, start: int, stop: int) -> None:
        """Appends rows start..stop, one record each; null rows are no records."""

    @abstractmethod
    def close(self) -> None:
        """Ends the file: sizes and hashes are final."""

    def _take(self, data: bytes | memoryview) -> None:
        self._measure(data)
        self._waiting += data

    def _measure(self, data: bytes | memoryview) -> None:
        self._raw.update(data)
        self.raw_bytes += len(data)

    def _emit(self, data: bytes) -> None:
        if data:
            self._packed.update(data)
            self.bytes += len(data)
            self._sink(data)

    @property
    def sha256(self) -> str:
        """Hex SHA-256 of the file's bytes so far."""
        return self._packed.hexdigest()

    @property
    def raw_sha256(self) -> str:
        """Hex SHA-256 of the records so far, before compression."""
        return self._raw.hexdigest()
