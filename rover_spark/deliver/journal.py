"""Writes down what is staged of a large batch while the rest is staged: after a crash only the rest is staged again.

Each task that ended reports its chunks through an accumulator, so that what arrives is what Spark accepted, once. Every
ten seconds what arrived goes into the ledger, in one commit of a thread of its own: a kill costs the work of ten seconds,
and a batch that is staged sooner costs no commit. Where the driver has no SparkContext nothing is reported.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from pyspark.accumulators import Accumulator, AccumulatorParam
from pyspark.errors import PySparkException

from rover_spark.delta.session import Session

EVERY = 10.0  # seconds between two commits, and before the first
Report = Callable[[str], None]  # the text of the chunks that a task staged


class _Texts(AccumulatorParam[list[str]]):
    """Lists that grow in place: the driver takes what has arrived out of its own."""

    def zero(self, value: list[str]) -> list[str]:
        return []

    def addInPlace(self, value1: list[str], value2: list[str]) -> list[str]:
        value1.extend(value2)
        return value1


@contextmanager
def journaled(session: Session, write: Callable[[list[str]], bool]) -> Iterator[Report | None]:
    """While the block runs, ``write`` gets what tasks reported since it last returned True; yields what tasks call.

    If the block ends by an error, the last reports are written, too. Yields None where tasks cannot report.
    """
    texts = _accumulator(session)
    if texts is None:
        yield None
        return
    stop, waiting, began = Event(), list[str](), time.monotonic()

    def flush() -> None:
        arrived = texts.value
        number = len(arrived)  # more may come at its end meanwhile
        waiting.extend(arrived[:number])
        del arrived[:number]
        if waiting and write(waiting):
            waiting.clear()

    def keep_writing() -> None:
        while not stop.wait(EVERY):
            flush()

    writer = Thread(target=keep_writing, name="journal", daemon=True)
    writer.start()
    failed = True
    try:
        yield _report_to(texts)
        failed = False
    finally:
        stop.set()
        writer.join()
        if failed and time.monotonic() - began >= EVERY:
            flush()


def _report_to(texts: Accumulator[list[str]]) -> Report:
    def report(text: str) -> None:
        texts.add([text])

    return report


def _accumulator(session: Session) -> Accumulator[list[str]] | None:
    try:
        return session.spark.sparkContext.accumulator([], _Texts())
    except (PySparkException, AttributeError):
        return None
