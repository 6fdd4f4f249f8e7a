"""Configuration: whatever passes is well formed, everything else is one error that names the key."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from rover_spark.config.expressions import place_of
from rover_spark.config.settings import FilesSettings, Settings, load, overlay, parse
from rover_spark.errors import ConfigError

MINIMAL: dict[str, Any] = {
    "name": "acme",
    "destination": "file:///data/bucket/acme",
    "ledger": "/data/control/acme",
    "datasets": {"fan_profiles": {"table": "/data/tables/fan_profiles"}},
}
TOML = """
name = "acme"
destination = "file:///data/bucket/acme"
ledger = "/data/control/acme"

[files]
max_bytes = 1000

[datasets.fan_profiles]
table = "/data/tables/fan_profiles"
columns = { roverID = "rover_id", updatedAt = "updated_at" }

[datasets.fan_track_events]
table = "main.sales.events"
"""


def tree(**changes: Any) -> dict[str, Any]:
    """The minimal configuration with changes by dotted path, `__` for a dot; None removes."""
    found = deepcopy(MINIMAL)
    for path, value in changes.items():
        *parents, last = path.split("__")
        node = found
        for part in parents:
            node = node.setdefault(part, {})
        if value is None:
            del node[last]
        else:
            node[last] = value
    return found


def refused(config: dict[str, Any]) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse(config)
    assert caught.value.code == "config_invalid"
    assert caught.value.exit_code == 2
    assert caught.value.remedy
    return caught.value


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "acme.toml"
    path.write_text(TOML, encoding="utf-8")
    return path


def test_a_minimal_configuration_gets_the_documented_defaults() -> None:
    settings = parse(MINIMAL)
    assert settings.files == FilesSettings(
        target_records=100_000, max_bytes=268_435_456, max_record_bytes=1_000_000, compression_level=1
    )
    profiles = settings.datasets["fan_profiles"]
    assert (profiles.columns, profiles.natural_key, profiles.where, profiles.extra) == ({}, None, None, {})
    assert (profiles.deletes, profiles.start, settings.contract) == ("suppress", "enable", "rover")


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        # unknown keys, at each level
        ("nane", {"nane": "x"}),
        ("files.max_byte", {"files__max_byte": 1}),
        ("datasets.fan_profiles.tables", {"datasets__fan_profiles__tables": "/x"}),
        ("datasets.fan_profile", {"datasets__fan_profile__table": "/x"}),
        ("datasets.fan_profiles.columns.roverId", {"datasets__fan_profiles__columns__roverId": "x"}),
        ("datasets.fan_profiles.columns.eventID", {"datasets__fan_profiles__columns__eventID": "x"}),
        # missing
        ("name", {"name": None}),
        ("destination", {"destination": None}),
        ("ledger", {"ledger": None}),
        ("datasets", {"datasets": None}),
        ("datasets", {"datasets": {}}),
        ("datasets.fan_profiles.table", {"datasets__fan_profiles__table": None}),
        # wrong types
        ("name", {"name": 5}),
        ("files", {"files": "small"}),
        ("files.max_bytes", {"files__max_bytes": "many"}),
        ("files.max_bytes", {"files__max_bytes": 1.5}),
        ("files.max_bytes", {"files__max_bytes": True}),
        ("files.max_bytes", {"files__max_bytes": [1]}),
        ("datasets", {"datasets": ["fan_profiles"]}),
        ("datasets.fan_profiles", {"datasets__fan_profiles": "/data/t"}),
        ("datasets.fan_profiles.table", {"datasets__fan_profiles__table": 7}),
        ("datasets.fan_profiles.columns", {"datasets__fan_profiles__columns": "rover_id"}),
        ("datasets.fan_profiles.columns.roverID", {"datasets__fan_profiles__columns__roverID": 1}),
        ("datasets.fan_profiles.natural_key", {"datasets__fan_profiles__natural_key": "roverID"}),
        ("datasets.fan_profiles.where", {"datasets__fan_profiles__where": True}),
        # out of range
        ("contract", {"contract": "currents"}),
        ("files.target_records", {"files__target_records": 0}),
        ("files.max_bytes", {"files__max_bytes": 0}),
        ("files.max_record_bytes", {"files__max_record_bytes": -1}),
        ("files.compression_level", {"files__compression_level": 10}),
        ("files.compression_level", {"files__compression_level": -1}),
        ("datasets.fan_profiles.deletes", {"datasets__fan_profiles__deletes": "keep"}),
        ("datasets.fan_profiles.natural_key", {"datasets__fan_profiles__natural_key": []}),
        # the name
        ("name", {"name": ""}),
        ("name", {"name": "a/b"}),
        ("name", {"name": "../a"}),
        ("name", {"name": "-a"}),
        ("name", {"name": "acmé"}),
        ("name", {"name": "acme\n"}),
        ("name", {"name": "a" * 65}),
        # the destination
        ("destination", {"destination": "/data/bucket"}),
        ("destination", {"destination": "file:/data/bucket"}),
        ("destination", {"destination": "file://data/bucket"}),
        ("destination", {"destination": "file://"}),
        ("destination", {"destination": "file:///"}),
        ("destination", {"destination": "file:////data/bucket"}),
        ("destination", {"destination": "file:///data//bucket"}),
        ("destination", {"destination": "file:///data/../bucket"}),
        ("destination", {"destination": "file:///data/./bucket"}),
        ("destination", {"destination": "file:///.."}),
        ("destination", {"destination": "file:///data/buc\nket"}),
        ("destination", {"destination": "file:///data/buc\x7fket"}),
        ("destination", {"destination": "file:///data/buc\x00ket"}),
        ("destination", {"destination": "ftp://host/bucket"}),
        ("destination", {"destination": "FILE:///data/bucket"}),
        ("destination", {"destination": "memory://"}),
        ("destination", {"destination": "memory://a/../b"}),
        # tables and the ledger
        ("ledger", {"ledger": ""}),
        ("ledger", {"ledger": "/data/../control"}),
        ("ledger", {"ledger": "/data/\ncontrol"}),
        ("ledger", {"ledger": "/"}),
        ("ledger", {"ledger": "/b/acme/control", "destination": "file:///b/acme"}),
        ("ledger", {"ledger": "file:/b/acme/control", "destination": "file:///b/acme"}),
        ("ledger", {"ledger": "s3://bucket/acme/control", "destination": "s3://bucket/acme"}),
        ("datasets.fan_profiles.table", {"datasets__fan_profiles__table": "/"}),
        ("datasets.fan_profiles.table", {"datasets__fan_profiles__table": "a.b.c.d"}),
        ("datasets.fan_profiles.table", {"datasets__fan_profiles__table": "a..b"}),
        ("datasets.fan_profiles.table", {"datasets__fan_profiles__table": "my table"}),
        ("datasets.fan_profiles.table", {"datasets__fan_profiles__table": "/data/../t"}),
        # what the dataset's contract does not know
        ("datasets.fan_profiles.natural_key", {"datasets__fan_profiles__natural_key": ["roverID", "x"]}),
        ("datasets.fan_profiles.natural_key", {"datasets__fan_profiles__natural_key": ["traits"]}),
        ("datasets.fan_profiles.natural_key", {"datasets__fan_profiles__natural_key": ["operation"]}),
        (
            "datasets.fan_profile_merges.deletes",
            {"datasets__fan_profile_merges": {"table": "/m", "deletes": "tombstone"}},
        ),
        ("datasets.fan_profiles.start", {"datasets__fan_profiles__start": "earliest"}),
        ("datasets.fan_profiles.start", {"datasets__fan_profiles__start": 3}),
        (
            "datasets.fan_track_events.start",
            {"datasets__fan_track_events": {"table": "/e", "start": "latest"}},
        ),
        ("datasets.fan_track_events.start", {"datasets__fan_track_events": {"table": "/e", "start": -1}}),
        ("datasets.fan_profiles.extra.roverID", {"datasets__fan_profiles__extra__roverID": "x"}),
        ("datasets.fan_profiles.extra.id", {"datasets__fan_profiles__extra__id": "x"}),
        ("datasets.fan_profiles.extra.deleted", {"datasets__fan_profiles__extra__deleted": "x"}),
        ("datasets.fan_profiles.extra.a-b", {"datasets__fan_profiles__extra__a-b": "x"}),
        ("datasets.fan_profiles.extra.a", {"datasets__fan_profiles__extra__a": "  "}),
        # expressions
        ("datasets.fan_profiles.where", {"datasets__fan_profiles__where": ""}),
        ("datasets.fan_profiles.where", {"datasets__fan_profiles__where": "rand() < 0.5"}),
        ("datasets.fan_profiles.extra.now", {"datasets__fan_profiles__extra__now": "current_timestamp"}),
        ("datasets.fan_profiles.columns.roverID", {"datasets__fan_profiles__columns__roverID": "uuid()"}),
    ],
)
def test_a_bad_configuration_is_refused_and_the_key_is_named(key: str, changes: dict[str, Any]) -> None:
    message = refused(tree(**changes)).message
    assert message.startswith(f"configuration: {key}: "), message


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("id", "id"), ("Id", "id"), ("ID", "id"), ("roverId", "roverID"), ("EMITTEDAT", "emittedAt"), ("roverid", "roverID"), ("VERSION", "version"),
        ("Operation", "operation"), ("Deleted", "deleted"), ("identifiertype", "identifierType"), ("updatedat", "updatedAt"),
        ("date", "date"), ("Hour", "hour"), ("X", "x"),
    ],
)  # fmt: skip
def test_an_additional_field_is_no_other_field_not_even_but_for_its_case(name: str, taken: str) -> None:
    graph = {"table": "/g", "extra": {"x": "a", name: "b"}}
    message = refused(tree(datasets__fan_identity_graph=graph)).message
    assert message.startswith(
        f"configuration: datasets.fan_identity_graph.extra.{name}: the name {taken} is taken"
    )
    assert parse(tree(datasets__fan_identity_graph={**graph, "extra": {"x": "a", "xx": "b"}})).datasets


ONE_TABLE = [
    ["/data/t", "/data/t/", "/data/t//", "file:/data/t", "file:///data/t", "file:///data/t/", "/data//t", "/data/./t"],
    ["main.sales.events", "Main.Sales.EVENTS"],
    ["/data/tt"],
    ["/data/t/t"],
    ["data.t"],
    ["s3://data/t"],
    ["s3://data/T"],
]  # fmt: skip


def test_one_table_may_serve_several_datasets_however_it_is_written() -> None:
    for names in ONE_TABLE:
        for name in names:
            config = tree(datasets__fan_profiles__table=names[0], datasets__fan_track_events={"table": name})
            assert parse(config).datasets["fan_track_events"].table
    places = [{place_of(name) for name in names} for names in ONE_TABLE]
    assert [len(each) for each in places] == [1] * len(ONE_TABLE) and len(set.union(*places)) == len(
        ONE_TABLE
    )


def test_identifiers_of_a_wide_row_take_the_place_of_two_columns() -> None:
    def graph(**fields: Any) -> dict[str, Any]:
        return tree(datasets__fan_identity_graph={"table": "/g", **fields})

    names = {"e": "lower(email)", "x" * 100: "phone", "ü .\"'": "card"}
    assert parse(graph(identifiers=names)).datasets["fan_identity_graph"].identifiers == names
    here = "configuration: datasets.fan_identity_graph"
    for fields, message in [
        ({"identifiers": {}}, f"{here}.identifiers: there is none"),
        ({"identifiers": {"": "email"}}, f"{here}.identifiers.'': a name takes 1 to 100"),
        ({"identifiers": {"x" * 101: "email"}}, f"{here}.identifiers.'{'x' * 100}': a name takes"),
        ({"identifiers": {"a\nb": "email"}}, f"{here}.identifiers.'a\\nb': a name takes"),
        ({"identifiers": {"a\x7f": "email"}}, f"{here}.identifiers.'a\\x7f': a name takes"),
        ({"identifiers": {"a\x85": "email"}}, f"{here}.identifiers.'a\\x85': a name takes"),
        ({"identifiers": {"email": " "}}, f"{here}.identifiers.email: is an empty expression"),
        ({"identifiers": {"email": "uuid()"}}, f"{here}.identifiers.email: uuid gives another value"),
        ({"identifiers": "email"}, f"{here}.identifiers: takes a table"),
        ({"identifiers": names, "columns": {"identifier": "e"}}, f"{here}.columns.identifier: identifiers give it"),
        ({"identifiers": names, "columns": {"identifierType": "'e'"}}, f"{here}.columns.identifierType: ident"),
    ]:  # fmt: skip
        assert refused(graph(**fields)).message.startswith(message)
    for name in ("fan_profiles", "fan_profile_merges", "fan_track_events"):
        message = refused(tree(**{f"datasets__{name}": {"table": "/t", "identifiers": names}})).message
        assert message.startswith(f"configuration: datasets.{name}.identifiers: only fan_identity_graph")


@pytest.mark.parametrize(
    "expression",
    [
        "rand()",
        "RAND ( 7 )",
        "a + randn()",
        "random()",
        "uuid()",
        "current_timestamp",
        "current_timestamp()",
        "Current_Date",
        "a < current_date()",
        "localtimestamp",
        "now()",
        "now ()",
        "curdate()",
        "unix_timestamp( )",
        "monotonically_increasing_id()",
        "spark_partition_id()",
        "input_file_name()",
        "current_user",
        "current_timezone()",
        "shuffle(tags)",
        "concat('a', uuid(), 'b')",
        "'it''s' || uuid()",
        r"'a\'' || uuid()",
        '"a" || uuid()',
        "`a` + rand()",
    ],
)
def test_an_expression_that_varies_from_run_to_run_is_refused(expression: str) -> None:
    message = refused(tree(datasets__fan_profiles__where=expression)).message
    assert message.startswith("configuration: datasets.fan_profiles.where: ")
    assert "another value" in message


@pytest.mark.parametrize(
    "expression", ["sum(a) OVER (PARTITION BY b)", "a in (\n select 1)", "exists(SELECT 1)"]
)
def test_an_expression_that_asks_for_other_rows_is_refused(expression: str) -> None:
    message = refused(tree(datasets__fan_profiles__where=expression)).message
    assert message.startswith("configuration: datasets.fan_profiles.where: ")
    assert "other rows" in message


@pytest.mark.parametrize(
    "expression",
    [
        "kind = 'rand()'",
        "over + selected",
        "note = 'sum(a) over ()'",
        "note = 'it''s uuid() time'",
        r"note = 'a\' rand()'",
        'note = "current_timestamp"',
        "`current_timestamp` > 3",
        "`rand` > 3",
        "brand(x)",
        "my_uuid",
        "uuid",
        "rand = 1",
        "now > 3",
        "current_timestamp_col",
        "unix_timestamp(updated_at)",
        "user = 'x'",
    ],
)
def test_the_same_word_as_text_or_as_a_column_is_allowed(expression: str) -> None:
    settings = parse(tree(datasets__fan_profiles__where=expression))
    assert settings.datasets["fan_profiles"].where == expression


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "A-1_b"},
        {"destination": "file:///data/bucket/"},
        {"destination": "memory://bucket"},
        {"destination": "memory://bucket/a/b"},
        {"ledger": "main.control.acme"},
        {"datasets__fan_profiles__natural_key": ["roverID"]},
        {"datasets__fan_profiles__deletes": "tombstone"},
        {"datasets__fan_profiles": {"table": "/t", "extra": {"a": "b"}, "natural_key": ["roverID", "a"]}},
        {"datasets__fan_identity_graph": {"table": "/g", "natural_key": ["roverID", "operation"]}},
        {"datasets__fan_track_events": {"table": "/e", "start": "earliest"}},
        {"datasets__fan_track_events": {"table": "/e", "start": 0}},
        {"files__compression_level": 0},
        {"files__compression_level": 3},
    ],
    ids=str,
)
def test_a_good_configuration_passes(changes: dict[str, Any]) -> None:
    assert isinstance(parse(tree(**changes)), Settings)


def test_a_trailing_slash_of_a_location_means_nothing() -> None:
    config = tree(destination="file:///b/", ledger="/l/", datasets__fan_profiles__table="/t/")
    settings = parse(config)
    assert (settings.destination, settings.ledger) == ("file:///b", "/l")
    assert settings.datasets["fan_profiles"].table == "/t"


# -- the file ------------------------------------------------------------------------------------------------


def test_a_file_loads(file: Path) -> None:
    settings = load(file, {})
    assert settings.files.max_bytes == 1000
    assert settings.datasets["fan_profiles"].columns == {"roverID": "rover_id", "updatedAt": "updated_at"}
    assert list(settings.datasets) == ["fan_profiles", "fan_track_events"]


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        (None, "config_unreadable", "No such file"),
        (b'name = "acme', "config_syntax", "TOML"),
        (b"name = acme", "config_syntax", "line 1"),
        (b'name = "a"\nname = "b"', "config_syntax", "TOML"),
        (b'name = "acm\xe9"', "config_unreadable", "UTF-8"),
        (b"", "config_invalid", "name"),
    ],
    ids=["missing", "unterminated", "unquoted", "twice", "latin-1", "empty"],
)
def test_a_file_that_cannot_be_taken_is_a_config_error(
    tmp_path: Path, content: bytes | None, code: str, says: str
) -> None:
    path = tmp_path / "bad.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert caught.value.code == code
    assert says in caught.value.message
    assert code == "config_invalid" or str(path) in caught.value.message


def test_a_directory_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="directory") as caught:
        load(tmp_path, {})
    assert caught.value.code == "config_unreadable"


# -- the environment -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "value", "path", "expected"),
    [
        ("ROVER_SPARK__NAME", "other", ("name",), "other"),
        ("rover_spark__name", "other", ("name",), "other"),
        ("ROVER_SPARK__FILES__MAX_BYTES", "77", ("files", "max_bytes"), 77),
        (
            "ROVER_SPARK__DATASETS__FAN_PROFILES__COLUMNS__ROVERID",
            "lower(id)",
            ("datasets", "fan_profiles", "columns"),
            {"roverID": "lower(id)", "updatedAt": "updated_at"},
        ),
        (
            "ROVER_SPARK__DATASETS__FAN_TRACK_EVENTS__COLUMNS__EventId",
            "e",
            ("datasets", "fan_track_events", "columns"),
            {"eventID": "e"},
        ),
        (
            "ROVER_SPARK__DATASETS__FAN_PROFILES__NATURAL_KEY",
            '["roverID", "updatedAt"]',
            ("datasets", "fan_profiles", "natural_key"),
            ("roverID", "updatedAt"),
        ),
        (
            "ROVER_SPARK__DATASETS__FAN_PROFILES__COLUMNS",
            '{ roverID = "x" }',
            ("datasets", "fan_profiles", "columns"),
            {"roverID": "x"},
        ),
        (
            "ROVER_SPARK__DATASETS__FAN_PROFILES__EXTRA__TIER",
            "tier",
            ("datasets", "fan_profiles", "extra"),
            {"tier": "tier"},
        ),
        (
            "ROVER_SPARK__DATASETS__FAN_TRACK_EVENTS__START",
            "12",
            ("datasets", "fan_track_events", "start"),
            12,
        ),
        (
            "ROVER_SPARK__DATASETS__FAN_TRACK_EVENTS__START",
            "earliest",
            ("datasets", "fan_track_events", "start"),
            "earliest",
        ),
        (
            "ROVER_SPARK__DATASETS__FAN_PROFILES__WHERE",
            "[not toml",
            ("datasets", "fan_profiles", "where"),
            "[not toml",
        ),
        (
            "ROVER_SPARK__DATASETS__FAN_IDENTITY_GRAPH__TABLE",
            "/g",
            ("datasets", "fan_identity_graph", "table"),
            "/g",
        ),
    ],
)
def test_a_variable_overrides_the_file(
    file: Path, variable: str, value: str, path: tuple[str, ...], expected: object
) -> None:
    found: Any = load(file, {variable: value, "PATH": "/bin", "ROVER_SPARK_HOME": "no"})
    for part in path:
        found = found[part] if isinstance(found, dict) else getattr(found, part)
    assert found == expected


@pytest.mark.parametrize(
    ("variable", "value", "key"),
    [
        ("ROVER_SPARK__FILES__MAX_BYTES", "many", "files.max_bytes"),
        ("ROVER_SPARK__FILES__MAX_BYTE", "1", "files.max_byte"),
        ("ROVER_SPARK__FILES", "1", "files"),
        ("ROVER_SPARK__FILES__MAX_BYTES__MORE", "1", "ROVER_SPARK__FILES__MAX_BYTES__MORE"),
        ("ROVER_SPARK__NAME__X", "1", "ROVER_SPARK__NAME__X"),
        ("ROVER_SPARK__DATASETS__FAN_PROFILES__NATURAL_KEY", "roverID", "datasets.fan_profiles.natural_key"),
        ("ROVER_SPARK__DATASETS__FAN_PROFILES__WHERE", "uuid() = a", "datasets.fan_profiles.where"),
        ("ROVER_SPARK__DATASETS__FAN_TRACK_EVENTS__START", "soon", "datasets.fan_track_events.start"),
        ("ROVER_SPARK__DATASETS__NOSUCH__TABLE", "/x", "datasets.nosuch"),
    ],
)
def test_a_variable_that_cannot_be_taken_is_an_error_that_names_the_key(
    file: Path, variable: str, value: str, key: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(file, {variable: value})
    message = caught.value.message.removeprefix("configuration: ")
    assert message.startswith(f"{key}: "), message


def test_the_process_environment_is_what_counts_by_default(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROVER_SPARK__FILES__TARGET_RECORDS", "5")
    assert load(file).files.target_records == 5
    assert load(file, {}).files.target_records == 100_000


def test_overlay_makes_the_tables_that_the_file_leaves_out() -> None:
    config = deepcopy(MINIMAL)
    overlay(config, {"ROVER_SPARK__FILES__MAX_BYTES": "5"})
    assert parse(config).files.max_bytes == 5


# -- frozen --------------------------------------------------------------------------------------------------


def test_settings_are_frozen() -> None:
    settings = parse(MINIMAL)
    for model, field in (
        (settings, "name"),
        (settings.files, "max_bytes"),
        (settings.datasets["fan_profiles"], "table"),
    ):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(model, field, "x")


def test_the_tree_that_was_read_does_not_reach_into_the_settings() -> None:
    config = deepcopy(MINIMAL)
    settings = parse(config)
    config["datasets"]["fan_profiles"]["table"] = "/other"
    assert settings == parse(MINIMAL)


def test_a_connection_string_as_destination_is_not_repeated() -> None:
    text = (
        "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=c2VjcmV0;EndpointSuffix=core.windows.net"
    )
    with pytest.raises(ConfigError) as caught:
        parse({**MINIMAL, "destination": text})
    assert "c2VjcmV0" not in str(caught.value) + caught.value.remedy and "s3" in caught.value.message
