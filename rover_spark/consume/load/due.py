"""Which objects are to be loaded now. Pure: gets what is listed, what manifests say and what was loaded before.

With completion manifests a batch is loaded once all of its files are there. A file of such a stream that no manifest names
waits for one, as long as it is younger than the stream's newest manifest, but not for ever. Without manifests
every file that was not loaded is due. An object whose size differs from what was loaded was replaced: it is due again. So
is one that was loaded before its manifest came and has another size than that says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Literal

from rover_spark.consume.keys import EventFile, RoverFile
from rover_spark.contract.manifests import Completion

Contract = Literal["rover", "currents"]
PATIENCE = timedelta(hours=24)  # for the manifest of a file
LOOK_BACK = timedelta(hours=48)  # before the last loaded hour of a folder
GIVEN_UP = timedelta(days=30)  # an incomplete batch that is older holds no listing back


@dataclass(frozen=True)
class Due:
    """An object to be loaded. ``folder`` is its key up to ``date=``; ``sha256`` and ``records`` are what a manifest says."""

    key: str
    bytes: int
    contract: Contract
    dataset: str
    folder: str
    hour: datetime
    sha256: str = ""
    records: int = 0


@dataclass(frozen=True)
class Said:
    """A manifest: its own key and hash, the stream that it belongs to, and the whole keys of its files."""

    key: str
    sha256: str
    stream: str
    instant: datetime
    completion: Completion
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Decision:
    """What is loaded now, in order; the manifests that it serves; what waits for the rest of its batch, or for its manifest."""

    objects: tuple[Due, ...]
    complete: tuple[Said, ...]
    waiting: tuple[Said, ...]
    unnamed: tuple[str, ...]


def stream_of(file: RoverFile | EventFile) -> str:
    """The stream of a file, as manifests have it: the folder of a dataset, or that of an integration."""
    return file.place if isinstance(file, EventFile) else f"{file.place}/exports/{file.dataset}".lstrip("/")


def folder_of(key: str) -> str:
    """A key up to its date."""
    return key[: key.find("/date=") + 1]


def decide(
    found: Iterable[RoverFile | EventFile],
    manifests: Sequence[Said],
    loaded: Mapping[str, int],
    newest: Mapping[str, datetime],
    now: datetime,
) -> Decision:
    """Decides. ``loaded`` has the size of each key that is in the tables, ``newest`` the last manifest of each stream."""
    files = {file.key: file for file in found}
    named = {
        key: (file.sha256, file.records, file.bytes)
        for each in manifests
        for key, file in zip(each.keys, each.completion.files, strict=True)
    }
    last = dict(newest)
    for each in manifests:
        last[each.stream] = max(each.instant, last.get(each.stream, each.instant))
    complete, waiting = list[Said](), list[Said]()
    for each in manifests:
        (complete if all(key in files or key in loaded for key in each.keys) else waiting).append(each)
    whole = {key for each in complete for key in each.keys}
    unnamed = []
    due = []
    for key, file in files.items():
        sha256, records, size = named.get(key, ("", 0, file.bytes))
        if loaded.get(key) == file.bytes == size:
            continue
        if key not in named:
            if _waits(file, last.get(stream_of(file)), now):
                unnamed.append(key)
                continue
        elif key not in whole:
            continue
        due.append(_due(file, sha256, records))
    return Decision(
        objects=tuple(sorted(due, key=lambda each: (each.contract, each.dataset, each.hour, each.key))),
        complete=tuple(complete),
        waiting=tuple(waiting),
        unnamed=tuple(unnamed),
    )


def _waits(file: RoverFile | EventFile, newest: datetime | None, now: datetime) -> bool:
    """Whether a file that no manifest names may still get one."""
    if newest is None:
        return False
    written = file.stamp if isinstance(file, RoverFile) else file.hour
    return written > newest and now - written < PATIENCE


def _due(file: RoverFile | EventFile, sha256: str, records: int) -> Due:
    rover = isinstance(file, RoverFile)
    return Due(
        key=file.key,
        bytes=file.bytes,
        contract="rover" if rover else "currents",
        dataset=file.dataset if isinstance(file, RoverFile) else file.event_type,
        folder=folder_of(file.key),
        hour=file.hour,
        sha256=sha256,
        records=records,
    )


def horizon(last: datetime | None, waiting: datetime | None, look_back: timedelta) -> datetime | None:
    """The instant from which on a folder is listed; None for all of it.

    ``last`` is the last hour that was loaded from it, ``waiting`` the first one of a batch that is not complete.
    """
    if last is None:
        return None
    floor = datetime(1970, 1, 1, tzinfo=timezone.utc) + GIVEN_UP
    since = max(last, floor) - look_back
    return since if waiting is None else max(min(since, waiting), max(last, floor) - GIVEN_UP)
