"""What a receiver stores of a dataset or an event type: columns with kinds that no warehouse owns. Pure.

Source: Rover, "Common envelope" and the datasets' fields; Currents, "Apache Avro format". The types of additional fields
are not in the contract, nor those of events without a schema: such a column takes any JSON value.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from rover_spark.consume.ddl.sql import checked, unused
from rover_spark.contract.avro_tree import Schema, canonical
from rover_spark.contract.currents import Integration
from rover_spark.contract.keys import EXPORTS
from rover_spark.contract.rover import DATASETS, Dataset

Kind = Literal[
    "key",
    "text",
    "integer",
    "real",
    "flag",
    "time",
    "day",
    "octets",
    "decimal",
    "json",
    "any",
    "source",
]
_PLAIN: dict[str, Kind] = {
    "boolean": "flag", "int": "integer", "long": "integer", "float": "real", "double": "real",
    "bytes": "octets", "fixed": "octets", "string": "text", "enum": "text",
}  # fmt: skip
_INSTANTS = ("timestamp-millis", "timestamp-micros", "timestamp-nanos")
_OF_FIELD: dict[str, Kind] = {"uuid": "text", "text": "text", "json": "json", "time": "time"}
MOST_DIGITS = 38  # of a decimal, to most warehouses


@dataclass(frozen=True)
class Column:
    """One column. ``kind`` decides its type in each warehouse: ``key`` is a text that is never null, ``octets`` are bytes,
    ``json`` is an object or a list, ``any`` a JSON value of a type that nobody knows before,
    ``source`` the object that a row came from.

    ``avro`` is the type of the field in the files, where a schema says it.
    """

    name: str
    kind: Kind
    required: bool = False
    about: str = ""
    precision: int = 0
    scale: int = 0
    avro: Schema | None = None


@dataclass(frozen=True)
class Table:
    """The raw table of a dataset or an event type, and where its files lie.

    ``name`` is made of lower-case letters, digits and ``_``. ``folder`` is below the place that is delivered to.
    ``event_time`` and ``key`` are empty for events of Currents, which need no order. ``object_key`` names the column that
    says which object a row came from. ``schema`` is the canonical text of an Avro schema, empty where none is known.
    """

    dataset: str
    name: str
    folder: tuple[str, ...]
    columns: tuple[Column, ...]
    event_time: str = ""
    key: tuple[str, ...] = ()
    avro: bool = False
    schema: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns that the files give, in order."""
        return tuple(each.name for each in self.columns)

    @property
    def object_key(self) -> str:
        """The column of the object's key or address."""
        return unused("object_key", self.names)

    @property
    def stored(self) -> tuple[Column, ...]:
        """All columns of the raw table."""
        return (
            *self.columns,
            Column(self.object_key, "source", about="the object that the row was loaded from"),
        )


def of_dataset(name: str, extra: Iterable[str] = ()) -> Table:
    """The raw table of a dataset of the Rover contract, with the names of its additional fields."""
    contract = DATASETS[name]
    return Table(
        dataset=name,
        name=name,
        folder=(EXPORTS, name),
        columns=tuple(_columns(contract, extra)),
        event_time=contract.event_time,
        key=contract.key if not contract.append_only else ("id",),
    )


def _columns(contract: Dataset, extra: Iterable[str]) -> Iterable[Column]:
    yield Column(
        "id", "key", True, "32 hexadecimal digits; the same record has the same id in every delivery"
    )
    yield Column("version", "integer", True)
    yield Column("roverID", "text", True, "UUID of the profile")
    yield Column("emittedAt", "time", True, "the instant of the batch")
    for field in contract.own:
        tombstones = contract.name == "fan_profiles"  # these have no traits
        yield Column(field.name, _OF_FIELD[field.kind], field.required and not tombstones)
    if contract.name == "fan_profiles":
        yield Column("deleted", "flag", about='true on a tombstone: deletes = "tombstone" at the sender')
    if contract.operation:
        yield Column("operation", "text", True, "create, update or delete")
    for name in extra:
        about = "an additional field; the contract does not know its type"
        yield Column(checked("the additional field", name), "any", about=about)
    yield Column(contract.event_time, "time", True, "the event time")


def of_event_type(
    integration: Integration, event_type: str, schema: Schema | None, fields: Iterable[str] = ()
) -> Table:
    """The raw table of an event type; without a schema only ``fields`` are known, and the types of ``id`` and ``time``."""
    if schema is not None:
        columns = tuple(of_field(field.name, field.type) for field in schema.fields)
    else:
        known = {
            "id": Column("id", "key", True),
            "time": Column("time", "integer", True, "seconds since 1970"),
        }
        about = "its type stands in the files' schema, which the configuration does not name"
        columns = (
            *known.values(),
            *(Column(each, "any", about=about) for each in fields if each not in known),
        )
    for each in columns:
        checked("the field", each.name)
    return Table(
        dataset=event_type,
        name=portable(event_type),
        folder=(integration.name, f"event_type={event_type}"),
        columns=columns,
        avro=True,
        schema=canonical(schema) if schema is not None else "",
    )


def of_field(name: str, schema: Schema) -> Column:
    """The column of a field of an Avro record."""
    value = schema.besides_null
    if name == "id":  # contract.avro takes no event without one
        return Column(name, "key", True, avro=schema)
    found = Column(name, "any", required=not schema.nullable, avro=schema)
    if value is None:
        return replace(found, about=f"one of several types: {schema.words}")
    if value.known_logical == "decimal":
        if value.precision > MOST_DIGITS:
            return replace(found, kind="text", about=f"a decimal of {value.precision} digits")
        about = f"a decimal with {value.scale} digits behind its point"
        return replace(found, kind="decimal", about=about, precision=value.precision, scale=value.scale)
    if value.known_logical == "date":
        return replace(found, kind="day")
    if value.known_logical in _INSTANTS:
        return replace(found, kind="time")
    if value.known_logical == "uuid":
        return replace(found, kind="text")
    return replace(found, kind=_PLAIN.get(value.kind, "json"))


def portable(event_type: str) -> str:
    """An event type as a table can be named everywhere: lower-case letters, digits and ``_``, at most 60 of them.

    A type whose letters cannot all be kept also gets eight digits of its SHA-256.
    """
    plain = re.sub(r"[^a-z0-9]+", "_", event_type.lower()).strip("_")
    kept = re.fullmatch(r"[A-Za-z0-9]+([._-][A-Za-z0-9]+)*", event_type, re.ASCII) is not None
    if kept and len(plain) <= 60 and plain[0].isalpha():
        return plain
    mark = hashlib.sha256(event_type.encode()).hexdigest()[:8]
    return "_".join(filter(None, ("event", plain[:40].strip("_"), mark)))


def told_apart(tables: Iterable[Table]) -> tuple[Table, ...]:
    """The tables with names that differ: event types whose portable names are one get digits of their SHA-256 too."""
    found = tuple(tables)
    counts: Mapping[str, int] = {each.name: sum(other.name == each.name for other in found) for each in found}
    return tuple(
        each
        if counts[each.name] == 1
        else replace(each, name=f"{each.name}_{hashlib.sha256(each.dataset.encode()).hexdigest()[:8]}")
        for each in found
    )
