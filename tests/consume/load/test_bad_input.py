"""What is wrong in a bucket: a bad line or object goes into the quarantine and stops nothing; nothing is loaded twice."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from rover_spark.consume import lines
from rover_spark.errors import ConfigError, RunError
from rover_spark.store.local import LocalStore
from tests.consume.load.loading import DUCKDB, Engine, of
from tests.consume.written import (
    SCHEMA,
    container,
    currents_bucket,
    event_key,
    events,
    key,
    put,
    record,
    rover_bucket,
    text,
)

PROFILES = "fan_profiles"
GOOD = text([record(PROFILES, 1), record(PROFILES, 2)])


def line(**fields: Any) -> bytes:
    return json.dumps({**record(PROFILES, 9), **fields}).encode()


def quarantine(engine: Engine, file: Path) -> list[tuple[Any, ...]]:
    return engine.ask(file, "SELECT key, line, code FROM rover_load.quarantine ORDER BY ALL")


BAD_LINES = {
    "json_invalid": b'{"id":',
    "not_object": b"[1]",
    "utf8_invalid": line(traits={"a": "X"}).replace(b'"X"', b'"\xff"'),
    "bom": b"\xef\xbb\xbf" + line(),
    "crlf": line() + b"\r",
    "field_missing": b'{"id":"%s"}' % (b"a" * 32),
    "id_malformed": line(id="none"),
    "version_unknown": line(version=2),
    "time_malformed": line(updatedAt="yesterday"),
    "field_type": line(traits=[1]),
}


@pytest.mark.parametrize("code", BAD_LINES)
def test_a_bad_line_is_refused_by_its_number_and_stops_nothing(
    engine: Engine, code: str, tmp_path: Path
) -> None:
    first, second = GOOD.splitlines(keepends=True)
    put(tmp_path / "b", key(PROFILES), gzip.compress(first + BAD_LINES[code] + b"\n" + second))
    file = tmp_path / "b.tables"
    found = of(engine.loaded(tmp_path / "b", file), PROFILES)
    assert (found.new, found.bad_lines, found.damaged) == (2, 1, 0)
    assert quarantine(engine, file) == [(key(PROFILES), 2, code)]
    assert engine.ask(file, "SELECT records, bad_lines FROM rover_load.objects") == [(2, 1)]
    assert engine.loaded(tmp_path / "b", file).datasets == ()


def test_a_line_over_the_bound_is_refused_without_being_kept(
    in_process: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = line(traits={"a": "x" * (lines.LINE_BYTES + 1)}) + b"\n"
    put(tmp_path / "b", key(PROFILES), gzip.compress(GOOD + long, 1))
    found = of(in_process.loaded(tmp_path / "b", tmp_path / "b.tables"), PROFILES)
    assert (found.new, found.bad_lines) == (2, 1)
    assert in_process.ask(tmp_path / "b.tables", "SELECT line, code, text FROM rover_load.quarantine") == [
        (3, "line_too_long", "")
    ]


def test_a_refused_line_is_cut(engine: Engine, tmp_path: Path) -> None:
    put(tmp_path / "b", key(PROFILES), gzip.compress(GOOD + b"x" * 100_000))
    engine.loaded(tmp_path / "b", tmp_path / "b.tables")
    assert engine.ask(tmp_path / "b.tables", "SELECT length(text) FROM rover_load.quarantine") == [(1000,)]


DAMAGED = {
    "file_empty": b"",
    "not_gzip": GOOD,
    "gzip_cut": gzip.compress(GOOD)[:-9],
    "gzip_trailing": gzip.compress(GOOD) + gzip.compress(GOOD),
}


@pytest.mark.parametrize("code", DAMAGED)
def test_of_a_damaged_object_nothing_is_loaded_until_it_is_healed(
    engine: Engine, code: str, tmp_path: Path
) -> None:
    place, file = rover_bucket(tmp_path / "b", records=3, hours=1), tmp_path / "b.tables"
    damaged = put(place, key(PROFILES, token="zz"), DAMAGED[code])
    for _ in range(2):
        found = of(engine.loaded(place, file), PROFILES)
        assert found.damaged == 1
        assert quarantine(engine, file) == [(key(PROFILES, token="zz"), None, code)]
        assert engine.ask(file, f"SELECT count(*) FROM {PROFILES}_raw") == [(3,)]
    damaged.write_bytes(gzip.compress(text([record(PROFILES, 77)])))
    assert of(engine.loaded(place, file), PROFILES).new == 1
    assert quarantine(engine, file) == []


def test_a_bomb_is_never_expanded(
    in_process: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rover_spark.consume.checked.pieces.__kwdefaults__", {
        "text_bytes": 1 << 20, "line_bytes": 1 << 20
    })  # fmt: skip
    monkeypatch.setattr("rover_spark.consume.checked.checked.__kwdefaults__", {
        "text_bytes": 1 << 20, "line_bytes": 1 << 20
    })  # fmt: skip
    put(tmp_path / "b", key(PROFILES), gzip.compress(GOOD * 5000))
    assert of(in_process.loaded(tmp_path / "b", tmp_path / "b.tables"), PROFILES).damaged == 1
    assert quarantine(in_process, tmp_path / "b.tables") == [(key(PROFILES), None, "text_too_large")]


def test_what_the_contract_allows_is_loaded(engine: Engine, tmp_path: Path) -> None:
    one = record(PROFILES, 1)
    turned = dict(reversed({**one, "tier": {"a": 1.50}, "id": "A" * 32}.items()))
    twice = line(traits={"a": "X"}, id="b" * 32).replace(b'"X"', b'1, "a": 123456789012345678901234567890.10')
    short = line(
        id="c" * 32, updatedAt="2026-11-21T04:05:06Z", emittedAt="2026-11-21T04:05:06.123456789+00:00"
    )
    body = b"\n".join([json.dumps(turned).encode(), twice, short])
    put(tmp_path / "b", key(PROFILES), gzip.compress(body))
    file = tmp_path / "b.tables"
    assert of(engine.loaded(tmp_path / "b", file), PROFILES).new == 3
    rows = engine.ask(
        file,
        'SELECT id, traits, additional, CAST("emittedAt" AS STRING), version FROM fan_profiles_raw ORDER BY id',
    )
    assert rows[0][0] == "a" * 32 and json.loads(rows[0][2]) == {"tier": {"a": 1.5}}
    assert rows[1][1] == '{"a": 1, "a": 123456789012345678901234567890.10}'
    assert rows[2][3:] == ("2026-11-21 04:05:06.123456", 1)


def test_objects_that_disappear_or_cannot_be_read_are_left_for_the_next_run(
    in_process: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, file = rover_bucket(tmp_path / "b", records=3), tmp_path / "b.tables"
    read = LocalStore.read

    def failing(store: LocalStore, name: str) -> Any:
        if "fan_profiles-20261121T04" in name:
            raise FileNotFoundError(name)
        if "fan_profiles-20261121T05" in name:
            raise PermissionError(13, "Permission denied", name)
        return read(store, name)

    monkeypatch.setattr(LocalStore, "read", failing)
    found = in_process.loaded(place, file)
    assert of(found, PROFILES).gone == 1 and of(found, PROFILES).objects == 0
    assert [each.reason for each in found.unread] == ["Permission denied"]
    assert sum(each.new for each in found.datasets) == 18
    monkeypatch.setattr(LocalStore, "read", read)
    assert of(in_process.loaded(place, file), PROFILES).new == 6


def test_an_object_that_could_not_be_read_is_due_however_old_its_hour_is(
    in_process: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, file = tmp_path / "b", tmp_path / "b.tables"
    late = key(PROFILES).replace("2026-11-21", "2026-11-29").replace("20261121", "20261129")
    put(place, late, gzip.compress(text([record(PROFILES, 3)])))
    put(place, key(PROFILES), gzip.compress(GOOD))
    read = LocalStore.read

    def failing(store: LocalStore, name: str) -> Any:
        if "20261121" in name:
            raise PermissionError(13, "Permission denied", name)
        return read(store, name)

    monkeypatch.setattr(LocalStore, "read", failing)
    assert len(in_process.loaded(place, file).unread) == 1
    monkeypatch.setattr(LocalStore, "read", read)
    assert of(in_process.loaded(place, file, look_back=timedelta(hours=1)), PROFILES).new == 2
    assert in_process.ask(file, "SELECT * FROM rover_load.quarantine") == []


def test_a_key_that_lies_about_its_hour_does_not_hide_what_comes_later(
    engine: Engine, tmp_path: Path
) -> None:
    place, file = rover_bucket(tmp_path / "b", records=3, hours=1), tmp_path / "b.tables"
    put(place, key(PROFILES).replace("2026-11-21", "2999-01-01"), gzip.compress(GOOD))
    engine.loaded(place, file)
    put(place, key(PROFILES, token="later"), gzip.compress(text([record(PROFILES, 50)])))
    assert of(engine.loaded(place, file), PROFILES).new == 1


def test_a_key_that_is_no_text_stops_nothing(engine: Engine, tmp_path: Path) -> None:
    place = rover_bucket(tmp_path / "b", records=3, hours=1)
    put(place, os.fsdecode(key(PROFILES).encode().replace(b"-a1", b"-\xff")), gzip.compress(GOOD))
    put(place, key(PROFILES).replace(".ndjson.gz", ".csv"), b"")
    found = engine.loaded(place, tmp_path / "b.tables")
    assert (of(found, PROFILES).new, found.strays) == (3, 2)


def test_two_exports_in_one_place_are_refused(engine: Engine, tmp_path: Path) -> None:
    rover_bucket(tmp_path / "b" / "one", records=1, hours=1)
    rover_bucket(tmp_path / "b" / "two", records=1, hours=1)
    with pytest.raises(ConfigError, match="holds 2 exports: one, two"):
        engine.loaded(tmp_path / "b", tmp_path / "b.tables")


def test_where_no_object_can_be_read_the_run_ends(
    in_process: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = rover_bucket(tmp_path / "b", records=1, hours=3)
    tried = []

    def failing(store: LocalStore, name: str) -> Any:
        tried.append(name)
        raise PermissionError(13, "Permission denied", name)

    monkeypatch.setattr(LocalStore, "read", failing)
    with pytest.raises(RunError, match="those before it cannot be read: Permission denied"):
        in_process.loaded(place, tmp_path / "b.tables")
    assert len(tried) == 5


# -- Currents ------------------------------------------------------------------------------------------------------


def test_hostile_event_types_are_names_and_nothing_more(engine: Engine, tmp_path: Path) -> None:
    names = ['x"; DROP TABLE y; --', "a.b", "a_b", "A.B", "fan_profiles", "Ünïcode 'q'", "x" * 150]
    for number, each in enumerate(names):
        put(tmp_path / "b", event_key(0, each), container(events(number * 10, 3)))
    rover_bucket(tmp_path / "b", records=2, hours=1)
    file = tmp_path / "b.tables"
    engine.loaded(tmp_path / "b", file)
    found = engine.event_types(file)
    assert set(found) == set(names) and len(set(found.values())) == len(names)
    for name in found.values():
        assert engine.ask(file, f"SELECT count(*) FROM {name}_records") == [(3,)]
    assert engine.ask(file, "SELECT count(*) FROM fan_profiles_records") == [(2,)]


def test_event_types_whose_names_would_be_one_are_told_apart_in_any_order(
    engine: Engine, tmp_path: Path
) -> None:
    found = []
    for order in (("a.b", "a_b"), ("a_b", "a.b")):
        place, file = tmp_path / order[0], tmp_path / f"{order[0]}.tables"
        for each in order:
            put(place, event_key(0, each), container(events(len(each) + ("_" in each) * 10, 3)))
            engine.loaded(place, file)
        found.append(engine.tables(file))
    assert sorted(found[0].values(), key=sorted) == sorted(found[1].values(), key=sorted)
    assert len(found[0]) == 2
    assert found[0] == found[1] or engine is not DUCKDB, "Delta tables of a path cannot be renamed"


def test_a_schema_grows_by_name_in_any_order(engine: Engine, tmp_path: Path) -> None:
    amount = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
    added = {"amount": amount, "at": {"type": "long", "logicalType": "timestamp-millis"}, "USER_ID": "string"}
    optional = [{"name": name, "type": ["null", each], "default": None} for name, each in added.items()]
    newer = {**SCHEMA, "fields": [*reversed(SCHEMA["fields"]), *optional]}
    rows = events(100, 2)
    rows[0] |= {
        "amount": Decimal("2.56"),
        "at": datetime(2026, 11, 21, 4, tzinfo=timezone.utc),
        "USER_ID": "u",
    }
    files = [
        (event_key(0), container(events(0, 2))),
        (event_key(10, schema_id=2), container(rows, newer)),
    ]
    for order in ((0, 1), (1, 0)):
        place, file = tmp_path / f"{order}", tmp_path / f"{order}.tables"
        for number in order:
            put(place, *files[number])
            engine.loaded(place, file)
        table = "users_behaviors_customevent_records"
        wanted = {each["id"]: (each["user_id"], None, None, None) for each in (*events(0, 2), rows[1])}
        wanted[rows[0]["id"]] = (
            rows[0]["user_id"],
            Decimal("2.56"),
            datetime(2026, 11, 21, 4),
            '{"USER_ID":"u"}',
        )
        found = engine.ask(file, f'SELECT id, user_id, amount, "at", additional FROM {table}')
        assert {each[0]: each[1:] for each in found} == wanted


def test_a_field_that_changes_its_type_becomes_json_in_any_order(engine: Engine, tmp_path: Path) -> None:
    other = {**SCHEMA, "fields": [
        {**each, "type": "long"} if each["name"] == "user_id" else each for each in SCHEMA["fields"]
    ]}  # fmt: skip
    rows = [{**each, "user_id": 7} for each in events(100, 1)]
    files = [
        (event_key(0), container([{**events(0, 1)[0], "user_id": "u"}])),
        (event_key(10, schema_id=2), container(rows, other)),
    ]
    for order in ((0, 1), (1, 0)):
        place, file = tmp_path / f"{order}", tmp_path / f"{order}.tables"
        for number in order:
            put(place, *files[number])
            engine.loaded(place, file)
        found = engine.ask(file, "SELECT user_id FROM users_behaviors_customevent_records ORDER BY ALL")
        assert found == [('"u"',), ("7",)]


def test_of_a_broken_container_nothing_is_loaded(engine: Engine, tmp_path: Path) -> None:
    place, file = currents_bucket(tmp_path / "b", files=1), tmp_path / "b.tables"
    whole = container(events(500, 20))
    put(place, event_key(600), whole[:-5])
    put(place, event_key(700), b"Obj\x01\x02\x16avro.schema\x02{\x00" + b"0" * 16)
    found = of(engine.loaded(place, file), "users.behaviors.CustomEvent")
    assert (found.objects, found.new, found.damaged) == (3, 20, 2)
    assert [(line_, code) for _, line_, code in quarantine(engine, file)] == [
        (None, "avro_cut"),
        (None, "schema_unresolved"),
    ]


def test_of_one_event_under_two_schemas_the_one_that_says_more_is_kept_in_any_order(
    engine: Engine, tmp_path: Path
) -> None:
    newer = {
        **SCHEMA,
        "fields": [*SCHEMA["fields"], {"name": "seen", "type": ["null", "long"], "default": None}],
    }
    files = [
        (event_key(0), container(events(0, 1))),
        (event_key(10, schema_id=2), container([{**events(0, 1)[0], "seen": 7}], newer)),
    ]
    for order in ([[0], [1]], [[1], [0]], [[0, 1]]):
        place, into = tmp_path / f"{order}", tmp_path / f"{order}.tables"
        for numbers in order:
            for number in numbers:
                put(place, *files[number])
            engine.loaded(place, into)
        assert engine.ask(into, "SELECT seen FROM users_behaviors_customevent_records") == [(7,)]


def optional(**types: Any) -> dict[str, Any]:
    """The schema with these fields, too."""
    more = [{"name": name, "type": ["null", kind], "default": None} for name, kind in types.items()]
    return {**SCHEMA, "fields": [*SCHEMA["fields"], *more]}


TEXT = "\x1f\x0b\\u001f"
# fields in each of three files: the type, and the value in an event of its own
DIFFERING: dict[str, Sequence[tuple[Any, Any]]] = {
    "a": [("long", 9), ("long", 10), ("string", None)],
    "b": [("long", 9), ("string", "9"), ("double", 9.0)],
    "c": [("double", 1e22), ("double", 9.5e21), ("string", None)],
    "d": [("string", TEXT), ("string", TEXT[:2]), ("long", None)],
    "e": [
        ({"type": "long", "logicalType": "timestamp-micros"}, 1),
        ("long", 1_800_000_000_000_000),
        ("string", "1"),
    ],
    "f": [("string", None), ("string", None), ("string", "x")],
    "g": [("string", "x"), ("string", None), ("string", None)],  # of the same event
}


def test_which_event_of_one_id_is_kept_does_not_depend_on_the_types_of_the_day(
    engine: Engine, tmp_path: Path
) -> None:
    files = []
    for number in range(3):
        fields = [(name, *each[number]) for name, each in DIFFERING.items()]
        rows = [
            {**event, name: value}
            for event, (name, _, value) in zip([*events(0, 6), events(5, 1)[0]], fields, strict=True)
            if value is not None
        ]
        files.append(container(rows, optional(**{name: kind for name, kind, _ in fields})))
    found = []
    for order in permutations(range(3)):
        place, into = tmp_path / f"{order}", tmp_path / f"{order}.tables"
        for number in order:
            put(place, event_key(10 * number, schema_id=number), files[number])
            engine.loaded(place, into)
        query = "SELECT id, a, b, c, d, e, f, g, object_key FROM users_behaviors_customevent_raw ORDER BY id"
        found.append(engine.ask(into, query))
    assert len(found[0]) == 6
    assert [each == found[0] for each in found] == [True] * 6


def test_an_object_of_which_nothing_is_loaded_changes_no_table(engine: Engine, tmp_path: Path) -> None:
    place, into = tmp_path / "b", tmp_path / "b.tables"
    put(place, event_key(0), container([{**events(0, 1)[0], "v": 5}], optional(v="long")))
    engine.loaded(place, into)
    before = engine.ask(into, "SELECT * FROM users_behaviors_customevent_raw")
    schema = optional(v="string", junk="string")
    put(place, event_key(10), container([], schema))
    put(
        place,
        event_key(20),
        container([{**each, "v": "x", "junk": "y"} for each in events(1, 3)], schema)[:-90],
    )
    assert of(engine.loaded(place, into), "users.behaviors.CustomEvent").damaged == 2
    assert engine.ask(into, "SELECT * FROM users_behaviors_customevent_raw") == before


def test_a_default_that_fits_a_later_branch_of_its_union_stops_nothing(
    engine: Engine, tmp_path: Path
) -> None:
    field = {"name": "v", "type": ["null", "long"], "default": 7}
    rows = [{**each, "v": 5} for each in events(0, 2)]
    put(tmp_path / "b", event_key(0), container(rows, {**SCHEMA, "fields": [*SCHEMA["fields"], field]}))
    engine.loaded(tmp_path / "b", tmp_path / "b.tables")
    found = engine.ask(tmp_path / "b.tables", "SELECT v FROM users_behaviors_customevent_records")
    assert found == [(5,), (5,)]


# what DuckDB or Delta keep to themselves, what the loader itself names, words of SQL
NAMES = (
    "rowid", "RowId", "_metadata", "_change_type", "_commit_version", "_row_id_", "_file_name_", "OBJECT_KEY", "Additional",
    "i", "r", "m", "s", "t", "old", "new", "n", "known", "content", "batch", "incoming", "best", "met", "better", "emittedAt",
    "select", "from", "order",
)  # fmt: skip


def test_no_name_of_a_field_hides_a_name_of_the_loader(engine: Engine, tmp_path: Path) -> None:
    place, into = tmp_path / "b", tmp_path / "b.tables"
    schema = optional(**dict.fromkeys(NAMES, "long"))

    def written(start: int, count: int, value: int) -> bytes:
        return container([{**each, **dict.fromkeys(NAMES, value)} for each in events(start, count)], schema)

    put(place, event_key(0), written(0, 5, 1))
    engine.loaded(place, into)
    put(place, event_key(10), written(0, 2, 2))
    put(place, event_key(20), written(1, 1, 3))
    assert of(engine.loaded(place, into), "users.behaviors.CustomEvent").repeated == 3
    found = engine.ask(into, 'SELECT id, "i", "known", additional FROM users_behaviors_customevent_raw')
    values = {id_: {i, known, *json.loads(more).values()} for id_, i, known, more in found}
    assert values == {each["id"]: {value} for each, value in zip(events(0, 5), (2, 3, 1, 1, 1), strict=True)}
    assert json.loads(found[0][3]).keys() == set(NAMES[:9])
