"""Loads a place into a DuckDB file, and reads what is there, for the tests of the loader."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import duckdb

from rover_spark.consume.load.duckdb.warehouse import opened
from rover_spark.consume.load.report import Loaded, LoadedDataset
from rover_spark.consume.load.run import load
from rover_spark.consume.place import open_place
from tests.consume.ddl.export import EVENTS, GRAPH, MERGES, PROFILES, Export

NOW = datetime(2026, 11, 30, tzinfo=timezone.utc)
TIMES = {PROFILES: "updatedAt", GRAPH: "updatedAt", MERGES: "occurredAt", EVENTS: "timestamp"}


def loaded(place: Path, into: Path, now: datetime = NOW, **options: Any) -> Loaded:
    """A run of the loader."""
    with opened(into, lambda: now) as warehouse:
        return load(open_place(str(place)), warehouse, now=now, **options)


def of(found: Loaded, dataset: str) -> LoadedDataset:
    """What was loaded of a dataset."""
    return next(each for each in found.datasets if each.dataset == dataset)


def ask(file: Path, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    with duckdb.connect(str(file), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(query).fetchall()


def tables(file: Path) -> dict[str, set[str]]:
    """Every raw table as a set of rows, without the keys of objects; columns by name. Views follow from them."""
    with duckdb.connect(str(file), read_only=True) as connection:
        found: dict[str, list[str]] = {}
        for table, column in connection.execute(
            "SELECT table_name, column_name FROM duckdb_columns() WHERE schema_name = 'main' AND table_name LIKE '%_raw'"
            " AND column_name <> 'object_key' ORDER BY ALL"
        ).fetchall():
            found.setdefault(table, []).append(f'"{column}"')
        return {
            table: {
                str(row) for row in connection.execute(f'SELECT {", ".join(names)} FROM "{table}"').fetchall()
            }
            for table, names in found.items()
        }


def differences(file: Path, export: Export) -> list[str]:
    """What of the tables and views is not what plain Python makes of the export."""
    wrong = []

    def hold(what: str, found: object, wanted: object) -> None:
        if found != wanted:
            wrong.append(f"{what}: {found} is not {wanted}")

    for dataset, time in TIMES.items():
        rows = ask(file, f'SELECT id, "{time}", "emittedAt" FROM {dataset}_raw')
        hold(
            dataset,
            {row[0]: tuple(map(_text, row[1:])) for row in rows},
            {each["id"]: (each[time], _six(each["emittedAt"])) for each in export.records(dataset)},
        )
        hold(f"{dataset}, ids", len(rows), len({row[0] for row in rows}))
    profiles = ask(file, 'SELECT "canonicalRoverID", id, traits, additional FROM fan_profiles_current')
    hold(
        "profiles",
        {canonical: (key, _object(traits), _object(more)) for canonical, key, traits, more in profiles},
        {name: (each["id"], each["traits"], _more(each)) for name, each in export.profiles().items()},
    )
    identifiers = ask(
        file,
        'SELECT "canonicalRoverID", "identifierType", identifier, id FROM fan_identity_graph_current',
    )
    hold(
        "identifiers",
        {row[:3]: row[3] for row in identifiers},
        {key: each["id"] for key, each in export.identifiers().items()},
    )
    merges = ask(
        file, 'SELECT "mergedRoverID", "canonicalRoverID", "inCycle" FROM fan_profile_merges_current'
    )
    hold("merges", {row[0]: row[1:] for row in merges}, export.canonical())
    events = ask(file, 'SELECT id, "canonicalRoverID" FROM fan_track_events_current')
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
