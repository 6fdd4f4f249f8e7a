"""The data contracts: valid by the standard's own JSON schema, whatever the names are."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
import yaml
from open_data_contract_standard.model import OpenDataContractStandard

from rover_spark.consume.ddl import odcs
from rover_spark.consume.ddl.engines.port import Names
from rover_spark.consume.ddl.place import Place
from rover_spark.consume.ddl.scope import Scope
from rover_spark.consume.ddl.tables import of_dataset, of_event_type
from rover_spark.contract import avro
from rover_spark.contract.rover import DATASETS
from tests.consume.ddl.test_statements import HOSTILE, INTEGRATION, SCHEMA

STANDARD = jsonschema.Draft201909Validator(
    json.loads((files("open_data_contract_standard") / "schema.json").read_text(encoding="utf-8"))
)
TABLES = (
    *(of_dataset(name, ("tier", HOSTILE, "yes", "null")) for name in DATASETS),
    of_event_type(INTEGRATION, "users.A", avro.parse(SCHEMA)),
    of_event_type(INTEGRATION, "it's: {odd}", None, ("id", "amount", HOSTILE)),
)


def contracts(place: str = "s3://bucket/acme") -> list[dict[str, Any]]:
    scope = Scope("acme", "rover", TABLES, Place.of(place) if place else None, Names(("rover",)))
    text = odcs.text(odcs.statements(scope))
    found = list(yaml.safe_load_all(text))
    assert len(found) == len(TABLES)
    return found


@pytest.mark.parametrize("place", ["", "s3://b/p", "gs://b/p", "az://c/p", "file:///data/b"])
def test_a_contract_is_valid_by_the_standard(place: str) -> None:
    for each in contracts(place):
        assert not [f"{error.json_path}: {error.message}" for error in STANDARD.iter_errors(each)]
        assert each["apiVersion"] == "v3.1.0"
        again = OpenDataContractStandard.from_string(yaml.safe_dump(each))
        assert again.id == each["id"]


def test_the_validator_finds_what_is_wrong() -> None:
    (first, *_) = contracts()
    assert list(STANDARD.iter_errors({**first, "servers": [{"server": "x", "type": "bucket"}]}))
    first["schema"][0]["properties"][0]["quality"][0]["metric"] = "unique"
    assert list(STANDARD.iter_errors(first))


def test_a_contract_has_rules_for_ids_and_for_every_field_that_must_be_there() -> None:
    for each, table in zip(contracts(), TABLES, strict=True):
        (schema,) = each["schema"]
        properties = {found["name"]: found for found in schema["properties"]}
        assert list(properties) == list(table.names)
        for column in table.columns:
            found = properties[column.name]
            metrics = [rule["metric"] for rule in found.get("quality", ())]
            assert found["required"] is column.required is ("nullValues" in metrics)
            assert ("duplicateValues" in metrics) is (column.name == "id")
        (rule,) = (each for each in properties["id"]["quality"] if each["metric"] == "duplicateValues")
        assert rule["severity"] == "warning" and "primaryKey" not in properties["id"], (
            "files arrive at least once"
        )


def test_a_tombstone_has_no_traits_so_they_are_not_required() -> None:
    (profiles,) = (each for each in contracts() if each["name"] == "acme fan_profiles")
    properties = {found["name"]: found for found in profiles["schema"][0]["properties"]}
    assert not properties["traits"]["required"] and properties["deleted"]["logicalType"] == "boolean"
