"""Files of events held against plans and registry: what the ledger was made to say, or a file to hold, is found."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pytest

from rover_spark.audit.found import Verified
from rover_spark.audit.verify import verify
from rover_spark.contract.avro import canonical, parse
from rover_spark.contract.currents import Integration
from rover_spark.encode.avro import AvroFile
from rover_spark.encode.lines import Lines
from rover_spark.model.dataset_state import BatchRecord
from rover_spark.model.file import StagedFile
from rover_spark.model.schema import RegisteredSchema
from rover_spark.model.table import HistoryRow
from rover_spark.produce.currents.files import EventFiles
from rover_spark.produce.currents.keys import EventOwner
from rover_spark.produce.currents.plan import HOUR_MS, EventSource, Group, Slice
from rover_spark.store import Store, open_store
from tests.plans import event_plan

CUSTOM, PURCHASE = "users.behaviors.CustomEvent", "users.behaviors.Purchase"
PLACE = Integration("prod-01", "S3", "65f1c2d3", "eu")
LIMIT = 15_000
FIELDS = [{"name": "id", "type": "string"}, {"name": "time", "type": "int"}]
TEXTS = {
    kind: canonical(parse({"type": "record", "name": kind, "fields": FIELDS})) for kind in (CUSTOM, PURCHASE)
}


def file_of(text: str, codec: str, key: str, first: int, count: int) -> AvroFile:
    file = AvroFile((sink := io.BytesIO()).write, text, codec, 1, bytes(16))
    datums = []
    for n in range(first, first + count):
        fastavro.schemaless_writer(datum := io.BytesIO(), json.loads(text), {"id": f"{key}{n}", "time": n})
        datums.append(datum.getvalue())
    file.write(Lines(pa.array(datums, pa.binary())), 0, count)
    file.close()
    file.data = sink.getvalue()  # type: ignore[attr-defined]
    return file


@dataclass
class Bucket:
    """A destination below a prefix and what the ledger says of it, both to be tampered with."""

    root: Path
    codec: str = "deflate"
    batches: list[BatchRecord] = field(default_factory=list)
    schemas: dict[int, RegisteredSchema] = field(
        default_factory=lambda: {
            n: RegisteredSchema(n, kind, TEXTS[kind], "", (), "events.1.1")
            for n, kind in enumerate((CUSTOM, PURCHASE), 1)
        }
    )

    prefix: str = "acme"

    @property
    def destination(self) -> str:
        return f"memory://{self.root.as_posix().replace('/', '-')}/{self.prefix}"

    @property
    def store(self) -> Store:
        return open_store(self.destination, "acme")

    def deliver(self, *groups: Group, delivered: dict[int, tuple[int, ...]]) -> None:
        """A batch of these groups; of each, files of so many events, one after another."""
        seq = len(self.batches) + 1
        commits = (HistoryRow(seq, seq * HOUR_MS, "WRITE"),)
        slices = tuple(
            Slice(kind, EventSource("/t", None, {}, (), False), seq, seq, "t", commits, n, LIMIT, ())
            for n, kind in enumerate((CUSTOM, PURCHASE), 1)
        )
        plan = event_plan(
            seq=seq, instant=seq, destination=self.destination, source_rows=sum(group.rows for group in groups),
            integration=PLACE, partitions=2, codec=self.codec, slices=slices, groups=groups,
        )  # fmt: skip
        files = []
        for chunk, counts in delivered.items():
            for part, count in enumerate(counts):
                before = sum(counts[:part])
                key, _ = EventFiles(plan, TEXTS).begin(chunk, part, before)
                made = file_of(TEXTS[slices[groups[chunk].slice].event_type], self.codec, key, before, count)
                staging = self.store.stage(key, plan.batch, "one")
                staging.write(made.data)  # type: ignore[attr-defined]
                sizes = (count, made.bytes, made.sha256, made.raw_bytes, made.raw_sha256)
                files.append(StagedFile(key, *sizes, chunk, part, staging.finish()))
                self.store.publish(files[-1])
        held = sum(file.records for file in files)
        counts = {"read": plan.source_rows, "delivered": held, "quarantined": plan.source_rows - held}
        self.batches.append(BatchRecord.of(plan, "COMMITTED", counts, tuple(files)))

    def verify(self) -> Verified:
        owner = EventOwner(PLACE, self.prefix, ())
        return verify(self.store, self.batches, owner, PLACE.name, schemas=self.schemas)

    def found(self) -> list[tuple[str, str]]:
        return [(problem.code, problem.message) for problem in self.verify().problems]

    def planned(self, number: int, **changes: Any) -> None:
        """Another plan in the ledger than the one delivered."""
        batch = self.batches[number]
        self.batches[number] = replace(batch, plan=replace(batch.plan, **changes))  # type: ignore[type-var]

    def listed(self, number: int, change: Callable[[tuple[StagedFile, ...]], tuple[StagedFile, ...]]) -> None:
        """Other files in the ledger than those delivered; counts still add up."""
        batch = self.batches[number]
        files = change(batch.files)
        held = sum(file.records for file in files)
        self.batches[number] = replace(batch, files=files, counts={"read": held, "delivered": held})


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    """Two batches: an hour of two files, another partition, another type; then all of them go on."""
    made = Bucket(tmp_path)
    made.deliver(
        Group(0, 5 * HOUR_MS, 0, LIMIT + 20, 0),
        Group(0, 5 * HOUR_MS, 1, 7, 0),
        Group(0, 6 * HOUR_MS, 0, 5, LIMIT + 20),
        Group(1, 5 * HOUR_MS, 0, 3, 0),
        delivered={0: (LIMIT, 12), 1: (7,), 2: (5,), 3: (3,)},
    )
    made.deliver(
        Group(0, 7 * HOUR_MS, 0, 4, LIMIT + 25),
        Group(0, 7 * HOUR_MS, 1, 2, 7),
        Group(1, 7 * HOUR_MS, 0, 9, 3),
        delivered={0: (4,), 2: (9,)},
    )
    return made


def test_what_was_planned_and_not_delivered_leaves_gaps_that_are_none_of_a_problem(bucket: Bucket) -> None:
    found = bucket.verify()
    assert (found.files, found.records, found.problems) == (7, LIMIT + 40, ())


def test_what_was_delivered_below_another_prefix_is_held_against_that_one(bucket: Bucket) -> None:
    bucket.prefix = "acme/since-then"
    assert bucket.found() == []


def test_offsets_of_an_aborted_batch_are_taken_again(bucket: Bucket) -> None:
    aborted = replace(bucket.batches[1], batch="events.1.9", state="ABORTED", files=())
    bucket.batches.insert(1, aborted)
    assert bucket.found() == []


def moved(group: int, **changes: Any) -> Callable[[Bucket], None]:
    def change(bucket: Bucket) -> None:
        groups = list(bucket.batches[1].plan.groups)  # type: ignore[union-attr]
        groups[group] = replace(groups[group], **changes)
        bucket.planned(1, groups=tuple(groups))

    return change


def sliced(number: int, **changes: Any) -> Callable[[Bucket], None]:
    def change(bucket: Bucket) -> None:
        slices = bucket.batches[number].plan.slices  # type: ignore[union-attr]
        bucket.planned(number, slices=(replace(slices[0], **changes), *slices[1:]))

    return change


def only(*numbers: int) -> Callable[[Bucket], None]:
    return lambda bucket: bucket.listed(0, lambda files: tuple(files[n] for n in numbers))


def other_type(bucket: Bucket) -> None:
    bucket.schemas[1] = replace(bucket.schemas[1], event_type=PURCHASE)


@pytest.mark.parametrize(
    ("tamper", "code", "words"),
    [
        (moved(0, offset=LIMIT + 24), "offsets_differ", f"begin at {LIMIT + 24} where {LIMIT + 25} is next"),
        (moved(0, offset=LIMIT + 26), "offsets_differ", f"begin at {LIMIT + 26} where {LIMIT + 25} is next"),
        (moved(1, offset=0), "offsets_differ", f"{CUSTOM}, partition 1, begin at 0 where 7 is next"),
        (moved(0, rows=3), "offsets_differ", f"reaches offset {LIMIT + 29} where {LIMIT + 28} were reserved"),
        (only(1, 2, 3, 4), "offsets_differ", f"begins at offset {LIMIT} where 0 is next"),
        (lambda bucket: bucket.batches.pop(0), "offsets_differ", f"begin at {LIMIT + 25} where 0 is next"),
        (moved(0, hour=8 * HOUR_MS), "key_differs", "planned another key"),
        (moved(0, partition=1), "key_differs", "planned another key"),
        (sliced(1, schema_id=2), "key_differs", "planned another key"),
        (lambda bucket: bucket.planned(1, integration=replace(PLACE, zone="us")), "key_differs", "another key"),
        (
            lambda bucket: bucket.listed(1, lambda files: tuple(replace(each, chunk=9) for each in files)),
            "key_differs",
            "belongs to nothing that its batch planned",
        ),
        (sliced(0, per_file=20_000), "threshold_differs", f"files of {CUSTOM} of 20000 events each"),
        (sliced(0, per_file=100_000), "threshold_differs", f"ends at {LIMIT} of 100000 events"),
        (sliced(0, per_file=10), "threshold_differs", f"holds {LIMIT} events where 10 is the limit"),
        (other_type, "schema_differs", f"schema 1 is that of {PURCHASE}"),
        (lambda bucket: bucket.schemas.pop(2), "schema_differs", "schema 2 is not in the registry"),
    ],
)  # fmt: skip
def test_a_ledger_that_was_made_to_say_something_else_is_found(
    bucket: Bucket, tamper: Callable[[Bucket], Any], code: str, words: str
) -> None:
    tamper(bucket)
    assert any(found == code and words in message for found, message in bucket.found()), bucket.found()


def test_a_count_that_the_file_does_not_have_is_found_in_the_file_and_in_the_offsets(bucket: Bucket) -> None:
    bucket.listed(0, lambda files: (files[0], replace(files[1], records=30), *files[2:]))
    key = bucket.batches[0].files[1].key
    assert bucket.found() == [
        ("offsets_differ", f"{key}: reaches offset {LIMIT + 30} where {LIMIT + 20} were reserved"),
        ("object_changed", f"{key}: holds 12 events where the ledger says 30"),
    ]


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy", "zstandard"])
def test_damage_that_the_ledger_vouches_for_is_found_and_does_not_end_verify(
    tmp_path: Path, codec: str
) -> None:
    bucket = Bucket(tmp_path, codec)
    bucket.deliver(Group(0, HOUR_MS, 0, 40, 0), delivered={0: (40,)})
    assert bucket.found() == []
    (file,) = bucket.batches[0].files
    with bucket.store.read(file.key) as stream:
        data = stream.read()
    found: dict[int, list[str]] = {}
    for place in (0, 40, *range(len(data) - 60, len(data))):
        broken = bytearray(data)
        broken[place] ^= 0xFF
        staging = bucket.store.stage(file.key, "events.1.1", "two")
        staging.write(bytes(broken))
        lying = replace(file, sha256=hashlib.sha256(broken).hexdigest(), staged=staging.finish())
        bucket.store.overwrite(lying)
        bucket.batches[0] = replace(bucket.batches[0], files=(lying,))
        found[place] = [code for code, _ in bucket.found()]
    surely = (0, 40, *range(len(data) - 16, len(data)))  # the first bytes, the schema, the sync marker
    assert [found[place] for place in surely] == [["object_changed"]] * len(surely)
    # what has no checksum may be read as other values
    assert all(codes in ([], ["object_changed"]) for codes in found.values()), found
