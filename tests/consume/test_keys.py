"""What a receiver takes from keys, however odd they are."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rover_spark.consume.keys import EventFile, ManifestFile, Other, RoverFile, Stray, classified
from rover_spark.contract.currents import Integration, currents_key
from rover_spark.contract.keys import rover_key
from tests.consume.written import AT, event_key, key

HOUR = AT.replace(minute=0, second=0)


@pytest.mark.parametrize("prefix", ["", "acme", "a/b", "exports", "x/exports/fan_profiles"])
def test_a_key_of_the_rover_contract_is_taken_apart(prefix: str) -> None:
    whole = f"{prefix}/{key('fan_profiles')}" if prefix else key("fan_profiles")
    assert classified(whole, 7) == RoverFile(whole, 7, prefix, "fan_profiles", HOUR, AT, "a1")


@pytest.mark.parametrize("prefix", ["", "acme", "a/b"])
def test_a_key_of_the_currents_contract_is_taken_apart(prefix: str) -> None:
    whole = f"{prefix}/{event_key(40)}" if prefix else event_key(40)
    found = classified(whole, 7)
    assert isinstance(found, EventFile)
    assert found.place == whole.partition("/event_type=")[0]
    assert (found.event_type, found.hour) == ("users.behaviors.CustomEvent", HOUR)
    assert (found.schema_id, found.zone, found.partition, found.offset) == (1, "eu", 0, 40)


def test_what_the_product_writes_is_taken_apart() -> None:
    assert isinstance(classified(rover_key("acme", "fan_profiles", AT, "0" * 32), 1), RoverFile)
    place = Integration("prod-01", "S3", "65f1c2d3", "eu")
    assert isinstance(classified(currents_key("acme", place, "a.B", HOUR, 7, 0, 15), 1), EventFile)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("exports/fan_profiles/_SUCCESS", "is no key of the contract"),
        ("exports/fan_nothing/date=2026-11-21/hour=04/x", "names no dataset of the contract"),
        (key("fan_profiles").replace("-part-", "-"), "is no file name of the contract"),
        (key("fan_profiles").replace("/fan_profiles-", "/fan_track_events-"), "names another dataset"),
        (key("fan_profiles").replace("2026-11-21", "2026-11-31"), "has a date or hour that does not exist"),
        (key("fan_profiles").replace("hour=04", "hour=24"), "has a date or hour that does not exist"),
        (key("fan_profiles").replace("T040506Z", "T046006Z"), "has a date or hour that does not exist"),
        (event_key(0).replace("/1/eu/", "/one/eu/"), "is no key of the contract"),
        (event_key(0).replace("-21-04", "-31-04"), "has a date or hour that does not exist"),
        (event_key(0).replace("65f1c2d3+", "other+"), "names another integration"),
        ("exports/fan_profiles/exports/x.ndjson.gz", "is no key of the contract"),
        (
            key("fan_profiles").replace("/fan_profiles-", "/exports/fan_profiles-"),
            "is no key of the contract",
        ),
        ("a/exports/fan_profiles/manifests/x.json", "is no key of the contract"),
        (event_key(0).partition("/")[0] + "/date=2026-11-21/hour=04/x.avro", "is no key of the contract"),
    ],
)
def test_what_stands_among_the_files_and_is_none_is_a_stray(name: str, reason: str) -> None:
    found = classified(name, 1)
    assert isinstance(found, Stray)
    assert reason in found.reason


@pytest.mark.parametrize("prefix", ["a", "a/exports", "a/exports/sales"])
def test_below_the_prefix_that_was_listed_every_export_is_the_contracts(prefix: str) -> None:
    assert isinstance(classified("a/exports/sales/x", 1, prefix), Stray)
    assert isinstance(classified("a/exports/sales/x", 1, "b"), Other)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "readme.txt",
        "_rover_staging/acme/b/exports/fan_profiles/x",
        "other/exports/sales/x",
        "schemas.acme/dataexport.a.S3.integration.b/t/1.avsc",
        "dataexport.file.csv",
        "deploy/manifests/app.json",
        "deploy/manifests/apps/date=2026-11-21/hour=04/app.json",
        "manifests.acme/app.json",
        "manifests/fan_profiles/redshift/date=2026-11-21/hour=04/x.json",
        "control/dataexport.a.S3.integration.b/symlink/date=2026-11-21/hour=04/x.txt",
    ],
)
def test_what_the_contracts_do_not_speak_of_is_other(name: str) -> None:
    assert isinstance(classified(name, 1), Other)


@pytest.mark.parametrize(
    "name",
    [
        "manifests/fan_profiles/date=2026-11-21/hour=04/fan_profiles-20261121T040506Z-x.json",
        "a/manifests/fan_profiles/date=2026-11-21/hour=04/x.json",
        "manifests.acme/dataexport.a.S3.integration.b/x.json",
        "completions.m/dataexport.a.S3.integration.b/x.json",
        "control/dataexport.a.S3.integration.b/date=2026-11-21/hour=04/x.json",
    ],
)
def test_manifests_stand_in_folders_of_their_own(name: str) -> None:
    assert isinstance(classified(name, 1), ManifestFile)


@given(
    st.lists(
        st.sampled_from(
            [*key("fan_profiles").split("/"), *event_key(3).split("/"), "\n", "\x00", "é", "\ud800", "..", ""]
        ),
        max_size=9,
    )
)
def test_any_text_has_an_answer(parts: list[str]) -> None:
    found = classified("/".join(parts), 0)
    assert found.key == "/".join(parts)


@given(st.text())
def test_a_hostile_event_type_is_only_a_text(event_type: str) -> None:
    found = classified(
        f"dataexport.x/event_type={event_type}/date=2026-11-21-04/1/z/dataexport.x+0+0.avro", 1
    )
    assert isinstance(found, (EventFile, Stray))
    if isinstance(found, EventFile):
        assert found.event_type == event_type
        assert found.hour == datetime(2026, 11, 21, 4, tzinfo=timezone.utc)
