"""Files examined by several processes. Answers come in no order, and do not depend on how many processes there are.

Each process has a store and a spill of its own. At most a few tasks wait, so a listing of any length goes by. A bucket of a
few small files is read in this process.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path
from typing import NamedTuple

from rover_spark.consume.conform.catalogue import Numbered
from rover_spark.consume.conform.examine import Examined, examine
from rover_spark.consume.conform.ids import Repeats, Spill, repeats, written
from rover_spark.consume.conform.lint import Lint
from rover_spark.consume.place import Place
from rover_spark.errors import RunError
from rover_spark.store import Store

SMALL = 16 << 20  # stored octets that one process reads before another would have started
_TASK_FILES, _TASK_BYTES = 50, 32 << 20
_WAITING = 3  # tasks a process


class Job(NamedTuple):
    """One file, and the number of the dataset or event type in which its ids must be unique."""

    file: Numbered
    group: int


@dataclass(frozen=True)
class Setting:
    """What each process needs. ``parts`` is how the ids of a group are divided, ``engine`` a loader or empty."""

    place: Place
    home: Path
    parts: int
    engine: str


class Worker:
    """What one process holds."""

    def __init__(self, setting: Setting) -> None:
        self._store: Store = setting.place.store()
        self._spill = Spill(setting.home, setting.parts)
        self._lint = Lint(setting.engine) if setting.engine else None

    def examined(self, jobs: list[Job]) -> list[Examined]:
        """Reads some files; their ids are written when it returns."""
        found = [examine(self._store, job.file, job.group, self._spill, self._lint) for job in jobs]
        self._spill.flush()
        return found


_WORKER: list[Worker] = []  # of a process of the pool


def _begin(setting: Setting) -> None:
    # Ctrl-C goes to every process of a terminal: this one's parent says what is true, and ends it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _WORKER[:] = [Worker(setting)]


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


def _task(jobs: list[Job]) -> list[Examined]:
    return _WORKER[0].examined(jobs)


def _track_quietly() -> None:
    """Starts what cleans up after a process that was ended, without its warning that it had something to do."""
    option = "ignore:resource_tracker"
    sys.warnoptions.append(option)
    try:
        resource_tracker.ensure_running()
    finally:
        sys.warnoptions.remove(option)


@contextmanager
def _alive() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool:
        raise RunError(
            "a process that read the bucket was ended from outside, as the system does where memory runs out",
            code="process_ended",
            remedy="Run conform again with a smaller --processes, or with more memory.",
        ) from None


class Workers:
    """Some processes, or this one. Leave it with ``close``."""

    def __init__(self, setting: Setting, processes: int) -> None:
        self._setting, self._processes = setting, processes
        self._pool: ProcessPoolExecutor | None = None
        if processes > 1:
            _track_quietly()
            # a new process each: SDKs hold threads and locks, which do not survive a fork
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(processes, context, _begin, (setting,))

    def examined(self, jobs: Iterable[Job]) -> Iterator[Examined]:
        """Every file, examined.

        Raises:
            RunError: a process was ended from outside, or the temporary directory cannot be used.
        """
        if self._pool is None:
            worker = Worker(self._setting)
            for task in _tasks(jobs):
                yield from worker.examined(task)
            return
        waiting = set[Future[list[Examined]]]()
        with _alive():
            for task in _tasks(jobs):
                waiting.add(self._pool.submit(_task, task))
                while len(waiting) >= self._processes * _WAITING:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    for each in done:
                        yield from each.result()
            for each in waiting:
                yield from each.result()

    def repeated(self) -> Iterator[Repeats]:
        """The ids that occur more than once, part by part, once every file is examined."""
        home = self._setting.home
        if self._pool is None:
            yield from (repeats(home, group, part) for group, part in written(home))
            return
        with _alive():
            read = deque[Future[Repeats]]()
            for part in written(home):
                read.append(self._pool.submit(repeats, home, *part))
                if len(read) == self._processes * _WAITING:
                    yield read.popleft().result()
            while read:
                yield read.popleft().result()

    def close(self) -> None:
        """Ends the processes, and what they still do."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


def _tasks(jobs: Iterable[Job]) -> Iterator[list[Job]]:
    task: list[Job] = []
    size = 0
    for job in jobs:
        task.append(job)
        size += job.file.file.bytes
        if len(task) >= _TASK_FILES or size >= _TASK_BYTES:
            yield task
            task, size = [], 0
    if task:
        yield task
