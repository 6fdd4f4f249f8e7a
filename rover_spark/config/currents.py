"""The ``[currents]`` and ``[events]`` parts of the settings: one integration, and where the events of each type come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from rover_spark.config.access import Frozen
from rover_spark.config.expressions import Expression, Number, Start, Table
from rover_spark.contract.currents import (
    BACKLOG_EVENTS,
    Integration,
    check_clash,
    check_event_type,
)


class CurrentsSettings(Frozen):
    """One integration: the parts of its keys, how many shards, the codec of its files (deflate, null, snappy, zstandard)."""

    cluster: str
    connection: Literal["S3", "AzureBlob", "GCS"]
    integration_id: str
    zone: str
    partitions: Number = Field(1, ge=1, le=64)
    backlog_events: Number = Field(BACKLOG_EVENTS, ge=1)
    allow_breaking: bool = False
    codec: Literal["null", "deflate", "snappy", "zstandard"] = "deflate"

    @property
    def integration(self) -> Integration:
        """The parts of every key that name the integration."""
        return Integration(self.cluster, self.connection, self.integration_id, self.zone)

    @model_validator(mode="after")
    def _named(self) -> CurrentsSettings:
        _ = self.integration  # refuses what is not allowed in a key
        return self


class EventSettings(Frozen):
    """The table that holds the events of a type, and how its columns map; without ``columns`` every column is a field."""

    table: Table
    columns: dict[str, Expression] = Field({})
    where: Expression | None = None
    natural_key: tuple[Expression, ...] = ()
    schema_file: str | None = Field(None, alias="schema", min_length=1)
    namespace: str = Field("", pattern=r"^([A-Za-z_]\w*(\.[A-Za-z_]\w*)*)?$")
    changes: Literal["refuse", "ignore"] = "refuse"
    start: Start = "enable"
    dedupe: bool = False


def check_integration(currents: CurrentsSettings | None, events: Mapping[str, EventSettings]) -> None:
    """Raises ValueError where the parts do not go together: no integration, no events, types that clash in a path."""
    if currents is None:
        raise ValueError("currents: the contract needs cluster, connection, integration_id and zone")
    if not events:
        raise ValueError("events: there is none; name at least one event type")
    for event_type, chosen in events.items():
        check_event_type(event_type)
        if len({name.casefold() for name in chosen.columns}) < len(chosen.columns):
            raise ValueError(
                f'events."{event_type}".columns: Spark does not distinguish names that differ in case alone'
            )
        if chosen.natural_key and "id" in chosen.columns:
            raise ValueError(
                f'events."{event_type}": an id comes from columns.id or from natural_key, not from both'
            )
    check_clash(events)
