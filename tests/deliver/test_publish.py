"""Publishing a batch over a store that fails before or after the effect: repeating it always ends well."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import pytest

from rover_spark.deliver.publish import overwrite, publish
from rover_spark.errors import KeyTaken, StoreError
from rover_spark.model.file import StagedFile
from rover_spark.store import Store, open_store

FILES = 12
Moment = Literal["before", "after"]


class Unreliable:
    """A store whose n-th effect fails, before it happens or with its answer lost; it journals effects."""

    def __init__(self, store: Store, fail_at: Sequence[int] = (), when: Moment = "before") -> None:
        self._store, self._fail_at, self._when = store, fail_at, when
        self._lock = threading.Lock()
        self._calls = 0
        self.journal: list[tuple[str, str]] = []

    def publish(self, file: StagedFile) -> None:
        self._act("published", self._store.publish, file)

    def overwrite(self, file: StagedFile) -> None:
        self._act("overwritten", self._store.overwrite, file)

    def note(self, event: str, key: str) -> None:
        with self._lock:
            self.journal.append((event, key))

    def _act(self, event: str, act: Callable[[StagedFile], None], file: StagedFile) -> None:
        with self._lock:
            number, self._calls = self._calls, self._calls + 1
        failing = number in self._fail_at
        if failing and self._when == "before":
            self.note("failed", file.key)
            raise StoreError("no answer", code="store_timeout")
        act(file)
        self.note(event, file.key)
        if failing:
            raise StoreError("answer lost", code="store_timeout")

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "memory":
        return open_store(f"memory://{tmp_path.as_posix().replace('/', '-')}", "acme")
    return open_store(f"file://{tmp_path}/bucket", "acme")


def payload(number: int) -> bytes:
    return f"payload {number}".encode()


def staged(store: Store, number: int, data: bytes | None = None, attempt: str = "one") -> StagedFile:
    data = payload(number) if data is None else data
    key = f"exports/fan_profiles/{number:03d}.ndjson.gz"
    staging = store.stage(key, "fan_profiles.1.1", attempt)
    staging.write(data)
    digest = hashlib.sha256(data).hexdigest()
    return StagedFile(key, 1, len(data), digest, len(data), digest, number, 0, staging.finish())


def batch(store: Store, files: int = FILES) -> list[StagedFile]:
    return [staged(store, number) for number in range(files)]


def visible(store: Store) -> dict[str, bytes]:
    found = {}
    for info in store.listing(""):
        assert info.key not in found
        with store.read(info.key) as stream:
            found[info.key] = stream.read()
    return found


def whole(files: Sequence[StagedFile]) -> dict[str, bytes]:
    return {file.key: payload(file.chunk) for file in files}


def test_every_file_becomes_visible_and_its_notice_comes_after(store: Store) -> None:
    wrapped = Unreliable(store)
    files = batch(store)
    assert visible(store) == {}
    publish(wrapped, files, lambda file: wrapped.note("noticed", file.key))  # type: ignore[arg-type]
    assert visible(store) == whole(files)
    assert len(wrapped.journal) == 2 * FILES
    for file in files:
        events = [event for event, key in wrapped.journal if key == file.key]
        assert events == ["published", "noticed"]


@pytest.mark.law(8)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [0, 1, FILES // 2, FILES - 1])
def test_repeating_after_a_failure_ends_with_everything_visible_once(
    store: Store, number: int, when: Moment
) -> None:
    files = batch(store)
    wrapped = Unreliable(store, [number], when)

    def notice(file: StagedFile) -> None:
        wrapped.note("noticed", file.key)

    with pytest.raises(StoreError) as caught:
        publish(wrapped, files, notice)  # type: ignore[arg-type]
    assert caught.value.code == "store_timeout"
    # whatever is visible is whole, and belongs to the batch
    assert visible(store).items() <= whole(files).items()

    wrapped.note("again", "")
    publish(wrapped, files, notice)  # type: ignore[arg-type]

    assert visible(store) == whole(files)
    first = wrapped.journal[: wrapped.journal.index(("again", ""))]
    second = wrapped.journal[len(first) + 1 :]
    # what failed had no notice the first time; the second time every file has one, after its effect
    failed = {key for event, key in first if event in {"failed", "published"}} - {
        key for event, key in first if event == "noticed"
    }
    assert len(failed) == 1
    for file in files:
        assert [event for event, key in second if key == file.key] == ["published", "noticed"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_failing_again_and_again_ends_well_all_the_same(store: Store, when: Moment) -> None:
    files = batch(store)
    wrapped = Unreliable(store, range(0, 60, 3), when)
    for _ in range(60):
        try:
            publish(wrapped, files)  # type: ignore[arg-type]
        except StoreError:
            continue
        break
    assert visible(store) == whole(files)
    assert [event for event, _ in wrapped.journal if event == "overwritten"] == []


@pytest.mark.law(7)
def test_lost_bytes_surface_and_staging_again_mends_it(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}", "acme")
    files = batch(store)
    for number in (5, 9):
        (tmp_path / files[number].staged).unlink()
    assert publish(store, files) == [files[5], files[9]], "the others do not wait for them"
    assert visible(store) == whole([file for file in files if file.chunk not in {5, 9}])
    assert publish(store, [staged(store, number, attempt="again") for number in (5, 9)]) == []
    assert visible(store) == whole(files)


@pytest.mark.law(6)
def test_a_taken_key_surfaces_and_keeps_its_payload(store: Store) -> None:
    store.publish(staged(store, 3, b"another", "other"))
    files = batch(store)
    with pytest.raises(KeyTaken) as caught:
        publish(store, files)
    assert files[3].key in caught.value.message
    assert visible(store)[files[3].key] == b"another"
    with pytest.raises(KeyTaken):
        publish(store, files)
    # the others are not held up for ever
    publish(store, [file for file in files if file.chunk != 3])
    assert visible(store) == whole(files) | {files[3].key: b"another"}


def test_the_pool_starts_no_new_file_after_a_failure(store: Store) -> None:
    files = batch(store, 120)
    failed = threading.Event()
    started: list[str] = []

    class Slow(Unreliable):
        def publish(self, file: StagedFile) -> None:
            started.append(file.key)
            if file.chunk == 0:
                failed.set()
                raise StoreError("no answer", code="store_timeout")
            failed.wait()
            time.sleep(0.1)

    with pytest.raises(StoreError):
        publish(Slow(store), files)  # type: ignore[arg-type]
    # eight at once, and those that began before the failure was seen
    assert len(started) <= 24


def test_a_notice_that_fails_is_not_swallowed(store: Store) -> None:
    def notice(file: StagedFile) -> None:
        raise RuntimeError("the terminal is gone")

    with pytest.raises(RuntimeError, match="terminal"):
        publish(store, batch(store), notice)


def test_a_batch_without_files_publishes_nothing(store: Store) -> None:
    publish(store, [])
    assert visible(store) == {}


@pytest.mark.parametrize("when", ["before", "after"])
def test_redelivery_puts_every_file_back_whatever_stood_there(store: Store, when: Moment) -> None:
    publish(store, batch(store))
    store.overwrite(staged(store, 2, b"damaged", "damage"))
    # a response that was lost: the staged bytes are used up, so a redelivery stages anew before it repeats
    for attempt in ("again", "and again"):
        files = [staged(store, number, attempt=attempt) for number in range(FILES)]
        wrapped = Unreliable(store, [4] if attempt == "again" else [], when)
        try:
            overwrite(wrapped, files)  # type: ignore[arg-type]
        except StoreError:
            assert attempt == "again"
    assert visible(store) == whole(files)
    assert {event for event, _ in wrapped.journal} == {"overwritten"}
