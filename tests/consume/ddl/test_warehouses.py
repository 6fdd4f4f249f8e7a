"""The statements run for real: what the views give is what plain Python computes from the same records.

DuckDB and PostgreSQL run always, ClickHouse (chDB, 400 MB) with --full.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pytest

from rover_spark.config.settings import parse
from rover_spark.consume.ddl.engines import ENGINES
from rover_spark.consume.ddl.engines.port import Names
from rover_spark.consume.ddl.place import Place
from rover_spark.consume.ddl.scope import Scope, scope_of
from rover_spark.consume.ddl.script import statements
from rover_spark.consume.ddl.tables import of_dataset, of_event_type
from rover_spark.contract import avro
from rover_spark.contract.currents import Integration
from rover_spark.face.receivers.statements import ddl
from tests.consume.ddl.export import (
    EVENTS,
    GRAPH,
    MERGES,
    PROFILES,
    Export,
    identifier,
    merge,
    person,
    profile,
    random_history,
    story,
)
from tests.consume.ddl.test_statements import HOSTILE
from tests.consume.ddl.warehouses import ClickHouse, DuckDB, Warehouse, postgres, running_here

INTEGRATION = Integration("prod-01", "S3", "65f1c2d3", "eu")
Opened = Callable[[], AbstractContextManager[Warehouse]]


pytestmark = pytest.mark.filterwarnings("ignore:XDG_RUNTIME_DIR")


@pytest.fixture(
    params=["duckdb", "postgres", pytest.param("clickhouse", marks=pytest.mark.full)], scope="module"
)
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """A warehouse, empty each time that it is opened."""
    home = tmp_path_factory.mktemp(request.param)
    if request.param == "duckdb":
        yield _plainly(DuckDB)
    elif request.param == "clickhouse":
        pytest.importorskip("chdb")
        one = ClickHouse(home)
        yield _emptied(one, lambda: one.session.query("DROP DATABASE IF EXISTS rover"))
    else:
        with postgres(home) as server:
            yield _emptied(server, lambda: server._psql("DROP SCHEMA IF EXISTS rover CASCADE;"))


def _plainly(make: Callable[[], Warehouse]) -> Opened:
    @contextmanager
    def entered() -> Iterator[Warehouse]:
        yield make()

    return entered


def _emptied(one: Warehouse, empty: Callable[[], object]) -> Opened:
    @contextmanager
    def entered() -> Iterator[Warehouse]:
        empty()
        yield one

    return entered


def loaded(warehouse: Warehouse, export: Export, place: Path, times: int = 1) -> None:
    """The whole script, as rover-spark ddl gives it for this place."""
    objects = export.write(place)
    settings = parse(
        {
            "name": "acme",
            "destination": place.as_uri(),
            "ledger": "/data/control",
            "datasets": {
                name: {"table": "/data/t", "extra": {"tier": "tier"} if name == PROFILES else {}}
                for name in (PROFILES, GRAPH, MERGES, EVENTS)
            },
        }
    )
    found = statements(ENGINES[warehouse.name], scope_of(settings, schema="rover"))
    for _ in range(times):
        warehouse.run(found, objects)


def ids(rows: list[dict[str, Any]], *key: str) -> dict[Any, str]:
    """The record's id by its key in a view; a key that comes twice fails."""
    found = {tuple(row[each] for each in key) if key[1:] else row[key[0]]: row["id"] for row in rows}
    assert len(found) == len(rows)
    return found


def expect_all(warehouse: Warehouse, export: Export) -> None:
    """Every view against plain Python."""
    for dataset in (PROFILES, GRAPH, MERGES, EVENTS):
        found = warehouse.rows(f"{dataset}_records")
        assert sorted(row["id"] for row in found) == sorted(each["id"] for each in export.records(dataset))
    canonical = {
        row["mergedRoverID"]: (row["canonicalRoverID"], row["inCycle"])
        for row in warehouse.rows("fan_profile_merges_current")
    }
    assert canonical == export.canonical()
    assert ids(warehouse.rows("fan_profiles_current"), "canonicalRoverID") == {
        name: each["id"] for name, each in export.profiles().items()
    }
    assert ids(
        warehouse.rows("fan_identity_graph_current"), "canonicalRoverID", "identifierType", "identifier"
    ) == {key: each["id"] for key, each in export.identifiers().items()}
    assert {
        row["id"]: row["canonicalRoverID"] for row in warehouse.rows("fan_track_events_current")
    } == export.events()


def test_the_views_give_what_plain_python_computes(opened: Opened, tmp_path: Path) -> None:
    export = story()
    assert {cycle for _, cycle in export.canonical().values()} == {True, False}
    with opened() as warehouse:
        loaded(warehouse, export, tmp_path)
        expect_all(warehouse, export)
        values_are_kept(warehouse, export)


def values_are_kept(warehouse: Warehouse, export: Export) -> None:
    """What a record says arrives as it was sent: objects, text, additional fields of any type, times to the microsecond."""
    sent = {each["id"]: each for name in (PROFILES, EVENTS, GRAPH) for each in export.records(name)}
    rows = [*warehouse.rows("fan_profiles_current"), *warehouse.rows("fan_track_events_records")]
    rows += warehouse.rows("fan_identity_graph_current")
    assert len(rows) > 50
    for row in rows:
        record = sent[row["id"]]
        for name in ("traits", "attributes", "device"):
            assert _value(row.get(name)) == record.get(name)
        for name in ("version", "roverID", "name", "namespace", "identifier"):
            assert name not in row or row[name] == record.get(name), name
        time = next(each for each in ("updatedAt", "timestamp") if each in record)
        assert _micros(row[time]) == record[time]
        if "tier" in row and warehouse.name == "clickhouse":  # keeps the text of the value
            tier = record.get("tier")
            assert row["tier"] == (
                tier if isinstance(tier, str) or tier is None else json.dumps(tier, separators=(",", ":"))
            )
        elif "tier" in row:
            assert _value(row["tier"]) == record.get("tier")


def _value(found: Any) -> Any:
    try:
        return json.loads(found) if isinstance(found, str) else found
    except ValueError:
        return found


def _micros(text: str) -> str:
    """2026-11-21 10:00:00.5 as the contract writes it."""
    text = text.replace(" ", "T").removesuffix("Z").removesuffix("+00:00")
    whole, _, part = text.partition(".")
    return f"{whole}.{part:0<6}Z"


@pytest.mark.parametrize("seed", range(2))
def test_the_views_follow_random_histories(opened: Opened, tmp_path: Path, seed: int) -> None:
    export = random_history(seed)
    with opened() as warehouse:
        loaded(warehouse, export, tmp_path)
        expect_all(warehouse, export)


def test_a_script_runs_as_it_was_printed(opened: Opened, tmp_path: Path) -> None:
    export = story()
    export.write(tmp_path)
    with opened() as warehouse:
        printed = ddl(warehouse.name, place=tmp_path.as_uri()).text
        warehouse.script(printed)
        warehouse.script(printed)
        found = warehouse.rows("fan_profiles_current")
    # lines come to PostgreSQL through a client
    assert len(found) == (0 if warehouse.name == "postgres" else len(export.profiles()))


def test_what_is_loaded_twice_counts_once(opened: Opened, tmp_path: Path) -> None:
    export = story()
    with opened() as warehouse:
        loaded(warehouse, export, tmp_path, times=2)
        expect_all(warehouse, export)
        if warehouse.name != "postgres":  # there the client says what is loaded
            raw = warehouse.rows("fan_profiles_raw")
            assert len(raw) == sum(len(each) for name, each in export.batches if name == PROFILES)
            assert len({row["object_key"] for row in raw}) == sum(
                name == PROFILES for name, _ in export.batches
            )


def test_a_hostile_name_is_a_column_and_a_hostile_place_is_no_pattern(opened: Opened, tmp_path: Path) -> None:
    export = Export()
    export.add(PROFILES, profile(1, 0, **{HOSTILE: "it's"}), profile(2, 0))
    table = of_dataset(PROFILES, (HOSTILE, "place", "canonicalRoverID", "object_key"))
    place = tmp_path / "[a] {b,c} *é?"
    scope = Scope("acme", "rover", (table,), Place("file", "", str(place)[1:]), Names(("rover",)))
    with opened() as warehouse:
        warehouse.run(statements(ENGINES[warehouse.name], scope), export.write(place))
        rows = {row["roverID"]: row for row in warehouse.rows("fan_profiles_current")}
    assert (rows[person(1)][HOSTILE], rows[person(2)][HOSTILE]) == ("it's", None)
    assert {row["canonicalRoverID_"] for row in rows.values()} == {person(1), person(2)}
    assert all(row["object_key_"].endswith(".ndjson.gz") for row in rows.values())


def test_a_long_chain_ends_at_its_last_survivor(opened: Opened, tmp_path: Path) -> None:
    export = Export()
    for dataset, record in ((PROFILES, profile(1, 0)), (GRAPH, identifier(60, "x", 0))):
        export.add(dataset, record)
    export.add(
        EVENTS, {"roverID": person(40), "name": "x", "attributes": {}, "timestamp": "2026-11-21T10:00:00Z"}
    )
    export.add(MERGES, *(merge(number, number - 1, 100 - number) for number in range(60, 1, -1)))
    with opened() as warehouse:
        loaded(warehouse, export, tmp_path)
        expect_all(warehouse, export)
        found = warehouse.rows("fan_profile_merges_current")
        assert {row["canonicalRoverID"] for row in found} == {person(1)}


def test_events_in_avro_are_loaded_by_name_and_count_once(opened: Opened, tmp_path: Path) -> None:
    schemas = [avro_schema(), avro_schema("note")]
    events = [
        {
            "id": f"e{n}",
            "time": 1_795_256_100 + n,
            "price": Decimal(n) / 4,
            "at": at(n),
            "tags": ["a", str(n)],
            "date": date(2020, 2, 1 + n),
        }
        for n in range(5)
    ]
    noted = [{**each, "note": f"it's {each['id']}"} for each in events[3:]]
    folder = tmp_path / INTEGRATION.name / "event_type=users.Custom" / "date=2026-11-21-10"
    objects = [
        avro_file(folder / "1" / "eu" / "a+0+0.avro", schemas[0], events[:3]),
        avro_file(folder / "2" / "eu" / "a+0+3.avro", schemas[1], noted),
        avro_file(folder / "2" / "eu" / "a+0+5.avro", schemas[1], noted[:1]),  # once more
    ]
    table = of_event_type(INTEGRATION, "users.Custom", avro.parse(schemas[1]))
    scope = Scope("acme", "currents", (table,), Place.of(tmp_path.as_uri()), Names(("rover",)))
    with opened() as warehouse:
        found = statements(ENGINES[warehouse.name], scope)
        if warehouse.name == "duckdb":  # its extension for Avro comes from a host of its own
            found = tuple(each for each in found if each.purpose != "load")
        warehouse.run(found, {"users.Custom": [as_lines(each) for each in objects]})
        if warehouse.name == "duckdb":
            for each in objects:
                warehouse.load_lines("users_custom_raw", as_lines(each))
        rows = {row["id"]: row for row in warehouse.rows("users_custom_records")}
    assert set(rows) == {each["id"] for each in events}
    for each in [*events[:3], *noted]:
        row = rows[each["id"]]
        assert (int(row["time"]), row["date"]) == (each["time"], str(each["date"]))
        if warehouse.name != "duckdb":  # has the bytes
            assert Decimal(str(row["price"])) == each["price"]
        assert (_value(row["tags"]), row.get("note")) == (each["tags"], each.get("note"))
        assert _micros(row["at"]) == each["at"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def avro_schema(*more: str) -> dict[str, Any]:
    fields: list[dict[str, Any]] = [
        {"name": "id", "type": "string"},
        {"name": "time", "type": "int"},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {
            "name": "at",
            "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}],
            "default": None,
        },
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "date", "type": {"type": "int", "logicalType": "date"}},  # as a folder of the key
    ]
    fields += [{"name": each, "type": ["null", "string"], "default": None} for each in more]
    return {"type": "record", "name": "Custom", "fields": fields}


def avro_file(path: Path, schema: dict[str, Any], events: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        fastavro.writer(file, fastavro.parse_schema(schema), events, codec="deflate")
    return path


def as_lines(path: Path) -> Path:
    """What ``python -m fastavro`` prints of an object, compressed as the other objects are."""
    done = subprocess.run([sys.executable, "-m", "fastavro", path], capture_output=True, check=True)
    lines = path.with_suffix(".ndjson.gz")
    lines.write_bytes(gzip.compress(done.stdout))
    return lines


def at(seconds: int) -> datetime:
    return datetime(2026, 11, 21, 10, 0, seconds, 123_456 + seconds, tzinfo=timezone.utc)


def test_every_engine_that_says_that_it_ran_runs_here() -> None:
    assert {name for name, engine in ENGINES.items() if engine.ran} == running_here()
