"""A contender counts only where it wrote the records of its table: what is missing, changed or one too many is found."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.bench import agree
from tests.bench.agree import Record
from tests.bench.sources import ID_PREFIX

ROWS = 9_000  # of which two are in a sample: 0x7f3 and 0x17f3
MICROS = 1_700_000_000_000_000
Spoil = Callable[[list[Record]], object]


@pytest.fixture(scope="module")
def profiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("profiles") / "part.parquet"
    rows = {
        "rover_id": [f"{n:08x}-0000-4000-8000-{n:012x}" for n in range(ROWS)],
        "traits": [[("city", f"Bergen {n}")] for n in range(ROWS)],
        "updated_at": [MICROS + n for n in range(ROWS)],
    }
    types = [pa.string(), pa.map_(pa.string(), pa.string()), pa.timestamp("us")]
    pq.write_table(pa.table(rows, pa.schema(zip(rows, types, strict=True))), path)
    return path


def written(path: Path, spoil: Spoil) -> agree.Written:
    """What is found of the records that a contender made of a table and spoiled."""
    data = path.with_name("data")
    data.mkdir(exist_ok=True)
    read = pq.read_table(path).to_pylist(maps_as_pydicts="strict")
    records = [agree._profile(row) for row in read]
    spoil(records)
    lines = "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records)
    (data / "records.json.gz").write_bytes(gzip.compress(lines.encode(), 1))
    return agree.written(data, ".gz", sampled=True)


def test_all_records_as_they_should_be_differ_in_nothing(profiles: Path) -> None:
    should = agree.expected("texts", [profiles])
    assert len(should) == 2 and agree.differences(ROWS, should, written(profiles, lambda records: None)) == []


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda records: records.pop(), "8,999 records instead of 9,000"),
        (lambda records: records.append(records[0]), "9,001 records instead of 9,000"),
        (lambda records: records.insert(0, records.pop(0x7F3)), ""),
        (lambda records: records[0x17F3].update(traits={}), "000017f3-0000"),
        (lambda records: records[0x7F3].update(id="0" * 32), "000007f3-0000"),
        (lambda records: records[0x7F3].pop("version"), "000007f3-0000"),
        (lambda records: records.__setitem__(0x7F3, records[0]), "1 of 2 sampled records are missing"),
    ],
)
def test_what_differs_is_named(profiles: Path, spoil: Spoil, said: str) -> None:
    wrong = agree.differences(ROWS, agree.expected("texts", [profiles]), written(profiles, spoil))
    assert bool(wrong) == bool(said) and said in "; ".join(wrong)


def test_the_id_of_a_record_is_the_hash_that_contenders_take(profiles: Path) -> None:
    key = "000007f3-0000-4000-8000-0000000007f3"
    text = f"{ID_PREFIX}{key}16:{MICROS + 0x7F3}"
    (made,) = (each for name, each in agree.expected("texts", [profiles]).items() if name == key)
    assert made["id"] == hashlib.sha256(text.encode()).hexdigest()[:32]


@pytest.mark.parametrize(("records", "sampled", "found"), [(ROWS, True, 2), (ROWS, False, 0)])
def test_events_are_counted_block_by_block_and_sampled(
    tmp_path: Path, records: int, sampled: bool, found: int
) -> None:
    fields: list[dict[str, Any]] = [{"name": "id", "type": "string"}, {"name": "time", "type": "int"}]
    schema = fastavro.parse_schema({"type": "record", "name": "event", "fields": fields})
    events = [{"id": f"evt-{n:08x}", "time": 1_700_000_000 + n} for n in range(records)]
    with (tmp_path / "events.avro").open("wb") as out:
        fastavro.writer(out, schema, events, codec="deflate")
    made = agree.written(tmp_path, ".avro", sampled=sampled)
    assert (made.records, len(made.sample)) == (records, found)
    assert made.raw_bytes > made.bytes > 0


def test_a_time_is_read_as_utc() -> None:
    assert agree._event({"id": "evt-1", "time": datetime(2023, 11, 14, 22, 13, 20)})["time"] == 1_700_000_000
