"""The decided rows of a range of changes, kept on the executors' disks from planning until the batch is staged.

How many files a batch has depends on how many records it delivers, and of an overwrite or a RESTORE only the rows tell. So they
are decided when the batch is planned, and staging takes the same rows. A later run, a recovery or a redelivery decides them
anew from the plan: same rows. Where an engine keeps no rows (serverless), they are decided again when they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from math import ceil

from py4j.protocol import Py4JError
from pyspark import StorageLevel
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rover_spark.model.manifest import BEFORE
from rover_spark.produce.rover.fields import keyed
from rover_spark.produce.rover.identifiers import counting
from rover_spark.produce.rover.plan import BatchPlan
from rover_spark.produce.rover.records import decided, needed
from rover_spark.produce.rover.unchanged import changed_keys

_ROWS = 100_000  # of a partition


@dataclass(frozen=True)
class Kept:
    """``rows`` are those of a plan that may be more than no change; ``settled`` counts all others by outcome.

    ``delivered`` of the rows become records.
    """

    plan: BatchPlan
    rows: DataFrame
    settled: dict[str, int]
    delivered: int
    frames: tuple[DataFrame, ...]

    def serves(self, plan: BatchPlan) -> bool:
        """Whether these are the rows of a plan."""
        return replace(self.plan, versions=plan.versions) == plan

    def release(self) -> None:
        """Frees the disks. Rows that are asked for afterwards are read again."""
        _free(self.frames)


def kept(feed: DataFrame, plan: BatchPlan, floors: DataFrame | None, *, rewritten: bool) -> Kept:
    """Decides the rows of a feed. ``rewritten``: most of them may have come back as they were. Wrap it in ``reading``."""
    rows = keyed(counting(feed, plan.dataset, plan.source), plan)
    # Spark does not merge small partitions of what it keeps
    partitions = ceil(plan.source_rows / _ROWS)
    frames, settled = list[DataFrame](), dict[str, int]()
    try:
        if rewritten:
            frames.append(_persisted(changed_keys(rows, partitions)))
            unchanged = sum(row["rows"] for row in frames[0].where("key IS NULL").collect())
            if 2 * unchanged >= plan.source_rows:  # else to look for the others costs more than it saves
                rows = rows.join(frames[0].where("key IS NOT NULL").select("key"), "key", "left_semi")
                settled = {"no_change": unchanged // 2, BEFORE: unchanged // 2}
        frames.append(_persisted(needed(decided(rows, plan, floors, partitions=partitions))))
        delivered = frames[-1].where(F.col("outcome") == "delivered").count()
    except BaseException:
        _free(frames)
        raise
    return Kept(plan, frames[-1], settled, delivered, tuple(frames))


def _free(frames: Iterable[DataFrame]) -> None:
    for frame in frames:
        with suppress(PySparkException, Py4JError, OSError):  # the session may have ended
            frame.unpersist()


def _persisted(frame: DataFrame) -> DataFrame:
    try:
        return frame.persist(StorageLevel.DISK_ONLY)
    except PySparkException:
        return frame
