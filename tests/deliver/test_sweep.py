"""Which uploads in a shared bucket are this export's to remove."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from rover_spark.contract.currents import Integration
from rover_spark.contract.keys import rover_key
from rover_spark.contract.manifests import FORMATS, key_of
from rover_spark.produce.currents.keys import EventOwner
from rover_spark.produce.rover.keys import RoverOwner

AT = datetime(2026, 11, 21, 10, 15, tzinfo=timezone.utc)
PLANNED = {("fan_profiles", int(AT.timestamp()))}
PLACE = Integration("prod-01", "S3", "65f1c2d3", "eu")
FOLDER = PLACE.name
BEHAVIORS = f"{FOLDER}/event_type=users.behaviors.CustomEvent/one.avro"


def key(prefix: str, dataset: str = "fan_profiles", at: datetime = AT) -> str:
    return rover_key(prefix, dataset, at, "0" * 32)


@pytest.mark.law(7)
@pytest.mark.parametrize(
    ("prefix", "name", "ours"),
    [
        ("", key(""), True),
        ("acme", key("acme"), True),
        ("", key("acme"), False),  # an export below ours, in the same second
        ("acme", key("acme/eu"), False),
        ("acme/eu", key("acme"), False),
        ("acme", key("acme", "fan_track_events"), False),
        ("acme", key("acme", at=AT.replace(second=1)), False),
        ("acme", "acme/exports/fan_profiles/one", False),
    ],
)
def test_an_upload_is_ours_by_its_whole_prefix_its_dataset_and_its_instant(
    prefix: str, name: str, ours: bool
) -> None:
    assert RoverOwner("acme", prefix).planned(name, PLANNED) is ours


@pytest.mark.parametrize(
    ("root", "dataset", "at", "ours"),
    [
        ("announced", "fan_profiles", AT, True),
        ("", "fan_profiles", AT, False),
        ("announced", "fan_track_events", AT, False),
        ("announced", "fan_profiles", AT.replace(second=1), False),
    ],
)
@pytest.mark.parametrize("form", [None, *FORMATS])
def test_the_upload_of_a_manifest_is_ours_by_its_place_its_dataset_and_its_instant(
    root: str, dataset: str, at: datetime, ours: bool, form: str | None
) -> None:
    owner = RoverOwner("acme", "acme", manifests="announced")
    assert owner.planned(key_of(root, dataset, at, "0" * 32, form), PLANNED) is ours


@pytest.mark.parametrize(
    ("prefix", "name", "ours"),
    [
        ("", BEHAVIORS, True),
        ("acme", f"acme/{BEHAVIORS}", True),
        ("", f"acme/{BEHAVIORS}", False),
        ("acme", f"acme/eu/{BEHAVIORS}", False),
        ("acme", f"schemas.acme/{FOLDER}/CHANGELOG.md", False),
        ("acme", f"acme/{FOLDER}2/one.avro", False),
    ],
)
def test_an_integrations_uploads_lie_in_its_own_folder(prefix: str, name: str, ours: bool) -> None:
    assert EventOwner(PLACE, prefix, ()).planned(name, set()) is ours


def test_an_integrations_manifests_lie_beside_it() -> None:
    owner = EventOwner(PLACE, "acme", (), manifests="manifests.acme")
    assert owner.planned(key_of("manifests.acme", FOLDER, AT, "0" * 32), set())
    assert not owner.planned(key_of("manifests.other", FOLDER, AT, "0" * 32), set())
