"""What a run does about a range that cannot be read: when it looks again, when it gives up. Nothing is read here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from rover_spark.deliver.progress import LoggedProgress
from rover_spark.deliver.run import Exporter
from rover_spark.delta.engine_errors import second_look
from rover_spark.errors import ReaderRefused, RunError, SourceGap, SourceUnread
from rover_spark.model.dataset_state import BatchRecord, DatasetState
from rover_spark.model.plan import Plan
from rover_spark.produce.rover.planner import Planner
from tests.produce.rover.test_plan import a_plan

OUTSTANDING = a_plan("changes", 9, from_version=8, seq=2)
LOST = a_plan("lost", 9, from_version=8, seq=2)
HEAD = DatasetState(seq=1, last=a_plan())


def gap() -> SourceGap:
    return SourceGap("gone", code="source_gap")


def unread() -> SourceUnread:
    return SourceUnread("nobody knows", code="spark_failed")


class _Run:
    """Ledger, planner and delivery of one dataset in one: staging and finishing fail as often as there are errors."""

    now = 0

    def __init__(self, dataset_state: DatasetState, *errors: RunError) -> None:
        self.dataset_state, self.errors = dataset_state, list(errors)
        self.given_up, self.tries, self.done = 0, 0, list[str]()
        self.released = list[str]()
        self.left_to_spark = list[tuple[str, str]]()
        self._unread = dict[str, bool]()
        part: Any = self
        self.exporter = Exporter(part, part, part, part, LoggedProgress())

    def go_on(self) -> None:
        self.exporter._go_on("fan_profiles", self.dataset_state, only_open=False)

    def dataset_states(self) -> dict[str, DatasetState]:
        return {"fan_profiles": self.dataset_state}

    @contextmanager
    def delivering(self, _: str) -> Iterator[None]:
        yield

    def confirm(self, _: Plan) -> None:
        pass

    def unread(self, dataset: str, error: RunError) -> None:
        Planner.unread(self, dataset, error)  # type: ignore[arg-type]
        self.given_up += self._unread[dataset]

    def refused(self, dataset: str, why: str) -> None:
        self.left_to_spark.append((dataset, why))

    def release(self, dataset: str) -> None:
        self.released.append(dataset)

    def next_plan(self, _: str, dataset_state: DatasetState) -> Plan | None:
        if dataset_state.last in (OUTSTANDING, LOST):
            return None
        return LOST if self.given_up else OUTSTANDING

    def batches(self, _: str) -> list[BatchRecord]:
        return [BatchRecord.of(OUTSTANDING, "STAGED", {})]

    def whole(self, dataset_state: DatasetState, plan: Plan) -> DatasetState:
        self.tries += 1
        if plan.phase == "changes" and self.errors:
            raise self.errors.pop(0)
        self.done.append(plan.phase)
        return dataset_state.after(plan)

    def finish(self, dataset_state: DatasetState, plan: Plan, _: BatchRecord) -> DatasetState:
        return self.whole(dataset_state, plan)


RERUN = replace(HEAD, rerun=True)


@pytest.mark.parametrize(
    ("errors", "tries", "done"),
    [
        ([], 1, "changes"),
        ([unread()], 2, "changes"),
        ([unread(), unread()], 3, "lost"),
        ([gap()], 2, "lost"),
        ([unread(), gap()], 3, "lost"),
    ],
)
def test_a_rerun_gives_a_range_up_where_a_second_look_says_the_same(
    errors: list[RunError], tries: int, done: str
) -> None:
    run = _Run(RERUN, *errors)
    run.go_on()
    assert (run.tries, run.done) == (tries, [done])


@pytest.mark.parametrize("error", [gap(), unread()])
def test_without_a_rerun_nothing_is_given_up(error: RunError) -> None:
    run = _Run(HEAD, error)
    with pytest.raises(type(error)):
        run.go_on()
    assert (run.tries, run.given_up) == (1, 0)


@pytest.mark.parametrize("error", [gap(), unread()])
def test_a_batch_that_may_be_visible_in_part_is_not_given_up_and_fails_once(error: RunError) -> None:
    staged = replace(RERUN, open=OUTSTANDING, open_state="STAGED")
    run = _Run(staged, error, gap(), gap())
    with pytest.raises(type(error)):
        run.go_on()
    assert (run.tries, run.given_up) == (1, 0)


@pytest.mark.parametrize("errors", [(), (gap(),)])
def test_what_planning_kept_is_let_go_however_an_attempt_ends(errors: tuple[RunError, ...]) -> None:
    run = _Run(HEAD, *errors)
    run.exporter._attempt("fan_profiles", HEAD, only_open=False)
    assert run.released == ["fan_profiles"]


@pytest.mark.law(3)
def test_a_staged_batch_goes_on_with_the_other_reader_once() -> None:
    staged = replace(HEAD, open=OUTSTANDING, open_state="STAGED")
    run = _Run(staged, ReaderRefused("odd"))
    run.go_on()
    assert (run.tries, run.done, run.left_to_spark) == (2, ["changes"], [("fan_profiles", "odd")])
    run = _Run(staged, ReaderRefused("odd"), ReaderRefused("odd"), ReaderRefused("odd"))
    with pytest.raises(ReaderRefused):
        run.go_on()
    assert run.tries == 2


@pytest.mark.law(3)
def test_a_redelivery_goes_on_with_the_other_reader_once() -> None:
    class Again(_Run):
        def redeliver(self, plan: Plan, record: BatchRecord) -> BatchRecord:
            self.whole(HEAD, plan)
            return record

        @contextmanager
        def delivering(self, *_: str) -> Iterator[None]:
            yield

    (record,) = _Run(HEAD).batches("")
    run = Again(HEAD, ReaderRefused("odd"))
    assert run.exporter.redeliver(record).batches == [record]
    assert (run.tries, run.left_to_spark) == (2, [("fan_profiles", "odd")])
    run = Again(HEAD, ReaderRefused("odd"), ReaderRefused("odd"))
    with pytest.raises(ReaderRefused):
        run.exporter.redeliver(record)
    assert run.tries == 2


def test_a_second_look_is_taken_of_what_nobody_knows_alone() -> None:
    def reads(*errors: RunError) -> tuple[str, int]:
        left, looks = list(errors), 0

        def read() -> str:
            nonlocal looks
            looks += 1
            if left:
                raise left.pop(0)
            return "read"

        try:
            return second_look(read), looks
        except RunError as error:
            return type(error).__name__, looks

    assert reads() == ("read", 1)
    assert reads(unread()) == ("read", 2)
    assert reads(unread(), unread()) == ("SourceUnread", 2)
    assert reads(gap()) == ("SourceGap", 1)
    assert reads(RunError("passes", code="spark_failed")) == ("RunError", 1)
