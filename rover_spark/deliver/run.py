"""One run: finish the open batches, check, then plan and deliver until nothing is due.

Datasets do not hold each other back: a dataset whose settings wait for a confirmation is reported as a
problem; only where all of them wait, nothing begins. A second driver follows the first, or leaves a dataset to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rover_spark.deliver.adoption import Adoption
from rover_spark.deliver.batch import Delivery, Outcome
from rover_spark.deliver.progress import Progress
from rover_spark.delta.engine_errors import engine
from rover_spark.delta.parallel import side_by_side
from rover_spark.errors import (
    ConfigError,
    LedgerConflict,
    Problem,
    ReaderRefused,
    RoverSparkError,
    SourceChanged,
    SourceGap,
    SourceUnread,
    StoreError,
)
from rover_spark.ledger.table import Ledger
from rover_spark.model.dataset_state import BatchRecord, DatasetState
from rover_spark.model.plan import Plan
from rover_spark.produce.port import Producer

_FOLLOW = 10  # one batch alone can be lost three times: planned, staged, committed


@dataclass(frozen=True)
class Ahead:
    """What a run would do: its batches in order, the problems that it would meet, and by dataset the columns accepted since."""

    plans: list[Plan]
    problems: list[Problem]
    accepted: dict[str, list[str]]


class Exporter:
    """One run of one export."""

    def __init__(
        self,
        ledger: Ledger,
        producer: Producer,
        delivery: Delivery,
        adoption: Adoption,
        progress: Progress,
    ) -> None:
        self._ledger = ledger
        self._producer = producer
        self._progress = progress
        self._delivery = delivery
        self._adoption = adoption
        self._problems: list[Problem] = []

    def plan(self, datasets: Iterable[str]) -> Ahead:
        """What ``run`` would do; changes nothing."""
        dataset_states, plans, waiting = self._dataset_states(datasets), list[Plan](), list[SourceChanged]()
        with self._progress.doing("looking at tables"):
            for dataset, dataset_state in dataset_states.items():
                try:
                    self._look(dataset, dataset_state)
                    plans += self._ahead(dataset, dataset_state)
                except SourceChanged as error:
                    waiting.append(error)
                except StoreError as error:
                    self._problems.append(error.problem)
        self._leave_out(waiting, all_wait=len(waiting) == len(dataset_states))
        accepted = {
            name: columns
            for name, dataset_state in dataset_states.items()
            if (columns := self._producer.accepted(dataset_state))
        }
        return Ahead(plans, self._problems, accepted)

    def _ahead(self, dataset: str, dataset_state: DatasetState) -> list[Plan]:
        """Every batch from here until nothing is due, the open one first. Raises what ``check`` and ``next_plan`` raise."""
        self._producer.check(dataset, dataset_state)
        plans: list[Plan] = []
        if dataset_state.open is not None and not self._is_abandoned(dataset_state):
            plans.append(dataset_state.open)
            dataset_state = dataset_state.after(dataset_state.open)
        while plan := self._producer.next_plan(dataset, dataset_state):
            plans.append(plan)
            dataset_state = dataset_state.after(plan)
        return plans

    def run(self, datasets: Iterable[str]) -> Outcome:
        """Delivers what is due, several datasets at once: they share nothing but the ledger."""
        names = list(datasets)
        dataset_states = self._dataset_states(names)
        opened = [name for name in names if dataset_states[name].open is not None]
        if opened:
            # an open batch depends only on its stored plan, so it is finished before today's settings are checked
            side_by_side(lambda name: self._attempt(name, dataset_states[name], only_open=True), opened)
            dataset_states = self._dataset_states(names)
        try:
            with self._progress.doing("looking at tables"):
                fits = side_by_side(lambda name: self._fits(name, dataset_states[name]), names)
            waiting = [fit for fit in fits if isinstance(fit, SourceChanged)]
            self._leave_out(waiting, all_wait=len(waiting) == len(names))
        except ConfigError as error:
            if not opened:
                raise
            # the batch that was open is finished, and the result says so
            self._problems.append(error.problem)
            return self._outcome(names)
        self._ledger.open(create=True)
        due = [
            name
            for name, fit in zip(names, fits, strict=True)
            if fit is True and dataset_states[name].open is None
        ]
        side_by_side(lambda name: self._attempt(name, dataset_states[name], only_open=False), due)
        return self._outcome(names)

    def _outcome(self, names: list[str]) -> Outcome:
        self._delivery.delivered.sort(key=lambda each: (names.index(each.dataset), each.seq))
        return Outcome(self._delivery.delivered, self._problems)

    def _dataset_states(self, datasets: Iterable[str]) -> dict[str, DatasetState]:
        with self._progress.doing("looking at the ledger"):
            known = self._ledger.dataset_states()
        return {dataset: known.get(dataset, DatasetState()) for dataset in datasets}

    def _leave_out(self, waiting: list[SourceChanged], *, all_wait: bool) -> None:
        """Reports the datasets that wait for a confirmation. Raises SourceChanged where all do."""
        if waiting and all_wait:
            message = "; ".join(error.message for error in waiting)
            remedy = " ".join(dict.fromkeys(error.remedy for error in waiting))
            raise SourceChanged(message, code=waiting[0].code, remedy=remedy)
        self._problems += [error.problem for error in waiting]

    def _fits(self, dataset: str, dataset_state: DatasetState) -> bool | SourceChanged:
        """Whether the dataset can be planned. Raises ConfigError, which stops the whole run: the user must mend it."""
        try:
            with engine(dataset):
                self._producer.check(dataset, dataset_state)
                self._look(dataset, dataset_state)
        except SourceChanged as error:
            return error
        except ConfigError:
            raise
        except RoverSparkError as error:
            self._problems.append(error.problem)
            return False
        return True

    def _look(self, dataset: str, dataset_state: DatasetState) -> None:
        try:
            self._adoption.look(dataset, dataset_state, self._producer)
        except ConfigError:
            # files appear after the ledger has them: another driver may have delivered since this run read it
            self._ledger.open(create=False)
            if self._dataset_states([dataset])[dataset].transition == dataset_state.transition:
                raise

    def _attempt(self, dataset: str, dataset_state: DatasetState, *, only_open: bool) -> None:
        try:
            with engine(dataset), self._ledger.delivering(dataset):
                self._go_on(dataset, dataset_state, only_open=only_open)
        except RoverSparkError as error:
            self._problems.append(error.problem)
        finally:
            self._producer.release(dataset)

    def _go_on(self, dataset: str, dataset_state: DatasetState, *, only_open: bool) -> None:
        refused = False
        for turn in range(_FOLLOW):
            plan = dataset_state.open
            try:
                dataset_state, plan = self._recover(dataset_state), None
                while not only_open and (plan := self._due(dataset, dataset_state)):
                    dataset_state, plan = self._delivery.whole(dataset_state, plan), None
                return
            except (SourceGap, SourceUnread) as error:
                # a rerun replaces what cannot be read, and the next plan records it LOST; but a STAGED batch may be visible in part
                replaced = dataset_state.rerun and plan is not None and plan.phase == "changes"
                if not replaced or dataset_state.open_state == "STAGED" or turn == _FOLLOW - 1:
                    raise
                self._producer.unread(dataset, error)
                dataset_state = self._ledger.dataset_states()[dataset]
            except ReaderRefused as error:
                # both readers make the same bytes, so a STAGED batch goes on with the other one; who refuses twice stays
                staged = plan is not None and dataset_state.open_state == "STAGED"
                if turn == _FOLLOW - 1 or (staged and refused):
                    raise
                self._producer.refused(dataset, error.message)
                refused = True
                dataset_state = self._ledger.dataset_states()[dataset]
            except LedgerConflict:
                if turn == _FOLLOW - 1:
                    raise
                # another driver went first: follow it
                self._progress.step("conflict", dataset=dataset)
                self._producer.refresh()
                dataset_state = self._ledger.dataset_states().get(dataset, DatasetState())

    def _due(self, dataset: str, dataset_state: DatasetState) -> Plan | None:
        with self._progress.doing(f"counting {dataset}"):
            return self._producer.next_plan(dataset, dataset_state)

    def _is_abandoned(self, dataset_state: DatasetState) -> bool:
        now, plan = self._producer.now, dataset_state.open
        if plan is None or not dataset_state.is_abandoned(now):
            return False
        return dataset_state.is_abandoned(now, self._ledger.journaled_at(plan))

    def _recover(self, dataset_state: DatasetState) -> DatasetState:
        plan = dataset_state.open
        if plan is None:
            return dataset_state
        if self._is_abandoned(dataset_state):
            return self._delivery.abort(dataset_state, plan, "planned more than an hour ago and never staged")
        if dataset_state.open_state == "STAGED":
            return self._delivery.finish(dataset_state, plan, self._ledger.batches(plan.batch)[0])
        try:
            self._producer.confirm(plan)
        except (SourceGap, ConfigError) as error:
            return self._delivery.abort(dataset_state, plan, error.message)
        return self._delivery.advance(dataset_state, plan)

    def redeliver(self, record: BatchRecord) -> Outcome:
        """A batch's keys and bytes again, from the versions that its plan pinned."""
        plan = record.plan
        assert plan is not None
        with self._ledger.delivering(plan.dataset, "redeliver"):
            self._producer.confirm(plan)
            try:
                return Outcome([self._delivery.redeliver(plan, record)])
            except ReaderRefused as error:  # the other reader makes the same bytes
                self._producer.refused(plan.dataset, error.message)
                return Outcome([self._delivery.redeliver(plan, record)])
