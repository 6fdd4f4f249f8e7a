"""The Currents contract: its keys, its thresholds, and what each file and event is known by.

Promises that a key that was formatted parses back into its parts, and that no other key parses. Refuses names that a
store, a file system or a reader of partitioned folders would take for something else.

Source: Currents, "Apache Avro format", "Avro write threshold". ``date`` is the UTC hour in which events were queued.

>>> place = Integration("prod-01", "S3", "65f1c2d3", "eu")
>>> hour = datetime(2026, 11, 21, 4, tzinfo=timezone.utc)
>>> key = currents_key("acme", place, "users.behaviors.CustomEvent", hour, 7, 0, 15_000)
>>> print(key.replace("/", "/\\n"))
acme/
dataexport.prod-01.S3.integration.65f1c2d3/
event_type=users.behaviors.CustomEvent/
date=2026-11-21-04/
7/
eu/
dataexport.prod-01.S3.integration.65f1c2d3+0+15000.avro
>>> parse_currents_key("acme", key) == CurrentsKey(place, "users.behaviors.CustomEvent", hour, 7, 0, 15_000)
True
>>> sync_marker('"null"', key).hex()
'b552fc2557b620b99b5744836fc7700f'
>>> natural_id("65f1c2d3", "users.behaviors.CustomEvent", ["evt-1", None, 7])
'cbf9c61d-82be-ee7d-cf79-1a8d0953b562'
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from rover_spark.contract.ids import Value, canonical, digest32

CONTRACT = "currents"
CONNECTIONS = ("S3", "AzureBlob", "GCS")
EVENTS_PER_FILE = 15_000
EVENTS_PER_FILE_BACKLOG = 100_000
BACKLOG_EVENTS = 150_000  # of one type and waiting: more of them make larger files
MAX_EVENT_BYTES = 900_000

_MAX_NAME = 200  # octets: what the longest segment adds still fits into the 255 of a file system's name
_CONTROLS = {"Cc", "Cs", "Zl", "Zp"}
_MAX_NUMBER = 2**63 - 1
_KEY = re.compile(
    r"dataexport\.(?P<cluster>[^./]+)\.(?P<connection>[^./]+)\.integration\.(?P<id>[^/]+)"
    r"/event_type=(?P<event_type>[^/]+)/date=(?P<hour>\d{4}-\d\d-\d\d-\d\d)/(?P<schema>\d{1,19})/(?P<zone>[^/]+)"
    r"/[^/]+\+(?P<partition>\d{1,19})\+(?P<offset>\d{1,19})\.avro"
)


@dataclass(frozen=True)
class Integration:
    """One integration: the parts that each of its keys holds.

    Raises:
        ValueError: a part that is not allowed in a key, a connection the contract does not know.
    """

    cluster: str
    connection: str
    integration_id: str
    zone: str

    def __post_init__(self) -> None:
        if self.connection not in CONNECTIONS:
            raise ValueError(f"connection must be {', '.join(CONNECTIONS)}, not {self.connection!r}")
        check_segment("cluster", self.cluster)
        check_segment("integration_id", self.integration_id)
        check_segment("zone", self.zone)
        if "." in self.cluster:  # the name could be taken apart in two ways
            raise ValueError(f"cluster cannot hold a dot: {self.cluster!r}")
        if self.zone.startswith(("_", ".")):
            raise ValueError(
                f"zone cannot begin with _ or a dot, or readers would pass over it: {self.zone!r}"
            )
        if len(self.name.encode()) > _MAX_NAME:
            raise ValueError(
                f"cluster and integration_id are too long: {self.name!r} is over {_MAX_NAME} octets"
            )

    @property
    def name(self) -> str:
        """What its folder is called, and how each of its files begins."""
        return f"dataexport.{self.cluster}.{self.connection}.integration.{self.integration_id}"


@dataclass(frozen=True)
class CurrentsKey:
    """The parts of an object key. ``hour`` is a whole one, in UTC."""

    integration: Integration
    event_type: str
    hour: datetime
    schema_id: int
    partition: int
    offset: int


def check_segment(name: str, text: str) -> None:
    """Raises ValueError unless ``text`` is allowed between two slashes of a key; ``name`` says what it is.

    Not allowed: what separates (``/``, ``\\``, ``+``, ``=``), what addresses of objects encode or end with (``%``, ``?``,
    ``#``), control characters, two dots in a row, a dot or a blank at an end where a file system drops it, over 200 octets.
    """
    if not text:
        raise ValueError(f"{name} must not be empty")
    if any(unicodedata.category(char) in _CONTROLS for char in text):
        raise ValueError(f"{name} cannot hold control characters: {text!r}")
    if len(text.encode()) > _MAX_NAME:
        raise ValueError(f"{name} cannot be longer than {_MAX_NAME} octets: {text[:40]!r}…")
    found = next((part for part in ("/", "\\", "..", "+", "=", "%", "?", "#") if part in text), None)
    if found is not None:
        raise ValueError(f"{name} cannot hold {found!r}: {text!r}")
    if text.endswith(".") or text != text.strip():
        raise ValueError(f"{name} cannot end with a dot, nor begin or end with a blank: {text!r}")


def check_event_type(text: str) -> None:
    """Raises ValueError unless ``text`` can name a type of events: ``users.behaviors.CustomEvent``."""
    check_segment("event type", text)


def check_clash(event_types: Iterable[str]) -> None:
    """Raises ValueError where two types differ by case alone: to some stores and file systems they are one folder."""
    seen: dict[str, str] = {}
    for event_type in event_types:
        other = seen.setdefault(event_type.casefold(), event_type)
        if other != event_type:
            raise ValueError(f"event types {other!r} and {event_type!r} differ by case alone")


def currents_key(
    prefix: str,
    integration: Integration,
    event_type: str,
    hour: datetime,
    schema_id: int,
    partition: int,
    offset: int,
) -> str:
    """The object key of one file, whose first event is number ``offset`` of its type and partition.

    Raises:
        ValueError: an hour without a time zone or not whole in UTC, a name or a number that is not allowed in a key.
    """
    check_event_type(event_type)
    if hour.tzinfo is None:
        raise ValueError("the hour of a key needs a time zone")
    utc = hour.astimezone(timezone.utc)
    if utc != utc.replace(minute=0, second=0, microsecond=0):
        raise ValueError(f"the hour of a key must be a whole one in UTC: {utc.isoformat()}")
    for name, number in (("schema id", schema_id), ("partition", partition), ("offset", offset)):
        if not 0 <= number <= _MAX_NUMBER:
            raise ValueError(f"a key has no {name} {number}")
    folder = f"{integration.name}/event_type={event_type}/date={utc.date().isoformat()}-{utc.hour:02}"
    key = f"{folder}/{schema_id}/{integration.zone}/{integration.name}+{partition}+{offset}.avro"
    return f"{prefix}/{key}" if prefix else key


def parse_currents_key(prefix: str, key: str) -> CurrentsKey | None:
    """The parts of a key below ``prefix``, or None where it is not one this contract could have written."""
    start = f"{prefix}/" if prefix else ""
    found = _KEY.fullmatch(key.removeprefix(start))
    if found is None:
        return None
    try:
        hour = datetime.strptime(found["hour"], "%Y-%m-%d-%H").replace(tzinfo=timezone.utc)
        integration = Integration(found["cluster"], found["connection"], found["id"], found["zone"])
        numbers = (int(found["schema"]), int(found["partition"]), int(found["offset"]))
        parts = CurrentsKey(integration, found["event_type"], hour, *numbers)
        again = currents_key(prefix, integration, found["event_type"], hour, *numbers)
    except ValueError:
        return None
    return parts if again == key else None


def sync_marker(schema_canonical: str, key: str) -> bytes:
    """The 16 octets between the blocks of a file: derived, so that its bytes repeat."""
    return bytes.fromhex(digest32([schema_canonical, key]))


def natural_prefix(integration_id: str, event_type: str) -> str:
    """How the encoding of every id that is made of values begins; the encodings of the values follow."""
    return canonical([CONTRACT, integration_id, event_type])


def natural_id(integration_id: str, event_type: str, values: Sequence[Value]) -> str:
    """The id of an event whose source has none: 32 hex digits of a SHA-256, grouped as in a UUID."""
    digits = digest32([CONTRACT, integration_id, event_type, *values])
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
