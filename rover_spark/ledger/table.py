"""The ledger: one Delta table of batches and files, in which every state change of a batch is one atomic commit.

Promises that of two drivers that record the same transition one wins and the other gets a LedgerConflict: the transaction
(app = export and dataset, number = the transition's) is a compare-and-swap. ``storage`` keeps the table, by ``deltalake``
or by Spark; what a transition is, and what rows mean, is decided here. Refuses a ledger of a newer format.
"""

from __future__ import annotations

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from rover_spark.config.access import TableAccess
from rover_spark.contract.manifests import Previous
from rover_spark.delta.session import Session
from rover_spark.errors import ConfigError, LedgerConflict
from rover_spark.ledger.counting import quarantined_by, still_counting
from rover_spark.ledger.lease import leased, locked
from rover_spark.ledger.rows import (
    BATCH_COLUMNS,
    COMPLETION,
    FORMAT,
    FORMAT_KEY,
    JOURNAL,
    NAMES,
    PUBLISHED,
    file_of,
    journal_of,
    journal_row,
    manifests_of,
    published_among,
    published_row,
    record_of,
    schema_of,
    schema_rows,
)
from rover_spark.ledger.storage import Row, Storage, find
from rover_spark.model.dataset_state import (
    ACCEPTED,
    FLOORS,
    RERUN,
    Accepted,
    BatchRecord,
    DatasetState,
    State,
    Transition,
    fold,
)
from rover_spark.model.file import StagedFile
from rover_spark.model.journal import chunks_of
from rover_spark.model.manifest import Manifest
from rover_spark.model.plan import Plan
from rover_spark.model.schema import RegisteredSchema

_LOG = logging.getLogger("rover_spark")
_WITHOUT_PLAN = tuple(name for name in BATCH_COLUMNS if name != "plan")


class Ledger:
    """The ledger of one export. Reads are of the newest version; every write is one commit."""

    def __init__(
        self,
        session: Session,
        location: str,
        export: str,
        decode: Callable[[str], Plan],
        access: TableAccess,
    ) -> None:
        """``decode`` gives the plan back from the text in a row; ``access`` says how a table by path is reached."""
        self._decode = decode
        self._session = session
        self._access = access
        self._location = location
        self.export = export
        self._storage: Storage | None = None
        self._exists = False
        self._plans: dict[str, Plan | None] = {}

    def open(self, *, create: bool) -> None:
        """Finds the table, or makes it. Raises ConfigError where it was written by a newer format."""
        if self._exists:
            return
        storage, properties = find(self._session, self._location, self._access)
        self._storage = storage
        if properties is None and create:
            with locked(storage.lock):
                storage.create()
            properties = storage.properties()
        if properties is None:
            return
        found = properties.get(FORMAT_KEY)
        if found is None or not found.isdigit():
            raise ConfigError(
                f"ledger: {self._location} is a Delta table, but not a ledger of rover_spark",
                code="ledger_foreign",
                remedy="Name another place for the ledger; it is made on the first export.",
            )
        if int(found) > FORMAT:
            raise ConfigError(
                f"ledger: {self._location} has format {found}; this version knows {FORMAT}",
                code="ledger_newer",
                remedy="Run the newer rover_spark that wrote it.",
            )
        self._exists = True

    @property
    def exists(self) -> bool:
        """Whether ``open`` found or made the table."""
        return self._exists

    @property
    def storage(self) -> Storage | None:
        """What keeps the table, or would; None before ``open`` knew it."""
        return self._storage

    @property
    def _lock(self) -> Path | None:
        return self._storage.lock if self._storage and self._exists else None

    def exclusive(self) -> AbstractContextManager[None]:
        """Keeps other drivers on this machine from writing while the block runs, where a lock can."""
        return locked(self._lock)

    def delivering(self, dataset: str, command: str = "export") -> AbstractContextManager[None]:
        """Keeps other drivers on this machine from delivering the dataset while the block runs, where a lock can.

        Raises:
            DatasetBusy: another driver is at it.
        """
        name = f"{self.export}.{dataset}"
        return leased(self._lock and self._lock.with_suffix(f".{name}.lock"), dataset, command)

    def beside(self, suffix: str) -> str:
        """The location of a table beside the ledger."""
        return f"{self._location}_{suffix}"

    # -- reading ---------------------------------------------------------------------------------------------------

    def transitions(self) -> list[Transition]:
        """The transitions that dataset states are folded from, in order: of long histories only those that still count."""
        rows = self._rows((*_WITHOUT_PLAN, "kind", "key", "sha256", "part"), "batch", COMPLETION)
        manifests = manifests_of(row for row in rows if row["kind"] == COMPLETION)
        for row in (batches := [row for row in rows if row["kind"] == "batch"]):
            row["manifest"] = manifests.get((row["dataset"], row["transition"]))
        kept = still_counting(batches)
        plans = self._plans_of({row["batch"] for row in kept if row["batch"]})
        found = [
            Transition(
                row["dataset"],
                row["transition"],
                row["state"],
                record_of(row, plans.get(row["batch"])),
                row["manifest"],
            )
            for row in kept
        ]
        return sorted(found, key=lambda each: (each.dataset, each.transition))

    def _plans_of(self, names: Collection[str]) -> dict[str, Plan | None]:
        """The plans of these batches. A batch never gets another one, so each is read and decoded once.

        Only these are kept for the next call: a ledger may be read for days.
        """
        known = self._plans
        unread = [name for name in names if name not in known]
        planned = self._rows(("batch", "plan"), "batch", named=unread, having="plan") if unread else []
        texts = {row["batch"]: row["plan"] for row in planned}
        read = {name: self._decode(texts[name]) if name in texts else None for name in unread}
        found = {name: read[name] if name in read else known[name] for name in names}
        self._plans = found  # one step: other threads read it
        return found

    def dataset_states(self, transitions: Iterable[Transition] | None = None) -> dict[str, DatasetState]:
        """The dataset state of every dataset that the ledger knows."""
        return fold(self.transitions() if transitions is None else transitions)

    def batches(self, *names: str) -> list[BatchRecord]:
        """Whole records, files included, of the batches named, or of all; in order of dataset and seq."""
        rows = self._rows(NAMES, "batch", "file", COMPLETION, PUBLISHED, named=names)
        found: dict[str, BatchRecord] = {}
        files: dict[str, list[tuple[int, StagedFile]]] = {}
        completion: dict[str, list[tuple[int, StagedFile]]] = {}
        visible: dict[str, list[Row]] = {}
        counting = [row for row in rows if row["kind"] == PUBLISHED or row["batch"] is not None]
        for row in sorted(counting, key=lambda row: row["transition"]):
            if row["kind"] == PUBLISHED:
                visible.setdefault(row["key"], []).append(row)
                continue
            if row["kind"] in {"file", COMPLETION}:
                into = files if row["kind"] == "file" else completion
                into.setdefault(row["batch"], []).append((row["transition"], file_of(row)))
                continue
            plan = self._decode(row["plan"]) if row["plan"] else None
            before, now = found.get(row["batch"]), record_of(row, plan)
            found[row["batch"]] = replace(
                now,
                plan=now.plan or (before.plan if before else None),
                counts=now.counts or (before.counts if before else {}),
                floors=now.floors or (before.floors if before else 0),
            )
        for name, rows_of in files.items():
            chosen = _of_the_newest(rows_of)
            known = published_among(chosen, visible.get(name, ()))
            last = _of_the_newest(completion.get(name, ()))
            found[name] = replace(found[name], files=chosen, published=known, completion=last)
        return sorted(found.values(), key=lambda record: (record.dataset, record.seq))

    def quarantined(self) -> dict[str, int]:
        """How many rows each dataset's delivered batches quarantined; datasets without any are left out."""
        found: Counter[str] = Counter()
        for row in self._rows(("dataset", "state", "counts", "note"), "batch"):
            if rows := quarantined_by(row):
                found[row["dataset"]] += rows
        return dict(found)

    def schemas(self) -> list[RegisteredSchema]:
        """The schema registry, in order of the ids. An aborted batch's ids stay taken."""
        return sorted((schema_of(row) for row in self._rows(NAMES, "schema")), key=lambda each: each.id)

    def instants(self) -> set[tuple[str, int]]:
        """Dataset and instant, in ms, of every batch that was ever planned."""
        rows = self._rows(("dataset", "instant"), "batch", having="instant")
        return {(row["dataset"], row["instant"]) for row in rows}

    def superseded(self, kind: str = "file") -> dict[str, set[str]]:
        """References to files, by batch, that an earlier try at it staged and the latest one did not take over.

        Of kind ``completion``: to its completion manifest.
        """
        newest: dict[str, int] = {}
        named: dict[tuple[str, str], int] = {}
        for row in self._rows(("batch", "staged", "transition"), kind):
            batch, transition = row["batch"], row["transition"]
            newest[batch] = max(transition, newest.get(batch, 0))
            named[batch, row["staged"]] = max(transition, named.get((batch, row["staged"]), 0))
        found: dict[str, set[str]] = defaultdict(set)
        for (batch, staged), transition in named.items():
            if transition < newest[batch]:
                found[batch].add(staged)
        return dict(found)

    def journal(self, plan: Plan, versions: Mapping[str, str]) -> dict[int, Manifest]:
        """The chunks of a plan, by number, that runs of these versions staged whole."""
        rows = self._rows(("instant", "note"), JOURNAL, named=(plan.batch,))
        return chunks_of(journal_of(sorted(rows, key=lambda row: row["instant"]), versions))

    def journaled_at(self, plan: Plan) -> int | None:
        """When the last line of a plan's journal was written, ms since 1970; None where it has none."""
        return max(
            (row["instant"] for row in self._rows(("instant",), JOURNAL, named=(plan.batch,))), default=None
        )

    def journaled(self, names: Collection[str]) -> dict[str, set[str]]:
        """References to all files that the journals of these batches name, by batch."""
        found: dict[str, set[str]] = defaultdict(set)
        for row in self._rows(("key", "note"), JOURNAL, named=names) if names else ():
            chunks = chunks_of(journal_of([row])).values()
            found[row["key"]].update(file.staged for chunk in chunks for file in chunk.files)
        return dict(found)

    def _rows(
        self, columns: Sequence[str], *kinds: str, named: Collection[str] = (), having: str = ""
    ) -> list[Row]:
        if self._storage is None or not self._exists:
            return []
        return self._storage.rows(columns, self.export, kinds, named=named, having=having)

    # -- writing ---------------------------------------------------------------------------------------------------

    def record(
        self,
        dataset_state: DatasetState,
        plan: Plan,
        state: State,
        *,
        counts: dict[str, int] | None = None,
        floors: int = 0,
        files: Sequence[StagedFile] = (),
        completion: Sequence[StagedFile] = (),
        note: str | None = None,
    ) -> DatasetState:
        """Records one transition of a batch, all of its file rows with it; the dataset state with the transition taken.

        ``completion`` is its completion manifest, in the order of publishing.

        Raises:
            LedgerConflict: another driver took this transition.
        """
        number = dataset_state.transition + 1
        common = {
            "export": self.export,
            "dataset": plan.dataset,
            "transition": number,
            "state": state,
            "batch": plan.batch,
        }
        pinned = state in {"PLANNED", "LOST"} or plan.phase == "enable"
        batch = {
            **common,
            "kind": "batch",
            "epoch": plan.epoch,
            "seq": plan.seq,
            "phase": plan.phase,
            "instant": plan.instant,
            "plan": plan.to_json() if pinned else None,
            "counts": None if counts is None else json.dumps({**counts, FLOORS: floors}),
            "note": note,
        }
        rows = [batch, *({**common, "kind": "file", **vars(file)} for file in files)]
        rows += [{**common, "kind": COMPLETION, **vars(file)} for file in completion]
        self._append(plan.dataset, number, [*rows, *(schema_rows(plan, common) if pinned else ())])
        dataset_state = replace(dataset_state, transition=number, floors=dataset_state.floors or floors > 0)
        if completion:
            dataset_state = replace(
                dataset_state, manifest=Previous(completion[-1].key, completion[-1].sha256)
            )
        return dataset_state

    def record_published(self, dataset_state: DatasetState, plan: Plan, files: Sequence[StagedFile]) -> None:
        """Records that these files of a STAGED batch are visible, in one commit that takes no transition.

        No other driver competes for that, so it needs no compare-and-swap. Where the commit is lost, the files are
        published again.
        """
        if not self._open_storage.append([published_row(dataset_state, plan, files)]):
            _LOG.warning("%s: %d published files are not recorded yet", plan.batch, len(files))

    def record_journal(self, plan: Plan, at: int, versions: Mapping[str, str], texts: Sequence[str]) -> bool:
        """Records what tasks of a PLANNED batch staged, in one commit that takes no transition; False where it was lost."""
        return self._open_storage.append([journal_row(plan, at, versions, texts)])

    def request_rerun(self, dataset_state: DatasetState, dataset: str) -> DatasetState:
        """Records that the operator asks for a rerun."""
        return replace(self._record(dataset_state, dataset, RERUN), rerun=True, settled=False)

    def accept(self, dataset_state: DatasetState, dataset: str, columns: dict[str, str]) -> DatasetState:
        """Records that the operator confirms these columns, of every batch planned from now on."""
        accepted = Accepted(columns, dataset_state.seq)
        return replace(self._record(dataset_state, dataset, ACCEPTED, accepted.to_json()), accepted=accepted)

    def _record(
        self, dataset_state: DatasetState, dataset: str, state: str, note: str | None = None
    ) -> DatasetState:
        """A transition of a dataset that is not one of a batch."""
        number = dataset_state.transition + 1
        row = {"kind": "batch", "export": self.export, "dataset": dataset, "transition": number}
        self._append(dataset, number, [{**row, "state": state, "note": note}])
        return replace(dataset_state, transition=number)

    def _append(self, dataset: str, number: int, rows: Iterable[Row]) -> None:
        storage = self._open_storage
        if not storage.take(rows, f"rover_spark/{self.export}/{dataset}", number):
            raise LedgerConflict(
                f"{dataset}: another run recorded transition {number} in the ledger first",
                code="ledger_conflict",
                remedy="Nothing is lost: that run goes on with it. Run again when it has ended.",
            )
        if number % storage.compact_every == 0:
            storage.compact()

    @property
    def _open_storage(self) -> Storage:
        if self._storage is None or not self._exists:
            raise AssertionError("the ledger is written before it was opened")
        return self._storage


def _of_the_newest(found: Sequence[tuple[int, StagedFile]]) -> tuple[StagedFile, ...]:
    """The files of the last transition that recorded any, in order of chunk and part."""
    newest = max((transition for transition, _ in found), default=0)
    files = (file for transition, file in found if transition == newest)
    return tuple(sorted(files, key=lambda file: (file.chunk, file.part)))
