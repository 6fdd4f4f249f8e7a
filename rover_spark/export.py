"""The one story: recover, plan, stage, record, publish, record. Each step is durable before the next begins.

Promises that a process may die between any two lines here and the next run ends as if it had not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from pyspark.accumulators import Accumulator
from pyspark.sql import SparkSession

from rover_spark import source
from rover_spark.asides import FLOORS, QUARANTINE, floors_before, write_once
from rover_spark.errors import (
    ConfigError,
    LedgerConflict,
    NotRepeatable,
    Problem,
    RoverSparkError,
    SourceGap,
    StagedLost,
)
from rover_spark.heads import BatchRecord, Head, State
from rover_spark.ledger import Ledger
from rover_spark.plan import BatchPlan
from rover_spark.prepare import Planner
from rover_spark.progress import Progress
from rover_spark.publish import publish
from rover_spark.publish import replace as put_back
from rover_spark.records import arranged, floor_rows, quarantine_rows, units
from rover_spark.stage import Manifest, Notice, stage
from rover_spark.store import StagedFile, open_store

_FOLLOW = 3
_AT_ONCE = 4


@dataclass
class Outcome:
    """What a run delivered, and what stopped it where it was stopped."""

    batches: list[BatchRecord] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class Exporter:
    """One run of one export."""

    def __init__(self, spark: SparkSession, ledger: Ledger, planner: Planner, progress: Progress) -> None:
        self._spark = spark
        self._ledger = ledger
        self._planner = planner
        self._progress = progress
        self._outcome = Outcome()

    def plan(self, datasets: Iterable[str]) -> list[BatchPlan]:
        """The batches that ``run`` would deliver, in order; changes nothing."""
        plans = []
        for dataset, found in self._heads(list(datasets)).items():
            head = found
            self._planner.check(dataset, head)
            if head.open is not None and not head.is_abandoned(self._planner.now):
                plans.append(head.open)
                head = head.after(head.open)
            while plan := self._planner.next_plan(dataset, head):
                plans.append(plan)
                head = head.after(plan)
        return plans

    def run(self, datasets: Iterable[str]) -> Outcome:
        """Delivers what is due. A dataset that fails does not hold back the others."""
        names = list(datasets)
        heads = self._heads(names)
        opened = [name for name in names if heads[name].open is not None]
        if opened:
            # a plan stands by itself: it is finished before today's settings are looked at
            self._each(lambda name: self._attempt(name, heads[name], only_open=True), opened)
            heads = self._heads(names)
        try:
            self._each(lambda name: self._planner.check(name, heads[name]), names)
        except ConfigError as error:
            if not opened:
                raise
            self._outcome.problems.append(
                error.problem
            )  # what was open has been finished: that is to be told
            return self._outcome
        self._ledger.open(create=True)
        due = [name for name in names if heads[name].open is None]
        self._each(lambda name: self._attempt(name, heads[name], only_open=False), due)
        self._outcome.batches.sort(key=lambda record: (names.index(record.dataset), record.seq))
        return self._outcome

    def _each(self, act: Callable[[str], None], datasets: list[str]) -> None:
        """Datasets side by side: they share nothing but the ledger. The first error, in their order, is raised."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for future in [pool.submit(act, dataset) for dataset in datasets]:
                future.result()

    def _heads(self, datasets: Iterable[str]) -> dict[str, Head]:
        known = self._ledger.heads()
        return {dataset: known.get(dataset, Head()) for dataset in datasets}

    def _attempt(self, dataset: str, head: Head, *, only_open: bool) -> None:
        for _ in range(_FOLLOW):
            try:
                head = self._recover(head)
                while not only_open and (plan := self._planner.next_plan(dataset, head)):
                    head = self._deliver(head, plan)
                return
            except LedgerConflict as conflict:
                # another driver went first: follow it
                self._progress.step("conflict", dataset=dataset)
                head, problem = self._ledger.heads().get(dataset, Head()), conflict.problem
            except RoverSparkError as error:
                problem = error.problem
                break
        self._outcome.problems.append(problem)

    def _recover(self, head: Head) -> Head:
        plan = head.open
        if plan is None:
            return head
        if head.is_abandoned(self._planner.now):
            return self._abort(head, plan, "planned more than an hour ago and never staged")
        if head.open_state == "STAGED":
            return self._publish(head, plan, self._ledger.batches(plan.batch)[0])
        try:
            state = self._planner.state(plan.dataset, plan.source.table, plan.commits[0].version)
            source.confirm(plan, state)
        except (SourceGap, ConfigError) as error:
            return self._abort(head, plan, error.message)
        return self._advance(head, plan)

    def _deliver(self, head: Head, plan: BatchPlan) -> Head:
        if plan.phase in {"enable", "lost"}:
            state: State = "LOST" if plan.phase == "lost" else "COMMITTED"
            counts = Manifest((), {}, 0).counts
            note = _lost_note(plan) if plan.phase == "lost" else None
            head = self._ledger.record(head, plan, state, counts=counts, note=note)
            return self._done(head, plan, replace(_record(plan, state, counts, ()), note=note))
        return self._advance(self._ledger.record(head, plan, "PLANNED"), plan)

    def _advance(self, head: Head, plan: BatchPlan) -> Head:
        """From PLANNED to the end."""
        self._progress.step("planned", batch=plan.batch, rows=plan.source_rows, chunks=plan.files.chunks)
        try:
            manifest = self._stage(plan)
        except SourceGap as gap:
            self._abort(head, plan, gap.message)
            raise
        facts = {"counts": manifest.counts, "floors": manifest.floors}
        try:
            head = self._ledger.record(head, plan, "STAGED", files=manifest.files, **facts)  # type: ignore[arg-type]
        except LedgerConflict:
            # our tries stand in no manifest: the other driver's do
            open_store(plan.destination, plan.export).abort(file.staged for file in manifest.files)
            raise
        record = _record(plan, "STAGED", manifest.counts, manifest.files)
        return self._publish(head, plan, replace(record, floors=manifest.floors))

    def _stage(self, plan: BatchPlan) -> Manifest:
        """Stages every file of a plan, and writes what stands beside them: nothing of it is visible."""
        rows = units(source.read(self._spark, plan), plan, floors_before(self._spark, self._ledger, plan))
        with source.reading(plan.dataset, plan.source.table, plan.from_version, plan.to_version):
            with self._watched(plan) as notice:
                manifest = stage(arranged(rows, plan), plan, notice)
            if manifest.counts["quarantined"]:
                write_once(self._ledger, QUARANTINE, plan, quarantine_rows(rows, plan))
            if manifest.floors:
                write_once(self._ledger, FLOORS, plan, floor_rows(rows, plan))
        self._progress.step("staged", batch=plan.batch, files=len(manifest.files), **manifest.counts)
        return manifest

    def _publish(self, head: Head, plan: BatchPlan, record: BatchRecord) -> Head:
        """From STAGED to COMMITTED; staged bytes that are gone are made again from the plan."""
        store = open_store(plan.destination, plan.export)
        files: tuple[StagedFile, ...] = ()
        try:
            publish(store, record.files, self._published)
        except StagedLost:
            files = self._again(plan, record)
            publish(store, files, self._published)
        head = self._ledger.record(
            head, plan, "COMMITTED", counts=record.counts, floors=record.floors, files=files, note=record.note
        )
        return self._done(head, plan, replace(record, state="COMMITTED", files=files or record.files))

    def redeliver(self, record: BatchRecord) -> Outcome:
        """The same keys and bytes again, from the pinned version, whatever stands at the keys now."""
        plan = record.plan
        assert plan is not None
        source.confirm(plan, self._planner.state(plan.dataset, plan.source.table, plan.commits[0].version))
        files = self._again(plan, record)
        put_back(open_store(plan.destination, plan.export), files, self._published)
        head = self._ledger.heads()[plan.dataset]
        self._ledger.record(head, plan, "COMMITTED", counts=record.counts, files=files, note="redelivered")
        self._outcome.batches.append(replace(record, files=files, note="redelivered"))
        return self._outcome

    def _again(self, plan: BatchPlan, record: BatchRecord) -> tuple[StagedFile, ...]:
        """Stages a batch that was staged before. Raises NotRepeatable, before anything is replaced, where it differs."""
        manifest = self._stage(plan)
        if [_identity(file) for file in manifest.files] != [_identity(file) for file in record.files]:
            open_store(plan.destination, plan.export).abort(file.staged for file in manifest.files)
            raise NotRepeatable(
                f"{plan.batch}: staging it again gave other bytes than the ledger holds; nothing was replaced",
                code="bytes_differ",
                remedy=f"It was written with {plan.versions}; use the same versions of Spark and Java.",
            )
        return manifest.files

    def _abort(self, head: Head, plan: BatchPlan, why: str) -> Head:
        head = self._ledger.record(head, plan, "ABORTED", note=why)
        self._progress.step("aborted", batch=plan.batch, why=why)
        return replace(head, open=None, open_state=None, seq=plan.seq, aborted=(*head.aborted, plan.seq))

    def _done(self, head: Head, plan: BatchPlan, record: BatchRecord) -> Head:
        self._progress.step(record.state.lower(), batch=plan.batch, files=len(record.files), **record.counts)
        self._outcome.batches.append(record)
        return head.after(plan)

    def _published(self, file: StagedFile) -> None:
        self._progress.step("published", key=file.key, records=file.records, bytes=file.bytes)

    @contextmanager
    def _watched(self, plan: BatchPlan) -> Iterator[Notice]:
        counters: list[Accumulator[int]] = [self._spark.sparkContext.accumulator(0) for _ in range(3)]

        def notice(files: int, records: int, size: int) -> None:
            for counter, more in zip(counters, (files, records, size), strict=True):
                counter.add(more)

        def done() -> tuple[int, int, int]:
            files, records, size = (counter.value for counter in counters)
            return files, records, size

        with self._progress.watch(plan.batch, plan.source_rows, done):
            yield notice


def _record(
    plan: BatchPlan, state: State, counts: dict[str, int], files: tuple[StagedFile, ...]
) -> BatchRecord:
    return BatchRecord(
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


def _identity(file: StagedFile) -> tuple[str, int, int, str]:
    return file.key, file.records, file.raw_bytes, file.raw_sha256


def _lost_note(plan: BatchPlan) -> str:
    what = f"changes after version {(plan.from_version or 0) - 1} of {plan.source.table} are lost"
    if plan.contract.snapshot:
        return (
            f"{what}: receivers must truncate {plan.dataset}, a snapshot under epoch {plan.epoch + 1} follows"
        )
    return f"{what}, as the operator accepted; delivery goes on after version {plan.to_version}"
