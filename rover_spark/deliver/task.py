"""Executor side: Arrow batches of one or more chunks → staged files → rows of the manifest.

Promises that whatever a task leaves behind is invisible: a file becomes part of the batch only through the manifest
of the task that Spark counts. Never publishes, and on failure removes only its own try's files.
"""

from __future__ import annotations

import struct
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
from pyspark import SparkContext
from pyspark.accumulators import Accumulator
from pyspark.sql import DataFrame, SparkSession

from rover_spark.config.access import Access
from rover_spark.deliver.progress import Counter, Done, Progress
from rover_spark.delta.task_errors import sent_as_text
from rover_spark.encode.lines import Lines
from rover_spark.errors import NotRepeatable
from rover_spark.model.file import StagedFile
from rover_spark.model.plan import Plan
from rover_spark.produce.files import files_of
from rover_spark.produce.rover.changes import BEFORE, OUTCOMES
from rover_spark.store import Staging, Store, open_store

_MANIFEST = (
    "key string, records bigint, bytes bigint, sha256 string, raw_bytes bigint, raw_sha256 string, "
    "chunk bigint, part bigint, staged string, outcome string, rows bigint"
)
_SCHEMA = pa.schema(
    [
        (name, pa.int64() if kind == "bigint" else pa.string())
        for name, kind in (column.split() for column in _MANIFEST.split(", "))
    ]
)
# rows that are told of beside their outcome, where a contract marks them; of LATENESS the highest is told
FLOOR, MENDED, LATE, ZONELESS = "floor", "mended", "late", "zoneless"
MARKS = (FLOOR, MENDED, LATE, ZONELESS)
LATENESS = "lateness"
Notice = Callable[[int, int, int], None]  # rows, files, bytes
_TOLD = "<3q"  # a notice in a file
Texts = dict[str, str] | None  # schemas by event type


@dataclass(frozen=True)
class Manifest:
    """What staging gave: its files, in a whole batch in order of (chunk, part), and rows per outcome.

    ``floors`` counts rows that leave a floor, ``mended`` records in which U+FFFD replaced what is no character.
    ``late`` counts events told more than an hour after their time, ``lateness`` is the longest in seconds, ``zoneless``
    counts events whose time zone has no such name.
    """

    files: tuple[StagedFile, ...]
    rows: dict[str, int]
    floors: int = 0
    mended: int = 0
    late: int = 0
    lateness: int = 0
    zoneless: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """The counts of the contract: read = delivered + the others (law 9); of the delivered what is told besides."""
        counts = {outcome: self.rows.get(outcome, 0) for outcome in OUTCOMES}
        besides = {
            "replaced": self.mended,
            "late": self.late,
            "max_lateness_s": self.lateness if self.late else 0,
            "timezone_dropped": self.zoneless,
        }
        told = {name: count for name, count in besides.items() if count}
        return {"read": sum(counts.values()), **counts, **told}


def stage(
    frame: DataFrame,
    plan: Plan,
    notice: Notice | None = None,
    access: Access | None = None,
    texts: Texts = None,
) -> Manifest:
    """Stages a batch or a part of it: one Spark job, one manifest. ``frame`` is what ``records`` arranged.

    ``notice`` is called on executors as rows pass, for progress only; ``texts`` has the schemas of events.
    """
    # exactly one action: another one would stage everything again
    rows = frame.mapInArrow(_task(plan, notice, access, texts), _MANIFEST).collect()
    files, lateness, tally = [], 0, dict.fromkeys((*OUTCOMES, BEFORE, *MARKS), 0)
    for row in rows:
        if row["outcome"] == LATENESS:
            lateness = max(lateness, row["rows"])
        elif row["key"] is None:
            tally[row["outcome"]] += row["rows"]
        else:
            files.append(StagedFile(**{name: row[name] for name in StagedFile.__dataclass_fields__}))
    floors, mended, late, zoneless = (tally.pop(mark) for mark in MARKS)
    return Manifest(tuple(files), tally, floors, mended, late, lateness, zoneless)


def whole(parts: Sequence[Manifest], plan: Plan, access: Access | None = None) -> Manifest:
    """The manifest of a batch from those of its parts, its files in order.

    Raises:
        NotRepeatable: other rows arrived than were counted when the batch was planned.
    """
    rows = {name: sum(part.rows[name] for part in parts) for name in (*OUTCOMES, BEFORE)}
    files = sorted((file for part in parts for file in part.files), key=lambda file: (file.chunk, file.part))
    arrived = sum(rows.values())
    if arrived != plan.source_rows:
        open_store(plan.destination, plan.export, access).abort(file.staged for file in files)
        raise NotRepeatable(
            f"{plan.batch}: {plan.source_rows} source rows were counted when it was planned, {arrived} arrived",
            code="rows_differ",
            remedy="Nothing new is visible. The source changed under a pinned version, or an expression is not steady.",
        )
    told = {name: sum(getattr(part, name) for part in parts) for name in ("floors", MENDED, LATE, ZONELESS)}
    return Manifest(tuple(files), rows, **told, lateness=max(part.lateness for part in parts))


def _task(
    plan: Plan, notice: Notice | None, access: Access | None, texts: Texts
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with sent_as_text():
            store = open_store(plan.destination, plan.export, access)
            manifest = stage_batches(batches, plan, store, notice, texts)
        yield manifest

    return run


def stage_batches(
    batches: Iterable[pa.RecordBatch],
    plan: Plan,
    store: Store,
    notice: Notice | None = None,
    texts: Texts = None,
) -> pa.RecordBatch:
    """Stages the rows of one task, which come in file order, and returns its part of the manifest."""
    writer, repeats = _Writer(plan, store, notice, texts), _Repeats()
    tally, lateness = dict.fromkeys((*OUTCOMES, BEFORE, *MARKS), 0), 0
    try:
        for batch in batches:
            for found in pc.value_counts(batch.column("outcome")).to_pylist():
                tally[found["values"]] += found["counts"]
            again = repeats.among(batch)
            for outcome in again.values():
                tally[outcome] += 1
                tally["delivered"] -= 1
            for mark, column in _marks(batch, again).items():
                if mark == LATENESS:
                    lateness = max(lateness, pc.max(column).as_py() or 0)
                else:
                    tally[mark] += pc.sum(column).as_py() or 0
            if notice is not None:
                notice(len(batch), 0, 0)
            lines, start = Lines(batch.column("line")), 0
            runs = pc.run_end_encode(batch.column("chunk"))
            for stop, chunk in zip(runs.run_ends.to_pylist(), runs.values.to_pylist(), strict=True):
                for end in (*(row for row in again if start <= row < stop), stop):
                    writer.write(chunk, lines, start, end)
                    start = end + 1
                start = stop
        files = writer.finish()
    except BaseException:
        writer.abort()
        raise
    counted = [
        {"outcome": name, "rows": rows} for name, rows in {**tally, LATENESS: lateness}.items() if rows
    ]
    return pa.RecordBatch.from_pylist([*(vars(file) for file in files), *counted], schema=_SCHEMA)


def _marks(batch: pa.RecordBatch, again: Iterable[int]) -> dict[str, pa.Array]:
    """What is told of rows beside their outcome. Of those that repeat an id only the floor: they are not delivered."""
    there = {name: batch.column(name) for name in (*MARKS, LATENESS) if name in batch.schema.names}
    if repeats := set(again):
        first = pa.array([row not in repeats for row in range(len(batch))])
        there = {name: each if name == FLOOR else each.filter(first) for name, each in there.items()}
    return there


class _Repeats:
    """Finds records that repeat the id of the one before them in their chunk, across batches too."""

    def __init__(self) -> None:
        self._place: tuple[int, str | None] = (-1, None)  # chunk and id of the last record
        self._line: str | None = None  # of the first record with that id

    def among(self, batch: pa.RecordBatch) -> dict[int, str]:
        """Per repeating row its outcome: superseded where it equals the record that is delivered, else conflict."""
        chunks, ids, lines = batch.column("chunk"), batch.column("id"), batch.column("line")
        if not len(ids):
            return {}
        before = len(ids) - 1
        same = pc.fill_null(pc.equal(ids.slice(1), ids.slice(0, before)), False)
        same = pc.and_(same, pc.equal(chunks.slice(1), chunks.slice(0, before)))
        rows = [row + 1 for row in pc.indices_nonzero(same).to_pylist()]
        if ids[0].as_py() is not None and (chunks[0].as_py(), ids[0].as_py()) == self._place:
            rows.insert(0, 0)
        found: dict[int, str] = {}
        leader = self._line
        for row in rows:
            if row and row - 1 not in found:
                leader = lines[row - 1].as_py()
            found[row] = "superseded" if lines[row].as_py() == leader else "conflict"
        self._place = (chunks[before].as_py(), ids[before].as_py())
        self._line = leader if before in found else lines[before].as_py()
        return found


class _Writer:
    """Cuts records into files: a new one when the chunk changes, or where the plan ends one."""

    def __init__(self, plan: Plan, store: Store, notice: Notice | None, texts: Texts) -> None:
        self._batch, self._store, self._notice = plan.batch, store, notice
        self._files = files_of(plan, store.prefix, texts)
        # a retried or speculative task may carry the same attempt number: only this tells its files apart
        self._attempt = uuid.uuid4().hex  # noqa: TID251 - stands in staging names only, never in a key
        self._done: list[StagedFile] = []
        self._staging: Staging | None = None
        self._chunk, self._part, self._before = -1, 0, 0

    def write(self, chunk: int, lines: Lines, start: int, stop: int) -> None:
        if chunk != self._chunk:
            self._close()
            self._chunk, self._part, self._before = chunk, 0, 0
        while start < stop:
            held = (self._records, self._file.raw_bytes) if self._staging else (0, 0)
            end = self._files.end(chunk, lines, start, stop, *held)
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
            self._key, opened = self._files.begin(self._chunk, self._part, self._before)
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
        sizes = {"bytes": file.bytes, "raw_bytes": file.raw_bytes}
        hashes = {"sha256": file.sha256, "raw_sha256": file.raw_sha256}
        place = {"chunk": self._chunk, "part": self._part, "staged": staged}
        self._done.append(StagedFile(key=self._key, records=self._records, **sizes, **hashes, **place))  # type: ignore[arg-type]
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


@contextmanager
def watched(spark: SparkSession, plan: Plan, progress: Progress) -> Iterator[Notice]:
    """Shows on the driver what tasks stage; gives the notice that ``stage`` takes."""
    context = spark.sparkContext
    with _tally(context) as (notice, done), progress.watch(f"staging {plan.batch}", plan.source_rows, done):
        yield notice


def _tally(spark: SparkContext) -> AbstractContextManager[tuple[Notice, Counter]]:
    if (spark.master or "").startswith("local"):
        with suppress(OSError):  # no room for temporary files is no reason to stop
            return _by_file(tempfile.NamedTemporaryFile(prefix="rover_spark_"))
    return _by_accumulators(spark)


@contextmanager
def _by_accumulators(spark: SparkContext) -> Iterator[tuple[Notice, Counter]]:
    """Tasks anywhere; Spark tells of each as it ends."""
    counters: list[Accumulator[int]] = [spark.accumulator(0) for _ in range(3)]

    def notice(rows: int, files: int, size: int) -> None:
        for counter, more in zip(counters, (rows, files, size), strict=True):
            counter.add(more)

    yield notice, lambda: Done(*(counter.value for counter in counters))


@contextmanager
def _by_file(appended: IO[bytes]) -> Iterator[tuple[Notice, Counter]]:
    """Tasks on this machine append to one file, row by row as they come: a task may take minutes to end."""
    size_of_one = struct.calcsize(_TOLD)
    with appended:
        path, so_far, held = appended.name, [0, 0, 0], bytearray()

        def notice(rows: int, files: int, size: int) -> None:
            with suppress(OSError), Path(path).open("ab", buffering=0) as file:
                file.write(struct.pack(_TOLD, rows, files, size))

        def done() -> Done:
            held.extend(appended.read(size_of_one * 4096))
            whole = len(held) // size_of_one * size_of_one  # the last one may be half written
            for more in struct.iter_unpack(_TOLD, bytes(held[:whole])):
                so_far[:] = (a + b for a, b in zip(so_far, more, strict=True))
            del held[:whole]
            return Done(*so_far)

        yield notice, done
