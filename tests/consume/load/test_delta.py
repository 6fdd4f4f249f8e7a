"""Loading into Delta tables by Spark: what only this engine has. What all engines promise, ``make test-full`` asks of it too."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rover_spark.consume.load.delta import warehouse as delta_warehouse
from rover_spark.consume.load.delta.place import Into
from rover_spark.consume.load.delta.reading import spread
from rover_spark.consume.load.delta.warehouse import DeltaTables
from rover_spark.consume.load.due import Due, folder_of
from rover_spark.consume.load.objects import Part, parts
from rover_spark.consume.load.run import load as run
from rover_spark.consume.place import open_place
from rover_spark.errors import ConfigError, RunError
from rover_spark.face.receivers.load import load, load_stream, loaded_views
from tests.consume.ddl.export import PROFILES, Export, story
from tests.consume.load.delta import DELTA, session
from tests.consume.load.loading import NOW, differences, of
from tests.consume.written import (
    SCHEMA,
    container,
    event_key,
    events,
    key,
    put,
    record,
    text,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.usefixtures("spark")


@pytest.fixture(scope="module")
def export() -> Export:
    return story()


@pytest.fixture(scope="module")
def bucket(export: Export, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("written") / "acme"
    export.write(place)
    return place


@pytest.fixture(scope="module")
def whole(spark: SparkSession, bucket: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of the bucket, loaded once."""
    into = tmp_path_factory.mktemp("loaded") / "acme"
    DELTA.loaded(bucket, into)
    return into


def test_what_is_loaded_is_what_was_written_and_loading_again_loads_nothing(
    bucket: Path, whole: Path, export: Export
) -> None:
    assert differences(DELTA, whole, export) == []
    assert DELTA.ask(whole, "SELECT * FROM rover_load.quarantine") == []
    before = DELTA.tables(whole)
    assert DELTA.loaded(bucket, whole).datasets == ()
    assert DELTA.tables(whole) == before


@pytest.mark.full
def test_half_of_the_objects_under_other_names_change_nothing(
    bucket: Path, whole: Path, tmp_path: Path
) -> None:
    place, into = tmp_path / "acme", shutil.copytree(whole, tmp_path / "half")
    shutil.copytree(bucket, place)
    for path in sorted(place.rglob("fan_profiles*.ndjson.gz"))[::2]:
        shutil.copy(path, path.with_name(path.name.replace("-part-", "-part-f")))
    found = DELTA.loaded(place, into)
    assert [(each.objects, each.new) for each in found.datasets] == [(4, 0)]
    assert DELTA.tables(into) == DELTA.tables(whole)


@pytest.mark.full
def test_the_later_instant_counts_whichever_came_first(tmp_path: Path) -> None:
    rows = [
        {**record(PROFILES, 1), "emittedAt": f"2026-11-21T04:05:0{n}.000Z", "traits": {"n": n}}
        for n in (6, 7)
    ]
    place, into = tmp_path / "b", tmp_path / "loaded"
    for token, at in zip("abc", (0, 1, 0), strict=True):
        put(place, key(PROFILES, token=token), gzip.compress(text([rows[at]])))
        DELTA.loaded(place, into)
    assert DELTA.ask(into, "SELECT traits FROM fan_profiles_raw") == [('{"n": 7}',)]


@pytest.mark.full
def test_what_is_wrong_goes_into_the_quarantine_and_stops_nothing_until_it_is_healed(tmp_path: Path) -> None:
    place, into = tmp_path / "b", tmp_path / "loaded"
    good = text([record(PROFILES, 1), record(PROFILES, 2)])
    first, second = good.splitlines(keepends=True)
    lone = first.replace(b'"Zo', b'"\\ud800')
    put(place, key(PROFILES), gzip.compress(first + b"[1]\n" + lone + second))
    cut = put(place, key(PROFILES, token="cut"), gzip.compress(text([record(PROFILES, 3)]))[:-9])
    put(place, event_key(0), container(events(0, 3)))
    put(place, event_key(9), container(events(9, 300))[:-5])
    found = DELTA.loaded(place, into)
    assert [(each.objects, each.new, each.bad_lines, each.damaged) for each in found.datasets] == [
        (2, 2, 2, 1),
        (2, 3, 0, 1),
    ]
    refused = "SELECT key, line, code FROM rover_load.quarantine ORDER BY key, line"
    assert DELTA.ask(into, refused) == [
        (event_key(9), None, "avro_cut"),
        (key(PROFILES), 2, "not_object"),
        (key(PROFILES), 3, "text_refused"),
        (key(PROFILES, token="cut"), None, "gzip_cut"),
    ]
    cut.write_bytes(gzip.compress(text([record(PROFILES, 3)])))
    assert of(DELTA.loaded(place, into), PROFILES).new == 1
    assert [row[0] for row in DELTA.ask(into, refused)] == [event_key(9), key(PROFILES), key(PROFILES)]


def test_objects_are_loaded_in_the_transaction_of_their_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, into = tmp_path / "b", tmp_path / "loaded"
    put(place, key(PROFILES), gzip.compress(text([record(PROFILES, 1)])))
    merge = delta_warehouse.merge

    def dies(*arguments: object) -> None:
        raise KeyboardInterrupt

    def dies_later(*arguments: object) -> None:
        merge(*arguments)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    loaded = "SELECT count(*) FROM rover_load.objects WHERE damaged IS NULL"
    monkeypatch.setattr(delta_warehouse, "merge", dies)
    with pytest.raises(KeyboardInterrupt):
        DELTA.loaded(place, into)
    assert DELTA.ask(into, "SELECT count(*) FROM fan_profiles_current") == [(0,)], "views can be made already"
    monkeypatch.setattr(delta_warehouse, "merge", dies_later)
    with pytest.raises(
        KeyboardInterrupt
    ):  # the objects of the first run were taken back: they are read again
        DELTA.loaded(place, into)
    monkeypatch.setattr(delta_warehouse, "merge", merge)
    assert DELTA.loaded(place, into).datasets == ()
    assert DELTA.ask(into, loaded) == [(1,)]
    assert DELTA.ask(into, "SELECT count(*) FROM fan_profiles_raw") == [(1,)]


@pytest.mark.full
def test_rows_that_are_not_those_that_were_read_first_are_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, into = tmp_path / "b", tmp_path / "loaded"
    path = put(place, key(PROFILES), gzip.compress(text([record(PROFILES, 1), record(PROFILES, 2)])))
    merge = delta_warehouse.merge

    def lost(spark: SparkSession, *arguments: object) -> object:
        spark.catalog.clearCache()  # as where an executor is lost with its disk
        path.write_bytes(gzip.compress(text([record(PROFILES, 1)])))
        return merge(spark, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(delta_warehouse, "merge", lost)
    with pytest.raises(RunError, match="changed while they were read: 2 records, then 1"):
        DELTA.loaded(place, into)
    monkeypatch.setattr(delta_warehouse, "merge", merge)
    assert of(DELTA.loaded(place, into), PROFILES).new == 1


def test_of_two_runs_at_once_the_later_one_fails_and_nothing_is_lost(
    spark: SparkSession, tmp_path: Path
) -> None:
    place, into = tmp_path / "b", tmp_path / "loaded"
    put(place, key(PROFILES), gzip.compress(text([record(PROFILES, 1)])))
    opened = DeltaTables(spark, Into.of(str(into)), lambda: datetime(2026, 11, 30, 1, tzinfo=timezone.utc))
    DELTA.loaded(place, into, datetime(2026, 11, 30, 1, tzinfo=timezone.utc))
    put(place, key(PROFILES, token="late"), gzip.compress(text([record(PROFILES, 2)])))
    with pytest.raises(RunError, match="another run loads into it at the same time"):
        run(open_place(str(place)), opened, now=NOW)
    assert of(DELTA.loaded(place, into), PROFILES).new == 1
    assert DELTA.ask(into, "SELECT count(*) FROM fan_profiles_raw") == [(2,)]


def test_a_run_that_was_taken_for_dead_cannot_commit_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, into = tmp_path / "b", tmp_path / "loaded"
    put(place, key(PROFILES), gzip.compress(text([record(PROFILES, 1)])))
    merge = delta_warehouse.merge

    def overtaken(spark: SparkSession, *arguments: object) -> object:
        monkeypatch.setattr(delta_warehouse, "merge", merge)
        other = DeltaTables(spark.newSession(), Into.of(str(into)), lambda: NOW)
        assert of(run(open_place(str(place)), other, now=NOW), PROFILES).new == 1
        return merge(spark, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(delta_warehouse, "merge", overtaken)
    with pytest.raises(RunError, match="another run loads into it at the same time"):
        DELTA.loaded(place, into)
    assert DELTA.ask(into, "SELECT count(*) FROM fan_profiles_raw") == [(1,)]
    assert DELTA.loaded(place, into).datasets == ()


@pytest.mark.full
def test_fields_are_added_and_a_field_whose_type_changed_becomes_json(tmp_path: Path) -> None:
    amount = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
    more = [
        {"name": name, "type": ["null", kind], "default": None}
        for name, kind in {"amount": amount, "USER_ID": "string"}.items()
    ]
    fields = [{**each, "type": "long"} if each["name"] == "user_id" else each for each in SCHEMA["fields"]]
    rows = [{**each, "user_id": 7} for each in events(10, 2)]
    rows[0] |= {"amount": Decimal("2.56"), "USER_ID": "u"}
    place, into = tmp_path / "b", tmp_path / "loaded"
    put(place, event_key(0), container(events(0, 1)))
    DELTA.loaded(place, into)
    put(place, event_key(10, schema_id=2), container(rows, {**SCHEMA, "fields": [*reversed(fields), *more]}))
    DELTA.loaded(place, into)
    found = DELTA.ask(
        into,
        "SELECT user_id, amount, additional FROM users_behaviors_customevent_raw ORDER BY amount, user_id",
    )
    assert found == [
        (json.dumps(events(0, 1)[0]["user_id"]), None, None),
        ("7", None, None),
        ("7", Decimal("2.56"), '{"USER_ID":"u"}'),
    ]


@pytest.mark.full
def test_a_hostile_event_type_has_a_table_of_its_own(tmp_path: Path) -> None:
    place, into = tmp_path / "b", tmp_path / "loaded"
    for event_type in ("a.b", "a_b", "x`; DROP TABLE y; --"):
        put(place, event_key(0).replace("users.behaviors.CustomEvent", event_type), container(events(0, 2)))
    assert [each.new for each in DELTA.loaded(place, into).datasets] == [2, 2, 2]
    tables = DELTA.tables(into)
    assert [len(rows) for rows in tables.values()] == [2, 2, 2]
    assert all(name.replace("_", "").isalnum() for name in tables)


def test_a_table_of_somebody_else_is_left_as_it_is(spark: SparkSession, tmp_path: Path) -> None:
    place, into = tmp_path / "b", tmp_path / "loaded"
    put(place, key(PROFILES), gzip.compress(text([record(PROFILES, 1)])))
    spark.sql("SELECT 1 AS mine").write.format("delta").save(str(into / "fan_profiles_raw"))
    with pytest.raises(ConfigError, match="was not made by rover-spark load"):
        DELTA.loaded(place, into)
    assert spark.read.format("delta").load(str(into / "fan_profiles_raw")).collect() == [(1,)]


def test_a_schema_has_its_views(spark: SparkSession, tmp_path: Path) -> None:
    place = tmp_path / "b"
    put(place, key(PROFILES), gzip.compress(text([record(PROFILES, 1)])))
    result = load(str(place), into="receiver_of_acme", spark=spark, now=NOW)
    assert (result.engine, [each.new for each in result.datasets]) == ("spark", [1])
    assert spark.sql("SELECT `canonicalRoverID` FROM receiver_of_acme.fan_profiles_current").count() == 1


def test_a_stream_loads_what_is_there_and_then_what_is_new(spark: SparkSession, tmp_path: Path) -> None:
    place, into = tmp_path / "b", str(tmp_path / "loaded")
    options = {"into": into, "checkpoint": str(tmp_path / "checkpoint")}
    for number in range(2):
        put(place, key(PROFILES, token=f"t{number}"), gzip.compress(text([record(PROFILES, number)])))
        query = load_stream(spark, str(place), **options)
        query.awaitTermination()
        assert "fan_profiles_current" in loaded_views(spark, into)
        assert spark.table("fan_profiles_current").count() == number + 1
    assert load(str(place), into=into, spark=spark, now=NOW).result == "nothing to do"


@pytest.mark.full
def test_an_object_that_cannot_be_read_is_due_until_it_can(tmp_path: Path) -> None:
    place, into = tmp_path / "b", tmp_path / "loaded"
    late = key(PROFILES).replace("2026-11-21", "2026-11-29").replace("20261121", "20261129")
    good = gzip.compress(text([record(PROFILES, 1)]))
    put(place, late, gzip.compress(text([record(PROFILES, 2)])))
    put(place, refused := key(PROFILES), good)
    root = str(place)

    def reading(due: Due) -> Iterator[Part]:
        if due.key == refused:
            raise PermissionError(13, "Permission denied", due.key)
        yield from parts(open_place(root).store(), due)

    warehouse = DeltaTables(session(), Into.of(str(into)), lambda: NOW)
    due = [Due(each, len(good), "rover", PROFILES, folder_of(each), NOW) for each in (refused, late)]
    found = warehouse.load(due, reading)
    assert (found.objects, found.new, found.unread) == (1, 1, ((refused, "Permission denied"),))
    assert of(DELTA.loaded(place, into, look_back=timedelta(hours=1)), PROFILES).new == 1
    assert DELTA.ask(into, "SELECT count(*) FROM rover_load.quarantine") == [(0,)]


def test_objects_are_spread_over_tasks_by_size() -> None:
    due = [Due(f"k{n}", size, "rover", PROFILES, "", NOW) for n, size in enumerate((5, 100, 5, 5, 5))]
    tasks = spread(due, 2, 1000)
    assert [[number for number, _ in each] for each in tasks] == [[1], [0, 2, 3, 4]]
    assert len(spread(due, 1, 40)) == 3
    assert spread(due[:1], 6, 1000) == [[(0, due[0])]]
