"""Event tables that live through a random history, the integration that delivers them, and the kills that interrupt it.

Two tables serve three event types: two of them share one. Commits go through the ``deltalake`` package, and each is given
a time of its own on a clock that runs in minutes and hours, so that one batch holds several queue hours. Events repeat,
come late, get a column more; a table without a change data feed is read by its files. Commits also land while a run is
between its plan and its staging.
"""

from __future__ import annotations

import os
import random
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import SparkSession

from rover_spark import Settings, parse
from rover_spark.face import commands
from rover_spark.face.results import Result
from tests.e2e.world import fingerprint
from tests.effects import Killed, effects, killed_at

CUSTOM, PURCHASE, SESSION = (
    "users.behaviors.CustomEvent",
    "users.behaviors.Purchase",
    "users.behaviors.app.SessionStart",
)
TABLE = {CUSTOM: "shop", PURCHASE: "shop", SESSION: "app"}
COLUMNS = {"id": "event_id", "time": "at", "note": "note"}
FIELDS = [("event_id", "string"), ("kind", "string"), ("at", pa.timestamp("us", "UTC")), ("note", "string")]
EXTRA = "more"  # the columns that appear one after the other: more1, more2


class RandomStream:
    """Two tables, three event types, one integration, drawn from a seed."""

    def __init__(self, spark: SparkSession, root: Path, seed: int) -> None:
        self.spark, self.root = spark, root
        self.random = random.Random(seed)
        self.bucket = root / "bucket"
        self.clock = datetime.now(timezone.utc)
        # commits lie in the past, on a clock of their own, but not so far that Delta refuses to go back to them: a week
        self.committed = self.clock.replace(microsecond=0) - timedelta(days=6)
        self.dated: set[Path] = set()
        self.feed = {"shop": seed % 3 != 1, "app": seed % 2 == 0}
        self.partitions = 1 + seed % 3
        self.extra = dict.fromkeys(("shop", "app"), 0)
        self.configured = dict.fromkeys(TABLE, 0)
        self.journal: list[str] = []
        # of each event: type, values of its columns, and the hours of the commits that brought it
        self.events: dict[str, tuple[str, dict[str, Any]]] = {}
        self.hours: dict[str, set[datetime]] = defaultdict(set)
        # commits that write rows of their table again: a feed may give these as inserts, under the ids they have
        self.rewritten: dict[str, set[datetime]] = defaultdict(set)
        self.appended = 0
        for table, feed in self.feed.items():
            properties = {"delta.enableChangeDataFeed": "true"} if feed else {"delta.appendOnly": "true"}
            empty = pa.Table.from_pylist([], schema=pa.schema(FIELDS))
            write_deltalake(self.path(table), empty, configuration=properties)
            self._date(table)
            self._append(table)

    def path(self, table: str) -> str:
        return str(self.root / "tables" / table)

    @property
    def settings(self) -> Settings:
        place = {"cluster": "prod-01", "connection": "S3", "integration_id": "65f1c2d3", "zone": "eu"}
        return parse(
            {
                "name": "acme",
                "contract": "currents",
                "destination": f"file://{self.bucket}/acme",
                "ledger": f"{self.root}/control/acme",
                "currents": {**place, "partitions": self.partitions},
                "events": {event_type: self._event_type(event_type) for event_type in TABLE},
            }
        )

    def _event_type(self, event_type: str) -> dict[str, Any]:
        extra = {f"{EXTRA}{n}": f"{EXTRA}{n}" for n in range(1, self.configured[event_type] + 1)}
        table = TABLE[event_type]
        # what a feed says of deleted rows is counted; without a feed there are none
        changes = {"changes": "ignore"} if self.feed[table] else {}
        return {
            "table": self.path(table),
            "where": f"kind = '{event_type}'",
            "columns": {**COLUMNS, **extra},
            "start": "earliest",
            **changes,
        }

    # -- the source -------------------------------------------------------------------------------------------------

    def live(self) -> None:
        """One commit of a random kind."""
        table = self.random.choice(["shop", "app"])
        acts = [self._append] * 6 + [self._repeat] * 2 + [self._widen, self._optimize, self._configure]
        if self.feed[table]:
            acts += [self._delete, self._touch]
        act = self.random.choice(acts)
        self.journal.append(f"{act.__name__} {table}")
        act(table)

    def _date(self, table: str) -> None:
        """Gives the commits that have no time yet the next ones of the clock."""
        log = Path(self.path(table), "_delta_log")
        for path in sorted(set(log.glob("*.json")) - self.dated):
            self.dated.add(path)
            self.committed += timedelta(minutes=self.random.choice([1, 7, 50, 70]))
            os.utime(path, (self.committed.timestamp(),) * 2)

    def _write(self, table: str, rows: list[dict[str, Any]]) -> None:
        extra = [(f"{EXTRA}{n}", "string") for n in range(1, self.extra[table] + 1)]
        data = pa.Table.from_pylist(rows, schema=pa.schema(FIELDS + extra))
        write_deltalake(self.path(table), data, mode="append", schema_mode="merge")
        self._date(table)
        for row in rows:
            self.hours[row["event_id"]].add(self.committed.replace(minute=0, second=0))

    def _append(self, table: str) -> None:
        """New events of the table's types, some of long ago."""
        rows = []
        for _ in range(self.random.randint(1, 12)):
            event_type = self.random.choice([name for name, place in TABLE.items() if place == table])
            self.appended += 1
            late = timedelta(seconds=self.random.choice([1, 30, 3600, 86400 * 40]))
            row = {
                "event_id": f"e{self.appended}",
                "kind": event_type,
                "at": self.committed - late,
                "note": self.random.choice(["a", "ö", "", None]),
                **{f"{EXTRA}{n}": f"{self.appended}.{n}" for n in range(1, self.extra[table] + 1)},
            }
            self.events[str(row["event_id"])] = event_type, row
            rows.append(row)
        self._write(table, rows)

    def _repeat(self, table: str) -> None:
        """Events again as they were, beside a new one; one of them twice in the commit."""
        known = [row for event_type, row in self.events.values() if TABLE[event_type] == table]
        rows = self.random.sample(known, min(len(known), 3))
        self._write(table, [*rows, *rows[:1]])

    def _widen(self, table: str) -> None:
        """A column more in the table, which event types may take up later."""
        if self.extra[table] < 2:
            self.extra[table] += 1
        self._append(table)

    def _configure(self, table: str) -> None:
        """An event type takes up the columns that its table has."""
        event_type = self.random.choice([name for name, place in TABLE.items() if place == table])
        self.configured[event_type] = self.extra[table]

    def _optimize(self, table: str) -> None:
        DeltaTable(self.path(table)).optimize.compact()
        self._date(table)

    def _delete(self, table: str) -> None:
        """Rows are taken out of the table: what was delivered stays delivered, the rest is in the feed."""
        DeltaTable(self.path(table)).delete(f"event_id = 'e{self.random.randint(1, self.appended)}'")
        self._rewritten(table)

    def _touch(self, table: str) -> None:
        DeltaTable(self.path(table)).update(
            predicate=f"event_id = 'e{self.random.randint(1, self.appended)}'", updates={"note": "note"}
        )
        self._rewritten(table)

    def _rewritten(self, table: str) -> None:
        self._date(table)
        self.rewritten[table].add(self.committed.replace(minute=0, second=0))

    def commits_of(self, event_id: str) -> set[datetime]:
        """The hours of the commits that can have brought an event."""
        return self.hours[event_id] | self.rewritten[TABLE[self.events[event_id][0]]]

    # -- the export -------------------------------------------------------------------------------------------------

    def export(self, *, kill_at: int = 0) -> Result | None:
        """A run, or None where it was killed at its ``kill_at``-th step. Commits land while it is under way.

        A run that ends is followed by another one where it could not see what landed.
        """
        self.clock += self.random.choice([timedelta(minutes=5), timedelta(hours=2)])
        self.journal.append(f"export killed at {kill_at}" if kill_at else "export")
        landed = False

        def look(effect: str) -> None:
            nonlocal landed
            if effect == "ledger PLANNED" and not landed and self.random.random() < 0.5:
                landed = True
                self.live()

        try:
            with effects(*killed_at(kill_at), look=look):
                result = commands.export(self.spark, self.settings, now=self.clock)
        except Killed:
            return None
        if landed and result.ok:
            result = commands.export(self.spark, self.settings, now=self.clock)
        return result

    def intervene(self) -> None:
        """The operator has a batch delivered again: nothing changes."""
        batches = [b for b in commands.status(self.spark, self.settings).batches if b.state == "COMMITTED"]
        if batches:
            batch, before = self.random.choice(batches).batch, fingerprint(self.bucket)
            self.journal.append(f"redeliver {batch}")
            assert commands.redeliver(self.spark, self.settings, batch, now=self.clock).ok
            assert fingerprint(self.bucket) == before
