"""A small export written by the contract alone, without the package: repeats, late rows, deletes, tombstones, merges.

And what a receiver must see of it, computed record by record in plain Python.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import UUID

Record = dict[str, Any]
BEGIN = datetime(2026, 11, 21, 10, tzinfo=timezone.utc)
MERGES, PROFILES, GRAPH, EVENTS = (
    "fan_profile_merges",
    "fan_profiles",
    "fan_identity_graph",
    "fan_track_events",
)


def person(number: int) -> str:
    """A roverID."""
    return str(UUID(int=number * 0x1_0000_0001, version=4))


def moment(seconds: float) -> str:
    """An event time with six decimals."""
    return (BEGIN + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass
class Export:
    """Batches of records by dataset; each becomes an object, under an hour that follows from its place in the list."""

    batches: list[tuple[str, list[Record]]] = field(default_factory=list)
    count: int = 0

    def add(self, dataset: str, *records: Record, emitted: float | None = None) -> list[Record]:
        """One batch: every record gets an id and an emittedAt where it has none."""
        instant = (BEGIN + timedelta(hours=len(self.batches) if emitted is None else emitted)).strftime(
            "%Y-%m-%dT%H:%M:%S.000Z"
        )
        found = []
        for each in records:
            self.count += 1
            envelope = {
                "id": f"{self.count:032x}",
                "version": 1,
                "roverID": each["roverID"],
                "emittedAt": instant,
            }
            found.append({**envelope, **each})
        self.batches.append((dataset, found))
        return found

    def again(self, number: int) -> None:
        """An object that was delivered before, under another key."""
        dataset, records = self.batches[number]
        self.batches.append((dataset, [dict(each) for each in records]))

    def write(self, place: Path) -> dict[str, list[Path]]:
        """Writes the objects; the paths of each dataset."""
        found: dict[str, list[Path]] = {}
        for number, (dataset, records) in enumerate(self.batches):
            at = BEGIN + timedelta(hours=number)
            folder = place / "exports" / dataset / f"date={at:%Y-%m-%d}" / f"hour={at:%H}"
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{dataset}-{at:%Y%m%dT%H%M%SZ}-part-{number:032x}.ndjson.gz"
            lines = "\n".join(json.dumps(each, ensure_ascii=False) for each in records)
            path.write_bytes(
                gzip.compress(lines.encode())
            )  # the last line has no newline: the contract allows it
            found.setdefault(dataset, []).append(path)
        return found

    def records(self, dataset: str) -> list[Record]:
        """The records of a dataset, one per id."""
        found: dict[str, Record] = {}
        for name, records in self.batches:
            for each in records if name == dataset else ():
                if each["id"] not in found or each["emittedAt"] > found[each["id"]]["emittedAt"]:
                    found[each["id"]] = each
        return list(found.values())

    # -- what a receiver must see --------------------------------------------------------------------------------

    def canonical(self) -> dict[str, tuple[str, bool]]:
        """Of each absorbed profile: what it is part of, and whether its merges run into a cycle."""
        merges = [each for each in self.records(MERGES) if each["mergedRoverID"] != each["roverID"]]
        latest = _latest(merges, lambda each: each["mergedRoverID"], "occurredAt")
        return {name: _followed(name, latest) for name in latest}

    def profiles(self) -> dict[str, Record]:
        """The profiles of today by canonical roverID."""
        seen = self.canonical()
        groups: dict[str, list[Record]] = {}
        for name, each in _latest(self.records(PROFILES), lambda each: each["roverID"], "updatedAt").items():
            groups.setdefault(seen.get(name, (name, False))[0], []).append(each)
        found = {}
        for name, members in groups.items():
            own = [each for each in members if each["roverID"] == name]
            found[name] = own[0] if own else max(members, key=_time("updatedAt"))
        return {name: each for name, each in found.items() if not each.get("deleted")}

    def identifiers(self) -> dict[tuple[str, str, str], Record]:
        """The identifiers of today by canonical roverID, type and identifier."""
        seen = self.canonical()
        kept = _latest(
            self.records(GRAPH),
            lambda each: (each["roverID"], each["identifierType"], each["identifier"]),
            "updatedAt",
        )
        return _latest(
            [each for each in kept.values() if each["operation"] != "delete"],
            lambda each: (
                seen.get(each["roverID"], (each["roverID"], False))[0],
                each["identifierType"],
                each["identifier"],
            ),
            "updatedAt",
        )

    def events(self) -> dict[str, str]:
        """The canonical roverID of each event by id."""
        seen = self.canonical()
        return {each["id"]: seen.get(each["roverID"], (each["roverID"],))[0] for each in self.records(EVENTS)}


def _time(event_time: str) -> Callable[[Record], tuple[str, str, str]]:
    return lambda each: (each[event_time], each["emittedAt"], each["id"])


def _latest(records: Iterable[Record], key: Callable[[Record], Any], event_time: str) -> dict[Any, Record]:
    found: dict[Any, Record] = {}
    for each in sorted(records, key=_time(event_time)):
        found[key(each)] = each
    return found


def _followed(name: str, latest: dict[str, Record]) -> tuple[str, bool]:
    """Follows the merges; where they come back, the profile that the oldest merge of the cycle absorbed counts."""
    way = [name]
    while way[-1] in latest:
        following = latest[way[-1]]["roverID"]
        if following in way:
            cycle = way[way.index(following) :]
            return min(cycle, key=lambda each: (latest[each]["occurredAt"], each)), True
        way.append(following)
    return way[-1], False


# -- a story with all of it, and random ones ------------------------------------------------------------------


def merge(absorbed: int, survivor: int, at: float) -> Record:
    """A merge."""
    return {"roverID": person(survivor), "mergedRoverID": person(absorbed), "occurredAt": moment(at)}


def profile(number: int, at: float, **more: Any) -> Record:
    """A profile with traits that say when."""
    return {
        "roverID": person(number),
        "traits": {"at": at, "name": f'fän "{number}"; --'},
        "updatedAt": moment(at),
        **more,
    }


def identifier(number: int, text: str, at: float, operation: str = "create") -> Record:
    """An identifier of a profile."""
    record = {
        "roverID": person(number),
        "identifierType": "email",
        "identifier": text,
        "operation": operation,
    }
    return {**record, "updatedAt": moment(at)}


def event(number: int, at: float, **more: Any) -> Record:
    """A track event."""
    record = {
        "roverID": person(number),
        "name": "Öpened",
        "attributes": {"n": at, "deep": {"a": [1, None, "x"]}},
    }
    return {**record, **more, "timestamp": moment(at)}


def tombstone(number: int, at: float) -> Record:
    """A deleted profile."""
    return {"roverID": person(number), "deleted": True, "updatedAt": moment(at)}


def story() -> Export:
    """Everything that may go wrong, once."""
    found = Export()
    found.add(PROFILES, *(profile(n, 0, tier=n) for n in range(1, 30)))
    found.add(PROFILES, profile(1, 50, tier="gold"), profile(2, 60), profile(3, 0.000001))
    found.add(
        PROFILES, profile(1, 40, tier=["late"]), profile(2, 59.999999)
    )  # late: an earlier event time comes later
    found.add(PROFILES, tombstone(4, 70), tombstone(5, 70), profile(5, 80), tombstone(6, 70))
    found.add(PROFILES, profile(6, 69))  # late: before its tombstone
    found.again(1)
    found.add(PROFILES, *(profile(n, 0, tier=n) for n in (7, 8)))  # a rerun: new ids, equal event times
    found.add(GRAPH, *(identifier(n, f"{n}@example.com", 0) for n in range(1, 25)))
    found.add(
        GRAPH, identifier(1, "1@example.com", 30, "delete"), identifier(2, "2@example.com", 30, "delete")
    )
    found.add(GRAPH, identifier(2, "2@example.com", 31), identifier(3, "1@example.com", 32))
    found.add(GRAPH, identifier(3, "late@example.com", 10), identifier(3, "late@example.com", 20, "delete"))
    found.add(GRAPH, identifier(3, "late@example.com", 15, "update"), identifier(9, "it's;--\\", 1))
    found.add(GRAPH, identifier(10, "shared@example.com", 3), identifier(11, "shared@example.com", 4))
    # a chain out of order: 13 → 12 → 11 → 10; the last link comes first
    found.add(MERGES, merge(11, 10, 300), merge(13, 12, 100))
    found.add(MERGES, merge(12, 11, 200))
    found.add(MERGES, merge(14, 15, 10), merge(14, 16, 20), merge(14, 17, 5))  # the newest counts
    found.add(
        MERGES, merge(18, 19, 1), merge(19, 20, 2), merge(20, 18, 3), merge(21, 20, 4)
    )  # a cycle, and a way to it
    found.add(MERGES, merge(22, 22, 1), merge(23, 4, 1), merge(24, 40, 1), merge(25, 6, 2), merge(26, 40, 2))
    found.again(len(found.batches) - 2)
    found.add(EVENTS, *(event(n, n) for n in range(1, 30)))
    found.add(EVENTS, event(13, 99, namespace="shop", device={"os": "x"}))
    found.again(len(found.batches) - 1)
    return found


def random_history(seed: int) -> Export:
    """A history without a plan: everything of few profiles, in any order, some of it twice."""
    chance = random.Random(seed)
    found = Export()

    def at() -> float:
        return chance.randrange(40)

    makers: dict[str, Callable[[], Record]] = {
        PROFILES: lambda: chance.choice((profile, profile, tombstone))(chance.randrange(9), at()),
        GRAPH: lambda: identifier(
            chance.randrange(9), chance.choice("abc"), at(), chance.choice(("create", "update", "delete"))
        ),
        MERGES: lambda: merge(chance.randrange(9), chance.randrange(9), at()),
        EVENTS: lambda: event(chance.randrange(9), at()),
    }
    for dataset, make in makers.items():
        found.add(dataset, make())
    for _ in range(12):
        if chance.random() < 0.2:
            found.again(chance.randrange(len(found.batches)))
        else:
            dataset = chance.choice(list(makers))
            found.add(dataset, *(makers[dataset]() for _ in range(chance.randrange(1, 6))))
    return found
