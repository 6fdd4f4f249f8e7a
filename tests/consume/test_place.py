"""Places and what is listed of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import ClassVar

import pytest

from rover_spark.consume.keys import EventFile, RoverFile
from rover_spark.consume.place import files_of_hours, listed, listed_by_folder, listed_since, open_place
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


def test_dated_folders_of_others_hide_no_export(tmp_path: Path) -> None:
    rover_bucket(tmp_path)
    put(tmp_path, "date=2026-01-01/access.log", b"")
    put(tmp_path, "exports/date=2026-01-01/x", b"")
    place = open_place(str(tmp_path))
    for found in (
        listed_since(place, AT, AT + timedelta(days=1)),
        listed_by_folder(place, lambda folder: None, AT),
    ):
        assert sum(isinstance(each, RoverFile) for each in found) == 8


def test_other_forms_of_manifests_are_not_listed_but_an_export_of_that_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rover_spark.store.LocalStore", Counting)
    rover_bucket(tmp_path / "redshift")
    for form in ("", "redshift/"):
        put(tmp_path, f"manifests/fan_profiles/{form}date=2026-11-21/hour=04/x.json", b"")
    Counting.prefixes.clear()
    found = list(listed_by_folder(open_place(str(tmp_path)), lambda folder: None, AT))
    assert len(found) == 9
    assert not any("manifests/fan_profiles/redshift" in prefix for prefix in Counting.prefixes)


def test_very_many_days_are_listed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rover_spark.store.LocalStore", Counting)
    rover_bucket(tmp_path)
    Counting.prefixes.clear()
    place = open_place(str(tmp_path))
    since = datetime(1970, 1, 2, tzinfo=timezone.utc)
    assert len(list(listed_since(place, since, AT))) == 4
    assert len(list(listed_by_folder(place, lambda folder: since, AT))) == 8
    assert len(list(files_of_hours(place, ("fan_profiles",), since, AT))) == 1
    assert len(Counting.prefixes) == 9


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://acct.blob.core.windows.net/c?sv=1&sig=SECRET", "https://acct.blob.core.windows.net/c"),
        ("https://me:SECRET@host/c", "https://host/c"),
        ("s3a://KEY:SECRET@bucket/x", "s3a://bucket/x"),
        ("s3://KEY:SECRET@bucket/x", "s3://bucket/x"),
        ("s3://KEY:SEC/RET@bucket/x", "s3://bucket/x"),
        ("az://container/x?sig=SEC@RET", "az://container/x"),
    ],
)
def test_a_url_with_a_secret_is_refused_and_not_repeated(url: str, shown: str) -> None:
    with pytest.raises(ConfigError) as met:
        open_place(url)
    assert met.value.message.startswith(f"{shown}: ")
    assert "SEC" not in str(met.value) and "RET" not in str(met.value)


def test_at_signs_and_colons_of_a_prefix_or_a_bucket_are_taken() -> None:
    for url in ("s3://bucket/a@b:c", "s3://arn:aws:s3:eu-west-1:1:accesspoint/name"):
        assert open_place(url).destination == url


@pytest.mark.parametrize("url", ["/no/such/directory", "ftp://x/y", "s3://", "s3:///"])
def test_what_is_no_place_is_refused(url: str) -> None:
    with pytest.raises(ConfigError) as met:
        open_place(url)
    assert met.value.code == "place_unknown"


@pytest.mark.parametrize("inside", ["manifests", "manifests/fan_profiles"])
def test_a_folder_of_manifests_is_a_part_of_the_place_above(tmp_path: Path, inside: str) -> None:
    put(tmp_path, "manifests/fan_profiles/date=2026-11-21/hour=04/x.json", b"")
    found = open_place(str(tmp_path / inside))
    assert (found.destination, found.prefix) == (f"file://{tmp_path.resolve()}", inside)
    assert open_place(str(tmp_path)).holds(found)
    put(tmp_path, "other/manifests/exports/x", b"")
    assert open_place(str(tmp_path / "other" / "manifests")).prefix == ""


@pytest.mark.parametrize(
    ("other", "holds"),
    [
        ("memory://bucket/acme", True),
        ("memory://bucket/acme/manifests", True),
        ("memory://bucket/acme2", False),
        ("memory://bucket", False),
        ("memory://other/acme", False),
    ],
)
def test_a_place_holds_what_lies_below_it(other: str, holds: bool) -> None:
    assert open_place("memory://bucket/acme").holds(open_place(other)) is holds


def test_a_place_beside_another() -> None:
    for url, wanted in {
        "memory://bucket/a/acme": ("memory://bucket/a/manifests.acme", "a/manifests.acme"),
        "memory://bucket/acme": ("memory://bucket/manifests.acme", "manifests.acme"),
        "memory://bucket/m": ("memory://bucket/completions.m", "completions.m"),
    }.items():
        found = open_place(url).beside("manifests", "completions")
        assert found is not None and (found.destination, found.prefix) == wanted
    assert open_place("memory://bucket").beside("manifests", "completions") is None
