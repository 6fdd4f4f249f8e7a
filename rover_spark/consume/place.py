"""A place that a receiver looks at: what of it is listed, and how an object is read. Writes nothing.

A place is a bucket or a prefix of one, or a directory. Listing streams: it holds no more than a page of objects.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from rover_spark.config.access import Access
from rover_spark.consume.keys import EventFile, Found, RoverFile, Stray, classified
from rover_spark.errors import ConfigError
from rover_spark.store import STAGING, Store, below, open_store

# a directory inside an export: keys begin above it
_INSIDE = re.compile(
    r"(?P<root>.+)/(?P<prefix>(?:exports|dataexport\.[^/]+)(?:/(?:fan_[a-z_]+|event_type=[^/]+)(?:/.*)?)?)"
)
_ROVER_HOUR, _EVENT_HOUR = "date=%Y-%m-%d/hour=%H/", "date=%Y-%m-%d-%H/"
_FOLDERS = 2000  # that are looked at before a whole listing costs less
_DEPTH = 6  # of folders above a date
_NOBODY = "receiver"  # no export: nothing is staged here


@dataclass(frozen=True)
class Place:
    """Where to look. Picklable: each process opens its own store.

    ``destination`` is what the store is opened with, ``prefix`` where keys begin that are looked at; empty for all.
    """

    destination: str
    prefix: str
    access: Access

    def store(self) -> Store:
        """A store for listing and reading. Raises ConfigError where its SDK is missing."""
        return open_store(self.destination, _NOBODY, self.access)

    def beside(self, *words: str) -> Place | None:
        """The place of other objects beside this one, as ``s3://bucket/manifests.acme`` beside ``s3://bucket/acme``.

        The first of ``words`` begins its name that does not make it one of the keys that begin with this prefix. None for a
        whole bucket.
        """
        above, _, last = self.destination.rstrip("/").rpartition("/")
        if above.endswith(":/") or not last:
            return None
        name = f"{next(word for word in words if not f'{word}.'.startswith(last))}.{last}"
        scheme, _, rest = above.partition("://")
        prefix = "" if scheme == "file" else below(rest.partition("/")[2], name)
        return Place(f"{above}/{name}", prefix, self.access)


def open_place(url: str, access: Access | None = None) -> Place:
    """The place at a URL (s3, gs, az, file) or at a path of a directory.

    Raises:
        ConfigError: no such scheme, or no such directory.
    """
    scheme, marked, rest = url.partition("://")
    access = access or Access()
    if not marked or scheme == "file":
        return _directory(Path(rest if marked else url), access)
    if scheme == "memory":
        return Place(url, rest.partition("/")[2].strip("/"), access)
    if scheme not in {"s3", "gs", "az"} or not rest.strip("/"):
        raise ConfigError(
            f"{url}: no place to look at",
            code="place_unknown",
            remedy="Use s3://bucket/prefix, gs://…, az://…, file:///directory, or the path of a directory.",
        )
    prefix = rest.partition("/")[2]
    return Place(url.rstrip("/"), prefix.strip("/"), access)


def _directory(path: Path, access: Access) -> Place:
    with suppress(OSError):
        path = path.resolve()
    if not path.is_dir():
        raise ConfigError(
            f"{path}: no such directory",
            code="place_unknown",
            remedy="Name the directory or the URL that holds the exported files.",
        )
    found = _INSIDE.fullmatch(path.as_posix())
    root, prefix = (found["root"], found["prefix"]) if found else (path.as_posix(), "")
    return Place(f"file://{root}", prefix, access)


def listed(place: Place) -> Iterator[Found]:
    """Everything below the place, classified, in no order. Raises StoreError where the store refuses."""
    for info in place.store().listing(below(place.prefix, "") if place.prefix else ""):
        yield classified(info.key, info.bytes, place.prefix)


def listed_since(place: Place, since: datetime, until: datetime) -> Iterator[Found]:
    """The files and manifests of the hours in a range, without a listing of any other hour, where the place has at most some folders.

    Folders are looked at down to exports and integrations; in these only the hours of the range are listed, or the days where
    it spans over two days. What lies beside them is not listed. A place of very many folders is listed whole.

    Raises:
        StoreError: the store refuses.
    """
    store = place.store()
    folders = _dated_folders(store, place)
    found: Iterator[Found] = (
        listed(place)
        if folders is None
        else (
            classified(info.key, info.bytes, place.prefix)
            for folder, by_hour in folders
            for start in _starts(by_hour, since, until)
            for info in store.listing(f"{folder}{start}")
        )
    )
    for each in found:
        if not isinstance(each, (RoverFile, EventFile)) or _within(each.hour, since, until):
            yield each


def listed_by_folder(
    place: Place, since_of: Callable[[str], datetime | None], until: datetime
) -> Iterator[Found]:
    """What lies in dated folders, each from an hour of its own on: of the others no hour before it is listed.

    ``since_of`` gets a folder that holds ``date=…``, with a slash at its end; None lists all of it. A place of very many
    folders, and one inside of a date, is listed whole.

    Raises:
        StoreError: the store refuses.
    """
    store = place.store()
    folders = None if "date=" in place.prefix else _dated_folders(store, place)
    if folders is None:
        yield from listed(place)
        return
    for folder, by_hour in folders:
        since = since_of(folder)
        for start in ("",) if since is None else _starts(by_hour, since, until):
            for info in store.listing(f"{folder}{start}"):
                yield classified(info.key, info.bytes, place.prefix)


def _dated_folders(store: Store, place: Place) -> list[tuple[str, str]] | None:
    """The folders that hold ``date=…`` below a place, each with how an hour is written there; None where there are too many, or none."""
    waiting = deque([(below(place.prefix, "") if place.prefix else "", 0)])
    found: list[tuple[str, str]] = []
    looked = 0
    while waiting:
        folder, depth = waiting.popleft()
        looked += 1
        if looked > _FOLDERS:
            return None
        inside = list(islice(store.folders(folder), _FOLDERS + 1))
        if any(each.removeprefix(folder).startswith("date=") for each in inside):
            found.append((folder, _ROVER_HOUR if "/event_type=" not in f"/{folder}" else _EVENT_HOUR))
        elif depth < _DEPTH:
            waiting.extend((each, depth + 1) for each in inside if each.removeprefix(folder) != f"{STAGING}/")
        elif inside:
            return None
    return found or None


def _starts(by_hour: str, since: datetime, until: datetime) -> Iterator[str]:
    """How keys begin in a range of hours, or of days where there are many."""
    few = until - since <= timedelta(days=2)
    at = since.astimezone(timezone.utc).replace(minute=0, second=0, microsecond=0)
    at = at if few else at.replace(hour=0)
    while at <= until:
        yield f"{at:{by_hour}}" if few else f"date={at:%Y-%m-%d}"
        at += timedelta(hours=1) if few else timedelta(days=1)


def _within(hour: datetime, since: datetime, until: datetime) -> bool:
    return since < hour + timedelta(hours=1) and hour <= until


def files_of_hours(
    place: Place, datasets: Sequence[str], since: datetime, until: datetime
) -> Iterator[RoverFile | Stray]:
    """The Rover files of datasets in a range of hours, without a look at any other hour; oldest first, in no order inside of one.

    ``place`` is the one whose prefix ``exports`` follows.
    """
    store = place.store()
    for dataset in datasets:
        folder = below(place.prefix, "exports", dataset, "")
        for start in _starts(_ROVER_HOUR, since, until):
            for info in store.listing(f"{folder}{start}"):
                found = classified(info.key, info.bytes, place.prefix)
                if isinstance(found, Stray) or (
                    isinstance(found, RoverFile) and _within(found.hour, since, until)
                ):
                    yield found


def reading(store: Store, key: str) -> AbstractContextManager[BinaryIO]:
    """An object's bytes. Raises FileNotFoundError where it is gone, StoreError where the store refuses, OSError for a disk."""
    return store.read(key)
