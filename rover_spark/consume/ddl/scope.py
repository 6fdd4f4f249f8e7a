"""What statements are made for: the tables, where their files lie, and where the tables shall stand.

Without a configuration that is every dataset of the Rover contract. A configuration says which datasets or event types
there are, their additional fields, and the place. The event types' schemas are read from the files that it names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rover_spark.config.currents import EventSettings
from rover_spark.config.mistakes import likely
from rover_spark.config.settings import Settings
from rover_spark.consume.ddl.engines.port import Names
from rover_spark.consume.ddl.place import Place
from rover_spark.consume.ddl.sql import checked
from rover_spark.consume.ddl.tables import Table, of_dataset, of_event_type, told_apart
from rover_spark.contract import avro
from rover_spark.contract.currents import Integration
from rover_spark.contract.rover import DATASETS
from rover_spark.errors import ConfigError

ANYWHERE = "<prefix>"


@dataclass(frozen=True)
class Scope:
    """The tables in the order in which their views build on one another. ``place`` is None where nobody named it."""

    export: str
    contract: str
    tables: tuple[Table, ...]
    place: Place | None
    names: Names


def scope_of(
    settings: Settings | None, *, place: str = "", schema: str = "", datasets: Sequence[str] = ()
) -> Scope:
    """The scope of a call.

    Raises:
        ConfigError: a dataset that is not there, a place or a schema that cannot be one, an Avro schema that is none.
    """
    contract = settings.contract if settings is not None else "rover"
    known = list(DATASETS) if settings is None else [*settings.datasets, *settings.events]
    for name in datasets:
        if name not in known:
            raise ConfigError(
                f"--dataset {name}: there is no such dataset{likely(name, known)}",
                code="dataset_unknown",
                remedy=f"There are {', '.join(known)}.",
            )
    chosen = [name for name in known if not datasets or name in datasets]
    url = place or (settings.destination if settings is not None else "")
    return Scope(
        export=settings.name if settings is not None else "rover",
        contract=contract,
        tables=_tables(settings, chosen),
        place=Place.of(url) if url else None,
        names=_names(schema or contract),
    )


def _tables(settings: Settings | None, chosen: Sequence[str]) -> tuple[Table, ...]:
    if settings is not None and settings.currents is not None:
        integration, events = settings.currents.integration, settings.events
        return told_apart(_event_table(integration, name, events[name]) for name in chosen)
    extra = {name: each.extra for name, each in settings.datasets.items()} if settings is not None else {}
    found = [of_dataset(name, extra.get(name, ())) for name in chosen]
    return tuple(sorted(found, key=lambda each: each.dataset != "fan_profile_merges"))


def _event_table(integration: Integration, name: str, event: EventSettings) -> Table:
    if event.schema_file is None:
        return of_event_type(integration, name, None, event.columns)
    try:
        text = Path(event.schema_file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ConfigError(
            f'events."{name}".schema: {event.schema_file} cannot be read',
            code="schema_invalid",
            remedy="Name a readable .avsc file.",
        ) from None
    try:
        return of_event_type(integration, name, avro.parse(text))
    except ValueError as error:
        raise ConfigError(
            f'events."{name}".schema: {event.schema_file}: {error}',
            code="schema_invalid",
            remedy="Mend the schema.",
        ) from None


def _names(schema: str) -> Names:
    parts = tuple(schema.split("."))
    if len(parts) > 2:
        raise ConfigError(
            f"--schema {schema}: takes SCHEMA or CATALOG.SCHEMA",
            code="name_invalid",
            remedy="Name one schema, with its catalog, project or database where you need it.",
        )
    return Names(tuple(checked("--schema", each) for each in parts))
