"""A receiver, written from the published contract alone: lists, loads by id, lets the latest event time win.

It imports nothing of the package. What it holds at the end is what a customer's warehouse would hold.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

KEY = re.compile(
    r"exports/(?P<dataset>\w+)/date=(\d{4})-(\d\d)-(\d\d)/hour=(\d\d)/"
    r"(?P=dataset)-\2\3\4T\5\d{4}Z-part-[A-Za-z0-9]+\.ndjson\.gz"
)
EVENT_TIME = {
    "fan_profiles": "updatedAt",
    "fan_identity_graph": "updatedAt",
    "fan_profile_merges": "occurredAt",
    "fan_track_events": "timestamp",
}
ENVELOPE = ["id", "version", "roverID", "emittedAt"]


def keys(bucket: Path) -> list[str]:
    """Every object that a receiver can list, staging aside."""
    found = (path.relative_to(bucket).as_posix() for path in bucket.rglob("*") if path.is_file())
    return sorted(key for key in found if key.startswith("exports/"))


def lines(bucket: Path, dataset: str) -> list[str]:
    """A dataset's records as they stand in the files."""
    found = (
        gzip.decompress((bucket / key).read_bytes()).decode() for key in keys(bucket) if f"/{dataset}/" in key
    )
    return [line for text in found for line in text.rstrip("\n").split("\n")]


def records(bucket: Path, dataset: str) -> Iterator[dict[str, Any]]:
    """Records of a dataset, file by file; each must have the contract's form."""
    for key in keys(bucket):
        match = KEY.fullmatch(key)
        assert match, f"{key} has not the published form"
        if match["dataset"] != dataset:
            continue
        text = gzip.decompress((bucket / key).read_bytes()).decode()
        assert text.endswith("\n") and len(text) > 1
        for line in text.splitlines() if "\u2028" not in text else text.rstrip("\n").split("\n"):
            record = json.loads(line)
            assert list(record)[:4] == ENVELOPE and list(record)[-1] == EVENT_TIME[dataset]
            assert re.fullmatch("[0-9a-f]{32}", record["id"]) and record["version"] == 1
            yield record


def loaded(bucket: Path, dataset: str) -> dict[str, dict[str, Any]]:
    """Upsert by id."""
    table: dict[str, dict[str, Any]] = {}
    for record in records(bucket, dataset):
        table[record["id"]] = record
    return table


def latest(bucket: Path, dataset: str, *key: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Per key the record with the latest event time."""
    table: dict[tuple[Any, ...], dict[str, Any]] = {}
    time = EVENT_TIME[dataset]
    for record in loaded(bucket, dataset).values():
        name = tuple(record[part] for part in key)
        if name not in table or record[time] > table[name][time]:
            table[name] = record
    return table


def identities(bucket: Path) -> set[tuple[str, str, str]]:
    """The identity graph as the receiver knows it."""
    table = latest(bucket, "fan_identity_graph", "roverID", "identifierType", "identifier")
    return {name for name, record in table.items() if record["operation"] != "delete"}  # type: ignore[misc]


def profiles(bucket: Path) -> dict[str, dict[str, Any]]:
    """Traits by fan, deleted ones left out where a tombstone tells."""
    table = latest(bucket, "fan_profiles", "roverID")
    return {name[0]: record["traits"] for name, record in table.items() if not record.get("deleted")}


def absorbed(bucket: Path) -> dict[str, str]:
    """Of each absorbed fan the one that it is part of today."""
    into = {gone: fan for fan, gone in latest(bucket, "fan_profile_merges", "roverID", "mergedRoverID")}

    def canonical(fan: str) -> str:
        return canonical(into[fan]) if fan in into else fan

    return {gone: canonical(gone) for gone in into}
