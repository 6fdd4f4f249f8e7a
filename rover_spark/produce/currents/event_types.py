"""The event types that today's settings ask for: the rows of each, their fields, and the schema. Reads no row.

Refuses, by the name of the setting, schemas and columns that do not fit each other.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pyspark.sql.types import DataType, IntegerType, StringType, StructType

from rover_spark.config.settings import Settings
from rover_spark.contract.avro import Schema, parse
from rover_spark.delta.names import backticked
from rover_spark.delta.tables import Tables
from rover_spark.errors import ConfigError
from rover_spark.model.table import HistoryRow, TableState
from rover_spark.produce.columns.avro import Misfit
from rover_spark.produce.columns.avro_schema import derived
from rover_spark.produce.currents.field_types import FieldTypes
from rover_spark.produce.currents.plan import EventSource

_REQUIRED = {"id": "string", "time": "int"}


class EventTypes:
    """What one look at the tables gives: each answer is found once."""

    def __init__(self, settings: Settings, tables: Tables, field_types: FieldTypes) -> None:
        self._settings, self._tables, self._field_types = settings, tables, field_types
        self.schema = cache(self._valid)
        self._types = cache(self._selected)
        self._columns = cache(self._columns_at)

    def table(self, event_type: str, table: str, since: int | HistoryRow | None) -> TableState:
        """The table of an event type as this run first saw it."""
        return self._tables.state(f'events."{event_type}".table', table, since)

    def require_fit(self, event_type: str) -> None:
        """Raises ConfigError unless the table's columns can become what the event type's schema asks for."""
        self._field_types.require_fit(self._types(event_type), event_type, self.schema(event_type))

    def source(self, event_type: str) -> EventSource:
        """The rows that are events of a type, with the expression of each field."""
        chosen = self._settings.events[event_type]
        columns = dict(chosen.columns)
        if not columns:
            state = self.table(event_type, chosen.table, None)
            names = self._columns(chosen.table, state.latest.version).names
            columns = {name: backticked(name) for name in names}
        return EventSource(
            chosen.table, chosen.where, columns, chosen.natural_key, chosen.changes == "ignore"
        )

    def _selected(self, event_type: str) -> dict[str, DataType]:
        wanted = self.source(event_type)
        state = self.table(event_type, wanted.table, None)
        return self._field_types.of(event_type, wanted, self._columns(wanted.table, state.latest.version))

    def _columns_at(self, table: str, version: int) -> StructType:
        return StructType.fromJson(self._tables.logs.of(table).schema_at(version))

    def _valid(self, event_type: str) -> Schema:
        try:
            schema = parse(self._schema_text(event_type))
        except ValueError as error:
            raise ConfigError(
                f'events."{event_type}".schema: {error}',
                code="schema_invalid",
                remedy="Mend the .avsc file; or give one, schema = …; or other names to fields, columns = { … }.",
            ) from None
        fields = {field.name for field in schema.fields}
        for name in self._settings.events[event_type].columns:
            if name not in fields:
                raise ConfigError(
                    f'events."{event_type}".columns.{name}: the schema has no such field, so it would not be delivered',
                    code="field_missing",
                    remedy="Add the field to the .avsc file, or take the column out.",
                )
        return schema

    def _schema_text(self, event_type: str) -> str:
        """The schema that today's settings ask for: that of the file, else one made of the columns."""
        chosen = self._settings.events[event_type]
        if chosen.schema_file is not None:
            try:
                return Path(chosen.schema_file).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                raise ConfigError(
                    f'events."{event_type}".schema: {chosen.schema_file} cannot be read',
                    code="config_invalid",
                    remedy="Name an .avsc file; a relative path begins at the configuration file.",
                ) from None
        fields = {"id": StringType(), "time": IntegerType(), **self._types(event_type)}
        name = event_type.rpartition(".")[2]
        try:
            return derived(name, chosen.namespace, fields, _REQUIRED)
        except Misfit as error:
            raise ConfigError(
                f'events."{event_type}".columns: {error}',
                code="column_type",
                remedy="Convert the column, or leave it out.",
            ) from None
