"""What a receiver takes from an object's key: which of the contracts it belongs to, and its parts. Pure.

Promises an answer for any text, without an error. Tolerates any prefix and any token or zone: the contracts call them
opaque. What stands where a contract's files stand, and is none, is a ``Stray`` that says why; everything else in the
bucket is ``Other``. Shares no code with what writes keys.

Source: Rover, "Bucket layout"; Currents, "Apache Avro format".

>>> found = classified("acme/exports/fan_profiles/date=2026-11-21/hour=04/fan_profiles-20261121T040506Z-part-x1.ndjson.gz", 10)
>>> (found.place, found.dataset, found.hour.hour, found.stamp.minute, found.token)
('acme', 'fan_profiles', 4, 5, 'x1')
>>> classified("acme/exports/fan_profiles/_SUCCESS", 0).reason
'is no key of the contract'
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone

from rover_spark.contract.manifests import FORMATS
from rover_spark.contract.rover import DATASETS

_ROVER = re.compile(
    r"(?:(?P<place>.+)/)?exports/(?P<dataset>[^/]+)/date=(?P<date>[^/]*)/hour=(?P<hour>[^/]*)/(?P<file>[^/]+)",
    re.DOTALL,
)
_ROVER_FILE = re.compile(
    r"(?P<name>[a-z_]+)-(?P<stamp>\d{8}T\d{6}Z)-part-(?P<token>[^/]+)\.ndjson\.gz", re.ASCII | re.DOTALL
)
_CURRENTS = re.compile(
    r"(?P<place>(?:.+/)?(?P<folder>dataexport\.[^/]+))/event_type=(?P<event_type>[^/]+)/date=(?P<hour>[^/]*)"
    r"/(?P<schema>\d{1,19})/(?P<zone>[^/]+)/(?P<file>[^/]+)\+(?P<partition>\d{1,19})\+(?P<offset>\d{1,19})\.avro",
    re.ASCII | re.DOTALL,
)
_EVENTS_FOLDER = re.compile(r"(?P<place>(?:.+/)?dataexport\.[^/]+)/.+", re.DOTALL)
_EXPORTS_FOLDER = re.compile(r"(?:(?P<place>.+)/)?exports/(?P<dataset>[^/]+)(?:/.*)?", re.DOTALL)
_DATASETS = "|".join(DATASETS)
_AMONG = re.compile(rf"(?:(?P<place>.+?)/)?exports/(?P<dataset>{_DATASETS})/.+", re.DOTALL)
_MANIFEST = re.compile(
    rf"(?:.+/)?(?:manifests/(?:{_DATASETS})|dataexport\.[^/]+)/"
    rf"(?:(?P<form>{'|'.join(FORMATS)})/.+|date=[^/]*/hour=[^/]*/[^/]+\.json)",
    re.DOTALL,
)
_MANIFESTS_FOLDER = re.compile(
    rf"(?:.+/)?(?:manifests/(?:{_DATASETS})|(?:manifests|completions)\.[^/]+/dataexport\.[^/]+)/.+\.json",
    re.DOTALL,
)
_BESIDE = re.compile(r"(?:.+/)?(?:manifests/|(?:manifests|completions|schemas|avsc)\.[^/]+/).+", re.DOTALL)
_STAGING = "_rover_staging"
_MOST = 2**63 - 1
_YEARS = range(1970, 9999)  # a day more or less still is a date
_HOUR = re.compile(r"\d{4}-\d\d-\d\d-\d\d", re.ASCII)


@dataclass(frozen=True)
class RoverFile:
    """A file of the Rover contract. ``hour`` is what its folders say, ``stamp`` what its name says; both in UTC.

    ``place`` is the key prefix before ``exports``; empty without one.
    """

    key: str
    bytes: int
    place: str
    dataset: str
    hour: datetime
    stamp: datetime
    token: str


@dataclass(frozen=True)
class EventFile:
    """A file of the Currents contract. ``place`` is the key of the folder that holds ``event_type=…``."""

    key: str
    bytes: int
    place: str
    event_type: str
    hour: datetime
    schema_id: int
    zone: str
    partition: int
    offset: int


@dataclass(frozen=True)
class ManifestFile:
    """An object where completion manifests stand."""

    key: str
    bytes: int


@dataclass(frozen=True)
class Stray:
    """An object that stands where a contract's files stand and is none. ``dataset`` is its dataset or event type, or empty."""

    key: str
    bytes: int
    place: str
    dataset: str
    reason: str


@dataclass(frozen=True)
class Other:
    """An object of which the contracts say nothing: staging, schema pages, formats of manifests, what others put there."""

    key: str
    bytes: int


Found = RoverFile | EventFile | ManifestFile | Stray | Other


def classified(key: str, size: int, prefix: str = "") -> Found:
    """What an object of that key and size in bytes is.

    ``prefix`` is the one that was listed: where it ends before or inside of ``exports``, that is the contract's folder whatever it
    holds; elsewhere a folder of that name is the contract's only where one of its datasets stands in it.
    """
    if _STAGING in key.split("/"):
        return Other(key, size)
    if found := _MANIFEST.fullmatch(key):
        return Other(key, size) if found["form"] else ManifestFile(key, size)
    if found := _EVENTS_FOLDER.fullmatch(key):
        if not _BESIDE.fullmatch(found["place"] + "/"):
            return _event_file(key, size, found["place"])
    elif found := _EXPORTS_FOLDER.fullmatch(key):
        place, dataset = found["place"] or "", found["dataset"]
        if dataset in DATASETS or place == prefix or f"{prefix}/".startswith(f"{place}/exports/".lstrip("/")):
            return _rover_file(key, size, place, dataset)
        if found := _AMONG.fullmatch(key):  # a folder of that name among the files
            return _rover_file(key, size, found["place"] or "", found["dataset"])
    if _MANIFESTS_FOLDER.fullmatch(key):
        return ManifestFile(key, size)
    return Other(key, size)


def _rover_file(key: str, size: int, place: str, dataset: str) -> RoverFile | Stray:
    def stray(reason: str) -> Stray:
        return Stray(key, size, place, dataset, reason)

    found = _ROVER.fullmatch(key)
    if found is None:
        return stray("is no key of the contract")
    if dataset not in DATASETS:
        return stray("names no dataset of the contract")
    file = _ROVER_FILE.fullmatch(found["file"])
    if file is None:
        return stray("is no file name of the contract")
    if file["name"] != dataset:
        return stray("names another dataset in its file name than in its folder")
    hour, stamp = _instant(f"{found['date']}-{found['hour']}"), _stamp(file["stamp"])
    if hour is None or stamp is None:
        return stray("has a date or hour that does not exist")
    return RoverFile(key, size, place, dataset, hour, stamp, file["token"])


def _event_file(key: str, size: int, place: str) -> EventFile | Stray:
    def stray(event_type: str, reason: str) -> Stray:
        return Stray(key, size, place, event_type, reason)

    found = _CURRENTS.fullmatch(key)
    if found is None:
        return stray("", "is no key of the contract")
    hour = _instant(found["hour"])
    if hour is None:
        return stray(found["event_type"], "has a date or hour that does not exist")
    if found["file"] != found["folder"]:
        return stray(found["event_type"], "names another integration in its file name than in its folder")
    schema_id, partition, offset = (int(found[name]) for name in ("schema", "partition", "offset"))
    if max(schema_id, partition, offset) > _MOST:
        return stray(found["event_type"], "has a number of more than 63 bits")
    return EventFile(
        key, size, found["place"], found["event_type"], hour, schema_id, found["zone"], partition, offset
    )


def _instant(text: str) -> datetime | None:
    """The hour of ``2026-11-21-04``, or None."""
    return _parsed(text, "%Y-%m-%d-%H") if _HOUR.fullmatch(text) else None


def _stamp(text: str) -> datetime | None:
    return _parsed(text, "%Y%m%dT%H%M%SZ")


def _parsed(text: str, form: str) -> datetime | None:
    try:
        found = datetime.strptime(text, form).replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    return found if found.year in _YEARS else None
