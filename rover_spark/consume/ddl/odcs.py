"""Data contracts by the Open Data Contract Standard 3.1, one per dataset or event type: of the files as they are delivered.

Promises what the receiver's contract says and no more. Files arrive at least once, so ids are unique when repeats are taken
out: the rule about it is a warning, and no field is called a primary key, which tools would hold the files to. Which fields may be missing is what the columns say.

Source: Bitol, Open Data Contract Standard v3.1.0.
"""

from __future__ import annotations

from typing import Any

import yaml

from rover_spark.consume.ddl.place import Place
from rover_spark.consume.ddl.scope import Scope
from rover_spark.consume.ddl.statement import Statement
from rover_spark.consume.ddl.tables import Column, Kind, Table

NAME = "odcs"
VERSION = "v3.1.0"
_LOGICAL: dict[Kind, str] = {
    "key": "string", "text": "string", "integer": "integer", "real": "number", "decimal": "number", "flag": "boolean",
    "time": "timestamp", "day": "date", "octets": "string", "json": "object",
}  # fmt: skip
_JSON: dict[Kind, str] = {
    "key": "string", "text": "string", "integer": "number", "flag": "boolean", "time": "string", "json": "object",
}  # fmt: skip
_LIMITS = {
    "fan_profiles": "A deleted profile stays, unless the sender delivers tombstones; a merged one, until merges are applied.",
    "fan_profile_merges": "Merges that were undone are not delivered.",
    "fan_track_events": "Events have no snapshot; what was removed at the source is not delivered.",
}


def statements(scope: Scope) -> tuple[Statement, ...]:
    """One contract each, as YAML."""
    return tuple(
        Statement(
            table.dataset,
            "contract",
            yaml.safe_dump(contract(table, scope), sort_keys=False, allow_unicode=True, width=100).rstrip(),
        )
        for table in scope.tables
    )


def text(found: tuple[Statement, ...]) -> str:
    """The contracts as documents of one YAML stream."""
    return "\n---\n".join(each.text for each in found) + "\n"


def contract(table: Table, scope: Scope) -> dict[str, Any]:
    """The contract of a dataset or an event type as a tree."""
    place = (scope.place or Place("s3", "<bucket>", "<prefix>")).below(*table.folder)
    about = {
        "purpose": f"The records of {table.dataset} as they are delivered.",
        "usage": _usage(table),
        "limitations": _LIMITS.get(table.dataset),
    }
    return {
        "apiVersion": VERSION,
        "kind": "DataContract",
        "id": f"rover-spark-{scope.export}-{table.name}",
        "name": f"{scope.export} {table.dataset}",
        "version": "1.0.0",
        "status": "active",
        "description": {name: each for name, each in about.items() if each},
        "servers": [_server(table, place)],
        "schema": [
            {
                "name": table.name,
                "physicalName": table.dataset,
                "physicalType": "file",
                "logicalType": "object",
                "dataGranularityDescription": "one record a row; the same record has the same id",
                "properties": [_property(each, table) for each in table.columns],
                "quality": [
                    {
                        "name": f"{table.name}_not_empty",
                        "metric": "rowCount",
                        "mustBeGreaterThan": 0,
                        "dimension": "completeness",
                        "severity": "warning",
                        "description": "No file is empty; a dataset in which nothing happened has no file.",
                    }
                ],
            }
        ],
    }


def _usage(table: Table) -> str:
    if not table.event_time:
        return "Take out repeats by id."
    if table.key == ("id",):
        return "Take out repeats by id; see them through fan_profile_merges."
    key = ", ".join(table.key)
    return (
        f"Take out repeats by id, then keep the record with the greatest {table.event_time} for each {key}."
    )


def _server(table: Table, place: Place) -> dict[str, Any]:
    pattern = "*/*/*/*.avro" if table.avro else "*/*/*.ndjson.gz"
    form = {"format": "avro" if table.avro else "json"}
    lines = {} if table.avro else {"delimiter": "new_line"}
    match place.scheme:
        case "file":
            return {"server": "delivery", "type": "local", "path": f"{place.plain}/{pattern}", **form}
        case "az":
            where = {"type": "azure", "location": f"{place.url}/{pattern}"}
        case "gs":
            where = {"type": "custom", "location": f"{place.url}/{pattern}"}
        case _:
            where = {"type": "s3", "location": f"{place.url}/{pattern}"}
    return {"server": "delivery", **where, **form, **lines}


def _property(column: Column, table: Table) -> dict[str, Any]:
    physical = column.avro.words if column.avro is not None else _JSON.get(column.kind, "any JSON value")
    array = (
        column.avro is not None and (value := column.avro.besides_null) is not None and value.kind == "array"
    )
    found: dict[str, Any] = {
        "name": column.name,
        "logicalType": "array" if array else _LOGICAL.get(column.kind),
        "physicalType": physical,
        "description": column.about or None,
        "required": column.required,
    }
    rules = []
    if column.required:
        rules.append(
            _rule(column, "nullValues", "completeness", "error", "A record without it is no record.")
        )
    if column.kind == "key":
        if not table.avro:
            found["logicalTypeOptions"] = {"pattern": "^[0-9a-f]{32}$"}
        once = "Files arrive at least once: repeats have the same id and say the same."
        rules.append(_rule(column, "duplicateValues", "uniqueness", "warning", once))
    if column.name == "operation" and not table.avro:
        found["logicalTypeOptions"] = {"pattern": "^(create|update|delete)$"}
    found["quality"] = rules or None
    return {name: each for name, each in found.items() if each is not None}


def _rule(column: Column, metric: str, dimension: str, severity: str, about: str) -> dict[str, Any]:
    return {
        "name": f"{column.name}_{metric}",
        "metric": metric,
        "mustBe": 0,
        "dimension": dimension,
        "severity": severity,
        "description": about,
    }
