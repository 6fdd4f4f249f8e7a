"""A place that a receiver looks at: what of it is listed, and how an object is read. Writes nothing.

A place is a bucket or a prefix of one, or a directory. Listing streams: it holds no more than a page of objects.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from rover_spark.config.access import Access
from rover_spark.consume.keys import EventFile, Found, RoverFile, Stray, classified
from rover_spark.contract.manifests import FORMATS
from rover_spark.contract.rover import DATASETS
from rover_spark.errors import ConfigError
from rover_spark.store import STAGING, Store, below, open_store

# a directory inside an export: keys begin above it
_INSIDE = re.compile(
    r"(?P<root>.+)/(?P<prefix>(?:exports|manifests|dataexport\.[^/]+)(?:/(?:fan_[a-z_]+|event_type=[^/]+)(?:/.*)?)?)"
)
_ROVER_HOUR, _EVENT_HOUR = "date=%Y-%m-%d/hour=%H/", "date=%Y-%m-%d-%H/"
_DAYS = 100  # that are listed one by one, else all at once
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

    @property
    def on_disk(self) -> bool:
        """Whether it is a directory."""
        return self.destination.startswith("file:")

    def holds(self, other: Place) -> bool:
        """Whether everything of another place is listed with this one, under the same keys."""
        return self._bucket == other._bucket and below(other.prefix, "").startswith(
            below(self.prefix, "") if self.prefix else ""
        )

    def shows(self, at: Place, key: str) -> bool:
        """Whether an object of another place is listed with this one, too."""
        return self.holds(replace(at, prefix=key))

    @property
    def _bucket(self) -> str:
        """Where keys begin."""
        scheme, _, rest = self.destination.partition("://")
        return self.destination if scheme == "file" else f"{scheme}://{rest.partition('/')[0]}"

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
        ConfigError: no such scheme, no such directory, or a URL with more than a bucket and a prefix: it may hold a secret.
    """
    scheme, marked, rest = url.partition("://")
    access = access or Access()
    if not marked or scheme == "file":
        return _directory(Path(rest if marked else url), access)
    if scheme == "memory":
        return Place(url, rest.partition("/")[2].strip("/"), access)
    if scheme not in {"s3", "gs", "az"} or not rest.strip("/"):
        raise ConfigError(
            f"{_without_secrets(url)}: no place to look at",
            code="place_unknown",
            remedy="Use s3://bucket/prefix, gs://…, az://…, file:///directory, or the path of a directory.",
        )
    bucket = rest.partition("/")[0]
    if "?" in rest or "@" in bucket or (":" in bucket and "@" in rest):  # a secret may hold a slash
        raise ConfigError(
            f"{_without_secrets(url)}: the URL holds a name, a key or a query beside bucket and prefix",
            code="place_unknown",
            remedy=f"Use {scheme}://bucket/prefix; credentials come from the environment or the profile of the cloud's SDK.",
        )
    prefix = rest.partition("/")[2]
    return Place(url.rstrip("/"), prefix.strip("/"), access)


def apart(*places: Place | None) -> list[Place]:
    """The places that there are, in order, without those that are listed with one before."""
    found: list[Place] = []
    for each in places:
        if each is not None and not any(before.holds(each) for before in found):
            found.append(each)
    return found


def _without_secrets(url: str) -> str:
    """A URL as a message may repeat it: without what may be a password or a signature."""
    scheme, _, rest = url.partition("://")
    whose = rest.partition("?")[0].rpartition("@")[2]
    bucket, slash, prefix = whose.partition("/")
    return f"{scheme}://{bucket.partition(':')[0]}{slash}{prefix}"


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
    if path.name == "manifests" and not any((path / each).is_dir() for each in DATASETS):
        found = None  # a directory that only has that name
    root, prefix = (found["root"], found["prefix"]) if found else (path.as_posix(), "")
    return Place(f"file://{root}", prefix, access)


def listed(place: Place) -> Iterator[Found]:
    """Everything below the place, classified, in no order. Raises StoreError where the store refuses."""
    for info in place.store().listing(below(place.prefix, "") if place.prefix else ""):
        yield classified(info.key, info.bytes, place.prefix)


def listed_since(place: Place, since: datetime, until: datetime) -> Iterator[Found]:
    """The files and manifests of the hours in a range, without a listing of any other hour, where the place has at most some folders.

    Folders are looked at down to exports and integrations; in these only the hours of the range are listed, or the days where
    it spans over two days, or all where it spans over a hundred. What lies beside them is not listed. A place of very many folders is listed whole.

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
        if not isinstance(each, (RoverFile, EventFile)) or within(each.hour, since, until):
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
        for start in ("date=",) if since is None else _starts(by_hour, since, until):
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
        others = [each for each in inside if not each.removeprefix(folder).startswith("date=")]
        unseen = {STAGING}
        if len(others) < len(inside):
            found.append((folder, _ROVER_HOUR if "/event_type=" not in f"/{folder}" else _EVENT_HOUR))
            unseen |= FORMATS.keys()  # beside manifests
        others = [each for each in others if each.removeprefix(folder).rstrip("/") not in unseen]
        if others and depth == _DEPTH:
            return None
        waiting.extend((each, depth + 1) for each in others)
    return found or None


def _starts(by_hour: str, since: datetime, until: datetime) -> Iterator[str]:
    """How keys begin in a range of hours, or of days where there are many; of very many days, as all of them do."""
    if until - since > timedelta(days=_DAYS):
        yield "date="
        return
    few = until - since <= timedelta(days=2)
    at = since.astimezone(timezone.utc).replace(minute=0, second=0, microsecond=0)
    at = at if few else at.replace(hour=0)
    while at <= until:
        yield f"{at:{by_hour}}" if few else f"date={at:%Y-%m-%d}"
        at += timedelta(hours=1) if few else timedelta(days=1)


def within(hour: datetime, since: datetime, until: datetime) -> bool:
    """Whether files of an hour belong to a range."""
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
                    isinstance(found, RoverFile) and within(found.hour, since, until)
                ):
                    yield found


def reading(store: Store, key: str) -> AbstractContextManager[BinaryIO]:
    """An object's bytes. Raises FileNotFoundError where it is gone, StoreError where the store refuses, OSError for a disk."""
    return store.read(key)
