"""Executor side: Arrow batches of one or more chunks → staged files → rows of the manifest.

What a task leaves behind is invisible: a file becomes part of the batch only by the manifest of the task attempt that
Spark accepts. A task never publishes; when it fails it removes the files of its own attempt only.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from rover_spark.config.access import Access
from rover_spark.deliver.journal import Report
from rover_spark.deliver.repeats import Neighbours, Seen, runs
from rover_spark.deliver.watch import Notice
from rover_spark.delta.task_errors import sent_as_text
from rover_spark.encode.lines import Lines
from rover_spark.model.file import StagedFile
from rover_spark.model.journal import chunks_to_json
from rover_spark.model.manifest import BEFORE, OUTCOMES, Manifest
from rover_spark.model.plan import Plan
from rover_spark.produce.port import Cutter, Mark, Part
from rover_spark.store import Staging, Store, open_store

MANIFEST = (
    "key string, records bigint, bytes bigint, sha256 string, raw_bytes bigint, raw_sha256 string, "
    "chunk bigint, part bigint, staged string, counted string, rows bigint"
)
_SCHEMA = pa.schema(
    [
        (name, pa.int64() if kind == "bigint" else pa.string())
        for name, kind in (column.split() for column in MANIFEST.split(", "))
    ]
)


class Tally:
    """Adds up rows by outcome, and the marks of a contract, over batches, tasks and parts."""

    def __init__(self, marks: Sequence[Mark]) -> None:
        self._marks = {mark.name: mark for mark in marks}
        self._counts = dict.fromkeys((*OUTCOMES, BEFORE, *self._marks), 0)

    def add(self, name: str, count: int) -> None:
        """Adds rows to an outcome or mark; of a mark that keeps the highest, the greater one stays."""
        mark = self._marks.get(name)
        before = self._counts[name]
        self._counts[name] = max(before, count) if mark and mark.how == "highest" else before + count

    def add_all(self, counts: Mapping[str, int]) -> None:
        """Adds the counts of another tally, or of a manifest."""
        for name, count in counts.items():
            self.add(name, count)

    def add_batch(self, batch: pa.RecordBatch, repeats: Mapping[int, str]) -> None:
        """Adds a batch of rows; ``repeats`` are those that repeat an id, with what becomes of them."""
        for found in pc.value_counts(batch.column("outcome")).to_pylist():
            self.add(found["values"], found["counts"])
        for outcome in repeats.values():
            self.add(outcome, 1)
            self.add("delivered", -1)
        first = pa.array([row not in repeats for row in range(len(batch))]) if repeats else None
        for mark in self._marks.values():
            column = batch.column(mark.column)
            if first is not None and mark.how != "rows":
                column = column.filter(first)
            found = pc.max(column) if mark.how == "highest" else pc.sum(column)
            self.add(mark.name, found.as_py() or 0)

    @property
    def counts(self) -> dict[str, int]:
        """All of them, by name."""
        return dict(self._counts)

    def manifest(self, files: Iterable[StagedFile]) -> Manifest:
        """The files with these counts, in order of chunk and part."""
        marks = {name: count for name, count in self._counts.items() if name in self._marks}
        rows = {name: count for name, count in self._counts.items() if name not in self._marks}
        return Manifest(tuple(sorted(files, key=lambda file: (file.chunk, file.part))), rows, marks)


def task(
    plan: Plan,
    part: Part,
    cutter: Cutter,
    notice: Notice | None,
    access: Access | None,
    report: Report | None = None,
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The function that ``mapInArrow`` runs: rows of one task in, its part of the manifest out, as MANIFEST says."""
    batch, export, destination = plan.batch, plan.export, plan.destination
    read, by_id = part.rows or iter, part.by_id  # the part itself holds a frame, which stays on the driver

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with sent_as_text():
            store = open_store(destination, export, access)
            manifest = stage_batches(read(batches), batch, cutter, store, notice, report, by_id=by_id)
        yield manifest

    return run


def stage_batches(
    batches: Iterable[pa.RecordBatch],
    batch: str,
    cutter: Cutter,
    store: Store,
    notice: Notice | None = None,
    report: Report | None = None,
    *,
    by_id: bool = True,
) -> pa.RecordBatch:
    """Stages the rows of one task, which come in file order, and returns its part of the manifest.

    ``by_id`` says that records with one id are neighbours; where they are not, the ids of a chunk are remembered.
    ``report`` gets the same, chunk by chunk, once all is staged.
    """
    writer, tallies = _Writer(batch, cutter, store, notice), dict[int, Tally]()
    repeats = Neighbours() if by_id else Seen()
    try:
        for rows in batches:
            again = repeats.among(rows)
            for start, stop, chunk in runs(rows.column("chunk")) if report else ((0, len(rows), 0),):
                repeated = {row - start: outcome for row, outcome in again.items() if start <= row < stop}
                tally = tallies.setdefault(chunk, Tally(cutter.marks))
                tally.add_batch(rows.slice(start, stop - start), repeated)
            if notice is not None:
                notice(len(rows), 0, 0)
            writer.write_all(rows, again)
        files = writer.finish()
        if report is not None:
            of = {chunk: [file for file in files if file.chunk == chunk] for chunk in tallies}
            report(chunks_to_json({chunk: tally.manifest(of[chunk]) for chunk, tally in tallies.items()}))
    except BaseException:
        writer.abort()
        raise
    total = Tally(cutter.marks)
    for tally in tallies.values():
        total.add_all(tally.counts)
    counted = [{"counted": name, "rows": count} for name, count in total.counts.items() if count]
    return pa.RecordBatch.from_pylist([*(vars(file) for file in files), *counted], schema=_SCHEMA)


class _Writer:
    """Cuts records into files: a new one when the chunk changes, or where the cutter ends one."""

    def __init__(self, batch: str, cutter: Cutter, store: Store, notice: Notice | None) -> None:
        self._batch, self._cutter, self._store, self._notice = batch, cutter, store, notice
        # a retried or speculative task may carry the same attempt number: only this distinguishes its files
        self._attempt = uuid.uuid4().hex  # noqa: TID251 - used in staging names only, never in a key
        self._done: list[StagedFile] = []
        self._staging: Staging | None = None
        self._chunk, self._part, self._before = -1, 0, 0

    def write_all(self, rows: pa.RecordBatch, repeats: Iterable[int]) -> None:
        """Appends a batch's records, but for those that repeat an id."""
        lines = Lines(rows.column("line"))
        for first, stop, chunk in runs(rows.column("chunk")):
            start = first
            for end in (*(row for row in repeats if first <= row < stop), stop):
                self._write(chunk, lines, start, end)
                start = end + 1

    def _write(self, chunk: int, lines: Lines, start: int, stop: int) -> None:
        # the plan may have no chunk for rows that are no records: of events that were deleted, say
        if not lines.records(start, stop):
            return
        if chunk != self._chunk:
            self._close()
            self._chunk, self._part, self._before = chunk, 0, 0
        while start < stop:
            held = (self._records, self._file.raw_bytes) if self._staging else (0, 0)
            end = self._cutter.end(chunk, lines, start, stop, *held)
            if end == start and self._staging is not None:
                self._close()
                continue
            end = max(end, start + 1)  # a record larger than a file has one of its own
            self._append(lines, start, end)
            start = end

    def _append(self, lines: Lines, start: int, end: int) -> None:
        records = lines.records(start, end)
        if not records:
            return
        if self._staging is None:
            self._key, opened = self._cutter.begin(self._chunk, self._part, self._before)
            self._staging = self._store.stage(self._key, self._batch, self._attempt)
            self._file = opened(self._staging.write)
            self._records = 0
        self._file.write(lines, start, end)
        self._records += records

    def _close(self) -> None:
        if self._staging is None:
            return
        file = self._file
        file.close()
        staged = self._staging.finish()
        self._staging = None
        self._done.append(
            StagedFile(
                key=self._key,
                records=self._records,
                bytes=file.bytes,
                sha256=file.sha256,
                raw_bytes=file.raw_bytes,
                raw_sha256=file.raw_sha256,
                chunk=self._chunk,
                part=self._part,
                staged=staged,
            )
        )
        self._part, self._before = self._part + 1, self._before + self._records
        if self._notice is not None:
            self._notice(0, 1, file.raw_bytes)

    def finish(self) -> list[StagedFile]:
        self._close()
        return self._done

    def abort(self) -> None:
        if self._staging is not None:
            self._staging.abort()
        for file in self._done:
            if self._store.abort([file.staged]):
                break  # out of reach: each further one would be waited for, too; sweep removes them
