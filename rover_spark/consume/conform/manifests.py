"""Completion manifests against the files of a bucket, and against each other.

A manifest names every file of its batch, and the manifest before it: so a removed file, a removed manifest and a missing batch
show. A bucket without manifests has nothing to be held against here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import NamedTuple

from rover_spark.consume.conform.catalogue import Catalogue, text
from rover_spark.consume.conform.report import MANIFESTS, NOTICES, Tally
from rover_spark.consume.keys import EventFile, ManifestFile, RoverFile, classified
from rover_spark.consume.manifests import contradiction, files_of, lies_in, octets_of, speaks_of
from rover_spark.consume.place import Place, within
from rover_spark.contract.manifests import FORMATS, Completion, ManifestKey, parse, parse_key
from rover_spark.errors import StoreError
from rover_spark.store import Store, below

_UNDER_WAY = timedelta(hours=1)  # files younger than that may be waiting for their manifest

_FETCHED, _FETCHED_BYTES = 8, 4 << 20  # manifests at once; a larger one is fetched alone
_DIFFERS = (
    "(n.bytes <> f.bytes OR n.records <> r.records OR n.sha256 <> r.sha256 OR n.text_bytes <> r.text_bytes"
    " OR n.text_sha256 <> r.text_sha256)"
)


class Changed(NamedTuple):
    """A manifest whose bytes are not what the one after it says, and that one."""

    key: str
    after: str


class Read(NamedTuple):
    """How many manifests were read, and which of them differ from what the next one says."""

    manifests: int
    changed: list[Changed]


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
    listed: Iterable[ManifestFile],
    catalogue: Catalogue,
    tally: Tally,
    place: Place,
    hours: tuple[datetime, datetime] | None,
) -> Read:
    """Reads the manifests of what is at a place into the catalogue, and holds them against each other.

    ``hours`` is the range outside of which no file was listed.
    """
    since = hours[0] if hours else None
    found: dict[str, Announced] = {}
    for where, key, said in _all(store, _mine(listed, tally, since)):
        if isinstance(said, Unread):
            tally.add(MANIFESTS, said.code, key, 0, said.found)
            continue
        digest, completion = said
        files = files_of(place, where, completion)
        if not speaks_of(place.prefix, [name for name, _ in files]):
            continue
        before, own = completion.previous, where.root if place.on_disk else ""
        chained = (below(own, before.key), before.sha256) if before else (None, None)
        found[key] = Announced(where, digest, *chained)
        catalogue.name(key, ((name, file) for name, file in files if _is_listed(name, place.prefix, hours)))
    return Read(len(found), _chained(found, catalogue, tally, since))


def _mine(
    listed: Iterable[ManifestFile], tally: Tally, since: datetime | None
) -> Iterator[tuple[ManifestKey, ManifestFile]]:
    """The manifests in the order of their keys, those of other hours and other forms left out."""
    for each in sorted(listed, key=lambda each: each.key):
        where = parse_key(each.key)
        if where is not None:
            if since is None or where.instant >= since:
                yield where, each
        elif not FORMATS.keys() & set(each.key.split("/")):  # other forms have folders of their own
            tally.add(MANIFESTS, "manifest_malformed", each.key, 0, "has no key of a manifest")


def _all(
    store: Store, listed: Iterable[tuple[ManifestKey, ManifestFile]]
) -> Iterator[tuple[ManifestKey, str, tuple[str, Completion] | Unread]]:
    """Each manifest, in order; some small ones are fetched at once."""
    with ThreadPoolExecutor(_FETCHED) as pool:
        for some in _lots(listed):
            said = pool.map(lambda each: _read(store, each[0], each[1].key), some)
            yield from ((where, file.key, each) for (where, file), each in zip(some, said, strict=True))


def _lots(
    listed: Iterable[tuple[ManifestKey, ManifestFile]],
) -> Iterator[list[tuple[ManifestKey, ManifestFile]]]:
    lot: list[tuple[ManifestKey, ManifestFile]] = []
    size = 0
    for where, file in listed:
        if lot and (len(lot) == _FETCHED or size + file.bytes > _FETCHED_BYTES):
            yield lot
            lot, size = [], 0
        lot.append((where, file))
        size += file.bytes
    if lot:
        yield lot


def _read(store: Store, where: ManifestKey, key: str) -> tuple[str, Completion] | Unread:
    """The SHA-256 of a manifest and what it says, or why it cannot be read."""
    try:
        data = octets_of(store, key)
        said = parse(data)
        if wrong := contradiction(where, said):
            return Unread("manifest_malformed", wrong)
        return hashlib.sha256(data).hexdigest(), said
    except FileNotFoundError:
        return Unread("file_gone", "is not there any more")
    except OSError as error:
        return Unread("file_unreadable", str(error.strerror or error))
    except StoreError as error:
        return Unread("file_unreadable", error.message)
    except ValueError as error:
        return Unread("manifest_malformed", str(error))


def _is_listed(key: str, prefix: str, hours: tuple[datetime, datetime] | None) -> bool:
    """Whether a file was listed, if it is there."""
    if not lies_in(prefix, key):
        return False
    found = classified(key, 0)
    return hours is None or not isinstance(found, (RoverFile, EventFile)) or within(found.hour, *hours)


def _chained(
    found: dict[str, Announced], catalogue: Catalogue, tally: Tally, since: datetime | None
) -> list[Changed]:
    """Holds each manifest against the one before it; returns those whose bytes are not what the next one says."""
    changed = []
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
                changed.append(Changed(before, key))
            continue
        gone = parse_key(before)
        if gone is not None and since is not None and gone.instant < since:
            continue
        # the first one may follow on what the bucket's own rule removed, or on what went to another bucket
        if gone is None or where.instant > first[where.root, where.stream] or _has_files(catalogue, gone):
            tally.add(MANIFESTS, "manifest_missing", key, 0, f"names {before} before it")
    return changed


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
    for key, first, last in catalogue.select(
        "SELECT key, min(manifest), max(manifest) FROM named GROUP BY key HAVING count(*) > 1"
    ):
        tally.add(
            MANIFESTS, "manifest_file_repeated", text(key), 0, f"is named by {text(first)} and {text(last)}"
        )
    for name, key, said, is_ in catalogue.select(
        "SELECT f.name, f.key,"
        " n.bytes || ' bytes, ' || n.records || ' records, sha256 ' || n.sha256 || ', of the text ' || n.text_sha256,"
        " f.bytes || ' bytes' || coalesce(', ' || r.records || ' records, sha256 ' || r.sha256 || ', of the text '"
        " || r.text_sha256, '')"
        " FROM named n JOIN files f USING (key) LEFT JOIN read r ON r.number = f.rowid"
        f" WHERE {_DIFFERS}"
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


def hold_changed(changed: Sequence[Changed], catalogue: Catalogue, tally: Tally, noted: Tally) -> None:
    """Manifests whose bytes are not what the next one says; where their files agree with them it is only noted.

    A redelivery under another compression library replaces files and manifest so: the text in them is the same.
    """
    if not changed:
        return
    wrong = {
        text(manifest)
        for (manifest,) in catalogue.select(
            "SELECT DISTINCT n.manifest FROM named n LEFT JOIN files f USING (key) LEFT JOIN read r ON r.number = f.rowid"
            f" WHERE f.key IS NULL OR {_DIFFERS}"
        )
    }
    for key, after in changed:
        found = f"is not what {after} says"
        if key in wrong:
            tally.add(MANIFESTS, "manifest_differs", key, 0, found)
        else:
            code = "manifest_replaced"
            noted.add(MANIFESTS, code, key, 0, found, message=NOTICES[code])
