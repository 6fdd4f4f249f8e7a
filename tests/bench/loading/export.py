"""An export of profiles, and a further one half of whose records came before: written record by record, by the contract.

The second batch has other keys and a later hour. Every other record of it repeats one of the first, word for word, or with
``later`` under a later ``emittedAt``, which replaces it. Each batch has its completion manifest. Beside its files a batch
has the facts that a receiver's table must agree with.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path

from rover_spark.contract.keys import file_token, rover_key
from rover_spark.contract.manifests import Completion, DeliveredFile, Previous, Window, key_of, text, token_of
from rover_spark.encode.ndjson import NdjsonFile
from tests.bench.sources import ID_PREFIX, WORDS

NAME, DATASET = "bench", "fan_profiles"
FIRST = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
SECOND = FIRST + timedelta(hours=6)
KINDS = ("hashes", "texts")
BATCHES = (1, 2)
_AGE = 1_700_000_000  # seconds since 1970, when profile 0 was updated
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Export:
    """What is written. ``kind`` is that of the texts, as in ``sources``: ``hashes`` are long, ``texts`` short."""

    kind: str
    rows: int
    further: int  # at most twice as many
    rows_of_a_file: int = 100_000
    later: bool = False


@dataclass(frozen=True)
class Facts:
    """A batch, and the table after it: ``digest`` is the sum of ``digest_of`` over its rows."""

    files: int
    records: int
    bytes: int
    text_bytes: int
    table_rows: int
    table_digest: int


def written(place: Path, export: Export) -> list[Facts]:
    """Writes both batches below ``place``, a directory each, and gives their facts. What is there already stays."""
    noted = place / "facts.json"
    if noted.exists():
        return [Facts(**each) for each in json.loads(noted.read_text())]
    found: list[Facts] = []
    previous: Previous | None = None
    rows, digest = 0, 0
    for batch in BATCHES:
        made = _files(place / str(batch), export, batch)
        files, gains = [file for file, _ in made], [gain for _, gain in made]
        previous = _write_manifest(place / str(batch), batch, files, previous)
        rows += export.rows if batch == 1 else export.further // 2
        digest += sum(gains)
        sums = (sum(getattr(file, name) for file in files) for name in ("records", "bytes", "text_bytes"))
        found.append(Facts(len(files), *sums, rows, digest))
    noted.write_text(json.dumps([asdict(each) for each in found]))
    return found


def _files(place: Path, export: Export, batch: int) -> list[tuple[DeliveredFile, int]]:
    count = -(-(export.rows if batch == 1 else export.further) // export.rows_of_a_file)
    if count < 3:
        return [_write_file(place, export, batch, chunk) for chunk in range(count)]
    with ProcessPoolExecutor() as pool:
        return list(pool.map(partial(_write_file, place, export, batch), range(count)))


def _write_file(place: Path, export: Export, batch: int, chunk: int) -> tuple[DeliveredFile, int]:
    """Writes one object; also what it adds to the digest of the table."""
    token = file_token(NAME, 1, DATASET, f"{DATASET}.1.{batch}", chunk, 0)
    key = rover_key("", DATASET, FIRST if batch == 1 else SECOND, token)
    path = place / key
    path.parent.mkdir(parents=True, exist_ok=True)
    gain, records = 0, 0
    with path.open("wb") as out:
        file = NdjsonFile(out.write, 1)
        for number, known in _numbers(export, batch, chunk):
            record = record_of(export.kind, number, FIRST if known and not export.later else _instant(batch))
            file.append(f"{record.line}\n".encode())
            records += 1
            if not known:
                gain += digest_of(record.row)
            elif export.later:
                gain += digest_of(record.row) - digest_of(record_of(export.kind, number, FIRST).row)
        file.close()
    return DeliveredFile(key, records, file.bytes, file.sha256, file.raw_bytes, file.raw_sha256), gain


def _instant(batch: int) -> datetime:
    return FIRST if batch == 1 else SECOND


def _numbers(export: Export, batch: int, chunk: int) -> Iterator[tuple[int, bool]]:
    """The profiles of an object, and which of them were delivered before: those are spread over the whole first batch."""
    begin = chunk * export.rows_of_a_file
    if batch == 1:
        for place in range(begin, min(export.rows, begin + export.rows_of_a_file)):
            yield place, False
        return
    step = export.rows // -(-export.further // 2)
    for place in range(begin, min(export.further, begin + export.rows_of_a_file)):
        half, new = divmod(place, 2)
        yield (export.rows + half if new else half * step), not new


# -- records -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Written:
    """A record as its line, and as the text of its row: the columns of a receiver's table, instants in microseconds."""

    line: str
    row: str


def record_of(kind: str, number: int, emitted: datetime) -> Written:
    """The record of a profile. Its number can be read off the beginning of its roverID."""
    rover_id = f"{number:08x}-0000-4000-8000-{number:012x}"
    updated = (_AGE + number) * 1_000_000
    key = hashlib.sha256(f"{ID_PREFIX}{rover_id}16:{updated}".encode()).hexdigest()[:32]
    traits = _hashes(number) if kind == "hashes" else _texts(number, key)
    at = _EPOCH + timedelta(microseconds=updated)
    line = (
        f'{{"id":"{key}","version":1,"roverID":"{rover_id}","emittedAt":"{emitted:%Y-%m-%dT%H:%M:%S}.000Z",'
        f'"traits":{traits},"updatedAt":"{at:%Y-%m-%dT%H:%M:%S}.000000Z"}}'
    )
    return Written(line, f"{key}|1|{rover_id}|{int(emitted.timestamp())}000000|{traits}||{updated}")


def candidates(export: Export, rover_id: str) -> set[str]:
    """The rows that this profile may have in a table."""
    number = int(rover_id[:8], 16)
    return {record_of(export.kind, number, instant).row for instant in (FIRST, SECOND)}


def digest_of(row: str) -> int:
    """64 bits of a row's MD5, as DuckDB's ``md5_number_lower`` has them."""
    return int.from_bytes(hashlib.md5(row.encode()).digest()[8:], "little")


def _hashes(number: int) -> str:
    """Long texts that do not compress."""
    octets = str(number).encode()
    return (
        f'{{"firstName":"n{number}","lastName":"{hashlib.sha1(octets).hexdigest()}",'
        f'"city":"{hashlib.md5(octets).hexdigest()}","email":"{number}@example.com","tier":"gold",'
        f'"bio":"{hashlib.sha256(octets).hexdigest()}",'
        f'"note":"{hashlib.sha512(str(number + 1).encode()).hexdigest()}"}}'
    )


def _texts(number: int, key: str) -> str:
    """Names, cities, flags and small numbers, drawn by the digits of the record's id."""
    drawn = bytes.fromhex(key)
    words = ",".join(f'"{name}":"{some[drawn[at] % len(some)]}"' for at, (name, some) in enumerate(_CHOICES))
    return (
        f'{{{words},"email":"fan{number}@example.com","age":{16 + drawn[5] % 70},"visits":{(drawn[6] * 256 + drawn[7]) % 400},'
        f'"points":{int.from_bytes(drawn[8:12], "big") % 1_000_000},"subscribed":{"true" if number % 3 == 0 else "false"}}}'
    )


_CHOICES = [(name, words.split()) for name, words in WORDS.items()]


# -- manifests -----------------------------------------------------------------------------------------------------


def _write_manifest(
    place: Path, batch: int, files: list[DeliveredFile], previous: Previous | None
) -> Previous:
    instant = _instant(batch)
    completion = Completion(
        contract="rover",
        export=NAME,
        batch=f"{DATASET}.1.{batch}",
        dataset=DATASET,
        event_types=(),
        phase="snapshot" if batch == 1 else "changes",
        epoch=1,
        emitted_at=instant,
        window=Window(None if batch == 1 else batch, batch, None if batch == 1 else FIRST, instant),
        columns=("id", "version", "roverID", "emittedAt", "traits", "updatedAt"),
        key=("roverID",),
        event_time="updatedAt",
        files=tuple(files),
        previous=previous,
    )
    octets = text(completion)
    key = key_of("", DATASET, instant, token_of("rover", NAME, 1, DATASET, f"{DATASET}.1.{batch}"))
    path = place / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(octets)
    return Previous(key, hashlib.sha256(octets).hexdigest())
