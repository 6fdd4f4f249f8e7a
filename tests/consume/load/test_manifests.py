"""With completion manifests: a batch is loaded once all of its files are there, and only if they are what it says."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from rover_spark.consume.keys import EventFile, classified
from rover_spark.consume.load.duckdb.warehouse import opened
from rover_spark.consume.load.due import decide
from rover_spark.consume.load.run import load
from rover_spark.consume.place import open_place
from rover_spark.contract.manifests import Completion, DeliveredFile, Window, key_of, text
from rover_spark.store import memory
from tests.consume.load.loading import Engine, of
from tests.consume.written import AT, container, event_key, events, key, put, record
from tests.consume.written import text as lines_of

PROFILES = "fan_profiles"
SOON = AT + timedelta(minutes=5)


def batch(place: Path, at: datetime = AT, files: int = 2, begin: int = 0) -> tuple[Completion, list[Path]]:
    """Files of a batch, and what its manifest says."""
    paths, said = [], []
    for number in range(files):
        lines = lines_of([record(PROFILES, begin + number * 10 + row, at) for row in range(3)])
        data = gzip.compress(lines, mtime=0)
        name = key(PROFILES, at, f"{begin + number:032x}")
        paths.append(put(place, name, data))
        said.append(
            DeliveredFile(
                name,
                3,
                len(data),
                hashlib.sha256(data).hexdigest(),
                len(lines),
                hashlib.sha256(lines).hexdigest(),
            )
        )
    whole = at.replace(microsecond=123_000)
    return Completion(
        contract="rover", export="acme", batch=f"{PROFILES}.1.1", dataset=PROFILES, event_types=(), phase="changes",
        epoch=1, emitted_at=whole, window=Window(1, 2, whole, whole), columns=("id",), key=("roverID",),
        event_time="updatedAt", files=tuple(said), previous=None,
    ), paths  # fmt: skip


def publish(place: Path, completion: Completion, root: str = "") -> Path:
    return put(place, key_of(root, PROFILES, completion.emitted_at, "0" * 32), text(completion))


def test_a_batch_is_loaded_once_its_manifest_and_all_of_its_files_are_there(
    engine: Engine, tmp_path: Path
) -> None:
    place, file = tmp_path / "b", tmp_path / "b.tables"
    publish(place, batch(place)[0])
    assert (engine.loaded(place, file, SOON).batches, count(engine, file)) == (1, 6)

    later = AT + timedelta(hours=1)
    completion, paths = batch(place, later, begin=100)
    found = engine.loaded(place, file, later)
    assert (found.unnamed, count(engine, file)) == (2, 6), "files wait for their manifest"

    hidden = paths[1].read_bytes()
    paths[1].unlink()
    publish(place, completion)
    found = engine.loaded(place, file, later)
    assert (found.waiting, found.batches, count(engine, file)) == (1, 0, 6), "the batch waits for its files"

    paths[1].write_bytes(hidden)
    found = engine.loaded(place, file, later)
    assert (found.waiting, found.batches, count(engine, file)) == (0, 1, 12)
    assert engine.loaded(place, file, later).datasets == ()


def count(engine: Engine, file: Path) -> int:
    return int(engine.ask(file, f"SELECT count(*) FROM {PROFILES}_raw")[0][0])


def test_an_object_that_is_not_what_its_manifest_says_is_not_loaded(engine: Engine, tmp_path: Path) -> None:
    place, file = tmp_path / "b", tmp_path / "b.tables"
    completion, paths = batch(place)
    right = paths[0].read_bytes()
    paths[0].write_bytes(gzip.compress(lines_of([record(PROFILES, 99)] * 3), mtime=0))
    publish(place, completion)
    for _ in range(2):
        found = engine.loaded(place, file, SOON)
        assert (found.batches, found.waiting, of(found, PROFILES).damaged) == (0, 1, 1)
        assert count(engine, file) == 3
    assert engine.ask(file, "SELECT line, code FROM rover_load.quarantine") == [
        (None, "manifest_file_differs")
    ]
    paths[0].write_bytes(right)
    found = engine.loaded(place, file, SOON)
    assert (found.batches, found.waiting, count(engine, file)) == (1, 0, 6)
    assert engine.ask(file, "SELECT * FROM rover_load.quarantine") == []


@pytest.mark.parametrize("rows", [1, 3])
def test_an_object_that_was_loaded_before_its_manifest_is_held_against_it(
    engine: Engine, rows: int, tmp_path: Path
) -> None:
    place, file = tmp_path / "b", tmp_path / "b.tables"
    completion, paths = batch(place)
    right = paths[0].read_bytes()
    other = gzip.compress(lines_of([record(PROFILES, row) for row in range(rows)]), mtime=7)
    assert (len(other) == len(right)) == (rows == 3), "with all rows only the hash differs"
    paths[0].write_bytes(other)
    assert of(engine.loaded(place, file, SOON), PROFILES).new == 3 + rows
    publish(place, completion)
    for _ in range(2):
        found = engine.loaded(place, file, SOON)
        assert (found.batches, found.waiting, of(found, PROFILES).damaged) == (0, 1, 1)
    paths[0].write_bytes(right)
    found = engine.loaded(place, file, SOON)
    assert (found.batches, found.waiting, count(engine, file)) == (1, 0, 6)


@pytest.mark.parametrize("lie", [b"", b"{", b"[]", b'{"manifest":1}', b"\xff", b"[" * 100_000], ids=range(6))
def test_a_manifest_that_is_none_stops_nothing(engine: Engine, lie: bytes, tmp_path: Path) -> None:
    place, file = tmp_path / "b", tmp_path / "b.tables"
    where = publish(place, batch(place)[0])
    where.write_bytes(lie)
    found = engine.loaded(place, file, SOON)
    assert (found.manifests_refused, found.quarantined, count(engine, file)) == (1, 1, 6)
    assert engine.ask(file, "SELECT code FROM rover_load.quarantine") == [("manifest_malformed",)]


def test_a_manifest_of_another_places_files_is_refused(engine: Engine, tmp_path: Path) -> None:
    place, file = tmp_path / "b", tmp_path / "b.tables"
    completion, _ = batch(place)
    first, second = completion.files
    publish(place, replace(completion, files=(first, replace(second, key=f"elsewhere/{second.key}"))))
    found = engine.loaded(place, file, SOON)
    assert (found.manifests_refused, found.batches, count(engine, file)) == (1, 0, 6)


def test_a_batch_whose_object_was_another_and_is_gone_waits(engine: Engine, tmp_path: Path) -> None:
    place, file = tmp_path / "b", tmp_path / "b.tables"
    completion, paths = batch(place)
    paths[0].write_bytes(gzip.compress(gzip.decompress(paths[0].read_bytes()), mtime=7))
    engine.loaded(place, file, SOON)
    paths[0].unlink()
    publish(place, completion)
    found = engine.loaded(place, file, SOON)
    assert (found.batches, found.waiting) == (0, 1)


@pytest.mark.parametrize("prefix", ["acme", "acme/exports/fan_profiles"])
def test_a_manifest_brings_in_no_files_of_another_export(
    prefix: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    whole: dict[str, bytes] = {}
    control: dict[str, bytes] = {}
    for number, export in enumerate(("acme", "beta")):
        completion, paths = batch(tmp_path / export, files=1, begin=number * 100)
        (said,) = completion.files
        whole[f"{export}/{said.key}"] = paths[0].read_bytes()
        named = replace(completion, files=(replace(said, key=f"{export}/{said.key}"),))
        control[key_of("", PROFILES, completion.emitted_at, f"{number:032x}")] = text(named)
    memory._BUCKETS["load-shared"], memory._BUCKETS["load-control"] = whole, control
    request.addfinalizer(lambda: [memory._BUCKETS.pop(f"load-{name}") for name in ("shared", "control")])
    with opened(tmp_path / "t", lambda: SOON) as warehouse:
        for objects in (1, 0):
            place, manifests = (
                open_place(f"memory://load-shared/{prefix}"),
                open_place("memory://load-control"),
            )
            found = load(place, warehouse, now=SOON, manifests=manifests)
            assert (found.batches, found.waiting, found.manifests_refused) == (objects, 0, 0)
            assert sum(each.objects for each in found.datasets) == objects


def test_a_manifest_is_read_once_where_the_bucket_around_the_place_is_named(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    completion, paths = batch(tmp_path / "b", files=1)
    (said,) = completion.files
    named = replace(completion, files=(replace(said, key=f"acme/{said.key}"),))
    memory._BUCKETS["load-around"] = {
        f"acme/{said.key}": paths[0].read_bytes(),
        key_of("acme", PROFILES, completion.emitted_at, "0" * 32): text(named),
    }
    request.addfinalizer(lambda: memory._BUCKETS.pop("load-around"))
    with opened(tmp_path / "t", lambda: SOON) as warehouse:
        found = load(
            open_place("memory://load-around/acme"),
            warehouse,
            now=SOON,
            manifests=open_place("memory://load-around"),
        )
    assert (found.batches, found.waiting) == (1, 0)


def test_a_folder_of_manifests_may_be_named_itself(engine: Engine, tmp_path: Path) -> None:
    place, file = tmp_path / "b", tmp_path / "b.tables"
    publish(tmp_path / "control", batch(place)[0])
    for folder in ("control/manifests", "control"):
        found = engine.loaded(place, file, SOON, manifests=open_place(str(tmp_path / folder)))
        assert (found.batches, count(engine, file)) == (1 if "/" in folder else 0, 6)


def test_events_wait_for_the_manifest_of_their_hour(tmp_path: Path) -> None:
    (found,) = [classified(event_key(50), 10)]
    assert isinstance(found, EventFile)
    newest, now = AT.replace(minute=1), AT.replace(minute=30)
    assert decide([found], [], {}, {found.place: newest}, now).unnamed == (found.key,)
    later = {found.place: newest + timedelta(hours=1)}
    assert [each.key for each in decide([found], [], {}, later, now).objects] == [found.key]


def test_a_manifest_that_never_comes_is_not_waited_for_for_ever(engine: Engine, tmp_path: Path) -> None:
    place, file = tmp_path / "b", tmp_path / "b.tables"
    publish(place, batch(place)[0])
    engine.loaded(place, file, SOON)
    batch(place, AT + timedelta(hours=1), begin=100)
    assert engine.loaded(place, file, AT + timedelta(hours=24)).unnamed == 2
    assert of(engine.loaded(place, file, AT + timedelta(hours=26)), PROFILES).new == 6


def test_events_of_an_hour_long_past_are_found_by_their_manifest(engine: Engine, tmp_path: Path) -> None:
    place, file = tmp_path / "b" / "acme", tmp_path / "b.tables"
    put(place, event_key(0), container(events(0, 2)))
    engine.loaded(place, file, SOON)
    old = AT - timedelta(days=90)
    name = event_key(50, at=old)
    data = container(events(50, 3))
    put(place, name, data)
    assert engine.loaded(place, file, SOON).datasets == (), "its hour is not listed"
    digest = hashlib.sha256(data).hexdigest()
    delivered = DeliveredFile(name, 3, len(data), digest, 9, digest, "users.behaviors.CustomEvent", 1)
    completion = Completion(
        contract="currents", export="acme", batch="events.1.2", dataset=None,
        event_types=("users.behaviors.CustomEvent",), phase="changes", epoch=1, emitted_at=AT,
        window=Window(None, None, AT, AT), columns=("id",), key=("id",), event_time="time", files=(delivered,),
        previous=None,
    )  # fmt: skip
    stream = name.partition("/")[0]
    put(tmp_path / "b", key_of("manifests.acme", stream, AT, "0" * 32), text(completion))
    found = engine.loaded(place, file, SOON)
    assert (found.batches, of(found, "users.behaviors.CustomEvent").new) == (1, 3)
