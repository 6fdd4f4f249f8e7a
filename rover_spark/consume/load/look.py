"""Looks at a place: lists what may be new, folder by folder, and reads the manifests that are not loaded. Writes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rover_spark.consume.keys import EventFile, ManifestFile, RoverFile, Stray, classified
from rover_spark.consume.load.due import Said, horizon, stream_of
from rover_spark.consume.load.port import Folder, Refused
from rover_spark.consume.manifests import files_of, lies_in, octets_of
from rover_spark.consume.place import Place, apart, listed_by_folder
from rover_spark.contract.manifests import Completion, ManifestKey, parse, parse_key
from rover_spark.errors import StoreError
from rover_spark.store import Store

_AHEAD = timedelta(days=1)  # a clock may be ahead


@dataclass
class Looked:
    """What was found: files, manifests, manifests that are none, and how many objects are no part of a contract."""

    files: list[RoverFile | EventFile]
    manifests: list[Said]
    refused: list[Refused]
    strays: int = 0


def look(
    place: Place,
    manifests: Place | None,
    folders: Mapping[str, Folder],
    known: Collection[str],
    now: datetime,
    look_back: timedelta,
    unread: Collection[str] = (),
) -> Looked:
    """Lists each folder from its horizon on. ``known`` are the keys of manifests that need not be read again.

    ``unread`` are the keys of objects that are looked for wherever they are.

    Raises:
        StoreError: the place cannot be listed.
    """

    def since_of(folder: str) -> datetime | None:
        seen = folders.get(folder, Folder(None, None))
        return horizon(seen.last, seen.waiting, look_back)

    found = Looked([], [], [])
    places = apart(place, place.beside("manifests", "completions"), manifests)
    for number, at in enumerate(places):
        keys = []
        for each in listed_by_folder(at, since_of, now + _AHEAD):
            if not _is_text(each.key):
                found.strays += 1
            elif isinstance(each, ManifestFile) or at != place:  # beside the place there is nothing else
                if not any(before.shows(at, each.key) for before in places[:number]):
                    keys.append(each.key)
            elif isinstance(each, (RoverFile, EventFile)):
                found.files.append(each)
            elif isinstance(each, Stray):
                found.strays += 1
        _read_all(at.store(), sorted(set(keys) - set(known)), found, place)
    _add_unlisted(place.store(), found, unread)
    return found


def _is_text(key: str) -> bool:
    """Whether a key can be kept; on a disk a name may be any octets."""
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_all(store: Store, keys: Iterable[str], found: Looked, place: Place) -> None:
    for key in keys:
        where = parse_key(key)
        if where is None:  # another form of a manifest
            continue
        try:
            said = _said(key, where, octets_of(store, key), place)
        except FileNotFoundError:
            continue
        except (OSError, StoreError, ValueError) as error:
            code = "manifest_malformed" if isinstance(error, ValueError) else "manifest_unreadable"
            found.refused.append(Refused(key, None, code, str(error), ""))
        else:
            if said is not None:
                found.manifests.append(said)


def _said(key: str, where: ManifestKey, data: bytes, place: Place) -> Said | None:
    """What a manifest says of files at the place; None where it is another export's. Raises ValueError where it is none."""
    completion = parse(data)
    files = dict(files_of(place, where, completion))
    stream = _stream(where, completion, files)
    here = {name: file for name, file in files.items() if lies_in(place.prefix, name)}
    if not here:
        return None
    mine = replace(completion, files=tuple(here.values()))
    return Said(key, hashlib.sha256(data).hexdigest(), stream, where.instant, mine, tuple(here))


def _stream(where: ManifestKey, completion: Completion, keys: Iterable[str]) -> str:
    """The stream of a manifest. Raises ValueError where its files are of another one than its key says."""
    streams = {_stream_of_key(key) for key in keys}
    if len(streams) > 1:
        raise ValueError("files: they are of several streams")
    stream = streams.pop()
    name = stream.rpartition("/")[2]
    if name != where.stream or (completion.dataset or where.stream) != where.stream:
        raise ValueError(f"files: they are not of {where.stream}")
    return stream


def _stream_of_key(key: str) -> str:
    file = classified(key, 0)
    if not isinstance(file, (RoverFile, EventFile)):
        raise ValueError(f"files: {key[:80]!r} is no file of a contract")
    return stream_of(file)


def _add_unlisted(store: Store, found: Looked, unread: Collection[str]) -> None:
    """Adds files in hours that were not listed: those that manifests name, as events may have waited for long, and ``unread`` ones."""
    listed = {each.key for each in found.files}
    for key in dict.fromkeys((*_named(found.manifests), *unread)):
        if key in listed:
            continue
        for info in store.listing(key):
            file = classified(info.key, info.bytes)
            if info.key == key and isinstance(file, (RoverFile, EventFile)):
                found.files.append(file)


def _named(manifests: Iterable[Said]) -> Iterator[str]:
    yield from dict.fromkeys(key for each in manifests for key in each.keys)
