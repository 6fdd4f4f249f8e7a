"""The ``[manifests]`` part of a configuration: where manifests go, and which settings do not go together."""

from __future__ import annotations

from typing import Any

import pytest

from rover_spark.config.settings import Settings, parse
from rover_spark.errors import ConfigError

ROVER = {
    "name": "acme",
    "destination": "s3://bucket/acme",
    "ledger": "/control/acme",
    "datasets": {"fan_profiles": {"table": "/t"}},
}
CURRENTS = {
    **{name: value for name, value in ROVER.items() if name != "datasets"},
    "contract": "currents",
    "currents": {"cluster": "prod-01", "connection": "S3", "integration_id": "65f1", "zone": "eu"},
    "events": {"users.behaviors.CustomEvent": {"table": "/t"}},
}


def settings(base: dict[str, Any], destination: str = "", **manifests: Any) -> Settings:
    base = {**base, "destination": destination or base["destination"]}
    return parse({**base, "manifests": manifests} if manifests else base)


def test_rover_has_manifests_at_its_destination_and_currents_has_none_unless_it_is_set() -> None:
    assert settings(ROVER).manifests_at == "s3://bucket/acme"
    assert settings(ROVER, enabled=False).manifests_at is None
    assert settings(CURRENTS).manifests_at is None
    assert settings(CURRENTS, enabled=True).manifests_at == "s3://bucket/manifests.acme"


@pytest.mark.parametrize(
    ("destination", "place"),
    [
        ("s3://bucket/a/acme", "s3://bucket/a/manifests.acme"),
        ("file:///data/acme", "file:///data/manifests.acme"),
        ("s3://bucket/man", "s3://bucket/completions.man"),
        ("s3://bucket/manifests", "s3://bucket/completions.manifests"),
        ("s3://bucket/manifests.", "s3://bucket/completions.manifests."),
    ],
)
def test_no_manifest_of_currents_begins_with_the_prefix_that_receivers_search(
    destination: str, place: str
) -> None:
    found = settings(CURRENTS, destination, enabled=True).manifests_at
    assert found == place and not place.startswith(destination)


def test_a_place_of_its_own_has_staging_of_its_own() -> None:
    """The staging of files may be in another bucket, and nothing staged there can become visible here."""
    found = parse(
        {
            **ROVER,
            "destination": "gs://bucket/acme",
            "manifests": {"place": "gs://other/announced/"},
            "store": {"staging": "gs://bucket/staging", "can_read": True},
        }
    )
    assert found.manifests_at == "gs://other/announced"
    access = found.access_at("gs://other/announced")
    assert (access.staging, access.can_read) == (None, True)
    assert found.access_at("gs://bucket/acme").staging == "gs://bucket/staging"


@pytest.mark.parametrize(
    ("base", "destination", "manifests", "said"),
    [
        (ROVER, "", {"enabled": False, "formats": ["symlink"]}, "manifests.formats: has no effect while"),
        (CURRENTS, "", {"place": "s3://other/x"}, "manifests.place: has no effect while contract is currents"),
        (ROVER, "", {"formats": ["csv"]}, "manifests.formats.0: takes"),
        (ROVER, "", {"formats": ["symlink", "symlink"]}, "manifests.formats: names one twice"),
        (ROVER, "", {"formats": "symlink"}, "manifests.formats: takes a list"),
        (ROVER, "", {"place": "gs://bucket/x"}, "manifests.place: must be of the destination's scheme, s3://"),
        (ROVER, "", {"place": "bucket/x"}, "manifests.place: has no scheme"),
        (ROVER, "", {"place": "s3://bucket/../x"}, "manifests.place: must not hold '..'"),
        (ROVER, "", {"place": "s3://bucket/acme/exports"}, "manifests.place: lies inside"),
        (ROVER, "", {"place": "s3://bucket/acme/exports/x"}, "manifests.place: lies inside"),
        (ROVER, "", {"enable": True}, "manifests.enable: unknown key, did you mean enabled?"),
        (ROVER, "", {"enabled": "maybe"}, "manifests.enabled: takes true or false"),
        (
            CURRENTS,
            "",
            {"enabled": True, "place": "s3://bucket/acme-said"},
            "manifests.place: begins as the destination does",
        ),
        (
            CURRENTS,
            "s3://bucket",
            {"enabled": True},
            "manifests: s3://bucket is a whole bucket, of which receivers read all as events, so there is no place beside it: "
            "set manifests.place",
        ),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused_with_the_key_that_is_wrong(
    base: dict[str, Any], destination: str, manifests: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(base, destination, **manifests)
    assert caught.value.message.removeprefix("configuration: ").startswith(said), caught.value.message
    assert caught.value.exit_code == 2


def test_a_ledger_may_not_lie_where_manifests_are_published() -> None:
    with pytest.raises(ConfigError, match=r"ledger: lies inside manifests.place"):
        parse(
            {
                **ROVER,
                "destination": "file:///data/acme",
                "ledger": "/data/announced/ledger",
                "manifests": {"place": "file:///data/announced"},
            }
        )


@pytest.mark.parametrize("number", [0, 65, "many", True])
def test_so_many_files_at_once_cannot_be_published(number: Any) -> None:
    with pytest.raises(ConfigError, match=r"files.publish_at_once: "):
        parse({**ROVER, "files": {"publish_at_once": number}})
