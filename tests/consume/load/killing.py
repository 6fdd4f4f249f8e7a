"""A run of the loader in a process of its own, ended by SIGKILL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path

from tests.consume.load.loading import NOW, Engine

_KILLED = """
import os, signal, sys
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from rover_spark.consume.load import run
from tests.consume.load.engines import ENGINES

def die():
    os.kill(os.getpid(), signal.SIGKILL)

@contextmanager
def watching(objects):
    yield lambda counts, size: None
    die()  # all is loaded, nothing is noted of its batches

engine, place, into, now, group, objects = sys.argv[1:]
parts, read = run.parts, []

def reading(store, due):
    read.append(due)
    yield next(parts(store, due))
    if len(read) > int(objects):
        die()
    yield from list(parts(store, due))[1:]

run.parts, run.GROUP_OBJECTS = reading, int(group)
ENGINES[engine].loaded(Path(place), Path(into), datetime.fromisoformat(now), watching=watching)
"""


def killed(
    engine: Engine,
    place: Path,
    into: Path,
    now: datetime = NOW,
    *,
    group: int = 500,
    objects: int = sys.maxsize,
) -> None:
    """A run that is killed while it reads an object after so many, at the latest before it notes the batches.

    ``group`` is how many objects share a transaction.
    """
    told = (engine.name, place, into, now.isoformat(), group, objects)
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, *map(str, told)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == -signal.SIGKILL
