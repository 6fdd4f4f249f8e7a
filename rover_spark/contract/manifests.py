"""Completion manifests: the object that says that a batch is complete. Formats and parses; opens nothing.

A manifest is published after the last file of its batch. It is one JSON object in UTF-8, on one line. It names every file
of the batch with counts and hashes, and the manifest before it in the same stream: a batch that is missing shows.
Neither contract defines one, so receivers may leave it out: it lies where they read no data.

Rover: ``<prefix>/manifests/<dataset>/date=YYYY-MM-DD/hour=HH/<dataset>-YYYYMMDDTHHmmssZ-<token>.json``.
Currents: ``<place>/<integration>/date=YYYY-MM-DD/hour=HH/events-YYYYMMDDTHHmmssZ-<token>.json``, where the place is beside
the prefix (``bucket/manifests.acme`` for ``bucket/acme``): receivers search all keys that begin with the prefix.
Other forms of a manifest (FORMATS) lie in a folder of their own, ``…/<dataset>/<form>/date=…``, with another ending.

>>> where = key_of("acme", "fan_profiles", datetime(2026, 11, 21, 4, tzinfo=timezone.utc), "0" * 32)
>>> where
'acme/manifests/fan_profiles/date=2026-11-21/hour=04/fan_profiles-20261121T040000Z-00000000000000000000000000000000.json'
>>> parse_key(where).stream
'fan_profiles'
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from rover_spark.contract.currents import CONTRACT as CURRENTS
from rover_spark.contract.currents import Integration
from rover_spark.contract.ids import digest32
from rover_spark.contract.json_fields import Fields, json_object, shown
from rover_spark.contract.rover import CONTRACT as ROVER
from rover_spark.contract.rover import DATASETS

FOLDER = "manifests"
VERSION = 1
EVENTS = "events"  # the stream of an integration
PHASES = ("snapshot", "changes")
LARGEST = 64 << 20  # octets of a manifest: of 100,000 files it has some 40 MB, of events some 55 MB
FORMATS = {"redshift": "json", "symlink": "txt", "sha256sum": "sha256"}  # other forms, with their endings

_INTEGRATION = re.compile(r"dataexport\.([^./]+)\.([^./]+)\.integration\.([^/]+)")
_KEY = re.compile(
    r"(?:(?P<root>.+)/)?(?P<stream>[^/]+)/date=(?P<date>\d{4}-\d\d-\d\d)/hour=(?P<hour>\d\d)/"
    r"(?P<name>[a-z_]+)-(?P<stamp>\d{8}T\d{6}Z)-(?P<token>[0-9a-f]{32})\.json",
    re.ASCII,
)
# what the contracts call opaque may be any text: other programs write manifests, too
_PART = re.compile(r"[^/]+\.ndjson\.gz")
_EVENT_FILE = re.compile(
    r"(?:.+/)?dataexport\.[^/]+/event_type=(?P<event_type>[^/]+)/date=[^/]+/(?P<schema>\d{1,19})/[^/]+/[^/]+\.avro",
    re.ASCII,
)


@dataclass(frozen=True)
class ManifestKey:
    """The parts of a manifest's key. ``root`` is the prefix below which it lies, ``instant`` has whole seconds.

    ``stream`` is the dataset, or the name of the integration's folder.
    """

    root: str
    stream: str
    instant: datetime
    token: str


@dataclass(frozen=True)
class DeliveredFile:
    """One file of a batch: octets and SHA-256 of the object, and of its text before compression.

    The text of an Avro file is its records' datums. ``event_type`` and ``schema_id`` are set in Currents only.
    """

    key: str
    records: int
    bytes: int
    sha256: str
    text_bytes: int
    text_sha256: str
    event_type: str | None = None
    schema_id: int | None = None


@dataclass(frozen=True)
class Window:
    """The source's versions and commit times that a batch delivers, both ends included.

    A snapshot has no beginning. Of Currents only the times are set: each event type has a table of its own.
    """

    from_version: int | None
    to_version: int | None
    from_time: datetime | None
    to_time: datetime


@dataclass(frozen=True)
class Previous:
    """The manifest before, of the same stream: its key and the SHA-256 of its octets."""

    key: str
    sha256: str


@dataclass(frozen=True)
class Completion:
    """What a manifest says. ``dataset`` is set in Rover, ``event_types`` in Currents. Instants are UTC, to the millisecond.

    ``columns`` are the fields that a record of the batch may have, in order (Currents: those that every event has; the
    files hold their schemas). ``key`` names the fields that identify a row, ``event_time`` the one that orders its records.
    """

    contract: str
    export: str
    batch: str
    dataset: str | None
    event_types: tuple[str, ...]
    phase: str
    epoch: int
    emitted_at: datetime
    window: Window
    columns: tuple[str, ...]
    key: tuple[str, ...]
    event_time: str
    files: tuple[DeliveredFile, ...]
    previous: Previous | None

    @property
    def totals(self) -> dict[str, int]:
        """The sums over its files."""
        return {
            "files": len(self.files),
            "records": sum(file.records for file in self.files),
            "bytes": sum(file.bytes for file in self.files),
            "textBytes": sum(file.text_bytes for file in self.files),
        }


# -- keys --------------------------------------------------------------------------------------------------------


def token_of(contract: str, export: str, epoch: int, stream: str, batch: str) -> str:
    """The opaque slug of a batch's manifest."""
    return digest32([contract, export, epoch, stream, batch, "manifest"])


def key_of(root: str, stream: str, instant: datetime, token: str, form: str | None = None) -> str:
    """The key of a manifest, or of one of its other forms; ``instant`` is when its batch was written.

    ``stream`` is a dataset, whose key has the folder ``manifests``, or the name of an integration's folder.

    Raises:
        ValueError: ``instant`` has no time zone.
        KeyError: an unknown form.
    """
    if instant.tzinfo is None:
        raise ValueError("the instant of a key needs a time zone")
    utc = instant.astimezone(timezone.utc)
    name = stream if stream in DATASETS else EVENTS
    parts = [root] if root else []
    parts += [FOLDER, stream] if stream in DATASETS else [stream]
    parts += [form] if form else []
    ending = FORMATS[form] if form else "json"
    stamped = f"{name}-{utc:%Y%m%dT%H%M%SZ}-{token}.{ending}"
    return "/".join([*parts, f"date={utc:%Y-%m-%d}", f"hour={utc:%H}", stamped])


def manifest_of(key: str) -> str:
    """The key of the manifest that a key of another form belongs to; any other key as it is."""
    above, day, rest = key.partition("/date=")
    folder, _, name = above.rpartition("/")
    ending = f".{FORMATS.get(name)}"
    return (
        f"{folder}{day}{rest.removesuffix(ending)}.json" if name in FORMATS and rest.endswith(ending) else key
    )


def parse_key(key: str) -> ManifestKey | None:
    """The parts of a key, or None where no manifest of either contract has it; other forms of one have no such key."""
    found = _KEY.fullmatch(key)
    if found is None:
        return None
    root, stream = found["root"] or "", found["stream"]
    if stream in DATASETS:
        above, _, folder = root.rpartition("/")
        if folder != FOLDER:
            return None
        root = above
    elif not _is_integration(stream):
        return None
    try:
        instant = datetime.strptime(found["stamp"], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    if key != key_of(root, stream, instant, found["token"]):
        return None
    return ManifestKey(root, stream, instant, found["token"])


def _is_integration(folder: str) -> bool:
    found = _INTEGRATION.fullmatch(folder)
    if found is None:
        return False
    cluster, connection, integration_id = found.groups()
    try:
        return Integration(cluster, connection, integration_id, "any").name == folder
    except ValueError:
        return False


# -- to text -----------------------------------------------------------------------------------------------------


def text(completion: Completion) -> bytes:
    """The manifest's octets: one line, its fields in their order, the files in the order that they have here."""
    whose = (
        {"dataset": completion.dataset}
        if completion.contract == ROVER
        else {"eventTypes": list(completion.event_types)}
    )
    window, previous = completion.window, completion.previous
    tree = {
        "manifest": VERSION,
        "contract": completion.contract,
        "export": completion.export,
        "batch": completion.batch,
        **whose,
        "phase": completion.phase,
        "epoch": completion.epoch,
        "emittedAt": _written(completion.emitted_at),
        "window": {
            "fromVersion": window.from_version,
            "toVersion": window.to_version,
            "fromTime": None if window.from_time is None else _written(window.from_time),
            "toTime": _written(window.to_time),
        },
        "columns": list(completion.columns),
        "key": list(completion.key),
        "eventTime": completion.event_time,
        "files": [_file_tree(file) for file in completion.files],
        "totals": completion.totals,
        "previous": None if previous is None else {"key": previous.key, "sha256": previous.sha256},
    }
    return (json.dumps(tree, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def _file_tree(file: DeliveredFile) -> dict[str, Any]:
    tree: dict[str, Any] = {
        "key": file.key,
        "records": file.records,
        "bytes": file.bytes,
        "sha256": file.sha256,
        "textBytes": file.text_bytes,
        "textSha256": file.text_sha256,
    }
    if file.event_type is not None:
        tree |= {"eventType": file.event_type, "schemaId": file.schema_id}
    return tree


def _written(instant: datetime) -> str:
    utc = instant.astimezone(timezone.utc)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"


# -- from text ---------------------------------------------------------------------------------------------------


def parse(data: bytes) -> Completion:
    """What a manifest says. Fields that this version does not know are passed over.

    Raises:
        ValueError: it is none, or it contradicts itself: totals that do not add up, a file twice, a file of another batch's
            dataset, type or instant. The message names the field; of what stands there it repeats a few characters only.
    """
    tree = Fields(json_object(data, LARGEST), "")
    version = tree.integer("manifest", least=1)
    if version != VERSION:
        raise ValueError(f"manifest: version {version} is not known; this program reads version {VERSION}")
    contract = tree.one_of("contract", (ROVER, CURRENTS))
    files = tuple(_delivered(each, contract) for each in tree.objects("files"))
    window = tree.object("window")
    previous = tree.object("previous") if tree.get("previous") is not None else None
    found = Completion(
        contract=contract,
        export=tree.string("export"),
        batch=tree.string("batch"),
        dataset=tree.one_of("dataset", DATASETS) if contract == ROVER else None,
        event_types=tree.strings("eventTypes") if contract == CURRENTS else (),
        phase=tree.one_of("phase", PHASES),
        epoch=tree.integer("epoch", least=1),
        emitted_at=tree.instant("emittedAt"),
        window=Window(
            window.optional("fromVersion", window.integer),
            window.optional("toVersion", window.integer),
            window.optional("fromTime", window.instant),
            window.instant("toTime"),
        ),
        columns=tree.strings("columns"),
        key=tree.strings("key"),
        event_time=tree.string("eventTime"),
        files=files,
        previous=None if previous is None else Previous(previous.key("key"), previous.sha256("sha256")),
    )
    _refuse_contradictions(found, tree.object("totals"))
    return found


def _delivered(tree: Fields, contract: str) -> DeliveredFile:
    events = contract == CURRENTS
    return DeliveredFile(
        key=tree.key("key"),
        records=tree.integer("records", least=1),
        bytes=tree.integer("bytes", least=1),
        sha256=tree.sha256("sha256"),
        text_bytes=tree.integer("textBytes", least=1),
        text_sha256=tree.sha256("textSha256"),
        event_type=tree.string("eventType") if events else None,
        schema_id=tree.integer("schemaId") if events else None,
    )


def _refuse_contradictions(found: Completion, totals: Fields) -> None:
    if not found.files:
        raise ValueError("files: a batch without files has no manifest")
    for name, sum_ in found.totals.items():
        if (said := totals.integer(name)) != sum_:
            raise ValueError(f"totals.{name}: says {said}, its files have {sum_}")
    seen = set[str]()
    for number, file in enumerate(found.files):
        where = f"files[{number}].key"
        if file.key in seen:
            raise ValueError(f"{where}: {shown(file.key)} is named twice")
        seen.add(file.key)
        if not (_is_of(found, file) if found.contract == ROVER else _is_event_file(found, file)):
            raise ValueError(f"{where}: {shown(file.key)} is no key of such a batch")


def _is_of(found: Completion, file: DeliveredFile) -> bool:
    at = found.emitted_at
    folder = f"exports/{found.dataset}/date={at:%Y-%m-%d}/hour={at:%H}"
    _, name, part = f"/{file.key}".rpartition(f"/{folder}/{found.dataset}-{at:%Y%m%dT%H%M%SZ}-part-")
    return bool(name) and _PART.fullmatch(part) is not None


def _is_event_file(found: Completion, file: DeliveredFile) -> bool:
    parts = _EVENT_FILE.fullmatch(file.key)
    return (
        parts is not None
        and (parts["event_type"], int(parts["schema"])) == (file.event_type, file.schema_id)
        and file.event_type in found.event_types
    )
