"""A hundred thousand objects: memory does not grow with them, and the next run loads nothing."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from rover_spark.contract.manifests import Completion, DeliveredFile, Window, key_of, text
from tests.consume.load.loading import DUCKDB
from tests.consume.written import AT, key, put, record
from tests.consume.written import text as lines_of

EVENTS, OBJECTS, BATCH = "fan_track_events", 100_000, 50
MEGABYTES = 600
_RUN = """
import json, resource, sys, time
from datetime import datetime
from pathlib import Path
from tests.consume.load.loading import DUCKDB, of
begin = time.monotonic()
found = DUCKDB.loaded(Path(sys.argv[1]), Path(sys.argv[2]), datetime.fromisoformat(sys.argv[3]))
print(json.dumps({
    "seconds": round(time.monotonic() - begin, 1),
    "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    "new": sum(each.new for each in found.datasets),
    "batches": found.batches,
}))
"""


def _written(place: Path, *, announced: bool) -> None:
    """Objects of one event each, 50 a batch and a batch an hour."""
    for number in range(OBJECTS // BATCH):
        at, files = AT - timedelta(hours=number), []
        for part in range(BATCH):
            lines = lines_of([record(EVENTS, number * BATCH + part, at)])
            data, name = gzip.compress(lines, 1, mtime=0), key(EVENTS, at, f"{part:032x}")
            put(place, name, data)
            digest = hashlib.sha256(data).hexdigest()
            files.append(DeliveredFile(name, 1, len(data), digest, len(lines), digest))
        if announced:
            completion = Completion(
                contract="rover", export="acme", batch=f"{EVENTS}.1.{number}", dataset=EVENTS, event_types=(),
                phase="changes", epoch=1, emitted_at=at, window=Window(1, 2, at, at), columns=("id",), key=("id",),
                event_time="timestamp", files=tuple(files), previous=None,
            )  # fmt: skip
            put(place, key_of("", EVENTS, at, "0" * 32), text(completion))


def _run(place: Path, into: Path) -> dict[str, float]:
    now = (AT + timedelta(hours=1)).isoformat()
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(place), str(into), now],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    print(found)  # pytest -s: what is measured
    return found


@pytest.mark.full
@pytest.mark.parametrize("announced", [False, True], ids=["no manifests", "manifests"])
def test_a_hundred_thousand_objects_are_loaded_in_bounded_memory(announced: bool, tmp_path: Path) -> None:
    place, into = tmp_path / "b", tmp_path / "b.duckdb"
    _written(place, announced=announced)
    first = _run(place, into)
    assert (first["new"], first["batches"]) == (OBJECTS, OBJECTS // BATCH if announced else 0)
    assert first["megabytes"] < MEGABYTES
    assert DUCKDB.ask(into, f"SELECT count(*), count(DISTINCT id) FROM {EVENTS}_raw") == [(OBJECTS, OBJECTS)]
    again = _run(place, into)
    assert (again["new"], again["batches"]) == (0, 0) and again["megabytes"] < MEGABYTES
