"""File locks beside a ledger on a local path. They go with the process, however it ends: nobody has to clean up.

Promises nothing for a path that is not local: there the commit alone decides which driver wins.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rover_spark.errors import DatasetBusy, RunError, of_a_file


def lock_beside(location: str) -> Path | None:
    """The lock file of a local table, beside it. None for anything that is not a local path."""
    path = location.removeprefix("file:")
    if not path.startswith("/"):
        return None
    place = Path("/" + path.lstrip("/"))
    return place.with_name(place.name + ".lock")


@contextmanager
def locked(path: Path | None) -> Iterator[None]:
    """Holds the lock while the block runs; waits for it."""
    with _opened(path) as handle:
        if handle is not None:
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def leased(path: Path | None, dataset: str, command: str = "export") -> Iterator[None]:
    """Holds the lock for a command while the block runs, which may be hours.

    Raises:
        DatasetBusy: another process holds it.
    """
    with _opened(path) as handle:
        try:
            if handle is not None:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            then = f"This {command} did nothing: run it again once that run has ended."
            if command == "export":
                then = "Nothing to do: that run goes on. If runs overlap often, schedule them further apart."
            raise DatasetBusy(
                f"{dataset}: another run is delivering it; this one left it alone",
                code="dataset_busy",
                remedy=then,
            ) from None
        yield


@contextmanager
def _opened(path: Path | None) -> Iterator[IO[str] | None]:
    if path is None:
        yield None
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("a")
    except OSError as error:
        found = of_a_file(error, f"ledger: its lock {path} cannot be written", "Nothing was delivered.")
        raise RunError(found.message, code="ledger_unwritable", remedy=found.remedy) from None
    with handle:
        yield handle
