"""The types of events' fields, found without a row of any table: expressions are analysed over an empty frame of its schema.

Event types with the same columns and expressions are analysed once. Safe in threads.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from threading import Lock

from pyspark.sql.types import DataType, StructType

from rover_spark.contract.avro import Schema
from rover_spark.delta.frames import empty
from rover_spark.delta.session import Session
from rover_spark.produce.currents.fields import columns_of, members, types_of
from rover_spark.produce.currents.plan import EventSource


class FieldTypes:
    """The types of one run's event types; what was refused is not remembered, so each event type is named by its own error."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._types: dict[object, dict[str, DataType]] = {}
        self._fit = set[object]()
        self._locks: dict[object, Lock] = defaultdict(Lock)

    def of(self, event_type: str, wanted: EventSource, table: StructType) -> dict[str, DataType]:
        """The type of each field, by name; ``table`` is the schema of its table.

        Raises:
            ConfigError: as ``columns_of``.
        """
        alike = (table.json(), wanted.where, tuple(wanted.columns.items()), wanted.natural_key)
        with self._locks[alike]:
            if alike not in self._types:
                self._types[alike] = types_of(
                    columns_of(empty(self._session.spark, table), event_type, wanted)
                )
            return self._types[alike]

    def require_fit(self, types: Mapping[str, DataType], event_type: str, schema: Schema) -> None:
        """Raises ConfigError unless fields of these types can become what the schema asks for."""
        alike = (tuple(types.items()), schema.fields)
        with self._locks[alike]:
            if alike not in self._fit:
                members(schema, types, event_type)
                self._fit.add(alike)
