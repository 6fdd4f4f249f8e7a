"""From a plan to its manifest: stages the rows of its work and writes the side tables. Nothing of it is visible."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rover_spark.config.access import Access
from rover_spark.deliver.journal import Report
from rover_spark.deliver.task import MANIFEST, Tally, task
from rover_spark.deliver.watch import Notice
from rover_spark.delta.frames import union
from rover_spark.delta.parallel import side_by_side
from rover_spark.errors import NotRepeatable
from rover_spark.ledger.side_tables import write_once
from rover_spark.ledger.table import Ledger
from rover_spark.model.file import StagedFile
from rover_spark.model.journal import NO_CHUNKS, Chunks
from rover_spark.model.manifest import Manifest
from rover_spark.model.plan import Plan
from rover_spark.produce.port import Beside, Cutter, Part, Work
from rover_spark.store import open_store


def staged(
    ledger: Ledger,
    plan: Plan,
    work: Work,
    notice: Notice | None,
    access: Access,
    report: Report | None = None,
    done: Chunks = NO_CHUNKS,
) -> Manifest:
    """Stages every file of a plan; side tables are written once a batch.

    ``done`` are chunks that an earlier run staged; ``work.chunks`` are the others then, and the manifest has both. If
    ``work.chunks`` is set without them, the whole batch was staged before: side tables are not written again, and row
    counts are not compared because the caller compares files. ``report`` is what tasks call with what they staged.

    Raises:
        SourceGap, RunError, StoreError: nothing of the batch is visible.
        NotRepeatable: other rows arrived than were counted when the batch was planned.
    """
    if not work.parts:
        return Manifest()
    first = work.chunks is None or bool(done)

    def one(make: Callable[[], Part]) -> tuple[Manifest, tuple[Beside, ...]]:
        part = make()
        if work.chunks is not None:
            part = replace(part, frame=part.frame.where(_among(F.col("chunk"), work.chunks)))
        manifest = Manifest(rows=dict(part.settled))
        if work.chunks != frozenset():
            manifest = stage(part, plan, work.cutter, notice, access, report if work.resumable else None)
        counted = (manifest, *done.values())
        beside = [each for each in part.beside if first and any(some.count(each.when) for some in counted)]
        return manifest, tuple(beside)

    with work.reading():
        parts = side_by_side(one, work.parts)
        expected = plan.source_rows if first else None
        found = [each for each, _ in parts]
        manifest = whole(found, plan, work.cutter, expected, access, at_most=work.at_most, done=done)
        beside: dict[str, list[DataFrame]] = {}
        for each in (each for _, found in parts for each in found):
            beside.setdefault(each.table, []).append(each.rows())
        for table, rows in beside.items():
            write_once(ledger, table, plan, union(rows))
    return manifest


def stage(
    part: Part,
    plan: Plan,
    cutter: Cutter,
    notice: Notice | None = None,
    access: Access | None = None,
    report: Report | None = None,
) -> Manifest:
    """Stages a batch or a part of it: one Spark job, one manifest.

    ``notice`` is called as rows pass, mostly on executors, for progress only; ``report`` as a task ends.
    """
    staging = part.frame.mapInArrow(task(plan, part, cutter, notice, access, report), MANIFEST)
    with part.within():
        rows = staging.collect()  # exactly one action: another one would stage everything again
    files, tally = [], Tally(cutter.marks)
    for row in rows:
        if row["key"] is None:
            tally.add(row["counted"], row["rows"])
        else:
            files.append(StagedFile(**{name: row[name] for name in StagedFile.__dataclass_fields__}))
    for outcome, count in part.settled.items():
        tally.add(outcome, count)
        if notice is not None:
            notice(count, 0, 0)
    return tally.manifest(files)


def whole(
    parts: Sequence[Manifest],
    plan: Plan,
    cutter: Cutter,
    expected: int | None,
    access: Access | None = None,
    *,
    at_most: int = 0,
    done: Chunks = NO_CHUNKS,
) -> Manifest:
    """The manifest of a batch, or of some of its chunks, from those of its parts and of the chunks ``done`` before.

    Raises:
        NotRepeatable: another number of rows arrived than was ``expected``, of which a filter may take ``at_most`` so many away
            (None expects none), or two tasks staged one chunk.
    """
    tally = Tally(cutter.marks)
    for part in (*parts, *done.values()):
        tally.add_all(part.rows)
        tally.add_all(part.marks)
    manifest = tally.manifest(file for part in (*parts, *done.values()) for file in part.files)
    arrived = sum(manifest.rows.values())
    differ = expected is not None and not expected - at_most <= arrived <= expected
    twice = len({file.key for file in manifest.files}) < len(manifest.files)
    if differ or twice:
        open_store(plan.destination, plan.export, access).abort(
            file.staged for part in parts for file in part.files
        )
        if twice:
            raise NotRepeatable(
                f"{plan.batch}: two tasks staged rows of one chunk, so Spark split a data file",
                code="chunk_split",
                remedy="Nothing was replaced. Run it where Spark reads a data file in one task."
                if expected is None
                else 'Nothing is visible, and the batch is aborted. Set files.layout = "hash" and run export again.',
            )
        raise NotRepeatable(
            f"{plan.batch}: {expected} source rows were counted when it was planned, {arrived} arrived",
            code="rows_differ",
            remedy="Nothing new is visible. The source changed under a pinned version, or an expression is not steady.",
        )
    return manifest


def _among(column: Column, numbers: Collection[int]) -> Column:
    """Whether an integer from 0 is one of these: an octet for each, however many there are."""
    octets = bytearray(max(numbers, default=0) + 1)
    for number in numbers:
        octets[number] = 1
    return F.lit(bytes(octets)).substr(column.cast("int") + 1, F.lit(1)) == F.lit(b"\x01")
