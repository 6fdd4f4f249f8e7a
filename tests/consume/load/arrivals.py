"""How objects come to a receiver: in any order, again under other names, damaged or half and later as they should be.

A story is made of a seed alone. It knows what is at the place in the end, and what plain Python makes of it.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rover_spark.contract.manifests import Completion, DeliveredFile, Window, key_of, text
from rover_spark.store import below
from tests.consume.ddl.export import BEGIN, Export, Record, random_history
from tests.consume.written import PLACE, SCHEMA, container, event_key, events, put

TABLES = {"a.b": "a_b", "users.behaviors.CustomEvent": "users_behaviors_customevent"}
_SEEN = {"name": "seen", "type": ["null", "long"], "default": None}
_RETYPED = [{**each, "type": "long"} if each["name"] == "user_id" else each for each in SCHEMA["fields"]]
_SCHEMAS = (SCHEMA, {**SCHEMA, "fields": [*SCHEMA["fields"], _SEEN]}, {**SCHEMA, "fields": _RETYPED})
_BAD = b'{"id":'


@dataclass(frozen=True)
class Holding:
    """What a whole object holds: ids of a table."""

    table: str
    ids: frozenset[str]


@dataclass
class Story:
    """``place`` is what is there in the end, ``arrivals`` how it came: of two objects with one key the later one counts.

    Keys begin beside the export's prefix, ``acme``. ``holdings`` are by the SHA-256 of an object, ``batches`` say which
    objects a manifest names. ``refused`` are the lines in the quarantine, with keys as the receiver has them.
    """

    export: Export
    place: dict[str, bytes] = field(default_factory=dict)
    arrivals: list[tuple[str, bytes]] = field(default_factory=list)
    holdings: dict[str, Holding] = field(default_factory=dict)
    batches: dict[str, tuple[str, ...]] = field(default_factory=dict)
    refused: set[tuple[str, int, str]] = field(default_factory=set)

    def ids(self, table: str) -> set[str]:
        """All ids of a table."""
        return {each for found in self.holdings.values() if found.table == table for each in found.ids}

    def write(self, root: Path) -> Path:
        """All of it at once; the place."""
        for key, data in self.place.items():
            put(root, key, data)
        return root / "acme"


def digest(data: bytes) -> str:
    """The SHA-256 of an object."""
    return hashlib.sha256(data).hexdigest()


def story(seed: int, prefix: str = "") -> Story:
    """Both contracts, each stream with manifests or without. ``prefix`` is that of a bucket: manifests name whole keys."""
    return _Writer(seed, prefix).written()


class _Writer:
    def __init__(self, seed: int, prefix: str) -> None:
        self._prefix = prefix
        self._chance = random.Random(seed)
        self._story = Story(random_history(seed))
        self._halves: dict[str, bytes] = {}

    def written(self) -> Story:
        found, chance = self._story, self._chance
        later = f"{BEGIN + timedelta(hours=len(found.export.batches)):%Y-%m-%dT%H:%M:%S}.000Z"
        for dataset, records in chance.sample(found.export.batches, 3):  # some records once more, later
            found.export.batches.append((dataset, [{**each, "emittedAt": later} for each in records]))
        datasets = sorted({dataset for dataset, _ in found.export.batches})
        announced = [each for each in (*datasets, PLACE) if chance.random() < 0.5]
        for number, (dataset, records) in enumerate(found.export.batches):
            at = BEGIN + timedelta(hours=number)
            count = min(chance.randrange(1, 4), len(records))
            files = [self._file(dataset, at, records[part::count]) for part in range(count)]
            if dataset in announced:
                self._announce(f"{dataset}.1.{number + 1}", dataset, at, files)
        for number in range(5):
            at = BEGIN + timedelta(hours=number)
            files = [self._events(event_type, at, number) for event_type in TABLES]
            if PLACE in announced:
                self._announce(f"events.1.{number + 1}", None, at, files)
        found.arrivals = self._arrivals()
        return found

    def _file(self, dataset: str, at: datetime, records: Sequence[Record]) -> DeliveredFile:
        """A file of a dataset; in some the last line is bad."""
        bad = [_BAD] if self._chance.random() < 0.1 else []

        def encoded(some: Sequence[Record]) -> bytes:
            lines = [json.dumps(each, ensure_ascii=False).encode() for each in some]
            return gzip.compress(b"\n".join([*lines, *(bad if some is records else ())]), mtime=0)

        folder = f"exports/{dataset}/date={at:%Y-%m-%d}/hour={at:%H}"
        name = (
            f"{folder}/{dataset}-{at:%Y%m%dT%H%M%SZ}-part-{{}}{self._chance.getrandbits(99):032x}.ndjson.gz"
        )
        keys = self._object((name.format(""), name.format("f")), f"{dataset}_raw", records, encoded)
        self._story.refused |= {(key, len(records) + 1, "json_invalid") for key in keys if bad}
        return self._delivered(keys[0], len(records) + len(bad))

    def _events(self, event_type: str, at: datetime, number: int) -> DeliveredFile:
        """A file of an event type, under one of three schemas; it begins with events of the file before."""
        schema_id = self._chance.randrange(3)
        records = [self._under(schema_id, each) for each in events(4 * number + 1000 * len(event_type), 7)]
        names = [event_key(start + 7 * number, event_type, at, schema_id + 1) for start in (0, 1000)]
        keys = self._object(
            names, f"{TABLES[event_type]}_raw", records, lambda some: container(some, _SCHEMAS[schema_id])
        )
        return self._delivered(keys[0], 7, event_type, schema_id + 1)

    def _under(self, schema_id: int, event: Record) -> Record:
        """An event as one of the schemas has it."""
        if schema_id == 1:
            return {**event, "seen": self._chance.choice([None, 7])}
        return {**event, "user_id": int(event["id"][:7], 16)} if schema_id == 2 else event

    def _object(
        self, names: Sequence[str], table: str, records: Sequence[Record], encoded: Callable[[Any], bytes]
    ) -> Sequence[str]:
        """Puts an object, some also under their second name; the keys."""
        whole, half = encoded(records), encoded(records[: (len(records) + 1) // 2])
        for data, some in ((half, records[: (len(records) + 1) // 2]), (whole, records)):
            self._story.holdings[digest(data)] = Holding(table, frozenset(each["id"] for each in some))
        keys = names[: 1 + (self._chance.random() < 0.2)]
        for key in keys:
            self._story.place[f"acme/{key}"] = whole
            self._halves[f"acme/{key}"] = half
        return keys

    def _delivered(
        self, key: str, records: int, event_type: str | None = None, schema_id: int | None = None
    ) -> DeliveredFile:
        data = self._story.place[f"acme/{key}"]
        sha256 = digest(data)
        return DeliveredFile(
            below(self._prefix, key), records, len(data), sha256, 1, sha256, event_type, schema_id
        )

    def _announce(
        self, batch: str, dataset: str | None, at: datetime, files: Sequence[DeliveredFile]
    ) -> None:
        completion = Completion(
            contract="rover" if dataset else "currents", export="acme", batch=batch, dataset=dataset,
            event_types=() if dataset else tuple(TABLES), phase="changes", epoch=1, emitted_at=at,
            window=Window(1, 2, at, at) if dataset else Window(None, None, at, at),
            columns=("id",), key=("id",), event_time="time", files=tuple(files), previous=None,
        )  # fmt: skip
        root = "acme" if dataset else "manifests.acme"
        key = key_of(root, dataset or PLACE, at, f"{self._chance.getrandbits(128):032x}")
        self._story.place[key] = text(completion)
        self._story.batches[batch] = tuple(each.key for each in files)

    def _arrivals(self) -> list[tuple[str, bytes]]:
        """Each object at some time; some come wrong before they come right, some are damaged in between."""
        found: list[tuple[float, str, bytes]] = []
        for key, right in self._story.place.items():
            wrong = self._chance.choice([self._halves.get(key, b"{}"), right[:-5], b"", b"no object"])
            versions = self._chance.choice([[right], [right], [wrong, right], [right, right[:-5], right]])
            times = sorted(self._chance.random() for _ in versions)
            found += [(time, key, data) for time, data in zip(times, versions, strict=True)]
        return [(key, data) for _, key, data in sorted(found)]
