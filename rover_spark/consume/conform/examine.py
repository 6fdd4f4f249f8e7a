"""One file held against the contract: what it holds, and every breach in it. Reads it once, in pieces.

Lines that are right are read many at once; only a piece that holds something wrong is judged line by line. Whatever an object
is, the answer is a value: an object that is gone or cannot be read is a breach like any other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any, BinaryIO, cast
from zlib import crc32

from rover_spark.consume.columns import Columns, columns
from rover_spark.consume.conform.catalogue import Numbered
from rover_spark.consume.conform.checksums import checksum, checksums
from rover_spark.consume.conform.ids import Spill
from rover_spark.consume.conform.lint import Lint
from rover_spark.consume.conform.report import Breach, Tally
from rover_spark.consume.containers import BrokenContainer, Container, Event
from rover_spark.consume.keys import EventFile, RoverFile
from rover_spark.consume.lines import TEXT_BYTES, LongLine, Piece, split
from rover_spark.consume.records import DATASETS, instant_of, judged, too_long
from rover_spark.contract.avro import canonical, fingerprint
from rover_spark.contract.currents import EVENTS_PER_FILE_BACKLOG
from rover_spark.contract.zones import ZONES
from rover_spark.encode.inflated import NotOneMember, inflate
from rover_spark.errors import StoreError
from rover_spark.store import Store

DAY = timedelta(days=1)
EARLIEST = "1970-01-01T00:00:00"
_SECONDS = len(EARLIEST)
_ZONES = frozenset(ZONES)


@dataclass(frozen=True)
class Examined:
    """What one file holds. Hashes are empty where nobody asked for them, ``schema`` is the fingerprint of an Avro schema."""

    number: int
    records: int
    text_bytes: int
    sha256: str
    text_sha256: str
    schema: str
    breaches: tuple[Breach, ...]


def examine(store: Store, numbered: Numbered, group: int, spill: Spill, lint: Lint | None) -> Examined:
    """Reads one file. Its ids go to ``spill`` under ``group``; ``lint`` looks at what a loader would refuse."""
    work = _Work(numbered, group, spill, lint)
    try:
        with store.read(numbered.file.key) as stream:
            work.read(stream)
    except FileNotFoundError:
        work.add("file_gone", 0, "is not there any more")
    except OSError as error:
        work.add("file_unreadable", 0, str(error.strerror or error))
    except StoreError as error:
        work.add("file_unreadable", 0, error.message)
    return work.done()


class _Work:
    """One file under examination."""

    def __init__(self, numbered: Numbered, group: int, spill: Spill, lint: Lint | None) -> None:
        self._numbered, self._file, self._group, self._spill, self._lint = (
            numbered,
            numbered.file,
            group,
            spill,
            lint,
        )
        self._tally = Tally()
        self._packed, self._text = hashlib.sha256(), hashlib.sha256()
        self._records = self._text_bytes = 0
        self._schema = ""

    def add(self, code: str, line: int, found: str, message: str = "") -> None:
        """One breach, at a line or of the whole object (0)."""
        self._tally.add(self._numbered.name, code, self._file.key, line, found, message=message)

    def read(self, stream: BinaryIO) -> None:
        """Everything in the object."""
        counted = _Counted(stream, self._packed.update if self._numbered.named else None)
        try:
            if isinstance(self._file, RoverFile):
                self._rover(cast("BinaryIO", counted), self._file)
            else:
                self._currents(cast("BinaryIO", counted), self._file)
        except (NotOneMember, BrokenContainer) as broken:
            if counted.taken:
                self.add(broken.code, 0, str(broken))
            else:
                self.add("file_empty", 0, "has no bytes")
            while counted.read(1 << 20) and self._numbered.named:
                pass  # its hash is that of the whole object
        else:
            if not self._records:
                self.add("file_empty", 0, "holds no records")
        if self._lint is not None:
            self._linted(self._lint.object(self._file, counted.taken))

    def done(self) -> Examined:
        """What was found."""
        named = self._numbered.named
        return Examined(
            self._numbered.number,
            self._records,
            self._text_bytes,
            self._packed.hexdigest() if named else "",
            self._text.hexdigest() if named else "",
            self._schema,
            self._tally.breaches(),
        )

    def _take_text(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        for block in blocks:
            self._noticed(block)
            yield block

    def _noticed(self, block: bytes) -> None:
        self._text_bytes += len(block)
        if self._numbered.named:
            self._text.update(block)

    def _linted(self, found: Iterable[tuple[str, int, str, str]]) -> None:
        for code, line, what, message in found:
            self.add(code, line, what, message)

    # -- Rover -------------------------------------------------------------------------------------------------

    def _rover(self, stream: BinaryIO, file: RoverFile) -> None:
        if file.stamp.replace(minute=0, second=0) != file.hour:
            self.add(
                "hour_differs",
                0,
                f"lies in hour {file.hour:%Y-%m-%d %H}, its stamp says {file.stamp:%Y-%m-%d %H}",
            )
        bounds = (f"{file.stamp - DAY:%Y-%m-%dT%H:%M:%S}", f"{file.stamp + DAY:%Y-%m-%dT%H:%M:%S}")
        for piece in split(self._take_text(inflate(stream, TEXT_BYTES))):
            if isinstance(piece, LongLine):
                self.add("line_too_long", piece.number, too_long(piece.bytes).message)
                self._records += 1
                if self._lint is not None:
                    self._linted(self._lint.piece(piece))
                continue
            found = columns(piece.text, piece.count, file.dataset)
            if found is not None and _plausible(found, bounds):
                self._take(bytes.fromhex("".join(found.ids)), piece)
            else:
                self._one_by_one(piece, file)
            if self._lint is not None:
                self._linted(self._lint.piece(piece))

    def _take(self, ids: bytes, piece: Piece) -> None:
        self._records += piece.count
        sums = checksums(piece.text, piece.count)
        self._spill.add(self._group, self._numbered.number, ids, sums, count(piece.number))

    def _one_by_one(self, piece: Piece, file: RoverFile) -> None:
        dataset = DATASETS[file.dataset]
        for number, line in piece.lines():
            self._records += 1
            found = judged(line, dataset)
            for wrong in found.wrong:
                self.add(wrong.code, number, wrong.message)
            record = found.record or {}
            codes = {wrong.code for wrong in found.wrong}
            if isinstance(record.get("id"), str) and "id_malformed" not in codes:
                ids = bytes.fromhex(record["id"])
                self._spill.add(self._group, self._numbered.number, ids, [checksum(line)], [number])
            self._times(record, file.stamp, dataset.event_time, number)

    def _times(self, record: dict[str, Any], stamp: datetime, event_time: str, line: int) -> None:
        emitted, time = _instant(record.get("emittedAt")), _instant(record.get(event_time))
        if emitted is not None and abs(emitted - stamp) > DAY:
            found = f"says {record['emittedAt']}, its file's stamp {stamp:%Y-%m-%dT%H:%M:%SZ}"
            self.add("emitted_implausible", line, found)
            emitted = stamp
        if time is not None and (time.year < 1970 or time - (emitted or stamp) > DAY):
            self.add("time_implausible", line, f"has the {event_time} {record[event_time]}")

    # -- Currents ----------------------------------------------------------------------------------------------

    def _currents(self, stream: BinaryIO, file: EventFile) -> None:
        container = Container(stream, self._noticed)
        self._schema = fingerprint(canonical(container.header.schema))
        if self._lint is not None:
            self._linted(self._lint.schema(container.header))
        latest = int((file.hour + timedelta(hours=1) + DAY).timestamp())
        ids, sums, numbers = bytearray(), list[int](), list[int]()
        for event in container.events():
            self._records += 1
            self._event(event, latest)
            if self._lint is not None:
                self._linted(self._lint.event(event))
            ids += hashlib.blake2b(event.fields["id"].encode(), digest_size=16).digest()
            sums.append(crc32(event.datum))
            numbers.append(event.number)
            if len(sums) == 10_000:
                self._spill.add(self._group, self._numbered.number, bytes(ids), sums, numbers)
                ids, sums, numbers = bytearray(), [], []
        self._spill.add(self._group, self._numbered.number, bytes(ids), sums, numbers)
        if self._records > EVENTS_PER_FILE_BACKLOG:
            self.add("events_too_many", 0, f"holds {self._records:,} events")

    def _event(self, event: Event, latest: int) -> None:
        if not event.fields["id"]:
            self.add("id_malformed", event.number, "has an empty id")
        if not 0 < event.fields["time"] <= latest:
            self.add("time_implausible", event.number, f"has the time {event.fields['time']}")
        zone = event.fields.get("timezone")
        if zone is not None and not (isinstance(zone, str) and zone in _ZONES):
            self.add("zone_unknown", event.number, f"has the time zone {str(zone)[:50]!r}")


def _plausible(found: Columns, bounds: tuple[str, str]) -> bool:
    """Whether all times are, by their seconds; what is close to a bound is looked at one by one."""
    first, last = min(found.emitted)[:_SECONDS], max(found.emitted)[:_SECONDS]
    if not bounds[0] < first <= last < bounds[1]:
        return False
    latest = f"{datetime.fromisoformat(first) + DAY:%Y-%m-%dT%H:%M:%S}"
    return min(found.times)[:_SECONDS] >= EARLIEST and max(found.times)[:_SECONDS] < latest


def _instant(value: object) -> datetime | None:
    return instant_of(value) if isinstance(value, str) else None


class _Counted:
    """A stream that counts what it gives, and hands it on to be hashed where somebody asks for that."""

    def __init__(self, stream: BinaryIO, notice: Callable[[bytes], object] | None) -> None:
        self._stream, self._notice = stream, notice
        self.taken = 0

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` octets."""
        data = self._stream.read(size)
        self.taken += len(data)
        if self._notice is not None:
            self._notice(data)
        return data
