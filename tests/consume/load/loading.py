"""The engines of the loader behind one seam: each loads a place, and says what is in its tables then."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

import duckdb

from rover_spark.consume.load.duckdb.warehouse import opened
from rover_spark.consume.load.report import Loaded, LoadedDataset
from rover_spark.consume.load.run import load
from rover_spark.consume.place import open_place
from tests.consume.ddl.export import EVENTS, GRAPH, MERGES, PROFILES, Export

Row = tuple[Any, ...]
NOW = datetime(2026, 11, 30, tzinfo=timezone.utc)
TIMES = {PROFILES: "updatedAt", GRAPH: "updatedAt", MERGES: "occurredAt", EVENTS: "timestamp"}


class Engine(Protocol):
    """A warehouse, as the tests use it. ``into`` is where it keeps its tables: a file or a directory that may not be there yet."""

    name: str

    def loaded(
        self, place: Path, into: Path, now: datetime = NOW, *, group: int | None = None, **options: Any
    ) -> Loaded:
        """A run of the loader. ``group`` is how many objects share a transaction, else as many as the engine says."""
        ...

    def ask(self, into: Path, query: str) -> list[Row]:
        """The rows of a query that DuckDB and Spark both know, but for names.

        Names are in double quotes, no text is; the bookkeeping is ``rover_load.objects``, ``.manifests`` and ``.quarantine``.
        Instants come as UTC without a zone, objects and additional fields as JSON text.
        """
        ...

    def event_types(self, into: Path) -> dict[str, str]:
        """The event types of Currents, and the names of their tables without ``_raw``."""
        ...

    def tables(self, into: Path) -> dict[str, set[str]]:
        """Every raw table as a set of rows, without the keys of objects; columns by name. Views follow from them."""
        ...


class DuckDB:
    """Loads into a DuckDB file."""

    name = "duckdb"

    def loaded(
        self, place: Path, into: Path, now: datetime = NOW, *, group: int | None = None, **options: Any
    ) -> Loaded:
        with opened(into, lambda: now) as warehouse:
            warehouse.group_objects = group or warehouse.group_objects
            return load(open_place(str(place)), warehouse, now=now, **options)

    def event_types(self, into: Path) -> dict[str, str]:
        return dict(self.ask(into, "SELECT event_type, name FROM rover_load.event_types"))

    def ask(self, into: Path, query: str) -> list[Row]:
        with self._opened(into) as connection:
            return list(connection.execute(query).fetchall())

    def tables(self, into: Path) -> dict[str, set[str]]:
        with self._opened(into) as connection:
            columns = connection.execute(
                """SELECT table_name, string_agg('"' || column_name || '"', ', ' ORDER BY column_name) FROM duckdb_columns()
                WHERE schema_name = 'main' AND table_name LIKE '%_raw' AND column_name <> 'object_key' GROUP BY ALL"""
            ).fetchall()
            return {
                table: {str(row) for row in connection.execute(f'SELECT {names} FROM "{table}"').fetchall()}
                for table, names in columns
            }

    @contextmanager
    def _opened(self, into: Path) -> Iterator[Any]:
        with duckdb.connect(str(into), read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            yield connection


DUCKDB = DuckDB()


def of(found: Loaded, dataset: str) -> LoadedDataset:
    """What was loaded of a dataset."""
    return next(each for each in found.datasets if each.dataset == dataset)


def differences(engine: Engine, into: Path, export: Export) -> list[str]:
    """What of the tables and views is not what plain Python makes of the export."""
    wrong = []

    def hold(what: str, found: object, wanted: object) -> None:
        if found != wanted:
            wrong.append(f"{what}: {found} is not {wanted}")

    for dataset, time in TIMES.items():
        rows = engine.ask(into, f'SELECT id, "{time}", "emittedAt" FROM {dataset}_raw')
        hold(
            dataset,
            {row[0]: tuple(map(_text, row[1:])) for row in rows},
            {each["id"]: (each[time], _six(each["emittedAt"])) for each in export.records(dataset)},
        )
        hold(f"{dataset}, ids", len(rows), len({row[0] for row in rows}))
    profiles = engine.ask(into, 'SELECT "canonicalRoverID", id, traits, additional FROM fan_profiles_current')
    hold(
        "profiles",
        {canonical: (key, _object(traits), _object(more)) for canonical, key, traits, more in profiles},
        {name: (each["id"], each["traits"], _more(each)) for name, each in export.profiles().items()},
    )
    identifiers = engine.ask(
        into,
        'SELECT "canonicalRoverID", "identifierType", identifier, id FROM fan_identity_graph_current',
    )
    hold(
        "identifiers",
        {row[:3]: row[3] for row in identifiers},
        {key: each["id"] for key, each in export.identifiers().items()},
    )
    merges = engine.ask(
        into, 'SELECT "mergedRoverID", "canonicalRoverID", "inCycle" FROM fan_profile_merges_current'
    )
    hold("merges", {row[0]: row[1:] for row in merges}, export.canonical())
    events = engine.ask(into, 'SELECT id, "canonicalRoverID" FROM fan_track_events_current')
    hold("events", dict(events), export.events())
    return wrong


def _more(record: dict[str, Any]) -> dict[str, Any] | None:
    known = ("id", "version", "roverID", "emittedAt", "traits", "deleted", "updatedAt")
    return {name: value for name, value in record.items() if name not in known} or None


def _object(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _text(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%S.%f}Z"


def _six(instant: str) -> str:
    return instant.replace(".000Z", ".000000Z")
