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
    yield lambda counts, size: loaded.append(counts.objects) or sum(loaded) <= most or die()
    die()  # all is loaded, nothing is noted of its batches

engine, place, into, now, group, most = sys.argv[1], *map(Path, sys.argv[2:4]), sys.argv[4], *map(int, sys.argv[5:])
parts, read, loaded = run.parts, [], []

def reading(store, due):
    read.append(due)
    yield next(parts(store, due))
    if len(read) > most:
        die()
    yield from list(parts(store, due))[1:]

run.parts = reading
ENGINES[engine].loaded(place, into, datetime.fromisoformat(now), watching=watching, group=group)
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

    Where other processes read, it is killed after the group that has so many. ``group`` is how many share a transaction.
    """
    told = (engine.name, place, into, now.isoformat(), group, objects)
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, *map(str, told)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == -signal.SIGKILL
