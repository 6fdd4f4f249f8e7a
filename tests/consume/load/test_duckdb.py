"""What only a DuckDB file has: what it cannot keep, names that are taken in it, other files, other processes, versions."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from rover_spark.consume.load import events as load_events
from rover_spark.consume.load import lines as load_lines
from rover_spark.consume.load.duckdb.warehouse import DuckFile
from rover_spark.errors import ConfigError, RunError
from tests.consume.load.killing import killed
from tests.consume.load.loading import DUCKDB, NOW, of
from tests.consume.load.test_bad_input import GOOD, PROFILES, line, optional, quarantine
from tests.consume.written import SCHEMA, container, event_key, events, key, put, record, rover_bucket, text


def test_rows_before_the_damage_are_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_lines, "BATCH_BYTES", 1)
    monkeypatch.setattr(load_events, "BATCH", 50)
    place, file = tmp_path / "b", tmp_path / "b.duckdb"
    many = text([record(PROFILES, number) for number in range(9000)]) + b"bad\n"
    put(place, key(PROFILES), gzip.compress(GOOD))
    put(place, key(PROFILES, token="cut"), gzip.compress(many, 1)[:-9])
    put(place, event_key(0), container(events(0, 3)))
    put(place, event_key(9), container(events(9, 300), optional(junk="string"))[:-5])
    found = DUCKDB.loaded(place, file)
    assert [(each.objects, each.new, each.bad_lines, each.damaged) for each in found.datasets] == [
        (2, 2, 0, 1),
        (2, 3, 0, 1),
    ]
    assert DUCKDB.ask(file, f"SELECT count(*) FROM {PROFILES}_raw") == [(2,)]
    assert DUCKDB.ask(file, "SELECT count(*) FROM duckdb_columns() WHERE column_name = 'junk'") == [(0,)]
    assert [line_ for _, line_, _ in quarantine(DUCKDB, file)] == [None, None]


def test_a_file_that_is_no_duckdb_file_is_left_as_it_is(tmp_path: Path) -> None:
    rover_bucket(tmp_path / "b", records=1, hours=1)
    (tmp_path / "notes.txt").write_text("mine" * 9999)
    for into in (tmp_path / "notes.txt", tmp_path / "none" / "x.duckdb"):
        with pytest.raises(ConfigError) as refused:
            DUCKDB.loaded(tmp_path / "b", into)
        assert refused.value.code == "into_invalid"
    assert (tmp_path / "notes.txt").read_text() == "mine" * 9999


def test_a_table_of_somebody_else_is_left_as_it_is(tmp_path: Path) -> None:
    rover_bucket(tmp_path / "b", records=1, hours=1)
    with duckdb.connect(str(tmp_path / "b.duckdb")) as connection:
        connection.execute("CREATE TABLE fan_profiles_raw AS SELECT 1 AS mine")
    with pytest.raises(ConfigError, match="was not made by rover-spark load"):
        DUCKDB.loaded(tmp_path / "b", tmp_path / "b.duckdb")
    assert DUCKDB.ask(tmp_path / "b.duckdb", "FROM fan_profiles_raw") == [(1,)]


def test_a_table_with_the_name_of_a_view_is_left_as_it_is(tmp_path: Path) -> None:
    rover_bucket(tmp_path / "b", records=1, hours=1)
    with duckdb.connect(str(tmp_path / "b.duckdb")) as connection:
        connection.execute("CREATE TABLE fan_profiles_current AS SELECT 1 AS mine")
    with pytest.raises(ConfigError, match="a name that load needs is taken"):
        DUCKDB.loaded(tmp_path / "b", tmp_path / "b.duckdb")
    assert DUCKDB.ask(tmp_path / "b.duckdb", "FROM fan_profiles_current") == [(1,)]


def test_a_file_of_a_later_version_is_refused(tmp_path: Path) -> None:
    DuckFile(tmp_path / "x.duckdb", lambda: NOW).close()
    with duckdb.connect(str(tmp_path / "x.duckdb")) as connection:
        connection.execute("UPDATE rover_load.format SET version = 2")
    with pytest.raises(ConfigError, match="newer version"):
        DuckFile(tmp_path / "x.duckdb", lambda: NOW)


def test_a_file_that_another_process_holds_is_told(tmp_path: Path) -> None:
    rover_bucket(tmp_path / "b", records=1, hours=1)
    program = f"import duckdb, sys; c = duckdb.connect({str(tmp_path / 'x.duckdb')!r}); print(1, flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None and holder.stdin is not None
        holder.stdout.readline()
        with pytest.raises(RunError, match="another process has the file open"):
            DUCKDB.loaded(tmp_path / "b", tmp_path / "x.duckdb")
        holder.stdin.close()


@pytest.mark.parametrize("half", [rb"\ud800", rb"\udc00", rb"\ud800\ud800", rb"\ud83dx"])
@pytest.mark.parametrize("field", ["traits", "extra"])
def test_half_of_a_surrogate_pair_is_refused(field: str, half: bytes, tmp_path: Path) -> None:
    first, second = GOOD.splitlines(keepends=True)
    half = line(**{field: {"a": "X"}}).replace(b"X", half) + b"\n"
    put(tmp_path / "b", key(PROFILES), gzip.compress(first + half + second))
    found = of(DUCKDB.loaded(tmp_path / "b", tmp_path / "b.duckdb"), PROFILES)
    assert (found.new, found.bad_lines) == (2, 1)
    refused = DUCKDB.ask(tmp_path / "b.duckdb", "SELECT key, line, code, reason FROM rover_load.quarantine")
    reason = "no table can keep it: holds half of a surrogate pair"
    assert refused == [(key(PROFILES), 2, "text_refused", reason)]


def test_a_file_whose_columns_became_json_can_be_opened_after_a_kill(tmp_path: Path) -> None:
    place, file = tmp_path / "b", tmp_path / "b.duckdb"
    user = next(each for each in SCHEMA["fields"] if each["name"] == "user_id")
    other = {
        **SCHEMA,
        "fields": [{**each, "type": "long"} if each is user else each for each in SCHEMA["fields"]],
    }
    put(place, event_key(0), container(events(0, 1)))
    put(place, event_key(10, schema_id=2), container([{**events(100, 1)[0], "user_id": 7}], other))
    killed(DUCKDB, place, file)
    assert DUCKDB.ask(file, "SELECT count(*) FROM users_behaviors_customevent_raw") == [(2,)]
