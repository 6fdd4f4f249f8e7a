"""Which objects are to be loaded now. Pure: gets what is listed, what manifests say and what was loaded before.

With completion manifests a batch is loaded once all of its files are there. A file of such a stream that no manifest names
waits for one, as long as it is younger than the stream's newest manifest, but not for ever. Without manifests
every file that was not loaded is due. An object whose size differs from what was loaded was replaced: it is due again. So
is one that was loaded before its manifest came and has another size or hash than that says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Literal, NamedTuple

from rover_spark.consume.keys import EventFile, RoverFile
from rover_spark.contract.manifests import Completion, DeliveredFile

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


class Kept(NamedTuple):
    """What a warehouse keeps of a loaded object: its size and its SHA-256."""

    bytes: int
    sha256: str


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
    loaded: Mapping[str, Kept],
    newest: Mapping[str, datetime],
    now: datetime,
) -> Decision:
    """Decides. ``loaded`` has what is kept of each key in the tables, ``newest`` the last manifest of each stream."""
    files = {file.key: file for file in found}
    named = {key: file for each in manifests for key, file in _files(each)}
    last = dict(newest)
    for each in manifests:
        last[each.stream] = max(each.instant, last.get(each.stream, each.instant))
    complete, waiting = list[Said](), list[Said]()
    for each in manifests:
        there = all(key in files or _agree(loaded.get(key), file) for key, file in _files(each))
        (complete if there else waiting).append(each)
    whole = {key for each in complete for key in each.keys}
    unnamed = []
    due = []
    for key, file in files.items():
        said, kept = named.get(key), loaded.get(key)
        if kept is not None and kept.bytes == file.bytes and (said is None or _agree(kept, said)):
            continue
        if said is None:
            if _waits(file, last.get(stream_of(file)), now):
                unnamed.append(key)
                continue
        elif key not in whole:
            continue
        due.append(_due(file, said))
    return Decision(
        objects=tuple(sorted(due, key=lambda each: (each.contract, each.dataset, each.hour, each.key))),
        complete=tuple(complete),
        waiting=tuple(waiting),
        unnamed=tuple(unnamed),
    )


def is_loaded(said: Said, loaded: Mapping[str, Kept]) -> bool:
    """Whether every file of a batch is in the tables, as its manifest says."""
    return all(_agree(loaded.get(key), file) for key, file in _files(said))


def _files(said: Said) -> Iterator[tuple[str, DeliveredFile]]:
    return zip(said.keys, said.completion.files, strict=True)


def _agree(kept: Kept | None, said: DeliveredFile) -> bool:
    return kept == (said.bytes, said.sha256)


def _waits(file: RoverFile | EventFile, newest: datetime | None, now: datetime) -> bool:
    """Whether a file that no manifest names may still get one."""
    if newest is None:
        return False
    if isinstance(file, RoverFile):
        return file.stamp > newest and now - file.stamp < PATIENCE
    # of events only the hour is known
    return file.hour >= newest.replace(minute=0, second=0, microsecond=0) and now - file.hour < PATIENCE


def _due(file: RoverFile | EventFile, said: DeliveredFile | None) -> Due:
    rover = isinstance(file, RoverFile)
    return Due(
        key=file.key,
        bytes=file.bytes,
        contract="rover" if rover else "currents",
        dataset=file.dataset if isinstance(file, RoverFile) else file.event_type,
        folder=folder_of(file.key),
        hour=file.hour,
        sha256=said.sha256 if said else "",
        records=said.records if said else 0,
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
