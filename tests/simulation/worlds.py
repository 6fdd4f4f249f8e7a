"""A source table that lives through a random history, its export, and the kills that interrupt it.

One table layout serves all datasets through expressions. The keys of a world fall into ``FAMILIES`` families, each with
a history of its own: a small key space, so that keys are deleted, made again, moved and touched by many commits. Writes
go through the ``deltalake`` package, which commits in milliseconds; what only Spark can do goes through Spark.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import SparkSession

from rover_spark.config.settings import Settings, parse
from rover_spark.errors import ConfigError
from rover_spark.face import commands
from rover_spark.face.results import Result
from tests.e2e.world import FEED, uuid
from tests.effects import Killed, effects, killed_at

FAMILIES = 10
SCHEMA = pa.schema(
    [
        ("k1", "string"),
        ("k2", "string"),
        ("k3", "string"),
        ("note", "string"),
        ("at", pa.timestamp("us", "UTC")),
    ]
)
WIDE = "identifiers in columns of their own"
# name → expression over a row's note, and the same for people
IDENTIFIERS: dict[str, tuple[str, Callable[[str], str | None]]] = {
    "note": ("note", lambda note: note),
    "even": ("if(note in ('0', '2'), 'yes', null)", lambda note: "yes" if note in {"0", "2"} else None),
    "odd": ("nullif(note, 'over')", lambda note: None if note == "over" else note),
}
DATASETS: dict[str, dict[str, Any]] = {
    "fan_identity_graph": {
        "columns": {"roverID": "k1", "identifierType": "k2", "identifier": "k3", "updatedAt": "at"},
        "extra": {"note": "note"},
    },
    WIDE: {
        "columns": {"roverID": "k1", "updatedAt": "at"},
        "identifiers": {name: text for name, (text, _) in IDENTIFIERS.items()},
        "extra": {"kind": "_identifierType"},
    },
    "fan_profiles": {
        "columns": {"roverID": "k1", "traits": "map('note', note)", "updatedAt": "at"},
        "deletes": "tombstone",
    },
    "fan_profile_merges": {"columns": {"roverID": "k1", "mergedRoverID": "k2", "occurredAt": "at"}},
    "fan_track_events": {
        "columns": {
            "eventID": "k3",
            "roverID": "k1",
            "name": "k2",
            "attributes": "map('note', note)",
            "timestamp": "at",
        }
    },
}
Row = tuple[str, str, str, str, datetime]


class RandomWorld:
    """One table, one dataset, one export, drawn from a seed."""

    def __init__(self, spark: SparkSession, root: Path, seed: int) -> None:
        self.spark, self.root, self.seed = spark, root, seed
        self.random = random.Random(seed)
        names = (
            ["fan_identity_graph"] * 3
            + ["fan_profiles"] * 3
            + ["fan_track_events", "fan_profile_merges", WIDE]
        )
        kind = names[seed % len(names)]
        self.wide = kind == WIDE
        self.dataset = "fan_identity_graph" if self.wide else kind
        self.tombstones = self.dataset == "fan_profiles" and seed % 16 < 8
        self.table = str(root / "table")
        self.bucket = root / "bucket"
        self.clock = datetime.now(timezone.utc)
        self.began = self.clock
        self.events: dict[str, str] = {}
        self.merges: set[tuple[str, str]] = set()
        self.journal: list[str] = []
        write_deltalake(
            self.table,
            pa.Table.from_pylist([], schema=SCHEMA),
            configuration={"delta.enableChangeDataFeed": "true"},
        )
        for family in range(FAMILIES):
            self._insert(family)

    @property
    def settings(self) -> Settings:
        chosen = {**DATASETS[WIDE if self.wide else self.dataset], "table": self.table}
        if self.dataset == "fan_profiles" and not self.tombstones:
            chosen["deletes"] = "suppress"
        if self.dataset == "fan_track_events":
            chosen["start"] = "earliest"
        return parse(
            {
                "name": "acme",
                "destination": f"file://{self.bucket}",
                "ledger": str(self.root / "control" / "acme"),
                "files": {"target_records": 20},
                "datasets": {self.dataset: chosen},
            }
        )

    # -- the source -------------------------------------------------------------------------------------------------

    def rows(self) -> list[Row]:
        """The table as it stands."""
        found = DeltaTable(self.table).to_pyarrow_table(columns=SCHEMA.names).to_pylist()
        return [tuple(each[name] for name in SCHEMA.names) for each in found]  # type: ignore[misc]

    def live(self) -> None:
        """One commit of a random kind."""
        family = self.random.randrange(FAMILIES)
        if self.dataset == "fan_track_events":
            acts = [self._insert] * 6 + [self._delete, self._optimize, self._touch]
        else:
            acts = [self._insert] * 3 + [self._upsert] * 4 + [self._delete] * 3 + [self._move] * 2
            acts += [self._touch, self._optimize, self._overwrite, self._restore, self._replace]
        act = self.random.choice(acts)
        self.journal.append(act.__name__)
        act(family)

    def _at(self) -> datetime:
        # around the commits' own clock, seldom later; few enough instants to meet
        return self.began + timedelta(
            seconds=self.random.randint(-30, 6), microseconds=self.random.randint(0, 2)
        )

    def _key(self, family: int) -> tuple[str, str, str]:
        draw = self.random
        fan = uuid(family * 100 + draw.randint(1, 4))
        if self.dataset == "fan_identity_graph" and not self.wide:
            return fan, draw.choice(["email", "phone"]), draw.choice("ab")
        if self.dataset == "fan_profile_merges":
            return fan, uuid(family * 100 + draw.randint(5, 8)), ""
        if self.dataset == "fan_track_events":
            return fan, "Opened", f"{family}-{draw.randint(1, 40)}"
        return fan, "", ""

    def _written(self, rows: list[Row]) -> pa.Table:
        for k1, k2, k3, note, _ in rows:
            self.events.setdefault(k3, note)
            self.merges.add((k1, k2))
        return pa.Table.from_pylist(
            [dict(zip(SCHEMA.names, row, strict=True)) for row in rows], schema=SCHEMA
        )

    def _fresh(self, family: int) -> list[Row]:
        there = {row[:3] for row in self.rows()}
        keys = {self._key(family) for _ in range(self.random.randint(1, 4))} - there
        return [(*key, str(self.random.randint(0, 3)), self._at()) for key in sorted(keys)]

    def _insert(self, family: int) -> None:
        """New keys, or keys made again, often with a time before their deletion."""
        if rows := self._fresh(family):
            write_deltalake(self.table, self._written(rows), mode="append")

    def _upsert(self, family: int) -> None:
        """A MERGE: some rows are equal, some change, of some only the content or only the time, some are new."""
        rows: list[Row] = [*self._fresh(family)[:1]]
        for row in self.rows():
            if row[0] in {uuid(family * 100 + n) for n in range(1, 5)} and self.random.random() < 0.6:
                note = self.random.choice([row[3], str(self.random.randint(0, 3))])
                rows.append((*row[:3], note, self.random.choice([row[4], self._at()])))
        if rows:
            on = "s.k1 = t.k1 AND s.k2 = t.k2 AND s.k3 = t.k3"
            merge = DeltaTable(self.table).merge(self._written(rows), on, source_alias="s", target_alias="t")
            merge.when_matched_update_all().when_not_matched_insert_all().execute()

    def _pick(self, family: int) -> Row | None:
        mine = [row for row in self.rows() if row[0] in {uuid(family * 100 + n) for n in range(1, 5)}]
        return self.random.choice(mine) if mine else None

    def _where(self, row: Row) -> str:
        return " AND ".join(
            f"{name} = '{value}'" for name, value in zip(SCHEMA.names[:3], row[:3], strict=True)
        )

    def _delete(self, family: int) -> None:
        if row := self._pick(family):
            DeltaTable(self.table).delete(self._where(row))

    def _move(self, family: int) -> None:
        """An UPDATE that gives a row another key."""
        row, key = self._pick(family), self._key(family)
        if row and key not in {each[:3] for each in self.rows()}:
            moved = {name: f"'{value}'" for name, value in zip(SCHEMA.names[:3], key, strict=True)}
            DeltaTable(self.table).update(predicate=self._where(row), updates=moved)
            self._written([(*key, row[3], row[4])])

    def _touch(self, family: int) -> None:
        """An UPDATE that changes nothing."""
        if row := self._pick(family):
            DeltaTable(self.table).update(predicate=self._where(row), updates={"note": "note"})

    def _optimize(self, _: int) -> None:
        DeltaTable(self.table).optimize.compact()

    def _overwrite(self, family: int) -> None:
        """The nightly job: every row written again, a few changed, gone or new."""
        kept = [row for row in self.rows() if self.random.random() < 0.9]
        changed = [(*r[:3], "over", r[4]) if self.random.random() < 0.1 else r for r in kept]
        write_deltalake(self.table, self._written([*changed, *self._fresh(family)]), mode="overwrite")

    def _restore(self, _: int) -> None:
        """Back by a few versions, but never behind a table that was replaced."""
        table = DeltaTable(self.table)
        latest = table.version()
        if latest > self.replaced + 2:
            table.restore(self.random.randint(max(self.replaced + 1, latest - 6), latest - 1))

    replaced = 0

    def _replace(self, _: int) -> None:
        """CREATE OR REPLACE with nearly the same rows: a new table id, the versions go on."""
        name = f"delta.`{self.table}`"
        less = f"WHERE k1 <> '{uuid(self.random.randrange(FAMILIES) * 100 + 1)}'"
        self.spark.sql(f"CREATE OR REPLACE TABLE {name} USING delta {FEED} AS SELECT * FROM {name} {less}")
        self.replaced = DeltaTable(self.table).version()

    # -- the export -------------------------------------------------------------------------------------------------

    def export(self, *, kill_at: int = 0) -> Result | None:
        """A run, or None where it was killed before its ``kill_at``-th step was done."""
        self.clock += self.random.choice([timedelta(minutes=5), timedelta(hours=2)])
        self.journal.append(f"export killed at {kill_at}" if kill_at else "export")
        try:
            with effects(*killed_at(kill_at)):
                return commands.export(self.spark, self.settings, now=self.clock)
        except Killed:
            return None

    def intervene(self) -> None:
        """The operator asks for a snapshot rerun."""
        with suppress(ConfigError):  # events have no snapshot; what was never delivered needs none
            commands.rerun(self.spark, self.settings, self.dataset)
            self.journal.append("rerun")
