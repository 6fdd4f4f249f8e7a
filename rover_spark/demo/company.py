"""A sample company: four Delta tables with the change data feed on, which live through days of customer life.

Promises that the same seed, fans, anchor and calls give the same rows in the same commits, that who has an identifier
has a profile, that `updated_at` of a changed row moves forward, and that some events come hours late.
Refuses (ValueError): fewer than 20 fans, an anchor without a zone, a root that is taken, a day before the founding.
"""

from __future__ import annotations

import random  # noqa: TID251 - the seeded source of a made-up company; nothing that is delivered draws from it
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SCHEMAS = {
    "fan_profiles": "rover_id STRING, traits MAP<STRING, STRING>, updated_at TIMESTAMP",
    "fan_identities": "rover_id STRING, kind STRING, value STRING, updated_at TIMESTAMP",
    "fan_merges": "survivor_id STRING, absorbed_id STRING, merged_at TIMESTAMP",
    "events": "event_id STRING, rover_id STRING, name STRING, namespace STRING, props STRING, device "
    "STRUCT<os: STRING, os_version: STRING, app_version: STRING>, occurred_at TIMESTAMP",
}
# how much happens in a day, per fan; late_events: share of the events
LIVED_DAY = {"signed_up": 0.04, "traits_changed": 0.1, "traits_removed": 0.02, "identifiers_gained": 0.025}
LIVED_DAY |= {"identifiers_lost": 0.015, "identifiers_confirmed": 0.01, "profiles_deleted": 0.0025}
LIVED_DAY |= {"merges": 0.006, "events": 2.0, "late_events": 0.1}
PAST_DAY = LIVED_DAY | {"traits_changed": 0.05, "merges": 0.01, "events": 2.5, "late_events": 0.04}

TRAITS = {
    "firstName": ["Ana", "Zoë", "Jürgen", "Siân", "Łukasz", "Noor", "José", "Mei", "Íñigo", "Priya"],
    "lastName": ["O'Brien", "Núñez", "Müller", "Smith", "Okafor", "Dvořák", "Tanaka", "Lefèvre", "van Dijk"],
    "nickname": ['Dan "The Wall"', "⚽️ Mia", "Señor Gol", "back\\slash", "🧤🥅", "it's me", "two\nlines"],
    "city": ["Kraków", "Málaga", "Leeds", "Zürich", "São Paulo", "Trois-Rivières", "東京"],
    "tier": ["bronze", "silver", "gold", "platinum"],
    "newsletter": ["true", "false"],
}
# JSON texts of the events' properties: a price keeps its last zero
COUNTS = [str(number) for number in range(1, 90)]
PRICES = [f"{cents // 100}.{cents % 100:02d}" for cents in range(500, 30000, 35)]
FLAGS = ["true", "false"]
EVENTS: Sequence[tuple[str, str | None, Mapping[str, Sequence[str]]]] = (
    ("App Opened", "rover", {"cold": FLAGS, "sessionCount": COUNTS}),
    ("Screen Viewed", "rover", {"title": ['"Matchday “Live”"', '"Café & Bar"', '"🎟️"'], "seconds": PRICES}),
    ("Ticket Purchased", "shop", {"seats": COUNTS, "total": PRICES, "block": ['"A1"', r'"the \"Kop\""']}),
    ("Goal Celebrated 🎉", None, {"minute": COUNTS, "loud": FLAGS}),
    ("Signed Out", None, {}),
)
DEVICES = (("iOS", "18.1.1", "7.4.0"), ("iOS", "17.6", "7.3.2"), ("Android", "15", "7.4.0"))
IDENTIFIERS = {"email": 0.8, "userID": 0.55, "deviceID": 0.5, "pushToken": 0.3}  # kind: share of new fans

DAY = timedelta(days=1)
TICK = timedelta(milliseconds=1)
T = TypeVar("T")
Row = tuple[object, ...]
Key = tuple[str, str]


@dataclass(frozen=True)
class Lived:
    """What happened, in counts; of several days the sum."""

    signed_up: int = 0
    traits_changed: int = 0
    traits_removed: int = 0
    identifiers_gained: int = 0
    identifiers_lost: int = 0
    identifiers_confirmed: int = 0
    merges: int = 0
    events: int = 0
    late_events: int = 0
    profiles_deleted: int = 0


@dataclass(frozen=True)
class _Profile:
    traits: Mapping[str, str]
    updated_at: datetime


@dataclass(frozen=True)
class _Owner:
    rover_id: str
    updated_at: datetime


@dataclass(frozen=True)
class _Day:
    """The rows of a day, and `held`: who had which identifier just before the evening's merges."""

    end: datetime
    held: Mapping[Key, _Owner]
    merges: Sequence[Row]
    arrivals: Sequence[Sequence[Row]]


class Company:
    """One company and its tables under `root`. Not for several threads."""

    def __init__(self, spark: SparkSession, root: Path, *, fans: int, seed: int, anchor: datetime) -> None:
        if fans < 20 or anchor.tzinfo is None:
            raise ValueError(f"No company of {fans} fans at {anchor} was made: take 20 and a zoned time.")
        self._spark, self._root, self._fans = spark, root.absolute(), fans
        self._rng = random.Random(seed)
        self._now = anchor.astimezone(timezone.utc)
        self._profiles: dict[str, _Profile] = {}
        self._owners: dict[Key, _Owner] = {}
        self._counts: Counter[str] = Counter()

    def path(self, table: str) -> Path:
        """Where one of `SCHEMAS` lives."""
        return self._root / table

    def found(self, days: int = 3) -> Lived:
        """Make the tables, with a history that ends at the anchor: one append per table and day."""
        taken = [str(self.path(table)) for table in SCHEMAS if self.path(table).exists()]
        if taken or self._profiles or days < 1:
            raise ValueError(f"Nothing founded: {days} days, in the way {taken}. Take an empty root, once.")
        leaving = PAST_DAY["merges"] + PAST_DAY["profiles_deleted"]
        self._now -= days * DAY
        past = [self._live(PAST_DAY | {"signed_up": 1 / days + leaving}, arrivals=1) for _ in range(days)]
        history: dict[str, list[Sequence[Row]]] = {table: [] for table in SCHEMAS}
        for day in past:
            begin = day.end - DAY
            profiles = [(r, p.traits, p.updated_at) for r, p in self._profiles.items()]
            owners = [(o.rover_id, *key, o.updated_at) for key, o in self._owners.items()]
            history["fan_profiles"].append([row for row in profiles if begin <= row[-1] < day.end])
            history["fan_identities"].append([row for row in owners if begin <= row[-1] < day.end])
            history["fan_merges"].append(day.merges)
            history["events"].append(day.arrivals[0])
        with ThreadPoolExecutor(len(history)) as pool:  # the tables know nothing of each other
            list(pool.map(self._append_all, history, history.values()))
        return Lived(**self._counts)

    def live_a_day(self) -> Lived:
        """The next 24 hours in six commits: two MERGE, an UPDATE, an append of merges and two of events."""
        if not self._profiles:
            raise ValueError("Nothing was written: a company lives after it was founded. Call found() first.")
        self._counts.clear()
        old, owners = dict(self._profiles), dict(self._owners)
        day = self._live(LIVED_DAY, arrivals=2)
        kept = [(o.rover_id, *k, o.updated_at, False) for k, o in day.held.items() if owners.get(k) is not o]
        lost = [(o.rover_id, *k, None, True) for k, o in owners.items() if k not in day.held]
        moved = {o.rover_id: self._owners[k] for k, o in day.held.items() if self._owners[k] is not o}
        live = [(r, p.traits, p.updated_at, False) for r, p in self._profiles.items() if old.get(r) is not p]
        dead = [(r, None, None, True) for r in old if r not in self._profiles]
        with ThreadPoolExecutor(2) as pool:
            events = pool.submit(self._append_all, "events", day.arrivals)
            self._merge("fan_identities", ("kind", "value"), [*kept, *lost])
            self._move_identities(moved)
            self._merge("fan_profiles", ("rover_id",), [*live, *dead])
            self._append("fan_merges", day.merges)
            events.result()
        return Lived(**self._counts)

    def _append_all(self, table: str, batches: Iterable[Sequence[Row]]) -> None:
        for rows in batches:
            self._append(table, rows)

    def _append(self, table: str, rows: Sequence[Row]) -> None:
        if rows or not self.path(table).exists():
            # a `delta.` option is a property of the table that the first append makes; later ones ignore it
            writer = self._frame(rows, SCHEMAS[table]).write.format("delta").mode("append")
            writer.option("delta.enableChangeDataFeed", "true").save(str(self.path(table)))

    def _merge(self, table: str, keys: Sequence[str], rows: Sequence[Row]) -> None:
        """Rows are the table's, then `gone`: true deletes the row of that key, false updates or inserts."""
        frame, view = self._frame(rows, f"{SCHEMAS[table]}, gone BOOLEAN"), f"rover_spark_demo_{table}"
        same, columns = " AND ".join(f"t.{c} = s.{c}" for c in keys), frame.columns[:-1]
        frame.createOrReplaceTempView(view)
        try:
            self._spark.sql(f"""
                MERGE INTO {self._name(table)} t USING {view} s ON {same}
                WHEN MATCHED AND s.gone THEN DELETE
                WHEN MATCHED THEN UPDATE SET {", ".join(f"t.{c} = s.{c}" for c in columns)}
                WHEN NOT MATCHED AND NOT s.gone THEN
                INSERT ({", ".join(columns)}) VALUES ({", ".join(f"s.{c}" for c in columns)})""")
        finally:
            self._spark.catalog.dropTempView(view)

    def _move_identities(self, moves: Mapping[str, _Owner]) -> None:
        """In one UPDATE, all identifiers of each key of `moves` get that owner and its time."""
        if moves:
            owner = " ".join(f"WHEN '{old}' THEN '{new.rover_id}'" for old, new in moves.items())
            at = " ".join(f"WHEN '{old}' THEN TIMESTAMP '{new.updated_at}'" for old, new in moves.items())
            self._spark.sql(f"""
                UPDATE {self._name("fan_identities")}
                SET rover_id = CASE rover_id {owner} END, updated_at = CASE rover_id {at} END
                WHERE rover_id IN ({", ".join(f"'{old}'" for old in moves)})""")

    def _name(self, table: str) -> str:
        return "delta.`{}`".format(str(self.path(table)).replace("`", "``"))

    def _frame(self, rows: Sequence[Row], schema: str) -> DataFrame:
        return self._spark.createDataFrame(rows, schema, verifySchema=False).coalesce(1)

    def _live(self, pace: Mapping[str, float], arrivals: int) -> _Day:
        """A day in Python. What changes is replaced by a new value: `is not` finds the changes of a day."""
        profiles, owners, rng = self._profiles, self._owners, self._rng
        known = list(profiles)
        signed_up = max(1, round(pace["signed_up"] * self._fans))
        for _ in range(signed_up):
            self._sign_up()
        everyone = list(profiles)
        for rover_id in self._some(profiles, pace, "traits_changed"):
            traits = profiles[rover_id].traits
            name = rng.choice(list(TRAITS))
            value = rng.choice([value for value in TRAITS[name] if value != traits.get(name)])
            self._set_traits(rover_id, {**traits, name: value})
        for rover_id in self._some((r for r, p in profiles.items() if p.traits), pace, "traits_removed"):
            gone = rng.choice(list(profiles[rover_id].traits))
            self._set_traits(rover_id, {n: v for n, v in profiles[rover_id].traits.items() if n != gone})
        for key in self._some(owners, pace, "identifiers_lost"):
            del owners[key]
        for key in self._some(owners, pace, "identifiers_confirmed"):
            owners[key] = _Owner(owners[key].rover_id, self._instant(0.2, 0.6, owners[key].updated_at))
        for rover_id in self._some(profiles, pace, "identifiers_gained"):
            self._gain(rover_id, rng.choice(list(IDENTIFIERS)), self._instant(0.2, 0.6))
        for rover_id in self._some(profiles, pace, "profiles_deleted"):
            del profiles[rover_id]
        for key in [key for key, owner in owners.items() if owner.rover_id not in profiles]:
            del owners[key]
        held = dict(owners)
        merges = self._merge_some(max(2, round(pace["merges"] * self._fans)))
        events = round(pace["events"] * self._fans / arrivals)
        late = round(pace["late_events"] * events) if known else 0
        landed, spread = [], DAY / arrivals
        for part in range(arrivals):
            since = self._now + part * spread
            rows = [self._event(known, since - DAY * rng.uniform(0.1, 0.6)) for _ in range(late)]
            rows += [self._event(everyone, since + spread * rng.random()) for _ in range(events - late)]
            landed.append(rows)
        self._counts.update(signed_up=signed_up, merges=len(merges), late_events=late * arrivals)
        self._counts["events"] += events * arrivals
        self._now += DAY
        return _Day(self._now, held, merges, landed)

    def _sign_up(self) -> None:
        rng, rover_id, at = self._rng, self._uuid(), self._instant(0.0, 0.4)
        traits = {name: rng.choice(values) for name, values in TRAITS.items() if rng.random() < 0.8}
        self._profiles[rover_id] = _Profile(traits, at)
        for kind in [kind for kind, share in IDENTIFIERS.items() if rng.random() < share]:
            self._gain(rover_id, kind, at)

    def _gain(self, rover_id: str, kind: str, at: datetime) -> None:
        number = f"{self._rng.getrandbits(64):016x}"
        values = {"email": f"fan+{number}@example.com", "userID": f"o'{number}", "pushToken": number * 4}
        value = values.get(kind) or self._uuid().upper()
        self._owners[kind, value] = _Owner(rover_id, max(at, self._profiles[rover_id].updated_at))

    def _set_traits(self, rover_id: str, traits: Mapping[str, str]) -> None:
        at = self._instant(0.1, 0.6, self._profiles[rover_id].updated_at)
        self._profiles[rover_id] = _Profile(traits, at)

    def _merge_some(self, count: int) -> list[Row]:
        """Rows of fan_merges. Every twelfth begins a chain: A into B, then B into C."""
        keys: defaultdict[str, list[Key]] = defaultdict(list)
        for key, owner in self._owners.items():
            keys[owner.rover_id].append(key)
        pool = self._rng.sample(list(self._profiles), min(3 * count, len(self._profiles)))
        merges: list[Row] = []
        while len(merges) < count and len(pool) >= 3:
            absorbed = pool.pop()
            for begin in (0.7, 0.85) if len(merges) % 12 == 0 and len(merges) + 1 < count else (0.8,):
                survivor = pool.pop()
                old, new = self._profiles.pop(absorbed), self._profiles[survivor]
                at = self._instant(begin, begin + 0.14, max(old.updated_at, new.updated_at))
                self._profiles[survivor] = _Profile({**old.traits, **new.traits}, at)
                self._owners.update({key: _Owner(survivor, at) for key in keys[absorbed]})
                keys[survivor] += keys.pop(absorbed)
                merges.append((survivor, absorbed, at))
                absorbed = survivor
        return merges

    def _event(self, rover_ids: Sequence[str], at: datetime) -> Row:
        rng, rover_id = self._rng, self._rng.choice(rover_ids)
        name, namespace, shape = rng.choice(EVENTS)
        props = ", ".join(f'"{prop}": {rng.choice(values)}' for prop, values in shape.items())
        device = DEVICES[int(rover_id[:2], 16) % len(DEVICES)] if rng.random() < 0.9 else None
        return self._uuid(), rover_id, name, namespace, f"{{{props}}}", device, at

    def _instant(self, begin: float, end: float, after: datetime | None = None) -> datetime:
        """An instant in that part of the day and later than `after`; where both cannot be, just after `after`."""
        start = max(self._now + begin * DAY, after + TICK if after else self._now)
        return start + max(self._now + end * DAY - start, TICK) * self._rng.random()

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))

    def _some(self, of: Iterable[T], pace: Mapping[str, float], what: str) -> list[T]:
        pool = list(of)
        picked = self._rng.sample(pool, min(max(1, round(pace[what] * self._fans)), len(pool)))
        self._counts[what] += len(picked)
        return picked
