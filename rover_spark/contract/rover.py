"""The Rover Data Export contract: its four datasets, their fields, keys and phases.

Source: Rover, "Data Export: File Format & Layout" (bucket layout, file format, idempotency and ordering,
snapshot vs change stream, common envelope). Pure: no Spark, no store.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CONTRACT = "rover"
VERSION = 1
# Octets of a line around its own and additional fields, at the most: names, quotes, id, UUID, both instants.
OVERHEAD = 220

Kind = Literal["uuid", "text", "json", "time", "scalar"]


@dataclass(frozen=True)
class Field:
    """One field of a dataset. ``emitted`` is False for a value that only feeds the record id."""

    name: str
    kind: Kind
    required: bool = True
    emitted: bool = True


@dataclass(frozen=True)
class Dataset:
    """What a dataset is made of.

    ``fields`` are in the order in which they are emitted: roverID first, the event time last. ``key`` names the
    fields that identify a source row; ``natural_key`` the values, as emitted, that a record id is made of.
    """

    name: str
    fields: tuple[Field, ...]
    key: tuple[str, ...]
    natural_key: tuple[str, ...]
    snapshot: bool = True
    operation: bool = False
    deletes: Literal["record", "suppress"] = "suppress"
    append_only: bool = False

    @property
    def event_time(self) -> str:
        """Name of the event-time field."""
        return next(field.name for field in self.fields if field.kind == "time")

    @property
    def own(self) -> tuple[Field, ...]:
        """The fields between the envelope and the event time, in order."""
        return tuple(f for f in self.fields if f.emitted and f.kind != "time" and f.name != "roverID")

    def field(self, name: str) -> Field:
        """The field of that name; KeyError where there is none."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)


_ROVER_ID = Field("roverID", "uuid")
_UPDATED_AT = Field("updatedAt", "time")

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            name="fan_profiles",
            fields=(_ROVER_ID, Field("traits", "json"), _UPDATED_AT),
            key=("roverID",),
            natural_key=("roverID", "updatedAt"),
        ),
        Dataset(
            name="fan_identity_graph",
            fields=(_ROVER_ID, Field("identifierType", "text"), Field("identifier", "text"), _UPDATED_AT),
            key=("roverID", "identifierType", "identifier"),
            natural_key=("roverID", "identifierType", "identifier", "operation", "updatedAt"),
            operation=True,
            deletes="record",
        ),
        Dataset(
            name="fan_profile_merges",
            fields=(_ROVER_ID, Field("mergedRoverID", "uuid"), Field("occurredAt", "time")),
            key=("roverID", "mergedRoverID"),
            natural_key=("roverID", "mergedRoverID", "occurredAt"),
        ),
        Dataset(
            name="fan_track_events",
            fields=(
                Field("eventID", "scalar", emitted=False),
                _ROVER_ID,
                Field("name", "text"),
                Field("namespace", "text", required=False),
                Field("attributes", "json"),
                Field("device", "json", required=False),
                Field("timestamp", "time"),
            ),
            key=("eventID",),
            natural_key=("eventID",),
            snapshot=False,
            append_only=True,
        ),
    )
}

# field → the column that `identifiers` adds to each exploded row
SPREAD = {"identifierType": "_identifierType", "identifier": "_identifier"}

ENVELOPE = ("id", "version", "roverID", "emittedAt")
RESERVED = frozenset({*ENVELOPE, "operation", "deleted"})
