"""Places and what is listed of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from rover_spark.consume.keys import EventFile, RoverFile
from rover_spark.consume.place import files_of_hours, listed, listed_since, open_place
from rover_spark.errors import ConfigError
from rover_spark.store import ObjectInfo
from rover_spark.store.local import LocalStore
from tests.consume.written import AT, PLACE, currents_bucket, put, rover_bucket


@pytest.mark.parametrize(
    "inside", ["", "exports", "exports/fan_profiles", "exports/fan_profiles/date=2026-11-21"]
)
def test_a_directory_is_a_place_also_inside_of_an_export(tmp_path: Path, inside: str) -> None:
    rover_bucket(tmp_path / "acme")
    found = [
        each for each in listed(open_place(str(tmp_path / "acme" / inside))) if isinstance(each, RoverFile)
    ]
    assert len(found) == (2 if "fan_profiles" in inside else 8)
    assert all(each.key.startswith("exports/") and each.place == "" for each in found)


def test_a_bucket_of_many_exports_is_listed_whole(tmp_path: Path) -> None:
    rover_bucket(tmp_path / "a")
    currents_bucket(tmp_path / "b" / "c")
    put(tmp_path, "_rover_staging/x/y", b"")
    found = list(listed(open_place(f"file://{tmp_path}")))
    assert {each.place for each in found if isinstance(each, RoverFile)} == {"a"}
    assert {each.place for each in found if isinstance(each, EventFile)} == {f"b/c/{PLACE}"}
    assert len(found) == 14


HOURS = [(timedelta(0), 1), (timedelta(hours=1), 2), (timedelta(days=9), 2)]


@pytest.mark.parametrize(("span", "count"), HOURS)
def test_hours_are_listed_without_a_look_at_others(tmp_path: Path, span: timedelta, count: int) -> None:
    rover_bucket(tmp_path)
    found = list(files_of_hours(open_place(str(tmp_path)), ("fan_profiles",), AT, AT + span))
    assert len(found) == count


class Counting(LocalStore):
    """A store that keeps what was listed."""

    prefixes: ClassVar[list[str]] = []

    def listing(self, prefix: str) -> Iterator[ObjectInfo]:
        self.prefixes.append(prefix)
        yield from super().listing(prefix)


@pytest.mark.parametrize("above", ["", "b/c"])
@pytest.mark.parametrize(("span", "count"), HOURS)
def test_exports_of_any_place_are_listed_by_hours(
    tmp_path: Path, span: timedelta, count: int, above: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rover_spark.store.LocalStore", Counting)
    rover_bucket(tmp_path / above)
    currents_bucket(tmp_path / above)
    put(tmp_path / above, "manifests/fan_profiles/date=2026-11-21/hour=04/x.json", b"")
    put(tmp_path, "_rover_staging/x/date=2026-11-21/hour=04/y", b"")
    Counting.prefixes.clear()
    found = list(listed_since(open_place(str(tmp_path)), AT, AT + span))
    kinds = Counter(type(each).__name__ for each in found)
    assert kinds == {"RoverFile": 4 * count, "EventFile": 6, "ManifestFile": 1}
    assert all("/date=" in prefix for prefix in Counting.prefixes)


@pytest.mark.parametrize(
    "inside", ["exports", "exports/fan_profiles", "exports/fan_profiles/date=2026-11-21"]
)
def test_a_place_inside_of_an_export_is_narrowed_too(tmp_path: Path, inside: str) -> None:
    rover_bucket(tmp_path)
    found = list(
        listed_since(open_place(str(tmp_path / inside)), AT + timedelta(hours=1), AT + timedelta(days=1))
    )
    assert len(found) == (1 if "fan_profiles" in inside else 4)


def test_a_place_of_very_many_folders_is_listed_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rover_bucket(tmp_path)
    wanted = list(listed_since(open_place(str(tmp_path)), AT, AT))
    monkeypatch.setattr("rover_spark.consume.place._FOLDERS", 3)
    assert sorted(map(str, listed_since(open_place(str(tmp_path)), AT, AT))) == sorted(map(str, wanted))
    monkeypatch.setattr("rover_spark.consume.place._FOLDERS", 2000)
    monkeypatch.setattr("rover_spark.consume.place._DEPTH", 1)
    assert sorted(map(str, listed_since(open_place(str(tmp_path)), AT, AT))) == sorted(map(str, wanted))


@pytest.mark.parametrize("url", ["/no/such/directory", "ftp://x/y", "s3://", "s3:///"])
def test_what_is_no_place_is_refused(url: str) -> None:
    with pytest.raises(ConfigError) as met:
        open_place(url)
    assert met.value.code == "place_unknown"


def test_a_place_beside_another() -> None:
    for url, wanted in {
        "memory://bucket/a/acme": ("memory://bucket/a/manifests.acme", "a/manifests.acme"),
        "memory://bucket/acme": ("memory://bucket/manifests.acme", "manifests.acme"),
        "memory://bucket/m": ("memory://bucket/completions.m", "completions.m"),
    }.items():
        found = open_place(url).beside("manifests", "completions")
        assert found is not None and (found.destination, found.prefix) == wanted
    assert open_place("memory://bucket").beside("manifests", "completions") is None
