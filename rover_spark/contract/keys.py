"""Object keys of the Rover contract: formats and parses; never lists, never checks existence.

Source: Rover, "Bucket layout". ``date``, ``hour`` and the stamp are one instant, in UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone

from rover_spark.contract.ids import digest32
from rover_spark.contract.rover import CONTRACT, DATASETS

EXPORTS = "exports"
PARTITIONS = ("date", "hour")  # folders that readers take for columns

_KEY = re.compile(
    r"(?:(?P<prefix>.+)/)?exports/(?P<dataset>[a-z_]+)/date=(?P<date>\d{4}-\d\d-\d\d)/hour=(?P<hour>\d\d)/"
    r"(?P<name>[a-z_]+)-(?P<stamp>\d{8}T\d{6}Z)-part-(?P<token>[0-9a-f]{32})\.ndjson\.gz",
    re.ASCII,
)


@dataclass(frozen=True)
class RoverKey:
    """The parts of an object key. ``instant`` has whole seconds."""

    prefix: str
    dataset: str
    instant: datetime
    token: str


def file_token(export: str, epoch: int, dataset: str, batch: str, chunk: int, part: int) -> str:
    """The opaque slug of a file: 32 hex digits that depend on nothing but what the file is."""
    return digest32([CONTRACT, export, epoch, dataset, batch, chunk, part])


def rover_key(prefix: str, dataset: str, instant: datetime, token: str) -> str:
    """The object key of one file; ``instant`` is when its batch was written.

    Raises:
        ValueError: ``instant`` has no time zone.
    """
    if instant.tzinfo is None:
        raise ValueError("the instant of a key needs a time zone")
    utc = instant.astimezone(timezone.utc)
    folder = f"{EXPORTS}/{dataset}/date={utc:%Y-%m-%d}/hour={utc:%H}"
    key = f"{folder}/{dataset}-{utc:%Y%m%dT%H%M%SZ}-part-{token}.ndjson.gz"
    return f"{prefix}/{key}" if prefix else key


def parse_rover_key(key: str) -> RoverKey | None:
    """The parts of a key, or None where it is not one this contract could have written."""
    found = _KEY.fullmatch(key)
    if found is None or found["dataset"] not in DATASETS or found["name"] != found["dataset"]:
        return None
    try:
        instant = datetime.strptime(found["stamp"], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    if (found["date"], found["hour"]) != (f"{instant:%Y-%m-%d}", f"{instant:%H}"):
        return None
    return RoverKey(found["prefix"] or "", found["dataset"], instant, found["token"])
