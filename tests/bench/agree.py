"""Whether a contender wrote the records that it should: how many, and field by field those of a sample.

What they should be is made here by plain Python from the table's data files. A figure counts only where nothing differs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import fastavro
import pyarrow.compute as pc
import pyarrow.parquet as pq
from isal import igzip

from rover_spark.contract.ids import digest32
from tests.bench.sources import EMITTED

Record = dict[str, Any]
# rows are numbered in hex, and one of 4,096 is compared
_PROFILES, _EVENTS = "-8000-[0-9a-f]{9}7f3$", "^evt-[0-9a-f]{5}7f3$"
_IN_TEXT = re.compile(rb"-8000-[0-9a-f]{9}7f3\"")
_BLOCK = 8 << 20


@dataclass(frozen=True)
class Written:
    """Files as they were found: their number and size, their records, and a sample of these by rover id or event id."""

    files: int
    bytes: int
    raw_bytes: int
    records: int
    sample: dict[str, Record]


def expected(table: str, sources: Iterable[Path]) -> dict[str, Record]:
    """The sample as it must be, from the data files of a table of ``sources``."""
    key, pattern, make = ("id", _EVENTS, _event) if table == "events" else ("rover_id", _PROFILES, _profile)
    found: dict[str, Record] = {}
    for source in sources:
        for batch in pq.ParquetFile(source).iter_batches(100_000):
            chosen = batch.filter(pc.match_substring_regex(batch.column(key), pattern))
            found |= {row[key]: make(row) for row in chosen.to_pylist(maps_as_pydicts="strict")}
    return found


def _profile(row: Record) -> Record:
    at = _utc(row["updated_at"])
    return {
        "id": digest32(["rover", "bench", 1, "fan_profiles", row["rover_id"], at]),
        "version": 1,
        "roverID": row["rover_id"],
        "emittedAt": EMITTED,
        "traits": row["traits"],
        "updatedAt": f"{at:%Y-%m-%dT%H:%M:%S.%fZ}",
    }


def _event(row: Record) -> Record:
    return {**row, "time": int(_utc(row["time"]).timestamp())}


def _utc(at: datetime) -> datetime:
    """A parquet file's timestamp without a zone, as Python's own type: those of pandas cannot be hashed to an id."""
    plain = datetime(at.year, at.month, at.day, at.hour, at.minute, at.second, at.microsecond)
    return plain.replace(tzinfo=timezone.utc)


def written(data: Path, suffix: str, *, sampled: bool) -> Written:
    """Reads all that a contender wrote; every event is decoded where a sample is asked for, which takes its time."""
    paths = [path for path in data.rglob(f"*{suffix}") if path.is_file()]
    read, key = (_avro, "id") if suffix == ".avro" else (_json, "roverID")
    records, raw, sample = 0, 0, {}
    for path in paths:
        count, size, found = read(path, sampled)
        records, raw = records + count, raw + size
        sample |= {record[key]: record for record in found}
    return Written(len(paths), sum(path.stat().st_size for path in paths), raw, records, sample)


def _json(path: Path, sampled: bool) -> tuple[int, int, list[Record]]:
    records, size, sample = 0, 0, []
    for block in _whole_lines(path):
        records, size = records + block.count(b"\n"), size + len(block)
        for found in _IN_TEXT.finditer(block) if sampled else ():
            start, end = block.rfind(b"\n", 0, found.start()) + 1, block.find(b"\n", found.end())
            sample.append(json.loads(block[start:end]))
    return records, size, sample


def _whole_lines(path: Path) -> Iterator[bytes]:
    rest = b""
    with igzip.open(path, "rb") as file:
        while block := file.read(_BLOCK):
            lines, end, rest_of_block = block.rpartition(b"\n")
            yield rest + lines + end
            rest = rest_of_block
    if rest:
        yield rest + b"\n"


def _avro(path: Path, sampled: bool) -> tuple[int, int, list[Record]]:
    records, size, sample = 0, 0, []
    wanted = re.compile(_EVENTS)
    with path.open("rb") as file:
        for block in fastavro.block_reader(file):
            records, size = records + block.num_records, size + len(block.bytes_.getvalue())
            if sampled:
                sample += [record for record in block if wanted.search(record["id"])]
    return records, size, sample


def differences(records: int, should: dict[str, Record], found: Written) -> list[str]:
    """What is wrong with files; an empty list where they are as they should be."""
    wrong = [] if found.records == records else [f"{found.records:,} records instead of {records:,}"]
    if missing := should.keys() - found.sample.keys():
        wrong.append(f"{len(missing)} of {len(should)} sampled records are missing, such as {min(missing)}")
    for key in sorted(should.keys() & found.sample.keys()):
        if should[key] != found.sample[key]:
            return [*wrong, f"{key}: {json.dumps(found.sample[key])} instead of {json.dumps(should[key])}"]
    return wrong
