"""Completion manifests against the files of a bucket, and against each other.

A manifest names every file of its batch, and the manifest before it: so a removed file, a removed manifest and a missing batch
show. A bucket without manifests has nothing to be held against here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple

from rover_spark.consume.conform.catalogue import Catalogue, text
from rover_spark.consume.conform.report import MANIFESTS, Tally
from rover_spark.consume.manifests import octets_of, place_of
from rover_spark.contract.manifests import FORMATS, Completion, ManifestKey, parse, parse_key
from rover_spark.errors import StoreError
from rover_spark.store import Store, below

_UNDER_WAY = timedelta(hours=1)  # files younger than that may be waiting for their manifest

_FETCHED = 8  # manifests at once


class Announced(NamedTuple):
    """A manifest: where it stands, its own SHA-256, and the key and SHA-256 of the one before it."""

    where: ManifestKey
    sha256: str
    before: str | None
    before_sha256: str | None


class Unread(NamedTuple):
    """Why a manifest says nothing."""

    code: str
    found: str


def read_manifests(
    store: Store,
    keys: Iterable[str],
    catalogue: Catalogue,
    tally: Tally,
    since: datetime | None,
    *,
    relative: bool,
) -> int:
    """Reads manifests into the catalogue and holds them against each other; returns how many there are.

    ``relative`` says that keys in a manifest begin at its export's directory, and not at the bucket: they do on a disk.
    """
    found: dict[str, Announced] = {}
    for where, key, said in _all(store, _mine(keys, tally, since)):
        own, theirs = (where.root, place_of(where)) if relative else ("", "")
        if isinstance(said, Unread):
            tally.add(MANIFESTS, said.code, key, 0, said.found)
        else:
            digest, completion = said
            before = completion.previous
            chained = (below(own, before.key), before.sha256) if before else (None, None)
            found[key] = Announced(where, digest, *chained)
            catalogue.name(key, _files(completion, theirs))
    _chained(found, catalogue, tally, since)
    return len(found)


def _mine(keys: Iterable[str], tally: Tally, since: datetime | None) -> Iterator[tuple[ManifestKey, str]]:
    """The keys of manifests, those of other hours and other forms left out."""
    for key in keys:
        where = parse_key(key)
        if where is not None:
            if since is None or where.instant >= since:
                yield where, key
        elif not FORMATS.keys() & set(key.split("/")):  # other forms have folders of their own
            tally.add(MANIFESTS, "manifest_malformed", key, 0, "has no key of a manifest")


def _all(
    store: Store, keys: Iterable[tuple[ManifestKey, str]]
) -> Iterator[tuple[ManifestKey, str, tuple[str, Completion] | Unread]]:
    """Each manifest, in order; some are fetched at once."""
    waiting = iter(keys)
    with ThreadPoolExecutor(_FETCHED) as pool:
        while some := list(islice(waiting, _FETCHED)):
            said = pool.map(lambda each: _read(store, each[1]), some)
            yield from ((where, key, each) for (where, key), each in zip(some, said, strict=True))


def _read(store: Store, key: str) -> tuple[str, Completion] | Unread:
    """The SHA-256 of a manifest and what it says, or why it cannot be read."""
    try:
        data = octets_of(store, key)
        return hashlib.sha256(data).hexdigest(), parse(data)
    except FileNotFoundError:
        return Unread("file_gone", "is not there any more")
    except OSError as error:
        return Unread("file_unreadable", str(error.strerror or error))
    except StoreError as error:
        return Unread("file_unreadable", error.message)
    except ValueError as error:
        return Unread("manifest_malformed", str(error))


def _files(completion: Completion, place: str) -> Iterator[tuple[str, int, int, str, int, str]]:
    for file in completion.files:
        yield (
            below(place, file.key),
            file.records,
            file.bytes,
            file.sha256,
            file.text_bytes,
            file.text_sha256,
        )


def _chained(found: dict[str, Announced], catalogue: Catalogue, tally: Tally, since: datetime | None) -> None:
    """Holds each manifest against the one before it."""
    first: dict[tuple[str, str], datetime] = {}
    for each in found.values():
        stream = (each.where.root, each.where.stream)
        first[stream] = min(first.get(stream, each.where.instant), each.where.instant)
    followers: dict[str, str] = {}
    for key in sorted(found):
        where, _, before, digest = found[key]
        if before is None:
            continue
        other = followers.setdefault(before, key)
        if other != key:
            tally.add(MANIFESTS, "manifest_forked", key, 0, f"names {before} before it, as {other} does")
        if before in found:
            if found[before].sha256 != digest:
                tally.add(MANIFESTS, "manifest_differs", before, 0, f"is not what {key} says")
            continue
        gone = parse_key(before)
        if gone is not None and since is not None and gone.instant < since:
            continue
        # the first one may follow on what the bucket's own rule removed, or on what went to another bucket
        if gone is None or where.instant > first[where.root, where.stream] or _has_files(catalogue, gone):
            tally.add(MANIFESTS, "manifest_missing", key, 0, f"names {before} before it")


def _has_files(catalogue: Catalogue, where: ManifestKey) -> bool:
    """Whether files of a manifest's batch are there: for Rover, files with its stamp."""
    query = "SELECT 1 FROM files WHERE dataset = ? AND stamp = ? LIMIT 1"
    return any(True for _ in catalogue.select(query, where.stream.encode(), int(where.instant.timestamp())))


def hold_against(catalogue: Catalogue, tally: Tally, now: datetime) -> None:
    """Holds the files against what the manifests say of them; of files that were not read only their sizes."""
    for key, manifest in catalogue.select(
        "SELECT named.key, named.manifest FROM named LEFT JOIN files USING (key) WHERE files.key IS NULL"
    ):
        tally.add(MANIFESTS, "manifest_file_missing", text(key), 0, f"is named by {text(manifest)}")
    for name, key, said, is_ in catalogue.select(
        "SELECT f.name, f.key,"
        " n.bytes || ' bytes, ' || n.records || ' records, sha256 ' || n.sha256 || ', of the text ' || n.text_sha256,"
        " f.bytes || ' bytes' || coalesce(', ' || r.records || ' records, sha256 ' || r.sha256 || ', of the text '"
        " || r.text_sha256, '')"
        " FROM named n JOIN files f USING (key) LEFT JOIN read r ON r.number = f.rowid"
        " WHERE n.bytes <> f.bytes OR n.records <> r.records OR n.sha256 <> r.sha256 OR n.text_bytes <> r.text_bytes"
        " OR n.text_sha256 <> r.text_sha256"
    ):
        tally.add(str(name), "manifest_file_differs", text(key), 0, f"has {is_}; its manifest says {said}")
    late = int((now - _UNDER_WAY).timestamp())
    for name, key in catalogue.select(
        "WITH span AS (SELECT name, min(coalesce(stamp, hour)) AS first, max(coalesce(stamp, hour)) AS last"
        " FROM files JOIN named USING (key) GROUP BY name)"
        " SELECT f.name, f.key FROM files f JOIN span USING (name) LEFT JOIN named n ON n.key = f.key"
        " WHERE n.key IS NULL AND coalesce(f.stamp, f.hour) > span.first"
        " AND coalesce(f.stamp, f.hour) < max(span.last, ?)",
        late,
    ):
        tally.add(str(name), "manifest_file_unnamed", text(key), 0, "is named by no manifest")
