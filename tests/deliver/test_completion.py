"""The completion manifest of a batch: what it says, that it comes last, and that it is the same after anything. No Spark."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rover_spark.config.access import Access, TableAccess
from rover_spark.contract.keys import file_token, rover_key
from rover_spark.contract.manifests import FORMATS, Previous, manifest_of, parse, parse_key
from rover_spark.deliver.batch import Delivery
from rover_spark.deliver.completion import CompletionManifests
from rover_spark.deliver.progress import LoggedProgress
from rover_spark.delta.session import Session
from rover_spark.errors import KeyTaken, StagedLost
from rover_spark.ledger.rows import COMPLETION
from rover_spark.ledger.table import Ledger
from rover_spark.model.dataset_state import BatchRecord, DatasetState
from rover_spark.model.file import StagedFile
from rover_spark.model.plan import Manifests
from rover_spark.model.table import HistoryRow
from rover_spark.produce.port import decode
from rover_spark.produce.rover.plan import BatchPlan
from rover_spark.store import open_store, prefix_of, staged_whole
from rover_spark.store.s3 import S3Store
from tests.effects import Fault, Killed, effects, no_answer
from tests.plans import batch_plan
from tests.proxy import LEAST, UsedUp, least_rights
from tests.store.buckets import SERVERS

FILES = 5
PREVIOUS = Previous("manifests/fan_profiles/before.json", "0" * 64)
COMMITS = (HistoryRow(5, 1_795_250_000_000, "MERGE"), HistoryRow(7, 1_795_256_000_000, "WRITE"))


@dataclass
class Scene:
    """A batch whose files are staged, in a bucket that is a directory, and a ledger without Spark."""

    root: Path
    plan: BatchPlan
    at_once: int = 8
    access: Access = field(default_factory=Access)

    def __post_init__(self) -> None:
        def no_spark() -> Any:
            raise AssertionError("Spark was asked for")

        access = TableAccess(engine="auto")
        self.session = Session(no_spark)
        self.ledger = Ledger(self.session, str(self.root / "control"), "acme", decode, access)
        self.ledger.open(create=True)

    @property
    def bucket(self) -> Path:
        return self.root / "bucket"

    def files(self) -> tuple[StagedFile, ...]:
        return tuple(self.staged(number) for number in range(FILES))

    def staged(self, number: int, attempt: str = "one") -> StagedFile:
        plan, data = self.plan, f"payload {number}".encode()
        token = file_token(plan.export, plan.epoch, plan.dataset, plan.batch, number, 0)
        key = rover_key(prefix_of(plan.destination), plan.dataset, plan.emitted_at, token)
        staging = open_store(plan.destination, "acme", self.access).stage(key, plan.batch, attempt)
        return replace(staged_whole(staging, key, data), chunk=number)

    @property
    def completion(self) -> CompletionManifests:
        return CompletionManifests(lambda _: self.access)

    def delivery(self) -> Delivery:
        producer: Any = SimpleNamespace(encoder="test", now=self.plan.instant)
        return Delivery(
            self.session, self.ledger, producer, lambda _: self.access, LoggedProgress(), self.at_once
        )

    def to_staged(self) -> None:
        """The ledger has the batch as STAGED."""
        files = self.files()
        state = self.ledger.record(DatasetState(), self.plan, "PLANNED")
        completion = self.completion.stage(self.plan, files)
        self.ledger.record(state, self.plan, "STAGED", counts=COUNTS, files=files, completion=completion)

    def go_on(self) -> BatchRecord:
        """What a run does with a batch that it finds STAGED."""
        state = self.ledger.dataset_states()[self.plan.dataset]
        (record,) = self.ledger.batches(self.plan.batch)
        self.delivery().finish(state, self.plan, record)
        return self.ledger.batches(self.plan.batch)[0]

    def seen(self) -> dict[str, str]:
        """Key and hash of what a receiver sees."""
        paths = (path for path in self.bucket.rglob("*") if path.is_file())
        found = {
            path.relative_to(self.bucket).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in paths
        }
        return {key: digest for key, digest in sorted(found.items()) if not key.startswith("_rover_staging")}

    def manifest(self) -> str:
        """The only manifest's key."""
        (key,) = (key for key in self.seen() if parse_key(key))
        return key


COUNTS = {"read": FILES, "delivered": FILES}
Made = Callable[..., Scene]


@pytest.fixture
def scene(tmp_path: Path) -> Made:
    pytest.importorskip("deltalake")

    def made(name: str = "one", formats: tuple[str, ...] = (), at_once: int = 8, place: str = "") -> Scene:
        root = tmp_path / name
        destination = f"file://{root}/bucket"
        manifests = Manifests(place or destination, formats, PREVIOUS)
        plan = batch_plan(
            destination=destination, manifests=manifests, phase="changes", from_version=5, commits=COMMITS
        )
        return Scene(root, plan, at_once)

    return made


def test_a_manifest_says_what_the_plan_and_the_files_say(scene: Made) -> None:
    found = scene()
    found.to_staged()
    record = found.go_on()
    key = found.manifest()
    said = parse((found.bucket / key).read_bytes())
    assert (said.batch, said.dataset, said.phase, said.epoch) == (
        "fan_profiles.1.1",
        "fan_profiles",
        "changes",
        1,
    )
    assert said.emitted_at == datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(
        milliseconds=found.plan.instant
    )
    assert (said.window.from_version, said.window.to_version) == (5, 7)
    assert (said.window.from_time, said.window.to_time) == tuple(
        datetime.fromtimestamp(each.timestamp / 1000, timezone.utc) for each in COMMITS
    )
    assert (said.columns, said.key, said.event_time) == (
        ("id", "version", "roverID", "emittedAt", "traits", "updatedAt"),
        ("roverID",),
        "updatedAt",
    )
    assert [(file.key, file.records, file.sha256) for file in said.files] == sorted(
        (file.key, file.records, file.sha256) for file in record.files
    )
    assert said.previous == PREVIOUS
    assert found.seen() == {
        **{file.key: file.sha256 for file in said.files},
        key: record.completion[-1].sha256,
    }


def test_counts_and_files_of_a_batch_leave_its_manifest_out(scene: Made) -> None:
    found = scene(formats=tuple(FORMATS))
    found.to_staged()
    record = found.go_on()
    assert len(record.files) == FILES and record.counts == COUNTS
    assert [file.records for file in record.completion] == [0] * 4
    assert [manifest_of(file.key) for file in record.completion] == [found.manifest()] * 4
    newest = found.ledger.dataset_states()["fan_profiles"].manifest
    assert newest == Previous(found.manifest(), found.seen()[found.manifest()])


@pytest.mark.law(2)
@pytest.mark.parametrize("at_once", [8, 1])
def test_files_come_in_ascending_order_of_their_keys_and_the_manifest_after_the_last_one(
    scene: Made, at_once: int
) -> None:
    found = scene(at_once=at_once, formats=("sha256sum",))
    found.to_staged()
    with effects() as journal:
        record = found.go_on()
    begun = [key for name, key in journal.tried if name == "store publish"]
    ended = [key for name, key in journal.entries if name == "store publish"]
    keys = sorted(file.key for file in record.files)
    announced = [file.key for file in record.completion]
    assert ended[FILES:] == announced and parse_key(announced[-1]) and not parse_key(announced[0])
    if at_once == 1:
        assert begun == ended == keys + announced
    else:
        assert sorted(ended[:FILES]) == keys


@pytest.mark.law(2)
def test_one_at_a_time_no_file_is_visible_before_one_that_failed(scene: Made) -> None:
    found = scene(at_once=1)
    found.to_staged()
    with effects(Fault("store publish", number=3, error=no_answer)), pytest.raises(type(no_answer())):
        found.go_on()
    (record,) = found.ledger.batches(found.plan.batch)
    assert list(found.seen()) == sorted(file.key for file in record.files)[:2]


@pytest.mark.law(7)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_run_that_ends_at_the_manifest_is_finished_by_the_next_one(scene: Made, when: Any) -> None:
    whole, found = scene("whole"), scene("found")
    for each in (whole, found):
        each.to_staged()
    whole.go_on()
    with pytest.raises(Killed), effects(Fault("store publish", when, number=FILES + 1)):
        found.go_on()
    assert len(found.seen()) == FILES + (when == "after"), "all files, and the manifest after them"
    assert found.ledger.batches(found.plan.batch)[0].state == "STAGED"
    assert found.go_on().state == "COMMITTED"
    assert found.seen() == whole.seen()
    assert not list((found.bucket / "_rover_staging").rglob("*.*")), "nothing stays staged"


def test_a_manifest_whose_staged_bytes_are_gone_is_recorded_anew_before_it_is_visible(scene: Made) -> None:
    found = scene(formats=("symlink",))
    found.to_staged()
    (record,) = found.ledger.batches(found.plan.batch)
    open_store(found.plan.destination, "acme").abort(file.staged for file in record.completion)
    with effects() as journal:
        again = found.go_on()
    assert [file.sha256 for file in again.completion] == [file.sha256 for file in record.completion]
    assert journal.names()[-4:] == ["ledger STAGED", "store abort", "store publish", "ledger COMMITTED"]
    assert found.ledger.superseded(COMPLETION)[found.plan.batch] == {f.staged for f in record.completion}
    assert len(found.seen()) == FILES + 2


def test_after_a_file_was_made_again_with_other_bytes_the_manifest_names_those(scene: Made) -> None:
    """An encoder of today may compress the same text otherwise: the manifest was not visible yet."""
    found = scene()
    found.to_staged()
    (record,) = found.ledger.batches(found.plan.batch)
    one = record.files[2]
    open_store(found.plan.destination, "acme").abort([one.staged])
    made = replace(
        staged_whole(
            open_store(found.plan.destination, "acme").stage(one.key, found.plan.batch, "two"),
            one.key,
            b"otherwise",
        ),
        **{name: getattr(one, name) for name in ("records", "raw_bytes", "raw_sha256", "chunk", "part")},
    )
    delivery: Any = found.delivery()
    delivery._again = lambda *_: (made,)
    delivery.finish(found.ledger.dataset_states()["fan_profiles"], found.plan, record)
    said = parse((found.bucket / found.manifest()).read_bytes())
    assert {file.key: file.sha256 for file in said.files} == {
        key: digest for key, digest in found.seen().items() if key != found.manifest()
    }
    assert made.sha256 in {file.sha256 for file in said.files}
    (after,) = found.ledger.batches(found.plan.batch)
    assert after.completion[-1].sha256 == found.seen()[found.manifest()] != record.completion[-1].sha256
    assert not list((found.bucket / "_rover_staging").rglob("*.*"))


@pytest.mark.law(6)
def test_another_object_at_the_manifest_s_key_is_left_alone_and_the_batch_stays_staged(scene: Made) -> None:
    found = scene()
    found.to_staged()
    (record,) = found.ledger.batches(found.plan.batch)
    foreign = found.bucket / record.completion[-1].key
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"not ours")
    with pytest.raises(KeyTaken):
        found.go_on()
    assert foreign.read_bytes() == b"not ours"
    assert found.ledger.batches(found.plan.batch)[0].state == "STAGED"


@pytest.mark.law(10)
def test_a_batch_without_files_and_a_plan_without_manifests_have_none(scene: Made) -> None:
    found = scene()
    assert found.completion.stage(found.plan, ()) == ()
    older = replace(found.plan, manifests=None)
    assert found.completion.stage(older, [StagedFile("k", 1, 2, "s", 3, "r", 0, 0, "staged")]) == ()
    found.plan = older
    found.to_staged()
    assert found.go_on().state == "COMMITTED" and len(found.seen()) == FILES
    assert found.ledger.dataset_states()["fan_profiles"].manifest is None


def test_a_place_of_its_own_holds_the_manifest_alone(scene: Made, tmp_path: Path) -> None:
    found = scene(place=f"file://{tmp_path}/announced")
    found.to_staged()
    record = found.go_on()
    assert list(found.seen()) == sorted(file.key for file in record.files)
    (path,) = (path for path in (tmp_path / "announced").rglob("*") if path.is_file())
    assert hashlib.sha256(path.read_bytes()).hexdigest() == record.completion[-1].sha256


def test_nothing_stays_staged_of_a_manifest_that_could_not_be_staged_whole(
    scene: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = scene(formats=tuple(FORMATS))
    files, stage = found.files(), iter(range(3))

    def some(staging: Any, key: str, data: bytes) -> StagedFile:
        if next(stage, None) is None:
            staging.abort()
            raise StagedLost("no room", code="store_refused")
        return staged_whole(staging, key, data)

    monkeypatch.setattr("rover_spark.deliver.completion.staged_whole", some)
    with pytest.raises(StagedLost):
        found.completion.stage(found.plan, files)
    staged = [path for path in (found.bucket / "_rover_staging").rglob("*") if path.is_file()]
    assert len(staged) == len(files), "only the files"


@pytest.mark.law(7)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_role_that_may_only_put_and_abort_publishes_the_manifest_again_with_the_same_bytes(
    scene: Made, s3: str, when: Any
) -> None:
    """It cannot look: an upload that is gone may be one that was completed, so the manifest is staged once more."""
    found, bucket = scene(formats=("redshift",)), SERVERS["s3"](s3)
    url = f"{bucket.url}/acme"
    found.plan = replace(found.plan, destination=url, manifests=Manifests(url, ("redshift",), PREVIOUS))
    with UsedUp(s3, least_rights) as proxy:
        found.access = Access(can_read=False, endpoint=proxy.endpoint)
        found.to_staged()
        (record,) = found.ledger.batches(found.plan.batch)
        fault = Fault("store publish", when, number=FILES + 2)  # after the manifest in another form
        with pytest.raises(Killed), effects(fault, store=S3Store):
            found.go_on()
        seen = bucket.fingerprint()
        assert [parse_key(key) is not None for key in sorted(seen)].count(True) == (when == "after")
        state = found.ledger.dataset_states()["fan_profiles"]
        found.ledger.record_published(state, found.plan, record.files)  # else the files are in doubt, too
        assert found.go_on().state == "COMMITTED"
        assert set(proxy.seen) <= LEAST
    after = bucket.fingerprint()
    assert seen.items() <= after.items() and len(after) == FILES + 2
    assert after[record.completion[-1].key] == record.completion[-1].sha256
    assert bucket.staged() == 0


# -- its other forms ---------------------------------------------------------------------------------------------


@pytest.fixture
def formed(scene: Made) -> Scene:
    found = scene(formats=tuple(FORMATS))
    found.to_staged()
    found.go_on()
    return found


def form_of(found: Scene, name: str) -> bytes:
    (path,) = (found.bucket / "manifests" / "fan_profiles" / name).rglob(f"*.{FORMATS[name]}")
    return path.read_bytes()


def test_sha256sum_checks_the_files_from_the_folder_that_the_destination_is(formed: Scene) -> None:
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict"],
        input=form_of(formed, "sha256sum"),
        cwd=formed.bucket,
        capture_output=True,
    )
    assert checked.returncode == 0 and checked.stdout.count(b": OK\n") == FILES
    victim = next(formed.bucket.rglob("*.ndjson.gz"))
    victim.write_bytes(b"changed")
    again = subprocess.run(
        ["sha256sum", "--check"],
        input=form_of(formed, "sha256sum"),
        cwd=formed.bucket,
        capture_output=True,
    )
    assert again.returncode == 1 and again.stdout.count(b"FAILED") == 1


def test_lists_of_urls_name_each_file_at_its_destination(formed: Scene) -> None:
    said = parse((formed.bucket / formed.manifest()).read_bytes())
    urls = [f"{formed.plan.destination}/{file.key}" for file in said.files]
    assert form_of(formed, "symlink").decode().splitlines() == urls
    entries = json.loads(form_of(formed, "redshift"))["entries"]
    assert [each["url"] for each in entries] == urls
    assert [each["meta"]["content_length"] for each in entries] == [file.bytes for file in said.files]
    assert all(each["mandatory"] is True for each in entries)
