"""Counts on the driver what running tasks have staged so far; the numbers are for the progress display only."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO

from pyspark import SparkContext
from pyspark.accumulators import Accumulator

from rover_spark.deliver.progress import Counter, Done, Progress
from rover_spark.delta.session import Session
from rover_spark.model.plan import Plan

Notice = Callable[[int, int, int], None]  # rows, files, bytes
_NOTICE = "<3q"  # one in a file


@contextmanager
def watched(session: Session, plan: Plan, progress: Progress) -> Iterator[Notice]:
    """Shows on the driver what tasks stage; gives the notice that ``stage`` takes."""
    context = session.spark.sparkContext
    with (
        _counting(context) as (notice, done),
        progress.watch(f"staging {plan.batch}", plan.source_rows, done),
    ):
        yield notice


def _counting(spark: SparkContext) -> AbstractContextManager[tuple[Notice, Counter]]:
    if (spark.master or "").startswith("local"):
        with suppress(OSError):  # no room for temporary files is no reason to stop
            return _by_file(tempfile.NamedTemporaryFile(prefix="rover_spark_"))
    return _by_accumulators(spark)


@contextmanager
def _by_accumulators(spark: SparkContext) -> Iterator[tuple[Notice, Counter]]:
    """Tasks anywhere; Spark reports each as it ends."""
    counters: list[Accumulator[int]] = [spark.accumulator(0) for _ in range(3)]

    def notice(rows: int, files: int, size: int) -> None:
        for counter, more in zip(counters, (rows, files, size), strict=True):
            counter.add(more)

    yield notice, lambda: Done(*(counter.value for counter in counters))


@contextmanager
def _by_file(appended: IO[bytes]) -> Iterator[tuple[Notice, Counter]]:
    """Tasks on this machine append to one file, row by row as they come: a task may take minutes to end."""
    size_of_one = struct.calcsize(_NOTICE)
    with appended:
        path, so_far, held = appended.name, [0, 0, 0], bytearray()

        def notice(rows: int, files: int, size: int) -> None:
            with suppress(OSError), Path(path).open("ab", buffering=0) as file:
                file.write(struct.pack(_NOTICE, rows, files, size))

        def done() -> Done:
            held.extend(appended.read(size_of_one * 4096))
            whole = len(held) // size_of_one * size_of_one  # the last one may be half written
            for more in struct.iter_unpack(_NOTICE, bytes(held[:whole])):
                so_far[:] = (a + b for a, b in zip(so_far, more, strict=True))
            del held[:whole]
            return Done(*so_far)

        yield notice, done
