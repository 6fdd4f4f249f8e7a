"""One batch from its plan to COMMITTED: stage, record, publish, record. Each step is durable before the next begins.

Its completion manifest is staged after its files, before STAGED is recorded, and is published after the last of them.

A process may die between any two lines here, and the next run ends as if it had not. From STAGED on a batch only goes
forward. This process removes what it staged only while no manifest names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import cache

from rover_spark.config.access import Access
from rover_spark.deliver.completion import CompletionManifests
from rover_spark.deliver.journal import Journal
from rover_spark.deliver.progress import Progress, file_by_file
from rover_spark.deliver.publish import AT_ONCE, overwrite, publish
from rover_spark.deliver.staging import staged
from rover_spark.deliver.watch import watched
from rover_spark.delta.session import Session
from rover_spark.delta.versions import versions
from rover_spark.errors import (
    LedgerConflict,
    NotRepeatable,
    Problem,
    ReaderRefused,
    RoverSparkError,
    SourceGap,
    SourceUnread,
    StoreError,
)
from rover_spark.ledger.table import Ledger
from rover_spark.model.dataset_state import REDELIVERED, BatchRecord, DatasetState, State
from rover_spark.model.file import StagedFile
from rover_spark.model.journal import NO_CHUNKS, Chunks
from rover_spark.model.manifest import Manifest
from rover_spark.model.plan import Plan
from rover_spark.model.wording import counted
from rover_spark.produce.port import Producer
from rover_spark.store import Store, open_store, staged_lost

# files that may be in doubt after a crash; publishing them takes some seconds, recording them about one. Of a very large
# batch it is a hundredth: each commit costs a little more than the one before
GROUP, GROUPS = 200, 100


@dataclass(frozen=True)
class Outcome:
    """What a run delivered, and the problems that it met."""

    batches: list[BatchRecord] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class Delivery:
    """Delivers batches; ``delivered`` holds their records, in the order in which they ended."""

    def __init__(
        self,
        session: Session,
        ledger: Ledger,
        producer: Producer,
        access: Callable[[str], Access],
        progress: Progress,
        at_once: int = AT_ONCE,
    ) -> None:
        self._session = session
        self._producer = producer
        # today's access per destination: access does not change what is delivered
        self._access = access
        self._completion = CompletionManifests(access)
        self._at_once = at_once  # files that are published side by side
        self._ledger = ledger
        self._progress = progress
        self._versions = cache(lambda rows: versions(session, producer.encoder, rows=rows))
        self._journal = Journal(session, ledger, producer, lambda: self._versions(True))
        self.delivered: list[BatchRecord] = []

    def whole(self, dataset_state: DatasetState, plan: Plan) -> DatasetState:
        """Records a new plan and delivers it; returns the dataset state after it."""
        plan = replace(plan, versions=self._versions(plan.source_rows > 0))
        if plan.phase in {"enable", "lost"}:
            state: State = "LOST" if plan.phase == "lost" else "COMMITTED"
            counts = Manifest().counts
            note = plan.lost if plan.phase == "lost" else None
            dataset_state = self._ledger.record(dataset_state, plan, state, counts=counts, note=note)
            return self._done(dataset_state, plan, replace(BatchRecord.of(plan, state, counts), note=note))
        return self._advance(self._ledger.record(dataset_state, plan, "PLANNED"), plan)

    def advance(self, dataset_state: DatasetState, plan: Plan) -> DatasetState:
        """Takes a batch that an earlier run left PLANNED to its end; what its journal holds is not staged again."""
        return self._advance(
            dataset_state, plan, self._ledger.journal(plan, self._versions(plan.source_rows > 0))
        )

    def _advance(self, dataset_state: DatasetState, plan: Plan, done: Chunks = NO_CHUNKS) -> DatasetState:
        self._progress.step("planned", batch=plan.batch, rows=plan.source_rows, chunks=plan.chunks)
        try:
            manifest = self._stage(plan, done=done)
        except (SourceGap, SourceUnread) as gap:
            # SourceUnread may be transient: the next run retries this batch; under a rerun it is aborted and replaced
            if dataset_state.rerun or isinstance(gap, SourceGap):
                self.abort(dataset_state, plan, gap.message)
            raise
        except (ReaderRefused, NotRepeatable) as refused:
            # the plan pins what cannot be read so: only another plan can do without it
            if isinstance(refused, ReaderRefused) or refused.code == "chunk_split":
                self.abort(dataset_state, plan, refused.message)
            raise
        record = replace(
            BatchRecord.of(plan, "STAGED", manifest.counts, manifest.files),
            floors=manifest.floors,
            completion=self._completion.stage(plan, manifest.files),
        )
        try:
            dataset_state = self._record_staged(dataset_state, plan, record)
        except LedgerConflict:
            self._abort_unnamed(plan, record.files, done)
            raise
        return self.finish(dataset_state, plan, record)

    def _record_staged(self, dataset_state: DatasetState, plan: Plan, record: BatchRecord) -> DatasetState:
        """Raises LedgerConflict where another driver went first; the completion manifest of this one is removed then."""
        try:
            return self._ledger.record(
                dataset_state,
                plan,
                "STAGED",
                counts=record.counts,
                floors=record.floors,
                files=record.files,
                completion=record.completion,
            )
        except LedgerConflict:
            self._completion.abort(plan, record.completion)
            raise

    def _abort_unnamed(self, plan: Plan, files: Sequence[StagedFile], done: Chunks) -> None:
        """Removes what this run staged, after another driver went first: but for what that one found in the journal."""
        kept = {file.staged for record in self._ledger.batches(plan.batch) for file in record.files}
        kept.update(file.staged for chunk in done.values() for file in chunk.files)
        self._store(plan).abort(file.staged for file in files if file.staged not in kept)

    def _stage(self, plan: Plan, chunks: frozenset[int] | None = None, done: Chunks = NO_CHUNKS) -> Manifest:
        """Stages all files of a plan and writes its side tables, or stages some chunks again. Nothing becomes visible.

        Chunks that are ``done`` are not staged; the manifest has them, too.
        """
        first = chunks is None
        if done:
            chunks = frozenset(range(plan.chunks)) - done.keys()
            self._progress.step("resumed", batch=plan.batch, staged=len(done), chunks=len(chunks))
        work, access = self._producer.work(plan, chunks), self._access(plan.destination)
        if work.parts:
            with (
                watched(self._session, plan, self._progress) as notice,
                self._journal.of(plan) if first and work.resumable else nullcontext() as report,
            ):
                manifest = staged(self._ledger, plan, work, notice, access, report, done)
        else:
            manifest = Manifest()
        files, counts = len(manifest.files), manifest.counts
        rows = plan.source_rows if first else counts["read"]
        self._progress.step("staged", batch=plan.batch, rows=rows, files=files, **counts)
        return manifest

    def finish(self, dataset_state: DatasetState, plan: Plan, record: BatchRecord) -> DatasetState:
        """Takes a batch from STAGED to COMMITTED; staged bytes that are gone are staged again from the plan.

        Files are published in ascending order of their keys, then the completion manifest.

        Raises:
            PublishUnknown, KeyTaken: the batch stays STAGED; nothing is removed.
            SourceGap: some files cannot be staged again; all others are published.
            StagedLost: the staged bytes are gone a second time.
        """
        waiting = [file for file in _in_order(record.files) if file.key not in record.published]
        self._progress.step("publishing", batch=plan.batch, files=len(waiting))
        if lost := self._publish(dataset_state, plan, waiting):
            dataset_state, record = self._made_good(dataset_state, plan, record, lost)
            again = [file for file in _in_order(record.files) if file.key in lost]
            if gone := self._publish(dataset_state, plan, again):
                raise staged_lost(next(file for file in again if file.key in gone))
        if not self._completion.publish(plan, record.completion):
            dataset_state, record = self._staged_once_more(dataset_state, plan, record)
            if not self._completion.publish(plan, record.completion):
                raise staged_lost(record.completion[-1])
        dataset_state = self._ledger.record(
            dataset_state, plan, "COMMITTED", counts=record.counts, floors=record.floors, note=record.note
        )
        return self._done(dataset_state, plan, replace(record, state="COMMITTED"))

    def _publish(self, dataset_state: DatasetState, plan: Plan, files: Sequence[StagedFile]) -> set[str]:
        """Makes files visible; returns the keys of those whose staged bytes are gone, as ``publish`` does.

        A role that may look sees by itself which files are visible. Where it may not, the ledger records the published
        files: each group before the next one begins, and the last one before anything is staged again or an error ends
        the run. So after a crash no more than one group is in doubt. A batch smaller than a group costs no commit.
        """
        store = self._store(plan)
        size = max(1, len(files)) if store.can_read else max(GROUP, len(files) // GROUPS)
        lost, visible = set[str](), list[StagedFile]()

        def note() -> None:
            if visible and not store.can_read:
                self._ledger.record_published(dataset_state, plan, visible)
                visible.clear()

        with self._shown(plan.batch, files) as show:

            def notice(file: StagedFile) -> None:
                visible.append(file)
                show(file)

            try:
                for start in range(0, len(files), size):
                    if start:
                        note()
                    group = publish(store, files[start : start + size], notice, self._at_once)
                    lost |= {file.key for file in group}
                    if lost and self._at_once == 1:
                        lost |= {file.key for file in files[start + size :]}
                        break
            except StoreError:
                note()
                raise
        if lost:
            note()
        return lost

    def _made_good(
        self, dataset_state: DatasetState, plan: Plan, record: BatchRecord, lost: set[str]
    ) -> tuple[DatasetState, BatchRecord]:
        """Stages the files of these keys again, and records them before any of them is published.

        Only their chunks are staged. The ledger's hashes of all other files stay: today's encoder may compress the same
        text to other bytes.
        """
        if self._ledger.dataset_states()[plan.dataset].transition != dataset_state.transition:
            raise LedgerConflict(
                f"{plan.batch}: another run published it meanwhile",
                code="ledger_conflict",
                remedy="Nothing to do: that run goes on.",
            )
        try:
            again = {file.key: file for file in self._again(plan, record, lost)}
        except SourceGap as gap:
            raise self._waits(plan, record, lost, gap) from gap
        store = self._store(plan)
        store.abort(file.staged for file in again.values() if file.key not in lost)
        files = tuple(again[file.key] if file.key in lost else file for file in record.files)
        try:
            recorded = self._staged_once_more(dataset_state, plan, replace(record, files=files))
        except LedgerConflict:
            store.abort(file.staged for file in again.values() if file.key in lost)
            raise
        store.abort(file.staged for file in record.files if file.key in lost)  # some may be there, only late
        return recorded

    def _staged_once_more(
        self, dataset_state: DatasetState, plan: Plan, record: BatchRecord
    ) -> tuple[DatasetState, BatchRecord]:
        """Records a batch STAGED with these files and a completion manifest that names them; the one before is removed."""
        before = record.completion
        record = replace(record, completion=self._completion.stage(plan, record.files))
        dataset_state = self._record_staged(dataset_state, plan, record)
        self._completion.abort(plan, before)
        return dataset_state, record

    def _waits(self, plan: Plan, record: BatchRecord, lost: set[str], gap: SourceGap) -> SourceGap:
        """The error of a batch whose lost files cannot be staged again, while all others are published."""
        total = len(record.files)
        look = (
            ""
            if self._store(plan).can_read
            else " Or set store.can_read = true, with a role that may: what is visible already waits no longer."
        )
        return SourceGap(
            f"{plan.batch}: it was staged, and {total - len(lost)} of its {counted(total, 'file')} are published; the "
            f"staged bytes of {_some(lost)} are gone, and cannot be made again: {gap.message}",
            code=gap.code,
            remedy="Bring back the source's files or versions, from a backup: only these files of the batch wait, and so do "
            f"later batches.{look}",
        )

    def redeliver(self, plan: Plan, record: BatchRecord) -> BatchRecord:
        """Overwrites a batch's keys with the same bytes. The caller has confirmed the source."""
        self._progress.step("redelivering", batch=plan.batch)
        files = self._again(plan, record, {file.key for file in record.files})
        try:
            completion = self._completion.stage(plan, files)
            with self._shown(plan.batch, files) as notice:
                overwrite(self._store(plan), _in_order(files), notice, self._at_once)
            self._completion.overwrite(plan, completion)
        except StoreError as error:
            raise type(error)(
                f"{error.message}; files of {plan.batch} that were put back before it stay",
                code=error.code,
                remedy=f"{'' if error.code == 'staged_lost' else error.remedy} Run redeliver again.".strip(),
            ) from None
        dataset_state = self._ledger.dataset_states()[plan.dataset]
        self._ledger.record(
            dataset_state,
            plan,
            "COMMITTED",
            counts=record.counts,
            files=files,
            completion=completion,
            note=REDELIVERED,
        )
        return replace(record, files=files, completion=completion, note=REDELIVERED)

    def _again(self, plan: Plan, record: BatchRecord, keys: set[str]) -> tuple[StagedFile, ...]:
        """Stages the chunks of these files again; returns all files of those chunks.

        Raises:
            NotRepeatable: they differ from the ledger's; nothing is published.
        """
        chunks = frozenset(file.chunk for file in record.files if file.key in keys)
        before = [file for file in record.files if file.chunk in chunks]
        manifest = self._stage(plan, None if len(before) == len(record.files) else chunks)
        if [_identity(file) for file in manifest.files] != [_identity(file) for file in before]:
            self._store(plan).abort(file.staged for file in manifest.files)
            raise NotRepeatable(
                f"{plan.batch}: staging it again gave other bytes than the ledger holds; nothing was replaced",
                code="bytes_differ",
                remedy=f"It was written with {plan.versions}; use the same versions of Spark and Java.",
            )
        return manifest.files

    def abort(self, dataset_state: DatasetState, plan: Plan, why: str) -> DatasetState:
        """Ends a batch that was never STAGED, and removes what its journal names; the dataset state after it."""
        dataset_state = self._ledger.record(dataset_state, plan, "ABORTED", note=why)
        with suppress(RoverSparkError):  # out of reach: sweep removes them
            if staged := self._ledger.journaled([plan.batch]).get(plan.batch):
                self._store(plan).abort(staged)
        self._progress.step("aborted", batch=plan.batch, why=why)
        return replace(
            dataset_state,
            open=None,
            open_state=None,
            seq=plan.seq,
            aborted=(*dataset_state.aborted, plan.seq),
        )

    def _store(self, plan: Plan) -> Store:
        return open_store(plan.destination, plan.export, self._access(plan.destination))

    def _done(self, dataset_state: DatasetState, plan: Plan, record: BatchRecord) -> DatasetState:
        self._progress.step(record.state.lower(), batch=plan.batch, files=len(record.files), **record.counts)
        self.delivered.append(record)
        return dataset_state.after(plan)

    @contextmanager
    def _shown(self, batch: str, files: Sequence[StagedFile]) -> Iterator[Callable[[StagedFile], None]]:
        """Shows each file that becomes visible; yields the notice that ``publish`` takes."""
        total = sum(file.records for file in files)
        with file_by_file(self._progress, f"publishing {batch}", total) as more:

            def notice(file: StagedFile) -> None:
                self._progress.step("published", key=file.key, records=file.records, bytes=file.bytes)
                more(file.records, file.bytes)

            yield notice


def _in_order(files: Iterable[StagedFile]) -> list[StagedFile]:
    """In ascending order of their keys: a reader that lists what comes after the last key it saw misses none."""
    return sorted(files, key=lambda file: file.key)


def _some(keys: Iterable[str]) -> str:
    """The first of these keys, and the number of the others."""
    first, *rest = sorted(keys)
    return f"{first} and {counted(len(rest), 'more file')}" if rest else first


def _identity(file: StagedFile) -> tuple[str, int, int, str]:
    return file.key, file.records, file.raw_bytes, file.raw_sha256
