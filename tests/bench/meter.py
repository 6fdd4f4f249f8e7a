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
_EVERY = 0.3  # seconds between two looks at memory
ROLES = ("jvm", "driver", "worker")  # what a process is; a peer without Spark is one driver


def _tree(root: int) -> dict[int, int]:
    """A process and all of its descendants, each with its parent."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _fields(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = {root: 0}, [root]
    while waiting:
        parent = waiting.pop()
        found.update(dict.fromkeys(children.get(parent, ()), parent))
        waiting += children.get(parent, [])
    return found


def _fields(pid: int) -> list[str]:
    """What the kernel says of a process, from its state on; nothing once it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _cpu(pid: int, places: Sequence[int] = (11, 12, 13, 14)) -> float:
    """Its own time, and that of children that have ended and been waited for."""
    fields = _fields(pid)
    return sum(int(fields[place]) for place in places) / _TICK if fields else 0.0


def resident(pid: int) -> int:
    """The memory of a process that the kernel holds for it, in octets; what forks share counts for each."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _role(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return "driver"
    if b"pyspark.daemon" in words:
        return "worker"
    return "jvm" if words[0].endswith(b"java") else "driver"


class _Watch:
    """The most memory that one process of each role had at a time, and all of them together, while the block runs.

    ``unwaited`` is the CPU time of Spark's Python workers: their parent ignores that they end, so the kernel adds it to
    nobody's. It may miss what they did in the last third of a second.
    """

    def __init__(self, root: int) -> None:
        self._root = root
        self._stop = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._workers: dict[int, float] = {}
        self.found = dict.fromkeys((*ROLES, "together"), 0)

    @property
    def unwaited(self) -> float:
        """Seconds."""
        return sum(self._workers.values())

    def __enter__(self) -> _Watch:
        self._watch.start()
        return self

    def _look(self) -> None:
        while not self._stop.wait(_EVERY):
            tree = _tree(self._root)
            roles = {pid: _role(pid) for pid in tree}
            for pid, parent in tree.items():
                # forked by the daemon, which has the same command line
                if roles[pid] == roles.get(parent) == "worker":
                    self._workers[pid] = max(self._workers.get(pid, 0.0), _cpu(pid, (11, 12)))
            sizes = [(roles[pid], resident(pid)) for pid in tree]
            for role, size in (*sizes, ("together", sum(size for _, size in sizes))):
                self.found[role] = max(self.found[role], size)

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._watch.join()


class Meter:
    """CPU and time of this process and its descendants while its block runs; ``figures`` holds the result."""

    def __enter__(self) -> Meter:
        self._began = time.perf_counter()
        self._before = self._spent()
        return self

    def _spent(self) -> float:
        return sum(_cpu(pid) for pid in _tree(os.getpid()))

    def __exit__(self, *_: object) -> None:
        wall = time.perf_counter() - self._began
        self.figures: dict[str, Any] = {"wall": wall, "cpu": self._spent() - self._before}


def whole(command: Sequence[str], **options: Any) -> dict[str, Any]:
    """Runs a program; what it and all that it started cost, until the last of them has ended.

    A JVM ends a little later than the driver that started it. So this process takes in what its children leave behind
    (Linux, PR_SET_CHILD_SUBREAPER), waits for it, and reads the kernel's sum over ended children. ``wall`` is the time
    until the program itself ended, which is what a user waits for. ``out`` is what it printed, where ``stdout`` is a pipe.
    """
    ctypes.CDLL(None).prctl(_SUBREAPER, 1)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    with subprocess.Popen(command, **options) as child, _Watch(child.pid) as watch:
        out, _ = child.communicate()
    wall = time.perf_counter() - began
    with suppress(ChildProcessError):
        while True:
            os.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime + watch.unwaited
    return {"wall": wall, "cpu": cpu, "code": child.returncode, "out": out, **watch.found}
