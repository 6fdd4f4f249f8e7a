"""One object, read strictly: its right lines or events in pieces, its wrong ones by number, and at the end that it was whole.

Promises bounded memory and that whoever reads to the end without an error has read a whole object, the one that its manifest
names where there is one. Reads nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from rover_spark.consume.checked import checked
from rover_spark.consume.containers import BrokenContainer, Container, Event, Header
from rover_spark.consume.lines import Piece
from rover_spark.consume.load.due import Due
from rover_spark.consume.place import reading
from rover_spark.consume.records import BadLine, Wrong
from rover_spark.contract.rover import DATASETS
from rover_spark.encode.inflated import NotOneMember
from rover_spark.errors import RunError, StoreError
from rover_spark.store import Store


class Damaged(Exception):
    """An object of which nothing is loaded. ``code`` says why, as in the report of ``conform``."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True)
class Whole:
    """The end of an object: its SHA-256 and its size in bytes."""

    sha256: str
    bytes: int


Part = Piece | BadLine | Header | Event | Whole


def why_unread(error: StoreError | OSError) -> str:
    """Why an object cannot be read, in a few words."""
    return error.message if isinstance(error, StoreError) else str(error.strerror or error)


def unreadable(message: str) -> RunError:
    """The error of a reader that gives up."""
    remedy = "Look at the rights and at the network, and run load again."
    return RunError(message, code="object_unreadable", remedy=remedy)


def parts(store: Store, due: Due) -> Iterator[Part]:
    """What an object holds; its last part is ``Whole``. Of Currents the header comes first.

    Raises:
        Damaged: it is no whole object of its contract, or not the one that its manifest names; parts of it were given.
        FileNotFoundError: it is gone. StoreError, OSError: it cannot be read.
    """
    records = 0
    with reading(store, due.key) as stream:
        hashed = _Hashed(stream)
        try:
            for part in _inside(cast("BinaryIO", hashed), due):
                records += part.count if isinstance(part, Piece) else not isinstance(part, Header)
                yield part
        except (NotOneMember, BrokenContainer) as broken:
            raise Damaged(broken.code if hashed.taken else "file_empty", str(broken)) from None
        whole = Whole(hashed.digest.hexdigest(), hashed.taken)
    if not records:
        raise Damaged("file_empty", "holds no records")
    if due.sha256 and (due.sha256, due.records) != (whole.sha256, records):
        raise Damaged(
            "manifest_file_differs",
            f"has {records} records, sha256 {whole.sha256}; its manifest says {due.records}, {due.sha256}",
        )
    yield whole


def _inside(stream: BinaryIO, due: Due) -> Iterator[Piece | BadLine | Header | Event]:
    if due.contract == "rover":
        yield from checked(stream, DATASETS[due.dataset])
        return
    container = Container(stream)
    yield container.header
    for event in container.events():
        if event.fields["id"]:
            yield event
        else:
            wrong = (Wrong("id_malformed", "has an empty id"),)
            yield BadLine(event.number, wrong, repr(event.fields)[:4000].encode())


class _Hashed:
    """A stream that hashes what it gives."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()
        self.taken = 0

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` octets."""
        data = self._stream.read(size)
        self.taken += len(data)
        self.digest.update(data)
        return data
