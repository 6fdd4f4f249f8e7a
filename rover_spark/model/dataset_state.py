"""Dataset states and batch records: how far each stream is delivered, folded from the ledger's transitions. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

from rover_spark.contract.manifests import Previous
from rover_spark.model.file import StagedFile
from rover_spark.model.plan import Plan

State = Literal["PLANNED", "STAGED", "COMMITTED", "ABORTED", "LOST"]
RERUN, ACCEPTED = "RERUN", "ACCEPTED"
FLOORS = "floors"  # the key of a batch's counts that holds how many floors it left
REDELIVERED = "redelivered"  # the note of a batch that is recorded COMMITTED once more
BY_HAND = "The ledger was changed by hand, or this is a defect: report it."
ABANDONED_AFTER = timedelta(hours=1)


@dataclass(frozen=True)
class Accepted:
    """Columns that the operator confirmed: they count for the batches planned after batch number ``seq``."""

    columns: dict[str, str]
    seq: int

    def to_json(self) -> str:
        """The note of the transition in the ledger: readers that do not know it pass over the row."""
        return json.dumps({"columns": self.columns, "after": self.seq})

    @classmethod
    def from_json(cls, text: str) -> Accepted:
        """What ``to_json`` wrote."""
        tree = json.loads(text)
        return cls(tree["columns"], tree["after"])

    def outlasts(self, seq: int) -> bool:
        """Whether it still counts once that batch is delivered."""
        return seq <= self.seq


@dataclass(frozen=True)
class DatasetState:
    """What the ledger says of one dataset.

    ``transition`` and ``seq`` are the last ones taken, ``instant`` the last one planned (ms). ``last`` is the plan
    whose versions count as delivered (or lost), ``open`` one that is PLANNED or STAGED. ``rerun`` holds while one
    has been asked for; ``settled`` once its outstanding changes were recorded LOST. ``accepted`` holds until a batch was
    delivered with it. ``manifest`` is the completion manifest of the newest batch that has one.
    """

    transition: int = 0
    seq: int = 0
    instant: int = 0
    last: Plan | None = None
    open: Plan | None = None
    open_state: State | None = None
    aborted: tuple[int, ...] = ()
    floors: bool = False
    rerun: bool = False
    settled: bool = False
    accepted: Accepted | None = None
    manifest: Previous | None = None

    def after(self, plan: Plan) -> DatasetState:
        """The dataset state once ``plan`` is COMMITTED (or LOST)."""
        lost = plan.phase == "lost"
        done = plan.phase == "snapshot" or (lost and not plan.has_snapshot)
        return replace(
            self,
            seq=plan.seq,
            instant=max(self.instant, plan.instant),
            last=plan,
            open=None,
            open_state=None,
            rerun=self.rerun and not done,
            settled=self.rerun and lost and not done,
            accepted=self.accepted if self.accepted and self.accepted.outlasts(plan.seq) else None,
        )

    def is_abandoned(self, now: int, journaled: int | None = None) -> bool:
        """True where an open plan was never staged and is too old to land in the hour it names.

        It is as old as the last line of its journal, where it has one (ms): a large snapshot may take hours.
        """
        age = (
            timedelta(milliseconds=now - max(self.open.instant, journaled or 0)) if self.open else timedelta()
        )
        return self.open_state == "PLANNED" and age > ABANDONED_AFTER


@dataclass(frozen=True)
class BatchRecord:
    """What the ledger knows of one batch. ``plan`` is None for old batches whose plan was not loaded.

    ``published`` are keys of a STAGED batch that the ledger knows to be visible; of the others it says nothing.
    ``completion`` is its completion manifest, in the order of publishing; ``files`` and counts leave it out.
    """

    batch: str
    dataset: str
    epoch: int
    seq: int
    phase: str
    state: State
    instant: int
    counts: dict[str, int]
    floors: int = 0
    note: str | None = None
    plan: Plan | None = None
    files: tuple[StagedFile, ...] = ()
    published: frozenset[str] = frozenset()
    completion: tuple[StagedFile, ...] = ()

    @classmethod
    def of(
        cls, plan: Plan, state: State, counts: dict[str, int], files: tuple[StagedFile, ...] = ()
    ) -> BatchRecord:
        """The record of a plan in a state."""
        return cls(
            batch=plan.batch,
            dataset=plan.dataset,
            epoch=plan.epoch,
            seq=plan.seq,
            phase=plan.phase,
            state=state,
            instant=plan.instant,
            counts=counts,
            plan=plan,
            files=files,
        )


@dataclass(frozen=True)
class Transition:
    """One row of kind ``batch``, and the completion manifest that was recorded with it."""

    dataset: str
    transition: int
    state: str
    record: BatchRecord
    manifest: Previous | None = None


def fold(transitions: Iterable[Transition]) -> dict[str, DatasetState]:
    """Heads from transitions in order. Pure."""
    dataset_states: dict[str, DatasetState] = {}
    for each in transitions:
        dataset_state = replace(dataset_states.get(each.dataset, DatasetState()), transition=each.transition)
        record, plan = each.record, each.record.plan
        if each.manifest is not None and not _is_older(each, dataset_state):
            dataset_state = replace(dataset_state, manifest=each.manifest)
        if each.state == RERUN:
            dataset_state = replace(dataset_state, rerun=True, settled=False)
        elif each.state == ACCEPTED:
            dataset_state = replace(dataset_state, accepted=Accepted.from_json(record.note or ""))
        elif each.state in {"PLANNED", "STAGED"}:
            dataset_state = replace(
                dataset_state, seq=record.seq, instant=record.instant, open=plan, open_state=record.state
            )
        elif each.state == "ABORTED":
            dataset_state = replace(
                dataset_state, open=None, open_state=None, aborted=(*dataset_state.aborted, record.seq)
            )
        elif record.seq < dataset_state.seq or (
            dataset_state.last is not None and dataset_state.last.seq == record.seq
        ):
            pass  # a redelivery of a batch that counts already
        else:
            dataset_state = replace(
                _delivered(dataset_state, record), floors=dataset_state.floors or record.floors > 0
            )
        dataset_states[each.dataset] = dataset_state
    return dataset_states


def _is_older(each: Transition, dataset_state: DatasetState) -> bool:
    """Whether the manifest is that of a batch before the newest one that has one: an old batch was delivered again."""
    newest = dataset_state.manifest
    return (
        newest is not None
        and each.manifest is not None
        and each.record.seq < dataset_state.seq
        and each.manifest.key != newest.key
    )


def _delivered(dataset_state: DatasetState, record: BatchRecord) -> DatasetState:
    if record.plan is not None:
        return dataset_state.after(record.plan)
    # a plan is left out of long histories only where changes were delivered: of a snapshot or of what is lost it is kept
    return replace(
        dataset_state,
        seq=record.seq,
        instant=record.instant,
        open=None,
        open_state=None,
        rerun=dataset_state.rerun,
        accepted=dataset_state.accepted
        if dataset_state.accepted and dataset_state.accepted.outlasts(record.seq)
        else None,
    )
