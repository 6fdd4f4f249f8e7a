"""Writes down what is staged of a large batch while the rest is staged: after a crash only the rest is staged again.

Each task that ended reports its chunks through an accumulator, so that what arrives is what Spark accepted, once. What
arrived goes into the ledger, in one commit of a thread of its own: first after ten seconds, so that a batch that is staged
sooner costs no commit, then each time a twentieth of the time has passed again, but not within two seconds and at the
latest after ten. So much work a kill costs. Where the driver has no SparkContext nothing is reported.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Event, Thread
from typing import TYPE_CHECKING

from pyspark.accumulators import Accumulator, AccumulatorParam
from pyspark.errors import PySparkException

from rover_spark.delta.session import Session
from rover_spark.model.plan import Plan
from rover_spark.produce.port import Producer

if TYPE_CHECKING:
    from rover_spark.ledger.table import Ledger  # executors load this module, and write no ledger

EVERY = 10.0  # seconds before the first commit, and between two at the most
_PART, _LEAST = 0.05, 0.2  # of the time that passed; of EVERY
Report = Callable[[str], None]  # the text of the chunks that a task staged
_LOG = logging.getLogger("rover_spark")
_NOT_NOTED = "%s: what is staged is not noted, so a run that dies stages all of it again: %s"


class _Texts(AccumulatorParam[list[str]]):
    """Lists that grow in place: the driver takes what has arrived out of its own."""

    def zero(self, value: list[str]) -> list[str]:
        return []

    def addInPlace(self, value1: list[str], value2: list[str]) -> list[str]:
        value1.extend(value2)
        return value1


class Journal:
    """The journal of one run's batches, in the ledger; ``versions`` are those of what writes them."""

    def __init__(
        self, session: Session, ledger: Ledger, producer: Producer, versions: Callable[[], dict[str, str]]
    ) -> None:
        self._session, self._ledger, self._producer, self._versions = session, ledger, producer, versions
        self._began = time.monotonic()

    def of(self, plan: Plan) -> AbstractContextManager[Report | None]:
        """While the block runs, what tasks report of this batch goes into the ledger; yields what they call, or None."""
        storage = self._ledger.storage
        if storage is None or storage.place is None:
            return nullcontext()  # Spark's commits would wait until the tasks that stage leave it a slot

        told = False

        def write(texts: Sequence[str]) -> bool:
            at = self._producer.now + round((time.monotonic() - self._began) * 1000)
            try:
                return self._ledger.record_journal(plan, at, self._versions(), texts)
            except Exception as error:  # noqa: BLE001 - staging goes on without a journal, whatever its writer trips over
                nonlocal told
                if not told:
                    _LOG.warning(_NOT_NOTED, plan.batch, error)
                told = True
                return False

        return journaled(self._session, write)


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
        pause = EVERY
        while not stop.wait(pause):
            flush()
            pause = min(EVERY, max(_LEAST * EVERY, _PART * (time.monotonic() - began)))

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
