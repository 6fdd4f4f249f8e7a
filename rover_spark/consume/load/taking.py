"""What objects hold becomes rows, many at once, for whatever keeps them: the same rows in each warehouse."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol

import pyarrow as pa

from rover_spark.consume.containers import A_DICT, A_FIELD, REFERENCES, Event, Header
from rover_spark.consume.ddl.tables import Column
from rover_spark.consume.lines import Piece
from rover_spark.consume.load import events, lines
from rover_spark.consume.load.due import Contract
from rover_spark.consume.records import BadLine
from rover_spark.contract.avro import Schema
from rover_spark.contract.rover import DATASETS

_NOTHING = memoryview(b"")


class Rows(Protocol):
    """Where rows go."""

    @property
    def columns(self) -> Collection[str]:
        """The names of the table's columns."""
        ...

    def evolve(self, columns: Sequence[Column]) -> None:
        """Takes these columns from now on: rows that have them come next."""
        ...

    def add(self, rows: pa.Table, as_json: Collection[str], numbers: Sequence[int]) -> set[int]:
        """Takes rows, each with the number of its object; returns the places of those that cannot be kept.

        ``as_json`` are the columns whose text is JSON.
        """
        ...

    def refuse(self, bad: BadLine, number: int) -> None:
        """Takes a line of object ``number`` for the quarantine."""
        ...


class Taking(Protocol):
    """Takes the parts of objects by their numbers, and puts many rows at once where they go."""

    def add(self, number: int, part: Any) -> None:
        """Takes a part that is neither a bad line nor the end."""
        ...

    def drop(self, number: int) -> None:
        """Forgets what waits of an object."""
        ...

    def flush(self) -> None:
        """Puts what waits where it goes."""
        ...


def taking(contract: Contract, dataset: str, rows: Rows) -> Taking:
    """What takes the parts of a dataset's objects."""
    return _Lines(rows, dataset) if contract == "rover" else _Events(rows)


class _Lines:
    def __init__(self, rows: Rows, dataset: str) -> None:
        self._rows, self._dataset, self._lines = rows, dataset, lines.Lines()
        kinds = lines.kinds(DATASETS[dataset])
        self._json = {lines.ADDITIONAL, *(name for name, kind in kinds.items() if kind == "json")}

    def add(self, number: int, part: Piece) -> None:
        self._lines.add(number, part)
        if self._lines.bytes >= lines.BATCH_BYTES:
            self.flush()

    def drop(self, number: int) -> None:
        self._lines.drop(number)

    def flush(self) -> None:
        if not self._lines.bytes:
            return
        rows, places, refused = lines.arrow(self._lines, self._dataset)
        unkept = self._rows.add(rows, self._json, [number for number, _ in places]) if places else ()
        if unkept:
            texts = dict(self._lines.lines())
            at = [places[each] for each in sorted(unkept)]
            refused += [(place[0], lines.refusal(place[1], texts[place])) for place in at]
        for number, bad in refused:
            self._rows.refuse(bad, number)
        self._lines = lines.Lines()


class _Events:
    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._events: list[tuple[int, Event]] = []
        self._bytes = 0
        self._references = 0.0
        self._items = 0.0
        self._schema: Schema | None = None
        self._begun: Schema | None = None  # of an object that has shown no event yet: it may have none
        self._columns: tuple[Column, ...] = ()

    def add(self, number: int, part: Header | Event) -> None:
        if isinstance(part, Header):
            self._begun, self._items = part.schema, part.items
            return
        if self._begun is not None:
            self._begin(self._begun)
        self._bytes += len(part.datum)
        self._events.append((number, part._replace(datum=_NOTHING)))  # else its whole block is kept
        self._references += A_DICT + A_FIELD * len(part.fields) + self._items * len(part.datum)
        full = self._bytes >= lines.BATCH_BYTES or self._references >= REFERENCES
        if full or len(self._events) >= events.BATCH:
            self.flush()

    def _begin(self, schema: Schema) -> None:
        self._begun = None
        if schema == self._schema:
            return
        self.flush()  # only then the columns of the rows before have their names
        columns = events.columns_of(schema, self._rows.columns)
        self._rows.evolve(columns)
        self._schema, self._columns = schema, columns

    def drop(self, number: int) -> None:
        self._events = [each for each in self._events if each[0] != number]

    def flush(self) -> None:
        if not self._events:
            return
        rows, places, refused = events.arrow(self._events, self._columns)
        as_json = {lines.ADDITIONAL, *(each.name for each in self._columns if each.kind in ("json", "any"))}
        unkept = self._rows.add(rows, as_json, [number for number, _ in places]) if places else ()
        if unkept:
            met = {(number, event.number): event for number, event in self._events}
            at = [places[each] for each in sorted(unkept)]
            refused += [(place[0], events.refusal(met[place])) for place in at]
        for number, bad in refused:
            self._rows.refuse(bad, number)
        self._events, self._bytes, self._references = [], 0, 0.0
