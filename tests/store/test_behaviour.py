"""The laws of `store/base.py`, held against every adapter. A new adapter joins by one entry in `ADAPTERS`."""

from __future__ import annotations

import errno
import hashlib
import os
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from rover_spark.config.access import Access
from rover_spark.errors import ConfigError, KeyTaken, StagedLost, StoreError
from rover_spark.model.file import StagedFile
from rover_spark.store import ObjectInfo, Store, open_store
from rover_spark.store.local import STAGING, LocalStore
from rover_spark.store.memory import MemoryStore
from tests.store.buckets import SERVERS

NAME = "fan_profiles-20261121T101500Z-part-0123456789abcdef0123456789abcdef.ndjson.gz"
FOLDER = "exports/fan_profiles/date=2026-11-21/hour=10"
BATCH = "fan_profiles.1.1"
NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Adapter:
    """A destination under test, and what only its adapter knows: how staged bytes get lost."""

    url: str
    kind: type
    lose: Callable[[StagedFile], StagedFile]
    access: Access | None = None

    def store(self, export: str = "acme") -> Store:
        """A store object of its own, as another process would open it."""
        store = open_store(self.url, export, self.access)
        assert isinstance(store, self.kind)
        return store

    def key(self, name: str = NAME) -> str:
        prefix = self.store().prefix
        return f"{prefix}/{FOLDER}/{name}" if prefix else f"{FOLDER}/{name}"


def local(root: Path) -> Adapter:
    def lose(file: StagedFile) -> StagedFile:
        (root / "bucket" / file.staged).unlink(missing_ok=True)
        return file

    (root / "bucket").mkdir()
    return Adapter(f"file://{root}/bucket", LocalStore, lose)


def memory(root: Path) -> Adapter:
    # a reference carries the bytes: losing them is losing the reference
    return Adapter(
        f"memory://{root.as_posix().replace('/', '-')}", MemoryStore, lambda f: replace(f, staged="")
    )


def memory_with_prefix(root: Path) -> Adapter:
    return replace(memory(root), url=memory(root).url + "/some/prefix")


ADAPTERS = {"local": local, "memory": memory, "memory-prefix": memory_with_prefix}
SERVED = ("s3", "s3-prefix", "gcs", "gcs-prefix", "azure", "azure-prefix")


@pytest.fixture(params=[*ADAPTERS, *SERVED])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Adapter:
    if request.param not in SERVED:
        return ADAPTERS[request.param](tmp_path)
    server, _, prefix = request.param.partition("-")
    made = SERVERS[server](request.getfixturevalue(server))
    url = f"{made.url}/some/{prefix}" if prefix else made.url
    return Adapter(url, type(open_store(url, "acme", made.access)), made.lose, made.access)


@pytest.fixture
def disk(tmp_path: Path) -> Adapter:
    return local(tmp_path)


def staged(
    store: Store, key: str, data: bytes = b"payload", attempt: str = "one", batch: str = BATCH
) -> StagedFile:
    staging = store.stage(key, batch, attempt)
    for start in range(0, len(data), 4):
        staging.write(data[start : start + 4])
    return described(key, data, staging.finish())


def described(key: str, data: bytes, reference: str) -> StagedFile:
    digest = hashlib.sha256(data).hexdigest()
    return StagedFile(key, 1, len(data), digest, len(data), digest, 0, 0, reference)


def mine(key: str) -> bool:
    return True


def content(store: Store, key: str) -> bytes:
    with store.read(key) as stream:
        return stream.read()


def visible(store: Store) -> dict[str, bytes]:
    return {info.key: content(store, info.key) for info in store.listing("")}


def on_disk(adapter: Adapter) -> set[str]:
    """Everything below a local destination: files, and directories that hold none."""
    root = Path(adapter.url.removeprefix("file://"))
    paths = [path for path in root.rglob("*") if path.is_file() or not any(path.iterdir())]
    return {path.relative_to(root).as_posix() for path in paths}


# -- law 1: staged bytes are invisible -----------------------------------------------------------------------


@pytest.mark.law(2)
def test_staged_bytes_are_invisible_at_every_moment(bucket: Adapter) -> None:
    store = bucket.store()
    staging = store.stage(bucket.key(), BATCH, "one")
    assert visible(store) == {}
    staging.write(b"payload")
    assert visible(store) == {}
    reference = staging.finish()
    assert visible(bucket.store()) == {}
    for prefix in ("", "exports/", "_", STAGING, f"{STAGING}/acme/{BATCH}", bucket.key()):
        assert list(store.listing(prefix)) == []
    with pytest.raises(FileNotFoundError), store.read(bucket.key()):
        pass
    store.publish(described(bucket.key(), b"payload", reference))
    assert visible(store) == {bucket.key(): b"payload"}


def test_a_task_that_goes_on_staging_after_the_publish_changes_nothing(bucket: Adapter) -> None:
    store, key = bucket.store(), bucket.key()
    zombie = store.stage(key, BATCH, "zombie")
    zombie.write(b"older")
    store.publish(staged(store, key))
    zombie.write(b" and later")
    late = zombie.finish()
    assert visible(store) == {key: b"payload"}
    store.abort([late])
    assert visible(store) == {key: b"payload"}


def test_staged_files_do_not_lie_where_receivers_read(disk: Adapter) -> None:
    staged(disk.store(), disk.key())
    assert {path.split("/")[0] for path in on_disk(disk)} == {STAGING}


# -- law 2: the whole object, or nothing ---------------------------------------------------------------------


@pytest.mark.law(1)
def test_a_published_object_has_exactly_the_staged_bytes(bucket: Adapter) -> None:
    store, data = bucket.store(), bytes(range(256)) * 1000
    store.publish(staged(store, bucket.key(), data))
    assert visible(bucket.store()) == {bucket.key(): data}
    assert list(store.listing("")) == [ObjectInfo(bucket.key(), len(data))]


@pytest.mark.law(1)
def test_a_receiver_that_looks_all_the_time_never_sees_a_part(bucket: Adapter) -> None:
    store, data = bucket.store(), os.urandom(1 << 20) * 8
    file = described(bucket.key(), data, "")
    staging = store.stage(file.key, BATCH, "one")
    staging.write(data)
    file = replace(file, staged=staging.finish())
    seen: set[int] = set()
    ended = threading.Event()

    def look() -> None:
        receiver = bucket.store()
        while not ended.is_set():
            seen.update(info.bytes for info in receiver.listing(""))

    receiver = threading.Thread(target=look)
    receiver.start()
    store.publish(file)
    while not seen:
        assert receiver.is_alive()
    ended.set()
    receiver.join()
    assert seen == {len(data)}


# -- law 3: once, and never another payload ------------------------------------------------------------------


@pytest.mark.law(8)
def test_publishing_twice_is_success(bucket: Adapter) -> None:
    store = bucket.store()
    file = staged(store, bucket.key())
    store.publish(file)
    store.publish(file)
    bucket.store().publish(file)
    assert visible(store) == {bucket.key(): b"payload"}


@pytest.mark.law(6)
def test_two_tries_at_one_file_publish_one_object(bucket: Adapter) -> None:
    store = bucket.store()
    one, two = (staged(store, bucket.key(), attempt=attempt) for attempt in ("one", "two"))
    store.publish(one)
    store.publish(two)
    assert visible(store) == {bucket.key(): b"payload"}


@pytest.mark.law(8)
def test_what_is_visible_is_published_even_where_the_staged_bytes_are_gone(bucket: Adapter) -> None:
    """A crash after the effect: the next run finds no staged bytes, but the object."""
    store = bucket.store()
    file = staged(store, bucket.key())
    store.publish(file)
    store.publish(bucket.lose(file))
    assert visible(store) == {bucket.key(): b"payload"}


@pytest.mark.law(6)
@pytest.mark.parametrize("other", [b"PAYLOAD", b"longer payload", b""], ids=["same size", "longer", "empty"])
def test_another_payload_under_the_key_is_refused_and_left_alone(bucket: Adapter, other: bytes) -> None:
    store = bucket.store()
    store.publish(staged(store, bucket.key(), other, "one"))
    file = staged(store, bucket.key(), b"payload", "two")
    for _ in range(2):
        with pytest.raises(KeyTaken) as caught:
            store.publish(file)
        assert bucket.key() in caught.value.message
        assert visible(store) == {bucket.key(): other}


@pytest.mark.law(6)
def test_another_payload_is_key_taken_even_where_the_staged_bytes_are_gone(bucket: Adapter) -> None:
    store = bucket.store()
    store.publish(staged(store, bucket.key(), b"other", "one"))
    file = bucket.lose(staged(store, bucket.key(), b"payload", "two"))
    with pytest.raises(KeyTaken):
        store.publish(file)
    assert visible(store) == {bucket.key(): b"other"}


# -- law 4: overwrite ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [None, b"damaged", b"payload"], ids=["nothing", "damaged", "the same"])
def test_overwrite_heals_whatever_stands_at_the_key(bucket: Adapter, before: bytes | None) -> None:
    store = bucket.store()
    if before is not None:
        store.publish(staged(store, bucket.key(), before, "one"))
    store.overwrite(staged(store, bucket.key(), b"payload", "two"))
    assert visible(store) == {bucket.key(): b"payload"}


def test_overwrite_without_staged_bytes_changes_nothing(bucket: Adapter) -> None:
    store = bucket.store()
    store.publish(staged(store, bucket.key(), b"damaged", "one"))
    with pytest.raises(StagedLost):
        store.overwrite(bucket.lose(staged(store, bucket.key(), b"payload", "two")))
    assert visible(store) == {bucket.key(): b"damaged"}


# -- law 5: any process --------------------------------------------------------------------------------------


def test_another_store_object_publishes_what_the_first_one_staged(bucket: Adapter) -> None:
    file = staged(bucket.store(), bucket.key())
    bucket.store().publish(file)
    assert visible(bucket.store()) == {bucket.key(): b"payload"}


def test_another_store_object_aborts_what_the_first_one_staged(disk: Adapter) -> None:
    file = staged(disk.store(), disk.key())
    disk.store().abort([file.staged])
    assert {path for path in on_disk(disk) if "ndjson" in path} == set()
    with pytest.raises(StagedLost):
        disk.store().publish(file)


# -- law 6: lost bytes ---------------------------------------------------------------------------------------


def test_lost_bytes_raise_staged_lost_and_change_nothing(bucket: Adapter) -> None:
    store = bucket.store()
    store.publish(staged(store, bucket.key("other.ndjson.gz"), b"other"))
    file = bucket.lose(staged(store, bucket.key()))
    with pytest.raises(StagedLost) as caught:
        store.publish(file)
    assert bucket.key() in caught.value.message
    assert visible(store) == {bucket.key("other.ndjson.gz"): b"other"}


@pytest.mark.law(7)
def test_what_was_lost_can_be_staged_again_and_published(bucket: Adapter) -> None:
    store = bucket.store()
    with pytest.raises(StagedLost):
        store.publish(bucket.lose(staged(store, bucket.key())))
    store.publish(staged(store, bucket.key(), attempt="again"))
    assert visible(store) == {bucket.key(): b"payload"}


# -- abort and sweep -----------------------------------------------------------------------------------------


@pytest.mark.law(7)
def test_an_aborted_try_leaves_nothing(bucket: Adapter) -> None:
    store = bucket.store()
    staging = store.stage(bucket.key(), BATCH, "one")
    staging.write(b"pay")
    staging.abort()
    assert visible(store) == {}
    staging = store.stage(bucket.key(), BATCH, "one")  # the same name is free again
    staging.abort()


def test_an_aborted_try_leaves_nothing_on_disk(disk: Adapter) -> None:
    staging = disk.store().stage(disk.key(), BATCH, "one")
    staging.write(b"pay")
    staging.abort()
    staging.abort()  # never raises for what is gone already
    assert on_disk(disk) <= {STAGING, f"{STAGING}/acme"}


def test_aborting_by_reference_leaves_nothing_on_disk_and_may_be_repeated(disk: Adapter) -> None:
    store = disk.store()
    files = [staged(store, disk.key(), attempt=attempt) for attempt in ("one", "two", "three")]
    store.abort(file.staged for file in files[:2])
    assert {path for path in on_disk(disk) if "ndjson" in path} == {files[2].staged}
    store.abort(file.staged for file in files)
    assert on_disk(disk) <= {STAGING, f"{STAGING}/acme"}


def test_publishing_leaves_only_the_object_on_disk(disk: Adapter) -> None:
    store = disk.store()
    store.publish(staged(store, disk.key(), attempt="one"))
    store.publish(staged(store, disk.key(), attempt="two"))
    store.overwrite(staged(store, disk.key(), attempt="three"))
    assert on_disk(disk) - {STAGING, f"{STAGING}/acme"} == {disk.key()}


@pytest.mark.law(7)
def test_aborting_never_touches_what_is_visible(bucket: Adapter) -> None:
    store = bucket.store()
    file = staged(store, bucket.key())
    store.publish(file)
    store.abort([file.staged])
    assert visible(store) == {bucket.key(): b"payload"}


def aged(adapter: Adapter, file: StagedFile, age: timedelta) -> StagedFile:
    moment = (NOW - age).timestamp()
    os.utime(Path(adapter.url.removeprefix("file://")) / file.staged, (moment, moment))
    return file


@pytest.mark.law(7)
def test_sweep_removes_what_is_old_and_says_what(disk: Adapter) -> None:
    store = disk.store()
    old = aged(disk, staged(store, disk.key(), attempt="old"), timedelta(days=8))
    young = aged(disk, staged(store, disk.key(), attempt="young"), timedelta(days=6))
    kept = aged(disk, staged(store, disk.key(), attempt="kept"), timedelta(days=80))
    # published long ago, and not for the sweep
    store.publish(staged(store, disk.key("done.ndjson.gz"), b"done"))
    root = Path(disk.url.removeprefix("file://"))
    os.utime(root / disk.key("done.ndjson.gz"), (0, 0))

    assert store.sweep(NOW - timedelta(days=7), frozenset({kept.staged}), mine) == [old.staged]

    files = {path for path in on_disk(disk) if (root / path).is_file()}
    assert files == {young.staged, kept.staged, disk.key("done.ndjson.gz")}
    assert store.sweep(NOW - timedelta(days=7), frozenset({kept.staged}), mine) == []
    store.publish(kept)


def test_sweep_leaves_no_directory_of_an_abandoned_batch(disk: Adapter) -> None:
    store = disk.store()
    for attempt in ("one", "two"):
        aged(disk, staged(store, disk.key(), attempt=attempt), timedelta(days=8))
    killed = store.stage(disk.key(), "fan_profiles.1.2", "killed")  # neither finished nor aborted
    killed.write(b"pay")
    killed._file.flush()  # type: ignore[attr-defined]
    os.utime(killed._path, (0, 0))  # type: ignore[attr-defined]
    assert len(store.sweep(NOW, frozenset(), mine)) == 3
    assert on_disk(disk) <= {STAGING, f"{STAGING}/acme"}


def test_sweep_never_touches_another_export(disk: Adapter) -> None:
    other = aged(disk, staged(disk.store("acme-eu"), disk.key()), timedelta(days=800))
    mine = aged(disk, staged(disk.store("acme"), disk.key()), timedelta(days=800))
    assert disk.store("acme").sweep(NOW, frozenset(), mine) == [mine.staged]
    disk.store("acme-eu").publish(other)


def test_sweep_of_a_destination_that_is_not_there_yet_finds_nothing(bucket: Adapter, tmp_path: Path) -> None:
    assert bucket.store().sweep(NOW, frozenset(), mine) == []
    assert open_store(f"file://{tmp_path}/nowhere", "acme").sweep(NOW, frozenset(), mine) == []
    assert not (tmp_path / "nowhere").exists()


# -- listing and reading -------------------------------------------------------------------------------------


def test_listing_goes_by_key_prefix(bucket: Adapter) -> None:
    store = bucket.store()
    keys = [bucket.key(name) for name in ("a.ndjson.gz", "ab.ndjson.gz", "b.ndjson.gz")]
    keys.append(keys[0].replace("fan_profiles", "fan_profile_merges"))
    for key in keys:
        store.publish(staged(store, key, key.encode()))
    top = keys[0].split("exports/")[0]
    for prefix in (
        "",
        top,
        f"{top}exports/",
        f"{top}exports/fan_profile",
        f"{top}exports/fan_profiles/",
        keys[0][:-11],
    ):
        assert {info.key for info in store.listing(prefix)} == {key for key in keys if key.startswith(prefix)}
    assert list(store.listing(f"{top}exports/nothing")) == []
    assert list(store.listing("elsewhere/")) == []


def test_a_directory_that_may_not_be_listed_is_told_and_not_passed_over(
    disk: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = disk.store()
    store.publish(staged(store, disk.key()))

    def refuse(path: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", refuse)
    for listing in (store.listing(""), store.folders("")):
        with pytest.raises(StoreError, match=r"cannot list .*Permission denied"):
            list(listing)


def test_folders_are_what_follows_up_to_the_next_slash(bucket: Adapter) -> None:
    store = bucket.store()
    top = bucket.key().removesuffix(f"{FOLDER}/{NAME}")
    for name in ("exports/a/x", "exports/a/b/x", "exports/b/y/x", "exports/c", "exportsish/x"):
        store.publish(staged(store, f"{top}{name}"))
    store.stage(f"{top}exports/d/x", BATCH, "two").finish()  # staged, so no folder yet
    assert set(store.folders(f"{top}exports/")) == {f"{top}exports/a/", f"{top}exports/b/"}
    assert set(store.folders(f"{top}exports/a/")) == {f"{top}exports/a/b/"}
    assert set(store.folders(top)) == {f"{top}exports/", f"{top}exportsish/"}
    assert list(store.folders(f"{top}exports/nothing/")) == []
    assert list(store.folders(f"{top}exports/c/")) == []


def test_of_a_directory_only_what_may_hold_such_keys_is_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in (1, 2, 11, 12):
        (tmp_path / "a" / f"date={day:02}" / "hour=00").mkdir(parents=True)
        (tmp_path / "a" / f"date={day:02}" / "hour=00" / "x").touch()
    looked, scandir = list[str](), os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: looked.append(path) or scandir(path))
    found = open_store(f"file://{tmp_path}", "acme").listing("a/date=1")
    assert sorted(each.key for each in found) == ["a/date=11/hour=00/x", "a/date=12/hour=00/x"]
    assert len(looked) == 5, "the directory, two days with an hour each"


def test_listing_a_destination_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    assert list(open_store(f"file://{tmp_path}/nowhere", "acme").listing("exports/")) == []


@pytest.mark.parametrize("mine", [KeyError, TypeError, AttributeError, ValueError])
def test_what_goes_wrong_with_who_reads_is_no_error_of_the_store(
    bucket: Adapter, mine: type[Exception]
) -> None:
    store, key = bucket.store(), bucket.key()
    store.publish(staged(store, key))
    with pytest.raises(mine), store.read(key):
        raise mine("what the bytes were taken for")


@pytest.mark.parametrize("key", ["nothing", "exports/nothing", FOLDER])
def test_reading_what_is_not_there_is_file_not_found(bucket: Adapter, key: str) -> None:
    store = bucket.store()
    store.publish(staged(store, bucket.key()))
    with pytest.raises(FileNotFoundError), store.read(key):
        pass


# -- the local store's own dangers ---------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["../x", "/x", "exports/../../x", "..", "a/.."])
def test_a_hostile_key_is_refused_and_nothing_leaves_the_destination(
    disk: Adapter, key: str, tmp_path: Path
) -> None:
    store = disk.store()
    outside = tmp_path / "x"
    outside.write_bytes(b"mine")
    file = staged(store, disk.key())
    for act in (store.publish, store.overwrite):
        with pytest.raises(StoreError) as caught:
            act(replace(file, key=key))
        assert caught.value.code == "key_invalid"
        with pytest.raises(StoreError):
            act(replace(file, staged=key))
    with pytest.raises(StoreError):
        store.read(key)
    with pytest.raises(StoreError):
        store.abort([key])
    assert outside.read_bytes() == b"mine"
    assert visible(store) == {}


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without hard links, as FUSE mounts are."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)


@pytest.mark.usefixtures("no_links")
def test_without_hard_links_it_still_publishes_and_still_refuses(disk: Adapter) -> None:
    store = disk.store()
    file = staged(store, disk.key())
    store.publish(file)
    store.publish(file)
    store.publish(staged(store, disk.key(), attempt="two"))
    with pytest.raises(KeyTaken):
        store.publish(staged(store, disk.key(), b"another", "three"))
    assert visible(store) == {disk.key(): b"payload"}
    with pytest.raises(StagedLost):
        store.publish(disk.lose(staged(store, disk.key("lost.ndjson.gz"))))


def test_a_destination_that_refuses_is_a_store_error_that_says_why(tmp_path: Path) -> None:
    (tmp_path / "bucket").write_bytes(b"a file, not a directory")
    with pytest.raises(StoreError, match=r"cannot stage .*directory") as caught:
        open_store(f"file://{tmp_path}/bucket", "acme").stage(f"{FOLDER}/{NAME}", BATCH, "one")
    assert caught.value.code == "store_refused"


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process may grow beyond 4 kB: the operating system refuses, as a full disk does.

    Only while the block runs: the test runner's own log is a file too.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [5_000, 1 << 20], ids=["noticed at the end", "noticed at once"])
def test_a_full_disk_is_a_store_error_that_says_why(disk: Adapter, size: int) -> None:
    with pytest.raises(StoreError) as caught, full_disk():
        staged(disk.store(), disk.key(), b"x" * size)
    assert caught.value.code == "store_refused"


@pytest.mark.parametrize("size", [5_000, 1 << 20], ids=["noticed at the end", "noticed at once"])
def test_aborting_on_a_full_disk_never_raises_and_leaves_no_file(disk: Adapter, size: int) -> None:
    with full_disk():
        staging = disk.store().stage(disk.key(), BATCH, "one")
        with suppress(OSError, StoreError):
            staging.write(b"x" * size)
            staging.finish()
        staging.abort()
    assert {path for path in on_disk(disk) if "ndjson" in path} == set()


@pytest.mark.law(6)
def test_two_stores_race_for_one_key_and_one_payload_wins(disk: Adapter) -> None:
    store = disk.store()
    files = [staged(store, disk.key(), f"payload {n}".encode(), str(n)) for n in range(8)]
    outcomes: list[str] = []
    start = threading.Barrier(len(files))

    def publish(file: StagedFile) -> None:
        mine = disk.store()
        start.wait()
        try:
            mine.publish(file)
            outcomes.append("won")
        except KeyTaken:
            outcomes.append("refused")

    threads = [threading.Thread(target=publish, args=(file,)) for file in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused"] * 7 + ["won"]


def test_an_unknown_scheme_has_no_store() -> None:
    with pytest.raises(ConfigError, match="ftp") as caught:
        open_store("ftp://host/bucket", "acme")
    assert caught.value.code == "config_invalid"
