"""Every statement of every engine parses in its dialect, whatever the names are; and what each engine must not meet."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from rover_spark.config.settings import Settings, parse
from rover_spark.consume.ddl import script
from rover_spark.consume.ddl.engines import ENGINES
from rover_spark.consume.ddl.engines.port import Engine, Names
from rover_spark.consume.ddl.place import Place
from rover_spark.consume.ddl.scope import Scope, scope_of
from rover_spark.consume.ddl.sql import remark
from rover_spark.consume.ddl.statement import Statement
from rover_spark.consume.ddl.tables import of_dataset, of_event_type
from rover_spark.contract import avro
from rover_spark.contract.currents import Integration
from rover_spark.contract.rover import DATASETS
from rover_spark.errors import ConfigError

HOSTILE = "x\"; DROP TABLE `t`; --'é 🙂 /* $$ {0} */"
INTEGRATION = Integration("prod-01", "S3", "65f1c2d3", "eu")
SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "Event",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "time", "type": "long"},
        {"name": "timezone", "type": ["null", "string"], "default": None},
        {"name": "date", "type": ["null", {"type": "int", "logicalType": "date"}], "default": None},
        {"name": "object_key", "type": ["null", "double"], "default": None},
        {"name": "flag", "type": ["null", "boolean"], "default": None},
        {"name": "at", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}], "default": None},
        {"name": "price", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}], "default": None},
        {"name": "huge", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 60, "scale": 2}], "default": None},
        {"name": "raw", "type": ["null", "bytes"], "default": None},
        {"name": "kind", "type": ["null", {"type": "enum", "name": "K", "symbols": ["A", "B"]}], "default": None},
        {"name": "tags", "type": ["null", {"type": "array", "items": "string"}], "default": None},
        {"name": "props", "type": ["null", {"type": "map", "values": "string"}], "default": None},
        {"name": "inner", "type": ["null", {"type": "record", "name": "I", "fields": [{"name": "a", "type": "int"}]}], "default": None},
        {"name": "mixed", "type": ["null", "string", "long"], "default": None},
    ],
}  # fmt: skip


def rover_scope(engine: Engine, schema: str = "rover", place: Place | None = None) -> Scope:
    tables = tuple(of_dataset(name, ("tier", HOSTILE)) for name in ("fan_profile_merges", "fan_profiles", "fan_identity_graph", "fan_track_events"))  # fmt: skip
    return Scope("acme", "rover", tables, place or Place(engine.schemes[0], "b", "p'q/x y"), Names((schema,)))


def currents_scope(engine: Engine) -> Scope:
    tables = (
        of_event_type(INTEGRATION, "users.behaviors.CustomEvent", avro.parse(SCHEMA)),
        of_event_type(INTEGRATION, 'it\'s "odd"; --', None, ("id", "time", "amount", HOSTILE)),
    )
    known = tables[: 1 if engine.name == "athena" else 2]
    return Scope("acme", "currents", known, Place(engine.schemes[0], "b", "p"), Names(("currents",)))


def everything(engine: Engine) -> Iterator[Statement]:
    yield from script.statements(engine, rover_scope(engine, HOSTILE))
    yield from script.statements(engine, currents_scope(engine))
    yield from script.statements(engine, scope_of(None, schema="project-1.rover"))


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_every_statement_parses_as_what_it_is(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    kinds = {
        "schema": (exp.Create,),
        "table": (exp.Create,),
        "load": (exp.Insert, exp.Copy, exp.Delete, exp.TruncateTable),
        "view": (exp.Create,),
    }
    with caplog.at_level(logging.WARNING, "sqlglot"):
        for each in everything(engine):
            (parsed,) = sqlglot.parse(each.text, dialect=engine.dialect)
            assert isinstance(parsed, kinds[each.purpose]), each.text
    assert not caplog.records, "sqlglot kept something as text, or could not say it in this dialect"


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_a_script_is_its_statements_and_remarks_and_nothing_else(engine: Engine) -> None:
    scope = rover_scope(engine, HOSTILE)
    found = script.statements(engine, scope)
    text = script.text(engine, found)
    parsed = [each for each in sqlglot.parse(text, dialect=engine.dialect) if each is not None]
    runs = [each for each in found if not each.each_object]
    assert len(parsed) == len(runs)
    assert {each.purpose for each in found if each.each_object} <= {"load"}
    said = "run for real" if engine.ran else "parsed, but never run"
    assert said in text.partition("\n")[0]


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_a_hostile_name_is_one_name(engine: Engine) -> None:
    names: set[str] = set()
    for each in script.statements(engine, rover_scope(engine, HOSTILE)):
        (parsed,) = sqlglot.parse(each.text, dialect=engine.dialect)
        assert parsed is not None
        names |= {found.this for found in parsed.find_all(exp.Identifier)}
    assert HOSTILE in names, "the additional field, and the schema"
    odd = {name for name in names if not re.fullmatch(r"\$?\w+", name)}
    assert odd <= {HOSTILE, "<storage integration>", "METADATA$FILENAME"}, (
        "no piece of it became a name of its own"
    )


def test_a_name_with_a_control_character_or_a_backslash_is_refused() -> None:
    for name in ("", " ", "a\nb", "a\\", "a\u2028b", "a\u202eb", "x" * 121):
        with pytest.raises(ConfigError, match="not a name"):
            of_dataset("fan_profiles", [name])
        with pytest.raises(ConfigError):
            scope_of(None, schema=name if name else ".a")
    with pytest.raises(ConfigError, match=r"CATALOG\.SCHEMA"):
        scope_of(None, schema="a.b.c")


@pytest.mark.parametrize(
    "place",
    [
        "bucket/prefix",
        "http://b/p",
        "s3://",
        "s3://b/p?sig=1",
        "s3://b/p\n; DROP",
        "s3://b/p\\",
        "s3a://b/p",
        "az://c/p#x",
    ],
)
def test_a_place_that_is_none_or_may_hold_a_secret_is_refused(place: str) -> None:
    with pytest.raises(ConfigError) as caught:
        scope_of(None, place=place)
    assert caught.value.code == "place_invalid" and "sig" not in caught.value.message


@pytest.mark.parametrize(
    ("engine", "place"),
    [("bigquery", "s3://b/p"), ("redshift", "gs://b/p"), ("athena", "az://c/p"), ("snowflake", "file:///x")],
)
def test_an_engine_that_cannot_read_a_place_says_so(engine: str, place: str) -> None:
    with pytest.raises(ConfigError, match="does not read") as caught:
        script.statements(ENGINES[engine], scope_of(None, place=place))
    assert "--place" in caught.value.remedy


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_every_scheme_that_an_engine_reads_gives_statements_that_parse(engine: Engine) -> None:
    for scheme in engine.schemes:
        place = Place(scheme, "" if scheme == "file" else "b", "it's [a] {b} *")
        for each in script.statements(engine, rover_scope(engine, place=place)):
            if each.purpose != "view":  # these know no place
                assert sqlglot.parse_one(each.text, dialect=engine.dialect)


@pytest.mark.parametrize(
    ("engine", "signs"), [("duckdb", "[[]a[]] [{]b[}] [*]"), ("clickhouse", "?a? ?b? ?")]
)
def test_a_sign_of_patterns_in_a_place_is_no_pattern(engine: str, signs: str) -> None:
    scope = rover_scope(ENGINES[engine], place=Place("s3", "b", "[a] {b} *"))
    loads = [each.text for each in script.statements(ENGINES[engine], scope) if each.purpose == "load"]
    assert loads and all(f"{signs}/exports/" in each for each in loads)


def test_a_remark_stays_on_its_line() -> None:
    assert remark("a\nb\r\u2028c\x00d\x85e") == "-- a b  c d e"


# -- what an engine must not meet ------------------------------------------------------------------------------


def test_bigquery_gets_no_partition_that_a_column_could_be_named_like() -> None:
    texts = [each.text for each in everything(ENGINES["bigquery"])]
    assert any("`date`" in each for each in texts), "a field of the events has that name"
    assert not any("hive_partition" in each or "WITH PARTITION" in each for each in texts)
    assert all(each.count("*'") <= 1 for each in texts if "uris" in each)


def test_bigquery_names_are_letters_digits_and_underscores() -> None:
    for each in script.statements(ENGINES["bigquery"], scope_of(None)):
        parsed = sqlglot.parse_one(each.text, dialect="bigquery")
        assert all(re.fullmatch(r"\w+", found.this) for found in parsed.find_all(exp.Identifier))


def test_athena_keeps_the_case_of_keys_and_maps_every_name_with_capitals() -> None:
    texts = [
        each.text for each in script.statements(ENGINES["athena"], scope_of(None)) if each.purpose == "table"
    ]
    assert len(texts) == 4
    for text in texts:
        assert "'case.insensitive' = 'false'" in text and "'mapping.roverid' = 'roverID'" in text
        assert "PARTITIONED" not in text


def test_athena_asks_for_the_schema_of_events_and_others_say_what_is_missing() -> None:
    table = of_event_type(INTEGRATION, "users.A", None, ("id", "amount"))
    scope = Scope("acme", "currents", (table,), Place("s3", "b", "p"), Names(("currents",)))
    with pytest.raises(ConfigError, match="reads Avro by a schema") as caught:
        script.statements(ENGINES["athena"], scope)
    assert (caught.value.code, "users.A" in caught.value.remedy) == ("schema_missing", True)
    _, created, *_ = script.statements(ENGINES["databricks"], scope)
    assert "only the fields that the configuration names" in created.remarks[-1]


def test_the_object_of_a_row_never_takes_the_name_of_a_field() -> None:
    table = of_event_type(INTEGRATION, "a.B", avro.parse(SCHEMA))
    assert "object_key" in table.names and table.object_key == "object_key_"
    assert of_dataset("fan_profiles", ["OBJECT_KEY"]).object_key == "object_key_"


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_recursion_is_asked_for_only_where_a_view_may_hold_it(engine: Engine) -> None:
    views = [each.text for each in script.statements(engine, scope_of(None)) if "merges_current" in each.text]
    assert engine.recursive is any("RECURSIVE" in each for each in views)
    assert engine.recursive is (engine.name in {"bigquery", "snowflake", "clickhouse", "duckdb", "postgres"})


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_additional_fields_have_the_type_that_takes_any_json_and_a_remark(engine: Engine) -> None:
    tables = [each.text for each in script.statements(engine, rover_scope(engine)) if each.purpose == "table"]
    lines = [
        line for text in tables for line in text.splitlines() if "tier" in line and "mapping" not in line
    ]
    assert lines and all("the contract does not know its type" in line for line in lines)
    kind = "STRING" if engine.name == "athena" else engine.types["any"]
    assert all(kind in line for line in lines)


# -- the scope ----------------------------------------------------------------------------------------------------


def settings(**more: Any) -> Settings:
    return parse({"name": "acme", "destination": "s3://bucket/acme", "ledger": "/data/control", **more})


def test_a_configuration_says_which_datasets_there_are_and_their_additional_fields() -> None:
    configured = settings(
        datasets={
            "fan_profiles": {"table": "/t", "extra": {"tier": "tier"}},
            "fan_profile_merges": {"table": "/m"},
        }
    )
    scope = scope_of(configured)
    assert [each.name for each in scope.tables] == ["fan_profile_merges", "fan_profiles"], (
        "views build on merges"
    )
    assert scope.tables[1].names[-2:] == ("tier", "updatedAt")
    assert scope.place == Place("s3", "bucket", "acme")
    assert [each.name for each in scope_of(configured, datasets=["fan_profiles"]).tables] == ["fan_profiles"]
    with pytest.raises(ConfigError, match="did you mean fan_profiles"):
        scope_of(configured, datasets=["fan_profile"])


def test_without_a_configuration_all_datasets_of_the_contract_count() -> None:
    assert {each.dataset for each in scope_of(None).tables} == set(DATASETS)


def test_without_merges_each_profile_is_its_own() -> None:
    (_, _, _, _, view) = script.statements(ENGINES["duckdb"], scope_of(None, datasets=["fan_track_events"]))
    assert '"n"."roverID" AS "canonicalRoverID"' in view.text and "JOIN" not in view.text
    assert "its own canonical one" in view.remarks[-1]


def test_an_event_type_takes_its_columns_from_its_schema_file(tmp_path: Path) -> None:
    path = tmp_path / "a.avsc"
    path.write_text(json.dumps(SCHEMA), encoding="utf-8")
    event = {"table": "/t", "schema": str(path)}
    configured = settings(
        contract="currents",
        currents={"cluster": "prod-01", "connection": "S3", "integration_id": "65f1c2d3", "zone": "eu"},
        events={"users.A": event, "users.B": {"table": "/t", "columns": {"id": "i", "amount": "a"}}},
    )
    one, other = scope_of(configured).tables
    assert [each.kind for each in one.columns] == [
        "key", "integer", "text", "day", "real", "flag", "time", "decimal", "text", "octets", "text", "json", "json", "json", "any",
    ]  # fmt: skip
    assert [(each.name, each.kind) for each in other.columns] == [
        ("id", "key"),
        ("time", "integer"),
        ("amount", "any"),
    ]
    assert one.folder == ("dataexport.prod-01.S3.integration.65f1c2d3", "event_type=users.A")
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(ConfigError, match="not that of a record"):
        scope_of(configured)
    path.unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        scope_of(configured)


def test_event_types_get_table_names_that_differ_and_that_every_warehouse_takes() -> None:
    types = [
        "users.behaviors.CustomEvent",
        "users.behaviors-CustomEvent",
        "é",
        "1",
        "x" * 190,
        "select; --",
        "a b",
    ]
    configured = settings(
        contract="currents",
        currents={"cluster": "prod-01", "connection": "S3", "integration_id": "65f1c2d3", "zone": "eu"},
        events={each: {"table": "/t"} for each in types},
    )
    names = [each.name for each in scope_of(configured).tables]
    assert len(set(names)) == len(types)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]{0,70}", each) for each in names), names
