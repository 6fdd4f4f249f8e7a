"""From STAGED to COMMITTED in groups: what is visible is in the ledger before more becomes visible (laws 7, 8)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rover_spark.config.access import Access
from rover_spark.deliver import batch as room
from rover_spark.deliver.batch import Delivery
from rover_spark.deliver.progress import LoggedProgress
from rover_spark.deliver.publish import AT_ONCE
from rover_spark.errors import PublishUnknown, SourceGap, StagedLost
from rover_spark.model.dataset_state import BatchRecord, DatasetState
from rover_spark.model.file import StagedFile
from rover_spark.model.manifest import Manifest
from rover_spark.model.plan import Plan
from rover_spark.store import open_store
from tests.produce.cases import snapshot_plan

GROUP = 3
PLAN = replace(snapshot_plan("fan_profiles", seq=1), destination="memory://groups")


@dataclass
class Scene:
    """A batch of so many files that is STAGED, over a store and a ledger that write down what happens, in order."""

    files: int
    can_read: bool
    fails: Callable[[StagedFile], Exception | None]
    url: str
    again: Exception | None = None
    journal: list[Any] = field(default_factory=list)

    def record(self) -> BatchRecord:
        files = tuple(self.staged(number, "one") for number in range(self.files))
        return BatchRecord.of(PLAN, "STAGED", {}, files)

    def staged(self, number: int, attempt: str) -> StagedFile:
        data = f"payload {number}".encode()
        key = f"exports/fan_profiles/{number:03d}.ndjson.gz"
        staging = open_store(self.url, "acme").stage(key, "fan_profiles.1.1", attempt)
        staging.write(data)
        digest = hashlib.sha256(data).hexdigest()
        return StagedFile(key, 1, len(data), digest, len(data), digest, number, 0, staging.finish())

    def events(self, word: str) -> list[Any]:
        return [what for each, what in self.journal if each == word]

    # as a ledger

    def dataset_states(self) -> dict[str, DatasetState]:
        return {"fan_profiles": DatasetState(transition=2)}

    def record_published(self, dataset_state: DatasetState, plan: Plan, files: Sequence[StagedFile]) -> None:
        self.journal.append(("noted", {file.chunk for file in files}))

    # as a producer: what is asked for is all that its work is

    def work(self, plan: Plan, chunks: frozenset[int] | None) -> Any:
        return SimpleNamespace(parts=(None,), chunks=chunks)

    # as a store

    def publish(self, file: StagedFile) -> None:
        if error := self.fails(file):
            self.journal.append(("failed", file.chunk))
            raise error
        open_store(self.url, "acme").publish(file)
        self.journal.append(("published", file.chunk))

    def abort(self, staged: Iterable[str]) -> list[str]:
        self.journal += [("aborted", each) for each in staged]
        return []


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Scene]:
    def made(
        files: int,
        *,
        can_read: bool = False,
        fails: Callable[[StagedFile], Exception | None] = lambda _: None,
    ) -> Scene:
        found = Scene(files, can_read, fails, f"file://{tmp_path}/bucket")

        def again(ledger: object, plan: Plan, work: Any, *_: object) -> Manifest:
            chunks = work.chunks
            found.journal.append(("staged again", chunks))
            if found.again is not None:
                raise found.again
            numbers = range(files) if chunks is None else sorted(chunks)
            return Manifest(tuple(found.staged(number, "two") for number in numbers), {})

        @contextmanager
        def watched(*_: object) -> Iterator[None]:
            yield

        monkeypatch.setattr(room, "GROUP", GROUP)
        monkeypatch.setattr(room, "open_store", lambda *_: found)
        monkeypatch.setattr(room, "staged", again)
        monkeypatch.setattr(room, "watched", watched)
        return found

    return made


class Recorded:
    """A ledger whose transitions stand in the scene's journal."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def record(self, dataset_state: DatasetState, plan: Plan, state: str, **_: object) -> DatasetState:
        self._scene.journal.append(("state", state))
        return replace(dataset_state, transition=dataset_state.transition + 1)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scene, name)


def finish(scene: Scene, record: BatchRecord | None = None, at_once: int = AT_ONCE) -> None:
    ledger: Any = Recorded(scene)
    made: Any = scene
    session: Any = None
    delivery = Delivery(session, ledger, made, lambda _: Access(), LoggedProgress(), at_once)
    delivery.finish(DatasetState(transition=2), PLAN, record or scene.record())


@pytest.mark.law(8)
def test_each_group_is_in_the_ledger_before_the_next_one_is_published(scene: Callable[..., Scene]) -> None:
    found = scene(8)
    finish(found)
    first, second = {0, 1, 2}, {3, 4, 5}
    assert found.events("noted") == [first, second], "COMMITTED says the rest"
    until = [found.journal.index(("noted", group)) for group in (first, second)]
    assert {what for _, what in found.journal[: until[0]]} == first
    assert {what for _, what in found.journal[until[0] + 1 : until[1]]} == second
    assert found.journal[-1] == ("state", "COMMITTED")


@pytest.mark.parametrize(("files", "can_read"), [(0, False), (1, False), (GROUP, False), (20, True)])
def test_a_small_batch_and_a_role_that_may_look_cost_no_commit(
    scene: Callable[..., Scene], files: int, can_read: bool
) -> None:
    found = scene(files, can_read=can_read)
    finish(found)
    assert found.events("noted") == [] and sorted(found.events("published")) == list(range(files))


@pytest.mark.law(8)
@pytest.mark.parametrize("can_read", [False, True])
def test_after_an_unknown_outcome_what_is_visible_is_in_the_ledger_and_nothing_is_cleaned_up(
    scene: Callable[..., Scene], can_read: bool
) -> None:
    def fails(file: StagedFile) -> Exception | None:
        return PublishUnknown("no answer", code="store_refused") if file.chunk == 4 else None

    found = scene(8, can_read=can_read, fails=fails)
    with pytest.raises(PublishUnknown):
        finish(found)
    noted, visible = set[int]().union(*found.events("noted")), set(found.events("published"))
    assert 4 not in visible
    if can_read:
        assert noted == set(), "such a role finds by itself what is visible"
    else:
        assert noted == visible >= {0, 1, 2}
    assert found.events("aborted") == found.events("state") == found.events("staged again") == []


def test_what_the_ledger_knows_to_be_visible_is_not_published_again(scene: Callable[..., Scene]) -> None:
    found = scene(8)
    record = found.record()
    finish(found, replace(record, published=frozenset(file.key for file in record.files[:5])))
    assert sorted(found.events("published")) == [5, 6, 7] and found.events("staged again") == []


@pytest.mark.law(7)
def test_only_what_is_in_doubt_is_staged_again_and_what_is_visible_is_noted_before(
    scene: Callable[..., Scene],
) -> None:
    record = scene(8).record()
    used_up = {record.files[number].staged for number in (3, 4)}

    def fails(file: StagedFile) -> Exception | None:
        return StagedLost("gone", code="staged_lost") if file.staged in used_up else None

    found = scene(8, fails=fails)
    finish(found, replace(record, published=frozenset(file.key for file in record.files[:3])))
    assert found.events("staged again") == [{3, 4}]
    before = found.journal[: found.journal.index(("staged again", frozenset({3, 4})))]
    noted = set[int]().union(*(what for each, what in before if each == "noted"))
    assert noted == {5, 6, 7} == {what for each, what in before if each == "published"}
    assert found.events("state") == ["STAGED", "COMMITTED"]
    assert sorted(found.events("published")) == [3, 4, 5, 6, 7]


@pytest.mark.law(7)
@pytest.mark.parametrize("can_read", [False, True])
def test_one_at_a_time_what_comes_after_a_file_that_is_lost_waits_for_it(
    scene: Callable[..., Scene], can_read: bool
) -> None:
    record = scene(8).record()

    def fails(file: StagedFile) -> Exception | None:
        return StagedLost("gone", code="staged_lost") if file.staged == record.files[1].staged else None

    found = scene(8, can_read=can_read, fails=fails)
    finish(found, record, at_once=1)
    assert found.events("published") == list(range(8)), "in the order of their keys"
    assert found.events("staged again") == [set(range(1, 8))]
    assert set(found.events("aborted")) == {file.staged for file in record.files[1:]}, "no old upload stays"


@pytest.mark.law(7)
def test_where_nothing_can_be_staged_again_only_what_is_in_doubt_waits(scene: Callable[..., Scene]) -> None:
    def fails(file: StagedFile) -> Exception | None:
        return StagedLost("gone", code="staged_lost") if file.chunk in {3, 4} else None

    found = scene(8, fails=fails)
    found.again = SourceGap("files of version 0 are gone", code="source_gap")
    with pytest.raises(SourceGap) as caught:
        finish(found)
    assert set[int]().union(*found.events("noted")) == {0, 1, 2, 5, 6, 7} == set(found.events("published"))
    message, remedy = caught.value.message, caught.value.remedy
    assert "6 of its 8 files are published" in message and "003.ndjson.gz and 1 more file are gone" in message
    assert "only these files of the batch wait" in remedy and "store.can_read = true" in remedy
    assert found.events("state") == [], "the batch stays STAGED"
