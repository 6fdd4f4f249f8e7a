"""The raw tables of a loader, one row per id, and the views over them, named as ``rover-spark ddl`` names its own.

A raw table has the columns of its dataset or event type, then ``additional`` and ``object_key``. What keeps them, and how, is
each warehouse's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sqlglot import exp

from rover_spark.consume.ddl.engines.port import Names, current, raw, records
from rover_spark.consume.ddl.tables import Column, Table, of_dataset
from rover_spark.consume.ddl.views import current as current_state
from rover_spark.consume.load.lines import ADDITIONAL
from rover_spark.contract.rover import DATASETS

LOWERED = ("id", "roverID", "mergedRoverID")  # kept in lower case, as a producer may write either
_ADDITIONAL = Column(ADDITIONAL, "json", about="all other fields of the record")
_MERGES = "fan_profile_merges"


def of_rover(dataset: str) -> Table:
    """The table of a dataset."""
    found = of_dataset(dataset)
    return replace(found, columns=(*found.columns, _ADDITIONAL))


def of_events(event_type: str, name: str) -> Table:
    """The table of an event type, before any schema of it was met."""
    columns = (Column("id", "key", True), Column("time", "integer", True), _ADDITIONAL)
    return Table(event_type, name, (), columns, avro=True)


def rover_views(names: Names, *, recursive: bool = True) -> Iterator[tuple[str, exp.Select]]:
    """The views of all datasets by name; those of the merges first, since the others read them."""
    tables = [of_rover(each) for each in DATASETS]
    merges = next(each for each in tables if each.dataset == _MERGES)
    for each in sorted(tables, key=lambda table: table.dataset != _MERGES):
        yield records(each), records_of(each, names)
        state = current_state(each, names.of(records(each)), names.of(current(merges)), recursive=recursive)
        if state is not None:
            yield current(each), state


def records_of(table: Table, names: Names) -> exp.Select:
    """One row per id: the raw table has no more."""
    return exp.select("*").from_(names.of(raw(table)))
