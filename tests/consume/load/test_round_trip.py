"""Objects written by another program, loaded: the tables are what plain Python makes of the records, whatever the order."""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from tests.consume.ddl.export import BEGIN, PROFILES, Export, random_history, story
from tests.consume.load.loading import DUCKDB, NOW, Engine, differences, of
from tests.consume.written import currents_bucket, key, put, record, rover_bucket, text


@pytest.fixture(scope="module")
def export() -> Export:
    return story()


@pytest.fixture(scope="module")
def bucket(export: Export, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("written") / "acme"
    export.write(place)
    return currents_bucket(place)


@pytest.fixture(scope="module")
def whole(engine: Engine, bucket: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("loaded") / "acme.tables"
    engine.loaded(bucket, file)
    return file


def copied(tables: Path, to: Path) -> Path:
    """A copy of what is loaded: a file or a directory."""
    return Path(shutil.copytree(tables, to) if tables.is_dir() else shutil.copy(tables, to))


def test_what_is_loaded_is_what_was_written(engine: Engine, whole: Path, export: Export) -> None:
    assert differences(engine, whole, export) == []
    assert engine.ask(whole, "SELECT count(*), count(DISTINCT id) FROM users_messages_email_open_raw") == [
        (60, 60)
    ]
    assert engine.ask(whole, "SELECT * FROM rover_load.quarantine") == []


def test_loading_again_loads_nothing(engine: Engine, bucket: Path, whole: Path, tmp_path: Path) -> None:
    file = copied(whole, tmp_path / "again.tables")
    before = engine.tables(file)
    assert engine.loaded(bucket, file).datasets == ()
    assert engine.tables(file) == before


def test_half_of_the_objects_under_other_names_change_nothing(
    engine: Engine, bucket: Path, whole: Path, tmp_path: Path
) -> None:
    place, file = tmp_path / "acme", copied(whole, tmp_path / "half.tables")
    shutil.copytree(bucket, place)
    for path in sorted(place.rglob("*.ndjson.gz"))[::2]:
        shutil.copy(path, path.with_name(path.name.replace("-part-", "-part-f")))
    for path in sorted(place.rglob("*.avro"))[::2]:
        shutil.copy(path, path.with_name(path.name.replace("+0+", "+7+")))
    found = engine.loaded(place, file)
    assert sum(each.objects for each in found.datasets) == 14 and not any(each.new for each in found.datasets)
    assert engine.tables(file) == engine.tables(whole)


def test_the_order_of_objects_decides_nothing(
    engine: Engine, bucket: Path, whole: Path, export: Export, tmp_path: Path
) -> None:
    file, place = tmp_path / "reversed.tables", tmp_path / "acme"
    paths = sorted((path for path in bucket.rglob("*.*") if path.is_file()), reverse=True)
    for begin in range(0, len(paths), 5):
        for path in paths[begin : begin + 5]:
            to = place / path.relative_to(bucket)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, to)
        engine.loaded(place, file, look_back=timedelta(days=60))
    assert engine.tables(file) == engine.tables(whole)
    keys = "SELECT id, object_key FROM fan_profiles_raw ORDER BY ALL"
    assert engine.ask(file, keys) == engine.ask(whole, keys), "of repeats the same one is kept"


def test_day_by_day_each_run_loads_what_came_since(engine: Engine, tmp_path: Path) -> None:
    place, file = tmp_path / "acme", tmp_path / "acme.tables"
    export = Export()
    for day, batch in enumerate(story().batches):
        export.batches.append(batch)
        export.write(place)
        found = engine.loaded(place, file, BEGIN + timedelta(hours=day + 1), look_back=timedelta(hours=2))
        assert [each.objects for each in found.datasets] == [1]
    assert differences(engine, file, story()) == []


@pytest.mark.parametrize("seed", range(3))
def test_histories_without_a_plan_end_in_the_source_state(engine: Engine, seed: int, tmp_path: Path) -> None:
    export = random_history(seed)
    export.write(tmp_path / "acme")
    engine.loaded(tmp_path / "acme", tmp_path / "acme.tables")
    assert differences(engine, tmp_path / "acme.tables", export) == []


def test_of_one_id_the_later_instant_counts_whichever_came_first(engine: Engine, tmp_path: Path) -> None:
    rows = [
        {**record(PROFILES, 1), "emittedAt": f"2026-11-21T04:05:0{n}.000Z", "traits": {"n": n}}
        for n in (6, 7)
    ]
    for order in ((0, 1), (1, 0)):
        place, file = tmp_path / f"{order}", tmp_path / f"{order}.tables"
        for at in order:
            put(place, key(PROFILES, token=f"t{at}"), gzip.compress(text([rows[at]])))
            engine.loaded(place, file)
        assert engine.ask(file, "SELECT traits FROM fan_profiles_raw") == [('{"n": 7}',)]


_KILLED = """
import sys, time
from pathlib import Path
from tests.consume.load.engines import ENGINES
def slow(counts, size):
    print("loaded", flush=True)
    time.sleep(0.05)
from contextlib import contextmanager
@contextmanager
def watching(objects):
    yield slow
ENGINES[sys.argv[1]].loaded(Path(sys.argv[2]), Path(sys.argv[3]), watching=watching, group=1)
"""


def test_a_run_that_is_killed_is_finished_by_the_next_one(
    engine: Engine, bucket: Path, whole: Path, tmp_path: Path
) -> None:
    file = tmp_path / "killed.tables"
    with subprocess.Popen(
        [sys.executable, "-c", _KILLED, engine.name, str(bucket), str(file)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as killed:
        assert killed.stdout is not None
        for _ in range(9):
            assert killed.stdout.readline() == b"loaded\n"
        time.sleep(0.01)
        killed.send_signal(signal.SIGKILL)
    (count,) = engine.ask(file, "SELECT count(*) FROM rover_load.objects")[0]
    assert 9 <= count < 28
    found = engine.loaded(bucket, file)
    again = sum(each.objects for each in found.datasets) - (28 - count)
    assert again == 0 or (
        again == 1 and engine is not DUCKDB
    )  # its objects were noted, its rows not yet written
    assert engine.tables(file) == engine.tables(whole)


def test_a_bucket_of_another_writer_is_loaded(engine: Engine, tmp_path: Path) -> None:
    found = engine.loaded(rover_bucket(tmp_path / "b"), tmp_path / "b.tables", NOW)
    assert {each.dataset: each.new for each in found.datasets} == dict.fromkeys(
        ("fan_profiles", "fan_identity_graph", "fan_profile_merges", "fan_track_events"), 60
    )
    assert of(found, PROFILES).repeated == 0
