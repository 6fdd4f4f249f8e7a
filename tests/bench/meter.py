"""What a process and everything it started cost: CPU seconds and peak memory, from the kernel's own books (Linux)."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

_SUBREAPER = 36  # Linux, <sys/prctl.h>
_TICK = os.sysconf("SC_CLK_TCK")
_EVERY = 0.2


def _tree() -> list[int]:
    """This process and all of its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it ended while we looked
            children.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], [os.getpid()]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    # own time, and that of children that have ended and been waited for
    return sum(int(fields[place]) for place in (11, 12, 13, 14)) / _TICK


def resident(pid: int) -> int:
    """The memory of a process that the kernel holds for it, in octets."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _is_worker(pid: int) -> bool:
    try:
        return b"pyspark.daemon" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


class Meter:
    """Measures while its block runs; ``figures`` holds the result."""

    def __enter__(self) -> Meter:
        self._worker_peak = self._driver_peak = 0
        self._stop = threading.Event()
        self._watch = threading.Thread(target=self._sample, daemon=True)
        self._began = time.perf_counter()
        self._before = sum(_cpu(pid) for pid in _tree())
        self._watch.start()
        return self

    def _sample(self) -> None:
        while not self._stop.wait(_EVERY):
            self._driver_peak = max(self._driver_peak, resident(os.getpid()))
            workers = [resident(pid) for pid in _tree() if _is_worker(pid)]
            self._worker_peak = max([self._worker_peak, *workers])

    def __exit__(self, *_: object) -> None:
        self.figures: dict[str, Any] = {
            "wall": time.perf_counter() - self._began,
            "cpu": sum(_cpu(pid) for pid in _tree()) - self._before,
        }
        self._stop.set()
        self._watch.join()
        self.figures |= {"worker_peak": self._worker_peak, "driver_peak": self._driver_peak}


def whole(command: Sequence[str], **options: Any) -> dict[str, Any]:
    """Runs a program; what it and all that it started cost, until the last of them has ended.

    A JVM ends a little later than the driver that started it. So this process takes in what its children leave behind
    (Linux, PR_SET_CHILD_SUBREAPER), waits for it, and reads the kernel's sum over ended children. ``wall`` is the time
    until the program itself ended, which is what a user waits for.
    """
    ctypes.CDLL(None).prctl(_SUBREAPER, 1)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(command, **options)
    wall = time.perf_counter() - began
    with suppress(ChildProcessError):
        while True:
            os.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": wall, "cpu": cpu, "code": done.returncode}
