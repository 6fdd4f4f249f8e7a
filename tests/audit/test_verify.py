"""The bucket held against the ledger: each kind of damage is found, and reading is bounded."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from rover_spark.audit.found import Verified
from rover_spark.audit.verify import verify
from rover_spark.contract.keys import EXPORTS
from rover_spark.encode.ndjson import NdjsonFile
from rover_spark.model.dataset_state import BatchRecord, State
from rover_spark.model.file import StagedFile
from rover_spark.model.manifest import OUTCOMES
from rover_spark.model.plan import Manifests
from rover_spark.produce.rover.keys import RoverOwner
from rover_spark.store import Store, open_store, staged_whole
from tests.produce.rover.test_plan import a_plan

MIB = 1 << 20
PLAN = a_plan("changes", 2, from_version=1)


def held(store: Store, batches: list[BatchRecord], **options: Any) -> Verified:
    return verify(store, batches, RoverOwner("acme", store.prefix), EXPORTS, **options)


def packed(text: bytes) -> tuple[bytes, NdjsonFile]:
    sink = io.BytesIO()
    file = NdjsonFile(sink.write, 1)
    file.append(text)
    file.close()
    return sink.getvalue(), file


@dataclass
class Bucket:
    """A local destination with delivered batches, and its objects as files to damage."""

    root: Path
    batches: list[BatchRecord]

    @property
    def store(self) -> Store:
        return open_store(f"file://{self.root}", "acme")

    def deliver(
        self, seq: int, *texts: bytes, state: State = "COMMITTED", counts: Any = None
    ) -> list[StagedFile]:
        files = []
        for part, text in enumerate(texts):
            data, made = packed(text)
            key = f"exports/fan_profiles/date=2026-11-21/hour=10/{seq}-{part}.ndjson.gz"
            staging = self.store.stage(key, f"fan_profiles.1.{seq}", "one")
            staging.write(data)
            sizes = (text.count(b"\n"), made.bytes, made.sha256, made.raw_bytes, made.raw_sha256)
            files.append(StagedFile(key, *sizes, 0, part, staging.finish()))
            self.store.publish(files[-1])
        records = sum(file.records for file in files)
        if counts is None:
            counts = {"read": records + 2, "delivered": records, "no_change": 2}
        name = f"fan_profiles.1.{seq}"
        self.batches.append(
            BatchRecord(
                name, "fan_profiles", 1, seq, "changes", state, 0, counts, plan=PLAN, files=tuple(files)
            )
        )
        return files

    def path(self, file: StagedFile) -> Path:
        return self.root / file.key

    def verify(self) -> Verified:
        return held(self.store, self.batches)

    def problems(self) -> list[tuple[str, str]]:
        return [(problem.code, problem.message.split(":")[0]) for problem in self.verify().problems]


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    return Bucket(tmp_path / "bucket", [])


TEXTS = (b'{"a":1}\n{"a":2}\n', b'{"b":"%s"}\n' % (b"x" * 5000))


def test_a_whole_bucket_is_clean_and_is_counted(bucket: Bucket) -> None:
    files = bucket.deliver(1, *TEXTS) + bucket.deliver(2, TEXTS[1])
    noticed: list[StagedFile] = []
    found = held(bucket.store, bucket.batches, notice=noticed.append)
    assert found == Verified(3, 4, sum(file.bytes for file in files), 0, ())
    assert noticed == files


def test_an_empty_bucket_and_an_empty_ledger_agree(bucket: Bucket) -> None:
    assert bucket.verify() == Verified(0, 0, 0, 0, ())


def test_a_batch_without_files_is_clean(bucket: Bucket) -> None:
    bucket.deliver(1, counts=dict.fromkeys(("read", *OUTCOMES), 0))
    bucket.deliver(2, counts={"read": 5, "delivered": 0, "no_change": 5})
    assert bucket.problems() == []


@pytest.mark.parametrize("place", [0, 4, 9, 20, -1])
def test_one_changed_byte_is_found(bucket: Bucket, place: int) -> None:
    file = bucket.deliver(1, *TEXTS)[1]
    data = bytearray(bucket.path(file).read_bytes())
    data[place] ^= 0x20
    bucket.path(file).write_bytes(data)
    assert bucket.problems() == [("object_changed", file.key)]


@pytest.mark.parametrize("size", [0, 1, -1])
def test_a_truncated_object_is_found(bucket: Bucket, size: int) -> None:
    file = bucket.deliver(1, *TEXTS)[0]
    bucket.path(file).write_bytes(bucket.path(file).read_bytes()[:size])
    assert bucket.problems() == [("object_changed", file.key)]


def test_a_removed_object_is_found_and_the_remedy_names_the_batch(bucket: Bucket) -> None:
    file = bucket.deliver(7, *TEXTS)[0]
    bucket.path(file).unlink()
    (problem,) = bucket.verify().problems
    assert (problem.code, problem.message) == ("object_missing", f"{file.key}: is not in the bucket")
    assert "redeliver -c FILE --batch fan_profiles.1.7 " in problem.remedy


def test_a_directory_in_the_place_of_an_object_is_a_missing_object(bucket: Bucket) -> None:
    file = bucket.deliver(1, *TEXTS)[0]
    bucket.path(file).unlink()
    bucket.path(file).mkdir()
    assert bucket.problems() == [("object_missing", file.key)]


def test_other_text_of_the_same_records_is_found(bucket: Bucket) -> None:
    file = bucket.deliver(1, *TEXTS)[0]
    bucket.path(file).write_bytes(packed(b'{"a":1}\n{"a":3}\n')[0])
    assert bucket.problems() == [("object_changed", file.key)]


@pytest.mark.parametrize(
    "key", ["exports/x", "exports/fan_profiles/date=2026-11-21/hour=10/9-9.ndjson.gz", "exports/.hidden"]
)
def test_a_foreign_object_where_receivers_read_is_found(bucket: Bucket, key: str) -> None:
    bucket.deliver(1, *TEXTS)
    (bucket.root / key).write_bytes(b"not ours")
    (problem,) = bucket.verify().problems
    assert (problem.code, problem.message) == (
        "object_foreign",
        f"{key}: no batch of the ledger wrote this object (8 bytes)",
    )


@pytest.mark.parametrize("key", ["readme.txt", "export/x", "_rover_staging/acme/b/x", "other/exports/x"])
def test_what_stands_beside_the_exports_is_none_of_ours(bucket: Bucket, key: str) -> None:
    bucket.deliver(1, *TEXTS)
    (bucket.root / key).parent.mkdir(parents=True, exist_ok=True)
    (bucket.root / key).write_bytes(b"not ours")
    assert bucket.problems() == []


def test_objects_under_another_prefix_are_not_foreign(tmp_path: Path) -> None:
    store = open_store(f"memory://{tmp_path.as_posix().replace('/', '-')}/acme", "acme")
    for key in ("exports/x", "acme-eu/exports/x", "acme/readme"):
        staging = store.stage(key, "b", "a")
        store.overwrite(StagedFile(key, 0, 0, hashlib.sha256(b"").hexdigest(), 0, "", 0, 0, staging.finish()))
    assert held(store, []).problems == ()
    staging = store.stage("acme/exports/x", "b", "a")
    empty = hashlib.sha256(b"").hexdigest()
    store.overwrite(StagedFile("acme/exports/x", 0, 0, empty, 0, "", 0, 0, staging.finish()))
    assert [problem.code for problem in held(store, []).problems] == ["object_foreign"]


class Counting:
    """A store that counts the bytes it is asked for."""

    def __init__(self, store: Store) -> None:
        self._store, self.taken = store, 0

    def read(self, key: str) -> Any:
        stream, counting = self._store.read(key), self

        class Stream(io.RawIOBase):
            def readable(self) -> bool:
                return True

            def read(self, size: int = -1, /) -> bytes:
                data: bytes = stream.read(size)  # type: ignore[attr-defined]
                counting.taken += len(data)
                return data

            def close(self) -> None:
                stream.close()  # type: ignore[attr-defined]

        return Stream()

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def test_an_object_grown_huge_is_read_no_further_than_it_was_delivered(bucket: Bucket) -> None:
    file = bucket.deliver(1, TEXTS[0])[0]
    os.truncate(bucket.path(file), 1 << 40)  # a sparse terabyte
    store = Counting(bucket.store)
    (problem,) = held(store, bucket.batches).problems  # type: ignore[arg-type]
    assert problem.code == "object_changed"
    assert f"another size than the {file.bytes} bytes" in problem.message
    assert store.taken == file.bytes + 1


def test_one_byte_more_is_found(bucket: Bucket) -> None:
    file = bucket.deliver(1, TEXTS[0])[0]
    with bucket.path(file).open("ab") as stream:
        stream.write(b"\0")
    assert bucket.problems() == [("object_changed", file.key)]


def test_a_bomb_of_the_right_size_is_found_without_inflating_it(bucket: Bucket) -> None:
    bomb = gzip.compress(bytes(8 * MIB), mtime=0)
    file = bucket.deliver(1, os.urandom(len(bomb)) + b"\n")[0]
    data = (bomb + bytes(file.bytes))[: file.bytes]
    bucket.path(file).write_bytes(data)
    assert len(data) == file.bytes
    store = Counting(bucket.store)
    (problem,) = held(store, bucket.batches).problems  # type: ignore[arg-type]
    assert (problem.code, problem.message) == (
        "object_changed",
        f"{file.key}: its bytes are not those delivered",
    )
    assert store.taken == file.bytes


def test_a_bomb_that_the_ledger_vouches_for_stops_at_the_text_that_was_delivered(bucket: Bucket) -> None:
    file = bucket.deliver(1, TEXTS[0])[0]
    bomb = gzip.compress(bytes(64 * MIB), mtime=0)
    bucket.path(file).write_bytes(bomb)
    lying = replace(file, bytes=len(bomb), sha256=hashlib.sha256(bomb).hexdigest())
    bucket.batches[0] = replace(bucket.batches[0], files=(lying,))
    (problem,) = bucket.verify().problems
    assert (problem.code, problem.message) == (
        "object_changed",
        f"{file.key}: holds more than {file.raw_bytes} bytes of text",
    )


@pytest.mark.parametrize(
    "change",
    [{"records": 1}, {"records": 3}, {"raw_sha256": "0" * 64}, {"raw_bytes": 15}, {"raw_bytes": 17}],
    ids=str,
)
def test_a_ledger_row_that_disagrees_with_the_text_is_found(bucket: Bucket, change: dict[str, Any]) -> None:
    file = bucket.deliver(1, TEXTS[0])[0]
    records = change.get("records", 2)
    counts = {"read": records, "delivered": records}
    changed = replace(file, **change)
    bucket.batches[0] = replace(bucket.batches[0], files=(changed,), counts=counts)
    assert bucket.problems() == [("object_changed", file.key)]


@pytest.mark.law(9)
@pytest.mark.parametrize(
    ("counts", "clean"),
    [
        ({"read": 2, "delivered": 2}, True),
        (
            {"read": 9, "delivered": 2, "quarantined": 1, "conflict": 1, "superseded": 1, "suppressed": 4},
            True,
        ),
        ({"read": 9, "delivered": 2, "no_change": 7}, True),
        ({"read": 3, "delivered": 2}, False),
        ({"read": 1, "delivered": 2}, False),
        ({"read": 3, "delivered": 3}, False),
        ({"read": 1, "delivered": 1}, False),
        ({"read": 2, "delivered": 1, "no_change": 1}, False),
        ({}, False),
    ],
    ids=str,
)
def test_counts_must_add_up(bucket: Bucket, counts: dict[str, int], clean: bool) -> None:
    bucket.deliver(1, TEXTS[0], counts=counts)
    assert bucket.problems() == ([] if clean else [("counts_differ", "fan_profiles.1.1")])


@pytest.mark.parametrize("published", [True, False])
def test_a_batch_on_its_way_is_neither_foreign_nor_missing(bucket: Bucket, published: bool) -> None:
    bucket.deliver(1, *TEXTS)
    (file,) = bucket.deliver(2, TEXTS[0], state="STAGED")
    if not published:
        bucket.path(file).unlink()
    found = bucket.verify()
    assert found.problems == ()
    assert found.files == 2


def test_every_problem_is_found_in_one_go(bucket: Bucket) -> None:
    one, two = bucket.deliver(1, *TEXTS)
    (three,) = bucket.deliver(2, TEXTS[0], counts={"read": 5, "delivered": 2})
    bucket.path(one).unlink()
    bucket.path(two).write_bytes(b"")
    (bucket.root / "exports/x").write_bytes(b"")
    assert bucket.problems() == [
        ("object_missing", one.key),
        ("object_changed", two.key),
        ("counts_differ", "fan_profiles.1.2"),
        ("object_foreign", "exports/x"),
    ]
    assert bucket.path(three).exists(), "verify writes nothing"


def announced(bucket: Bucket, place: str) -> StagedFile:
    """The manifest of the last batch, published at a place that its plan pins."""
    store = open_store(place, "acme")
    key = "manifests/fan_profiles/date=2026-11-21/hour=10/one.json"
    file = staged_whole(store.stage(key, "fan_profiles.1.1", "one"), key, b'{"manifest":1}\n')
    store.publish(file)
    plan = replace(PLAN, manifests=Manifests(place, (), None))
    bucket.batches[-1] = replace(bucket.batches[-1], plan=plan, completion=(file,))
    return file


@pytest.mark.parametrize("where", ["", "announced"])
@pytest.mark.parametrize(
    ("damage", "code"), [(None, ""), (b"", "object_changed"), (b'{"manifest":2}\n', "object_changed")]
)
def test_a_manifest_is_compared_byte_by_byte_and_counted_with_no_file(
    bucket: Bucket, tmp_path: Path, where: str, damage: bytes | None, code: str
) -> None:
    bucket.deliver(1, *TEXTS)
    place = f"file://{tmp_path / where}" if where else f"file://{bucket.root}"
    file = announced(bucket, place)
    if damage is not None:
        Path(place.removeprefix("file://"), file.key).write_bytes(damage)
    found = held(bucket.store, bucket.batches, open_place=lambda url: open_store(url, "acme"))
    assert [(each.code, each.message.split(":")[0]) for each in found.problems] == (
        [(code, file.key)] if code else []
    )
    assert found.files == len(TEXTS)


def test_a_manifest_that_is_gone_is_missing_but_not_of_a_batch_that_went_elsewhere(bucket: Bucket) -> None:
    bucket.deliver(1, *TEXTS)
    file = announced(bucket, f"file://{bucket.root}")
    bucket.path(file).unlink()
    (problem,) = bucket.verify().problems
    assert problem.code == "object_missing" and "redeliver" in problem.remedy
    assert held(bucket.store, bucket.batches, destination="s3://another/acme").problems == ()
