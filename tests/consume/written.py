"""A small exporter by both contracts that shares no code with the product: what another program may have written."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import fastavro

AT = datetime(2026, 11, 21, 4, 5, 6, tzinfo=timezone.utc)
PLACE = "dataexport.prod-01.S3.integration.65f1c2d3"
SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "CustomEvent",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "user_id", "type": "string"},
        {"name": "time", "type": "int"},
        {"name": "timezone", "type": ["null", "string"], "default": None},
        {"name": "properties", "type": {"type": "map", "values": "string"}},
    ],
}


def hexed(*parts: object) -> str:
    return hashlib.md5(repr(parts).encode()).hexdigest()


def fan(number: int) -> str:
    return str(uuid.UUID(hexed("fan", number)))


def envelope(dataset: str, number: int, at: datetime) -> dict[str, Any]:
    return {
        "id": hexed(dataset, number),
        "version": 1,
        "roverID": fan(number),
        "emittedAt": f"{at:%Y-%m-%dT%H:%M:%S}.123Z",
    }


def event_time(number: int) -> str:
    return f"{AT - timedelta(days=1, seconds=number):%Y-%m-%dT%H:%M:%S}.{number % 1_000_000:06}Z"


def record(dataset: str, number: int, at: datetime = AT) -> dict[str, Any]:
    """Record ``number`` of a dataset, written at ``at``."""
    own: dict[str, dict[str, Any]] = {
        "fan_profiles": {"traits": {"name": f"Zoë {number}", "age": number}, "updatedAt": event_time(number)},
        "fan_identity_graph": {
            "identifierType": "email",
            "identifier": f"{number}@example.org",
            "operation": ("create", "update", "delete")[number % 3],
            "updatedAt": event_time(number),
        },
        "fan_profile_merges": {"mergedRoverID": fan(-number - 1), "occurredAt": event_time(number)},
        "fan_track_events": {
            "name": "Ticket Purchased",
            "attributes": {"total": 40.5, "block": 'the "Kop"'},
            "timestamp": event_time(number),
        },
    }
    return {**envelope(dataset, number, at), **own[dataset]}


DATASETS = ("fan_profiles", "fan_identity_graph", "fan_profile_merges", "fan_track_events")


def text(records: Sequence[dict[str, Any]]) -> bytes:
    return "".join(f"{json.dumps(each, ensure_ascii=False)}\n" for each in records).encode()


def key(dataset: str, at: datetime = AT, token: str = "a1") -> str:
    folder = f"exports/{dataset}/date={at:%Y-%m-%d}/hour={at:%H}"
    return f"{folder}/{dataset}-{at:%Y%m%dT%H%M%SZ}-part-{token}.ndjson.gz"


def events(start: int, count: int, at: datetime = AT) -> list[dict[str, Any]]:
    return [
        {
            "id": hexed("event", number),
            "user_id": fan(number),
            "time": int(at.timestamp()) - number,
            "timezone": "Europe/Berlin" if number % 2 else None,
            "properties": {"seat": str(number)},
        }
        for number in range(start, start + count)
    ]


def container(
    found: Sequence[dict[str, Any]], schema: dict[str, Any] = SCHEMA, codec: str = "deflate"
) -> bytes:
    stream = io.BytesIO()
    fastavro.writer(stream, schema, found, codec=codec)
    return stream.getvalue()


def event_key(
    offset: int,
    event_type: str = "users.behaviors.CustomEvent",
    at: datetime = AT,
    schema_id: int = 1,
    partition: int = 0,
) -> str:
    folder = f"{PLACE}/event_type={event_type}/date={at:%Y-%m-%d-%H}/{schema_id}/eu"
    return f"{folder}/{PLACE}+{partition}+{offset}.avro"


def put(root: Path, name: str, data: bytes) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def rover_bucket(root: Path, records: int = 30, hours: int = 2, token: str = "a1") -> Path:
    """A bucket of the four datasets: a file an hour each."""
    for hour in range(hours):
        at = AT + timedelta(hours=hour)
        for dataset in DATASETS:
            rows = [record(dataset, hour * records + number, at) for number in range(records)]
            put(root, key(dataset, at, token), gzip.compress(text(rows), mtime=0))
    return root


def currents_bucket(root: Path, count: int = 20, files: int = 3, codec: str = "deflate") -> Path:
    """A bucket of one integration: two event types, some files each."""
    for event_type in ("users.behaviors.CustomEvent", "users.messages.email.Open"):
        for file in range(files):
            found = events(file * count + (1000 if "email" in event_type else 0), count)
            put(root, event_key(file * count, event_type), container(found, codec=codec))
    return root
