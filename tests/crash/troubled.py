"""Python workers that get into trouble while they stage: at a partition, and for as many attempts as a test says.

Spark runs this in place of its own daemon (`spark.python.daemon.module=troubled`, this directory on PYTHONPATH); the
driver and the package stay as they are. What is struck is `os.fsync`, the instant at which a staged file becomes durable.
So the package need not be there when this is imported: a wheel comes with the task.

TROUBLE            killed: SIGKILL while the file is written · failing: the disk says no · slow: takes its time
                   lost: SIGKILL once the file is durable, before the task's rows go back · held: waits for ROOT/go
TROUBLE_ROOT       what was seen at each blow is written below it: trouble/PARTITION-ATTEMPT-PID
TROUBLE_PARTITION  the task that is struck; without it, each
TROUBLE_ATTEMPTS   how many of its attempts are struck, beginning with the first
"""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import sys
import time
from pathlib import Path

_LONGEST = 300.0  # seconds: a worker that nobody stops must not outlive the test for long
_fsync = os.fsync


def _troubled(handle: int) -> None:
    from pyspark import TaskContext

    trouble, task = os.environ["TROUBLE"], TaskContext.get()
    # a staged file is synced first, its directory last: after that only the rows are left to be sent
    at_the_file = stat.S_ISREG(os.fstat(handle).st_mode)
    if trouble == "lost":
        _fsync(handle)
    if (
        task is not None
        and at_the_file == (trouble != "lost")
        and os.environ.get("TROUBLE_PARTITION", str(task.partitionId())) == str(task.partitionId())
        and task.attemptNumber() < int(os.environ["TROUBLE_ATTEMPTS"])
    ):
        root = Path(os.environ["TROUBLE_ROOT"])
        _witness(root, f"{task.partitionId()}-{task.attemptNumber()}-{os.getpid()}")
        _strike(trouble, root)
    if trouble != "lost":
        _fsync(handle)


def _witness(root: Path, name: str) -> None:
    """What is true at this instant, for the test to judge: a broken promise may look mended when the run has ended."""
    seen = {
        "visible": sorted(path.name for path in (root / "bucket" / "exports").rglob("*") if path.is_file()),
        "package": sys.modules["rover_spark"].__file__,
        "directory": os.getcwd(),
    }
    (root / "trouble").mkdir(exist_ok=True)
    # whole at once: the test may be looking
    hidden = root / "trouble" / f".{name}"
    hidden.write_text(json.dumps(seen), encoding="utf-8")
    hidden.rename(root / "trouble" / name)


def _strike(trouble: str, root: Path) -> None:
    if trouble == "failing":
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    if trouble == "slow":
        time.sleep(0.3)
    elif trouble == "held":
        until = time.monotonic() + _LONGEST
        while not (root / "go").exists() and time.monotonic() < until:
            time.sleep(0.05)
    else:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    from pyspark.daemon import manager

    os.fsync = _troubled
    manager()
