"""The four datasets as the contract publishes them."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from rover_spark.contract.rover import CONTRACT, DATASETS, ENVELOPE, RESERVED, VERSION


def test_the_contract_has_four_datasets_at_version_1() -> None:
    assert (CONTRACT, VERSION) == ("rover", 1)
    assert list(DATASETS) == ["fan_profiles", "fan_identity_graph", "fan_profile_merges", "fan_track_events"]
    assert all(name == dataset.name for name, dataset in DATASETS.items())
    assert ENVELOPE == ("id", "version", "roverID", "emittedAt")


@pytest.mark.parametrize(
    ("dataset", "own", "event_time"),
    [
        ("fan_profiles", ["traits"], "updatedAt"),
        ("fan_identity_graph", ["identifierType", "identifier"], "updatedAt"),
        ("fan_profile_merges", ["mergedRoverID"], "occurredAt"),
        ("fan_track_events", ["name", "namespace", "attributes", "device"], "timestamp"),
    ],
)
def test_fields_stand_in_the_order_of_the_contract_and_the_event_time_last(
    dataset: str, own: list[str], event_time: str
) -> None:
    contract = DATASETS[dataset]
    emitted = [field.name for field in contract.fields if field.emitted]
    assert emitted == ["roverID", *own, event_time]
    assert [field.name for field in contract.own] == own
    assert contract.event_time == event_time


@pytest.mark.parametrize(
    ("dataset", "key", "natural_key"),
    [
        ("fan_profiles", ("roverID",), ("roverID", "updatedAt")),
        (
            "fan_identity_graph",
            ("roverID", "identifierType", "identifier"),
            ("roverID", "identifierType", "identifier", "operation", "updatedAt"),
        ),
        ("fan_profile_merges", ("roverID", "mergedRoverID"), ("roverID", "mergedRoverID", "occurredAt")),
        ("fan_track_events", ("eventID",), ("eventID",)),
    ],
)
def test_row_keys_and_natural_keys(dataset: str, key: tuple[str, ...], natural_key: tuple[str, ...]) -> None:
    assert DATASETS[dataset].key == key
    assert DATASETS[dataset].natural_key == natural_key


@pytest.mark.parametrize(
    ("dataset", "snapshot", "append_only", "deletes", "operation"),
    [
        ("fan_profiles", True, False, "suppress", False),
        ("fan_identity_graph", True, False, "record", True),
        ("fan_profile_merges", True, False, "suppress", False),
        ("fan_track_events", False, True, "suppress", False),
    ],
)
def test_phases_and_what_becomes_of_deletes(
    dataset: str, snapshot: bool, append_only: bool, deletes: str, operation: bool
) -> None:
    contract = DATASETS[dataset]
    assert (contract.snapshot, contract.append_only) == (snapshot, append_only)
    assert (contract.deletes, contract.operation) == (deletes, operation)


@pytest.mark.parametrize(
    ("dataset", "kinds"),
    [
        ("fan_profiles", {"roverID": "uuid", "traits": "json", "updatedAt": "time"}),
        (
            "fan_identity_graph",
            {"roverID": "uuid", "identifierType": "text", "identifier": "text", "updatedAt": "time"},
        ),
        ("fan_profile_merges", {"roverID": "uuid", "mergedRoverID": "uuid", "occurredAt": "time"}),
        (
            "fan_track_events",
            {
                "eventID": "scalar",
                "roverID": "uuid",
                "name": "text",
                "namespace": "text",
                "attributes": "json",
                "device": "json",
                "timestamp": "time",
            },
        ),
    ],
)
def test_each_field_has_its_kind(dataset: str, kinds: dict[str, str]) -> None:
    assert {field.name: field.kind for field in DATASETS[dataset].fields} == kinds


def test_only_namespace_and_device_may_be_absent_and_only_event_id_is_not_emitted() -> None:
    fields = [field for dataset in DATASETS.values() for field in dataset.fields]
    assert [field.name for field in fields if not field.required] == ["namespace", "device"]
    assert [field.name for field in fields if not field.emitted] == ["eventID"]


def test_no_additional_field_can_take_a_name_of_the_envelope() -> None:
    assert {"id", "version", "roverID", "emittedAt", "operation", "deleted"} == RESERVED


def test_a_field_is_found_by_name_and_an_unknown_one_is_a_key_error() -> None:
    events = DATASETS["fan_track_events"]
    assert events.field("device").kind == "json"
    with pytest.raises(KeyError, match="devices"):
        events.field("devices")


def test_the_contract_cannot_be_changed_at_run_time() -> None:
    with pytest.raises(FrozenInstanceError):
        DATASETS["fan_profiles"].natural_key = ("roverID",)  # type: ignore[misc]
