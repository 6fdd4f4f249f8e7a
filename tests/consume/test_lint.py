"""What each loader would refuse, by the table of loaders."""

from __future__ import annotations

import gzip
import json
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from rover_spark.consume.conform import lint
from rover_spark.consume.conform.lint import Lint
from rover_spark.consume.conform.loaders import LINTS, LOADERS, Loader
from rover_spark.consume.conform.run import conform
from rover_spark.consume.containers import Event
from rover_spark.consume.keys import RoverFile
from rover_spark.consume.lines import LongLine, Piece
from rover_spark.consume.place import open_place
from tests.consume.written import (
    AT,
    SCHEMA,
    container,
    currents_bucket,
    event_key,
    events,
    key,
    put,
    record,
    rover_bucket,
)

ALL = set(LOADERS)


def found(line: bytes, loader: str) -> list[str]:
    return [code for code, *_ in Lint(loader).piece(Piece(1, line + b"\n", 1))]


def traits(text: str) -> bytes:
    return (
        json.dumps(record("fan_profiles", 1), ensure_ascii=False)
        .replace('{"name"', f'{{{text}, "name"')
        .encode()
    )


# what stands in a record -> the loaders that mind, and the code
ODD: dict[str, tuple[bytes, str, set[str]]] = {
    "a key twice": (traits('"a": 1, "a": 1'), "loader_key_twice", ALL - {"postgres"}),
    "a key twice, once escaped": (traits('"a": 1, "\\u0061": 1'), "loader_key_twice", ALL - {"postgres"}),
    "a key twice, deeper": (traits('"x": [{"a": 1, "a": 1}]'), "loader_key_twice", ALL - {"postgres"}),
    "keys that differ by case": (traits('"URL": 1, "Url": 1'), "loader_case_clash", {"bigquery", "athena"}),
    "keys that differ by case, not in ASCII": (traits('"É": 1, "é": 1'), "loader_case_clash", {"bigquery", "athena"}),
    "NUL": (traits('"a": "x\\u0000"'), "loader_nul", {"redshift", "postgres"}),
    "NUL in a list": (traits('"a": [["\\u0000"]]'), "loader_nul", {"redshift", "postgres"}),
    "NUL in a name": (traits('"\\u0000": 1'), "loader_nul", {"redshift", "postgres"}),
    "half a pair": (traits('"a": "\\uD83D"'), "loader_surrogate", {"bigquery", "postgres"}),
    "halves in the wrong order": (traits('"a": "\\ude00\\ud83d"'), "loader_surrogate", {"bigquery", "postgres"}),
    "2^53": (traits('"a": 9007199254740992'), "loader_integer", {"bigquery"}),
    "-2^53": (traits('"a": [-9007199254740992]'), "loader_integer", {"bigquery"}),
    "2^63": (traits('"a": 9223372036854775808'), "loader_integer", {"bigquery", "duckdb"}),
    "2^64": (traits('"a": 18446744073709551616'), "loader_integer", {"bigquery", "duckdb", "clickhouse"}),
    "5000 digits": (traits(f'"a": {"9" * 5000}'), "loader_integer", {"bigquery", "duckdb", "clickhouse"}),
    "a field like a folder": (
        json.dumps({**record("fan_profiles", 1), "Date": 1}).encode(),
        "loader_partition_column",
        {"bigquery", "athena", "duckdb"},
    ),
}  # fmt: skip
FINE = {
    "equal keys of two objects": traits('"a": {"a": 1}, "b": {"a": 1}'),
    "a key twice in a text": traits('"a": "{\\"b\\": 1, \\"b\\": 2}"'),
    "an escaped backslash before u0000": traits('"a": "\\\\u0000"'),
    "a whole pair": traits('"a": "\\uD83D\\uDE00"'),
    "2^53 - 1": traits('"a": [9007199254740991, -9007199254740991]'),
    "digits in a text": traits('"a": ", 90071992547409920"'),
    "a fraction": traits('"a": 9007199254740992.5'),
    "a folder's name deeper": traits('"date": 1'),
}


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("name", ODD)
def test_each_loader_minds_what_the_table_says(name: str, loader: str) -> None:
    line, code, minds = ODD[name]
    assert found(line, loader) == ([code] if loader in minds else [])


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("name", FINE)
def test_what_only_looks_odd_is_fine(name: str, loader: str) -> None:
    assert found(FINE[name], loader) == []


def test_sizes_are_those_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LOADERS, "duckdb", Loader(object_bytes=10, line_bytes=5))
    mine = Lint("duckdb")
    file = RoverFile("k", 11, "", "fan_profiles", AT, AT, "t")
    assert [each[0] for each in mine.object(file, 11)] == ["loader_object_large"]
    assert list(mine.object(file, 10)) == []
    assert [each[:2] for each in mine.piece(Piece(7, b"12345\n123456\n", 2))] == [("loader_line_large", 8)]
    assert [each[:2] for each in mine.piece(LongLine(7, 6))] == [("loader_line_large", 7)]


def test_lines_that_are_no_json_are_left_to_the_contract() -> None:
    assert found(b'{"a": 1, "a": ', "duckdb") == []


def test_shapes_that_are_known_do_not_hide_a_later_value(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Lint("bigquery")
    monkeypatch.setattr(lint, "_SHAPES", 1)
    rows = [b'{"a": 1}', b'{"b": 1}', b'{"a": 9007199254740992}', b'{"b": 1, "B": 1}']
    codes = [each[:2] for each in mine.piece(Piece(1, b"\n".join(rows) + b"\n", 4))]
    assert codes == [("loader_integer", 3), ("loader_case_clash", 4)]


@pytest.mark.parametrize("end", [b'"}', b""])
def test_a_text_full_of_quotes_is_searched_once(end: bytes) -> None:
    line = b'{"a": "' + rb"\"" * 100_000 + end
    start = time.process_time()
    assert found(line, "duckdb") == []
    assert time.process_time() - start < 2  # where each quote begins a search it takes a minute


def test_shapes_of_any_length_are_known_in_bounded_memory() -> None:
    mine = Lint("duckdb")
    tracemalloc.start()
    for number in range(20):
        keys = b", ".join(b'"%d.%d": 0' % (number, each) for each in range(5_000))
        assert list(mine.piece(Piece(1, b"{" + keys + b"}", 0))) == []
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 500_000 and len(mine._harmless) == 20


def test_fields_of_events_are_looked_at_in_their_schema(tmp_path: Path) -> None:
    currents_bucket(tmp_path)
    extra: list[dict[str, Any]] = [
        {"name": name, "type": ["null", "string"], "default": None} for name in ("Date", "Time")
    ]
    schema = {**SCHEMA, "fields": [*SCHEMA["fields"], *extra]}
    put(tmp_path, event_key(100, schema_id=2), container(events(100, 3), schema))
    report = conform(open_place(str(tmp_path)), now=AT, engine="bigquery")
    assert {each.code: each.count for each in report.breaches} == {
        "loader_case_clash": 1,
        "loader_partition_column": 1,
    }
    event = Event(1, {"id": "x", "time": 1, "properties": {"a": ["\0"]}}, memoryview(b""))
    assert [each[0] for each in Lint("redshift").event(event)] == ["loader_nul"]
    assert list(Lint("bigquery").event(event)) == []


def test_records_in_an_event_are_looked_at_once_each(tmp_path: Path) -> None:
    inner = {
        "type": "record",
        "name": "Inner",
        "fields": [{"name": name, "type": "int"} for name in ("Url", "URL", "Date")],
    }
    extra = [
        {"name": "a", "type": {"type": "map", "values": ["null", {"type": "array", "items": inner}]}},
        {"name": "b", "type": "Inner"},
    ]
    value = {"Url": 1, "URL": 2, "Date": 3}
    rows = [{**each, "a": {"x": [value]}, "b": value} for each in events(0, 3)]
    put(tmp_path, event_key(0), container(rows, {**SCHEMA, "fields": [*SCHEMA["fields"], *extra]}))
    for loader, minds in (("bigquery", {"loader_case_clash": 1}), ("duckdb", {})):
        report = conform(open_place(str(tmp_path)), now=AT, engine=loader)
        assert {each.code: each.count for each in report.breaches} == minds


def test_a_lint_names_the_loader_and_an_example(tmp_path: Path) -> None:
    rover_bucket(tmp_path)
    line = traits('"a": 1, "a": 2')
    put(tmp_path, key("fan_profiles"), gzip.compress(line + b"\n"))
    place = open_place(str(tmp_path))
    assert conform(place, now=AT).breaches == ()
    (breach,) = conform(place, now=AT, engine="duckdb").breaches
    assert breach.message == LINTS["loader_key_twice"].format("duckdb")
    assert (breach.count, breach.example.line, breach.example.found) == (1, 1, "has 'a' twice")
