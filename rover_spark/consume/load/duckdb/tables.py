"""The raw tables of a DuckDB file and the views over them.

Fields that a later schema adds become columns. A field whose type changed becomes JSON, as old and new values both can be. Event types whose tables
would have one name get digits of their SHA-256 behind it, whichever came first.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from sqlglot import exp

from rover_spark.consume.ddl.engines.duckdb import ENGINE
from rover_spark.consume.ddl.engines.port import Names, raw, records
from rover_spark.consume.ddl.sql import quoted
from rover_spark.consume.ddl.tables import Column, Table, portable, told_apart
from rover_spark.consume.load.tables import of_events, of_rover, records_of, rover_views
from rover_spark.contract.rover import DATASETS
from rover_spark.errors import ConfigError

_NAMES = Names(())


@lru_cache(maxsize=4096)
def name_of(name: str) -> str:
    """A name as SQL has it."""
    return quoted(name, "duckdb")


def type_of(column: Column) -> str:
    """The type of a column."""
    if column.kind == "decimal":
        return f"DECIMAL({column.precision},{column.scale})"
    return ENGINE.type_of(column)


def make(connection: Any, table: Table) -> None:
    """Makes the raw table where there is none. Raises ConfigError where another one has its name."""
    name = raw(table)
    columns = ", ".join(f"{name_of(each.name)} {type_of(each)}" for each in table.stored)
    connection.execute(f"CREATE TABLE IF NOT EXISTS {name_of(name)} ({columns})")
    missing = {each.name for each in table.stored} - set(types(connection, name))
    if missing:
        raise ConfigError(
            f"the table {name} is there, and was not made by rover-spark load: it has no column {min(missing)}",
            code="into_invalid",
            remedy="Load into another file, or rename that table.",
        )


def types(connection: Any, table: str, *, temporary: bool = False) -> dict[str, str]:
    """The columns of a table and their types, in order; empty where there is none."""
    database = "'temp'" if temporary else "current_database()"
    found = connection.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ? AND schema_name = 'main'"
        f" AND database_name = {database} ORDER BY column_index",
        [table],
    ).fetchall()
    return dict(found)


def evolve(connection: Any, table: str, columns: Iterable[Column], *, temporary: bool = False) -> None:
    """Adds the columns that the table lacks; those whose type differs become JSON."""
    there = types(connection, table, temporary=temporary)
    for each in columns:
        kind, name = type_of(each), name_of(each.name)
        if each.name not in there:
            connection.execute(f"ALTER TABLE {name_of(table)} ADD COLUMN {name} {kind}")
        elif there[each.name] not in (kind, "JSON"):
            # the table anew: after a kill DuckDB cannot repeat an ALTER that calls a function of an extension
            kept = f"SELECT * REPLACE (to_json({name}) AS {name}) FROM {name_of(table)}"
            made = "CREATE OR REPLACE TEMP TABLE" if temporary else "CREATE OR REPLACE TABLE"
            connection.execute(f"{made} {name_of(table)} AS {kept}")


# -- event types ---------------------------------------------------------------------------------------------------


def event_table(connection: Any, event_type: str) -> Table:
    """The table of an event type, which is made where there is none; its columns are added as schemas are met."""
    known = dict(connection.execute("SELECT event_type, name FROM rover_load.event_types").fetchall())
    if event_type not in known:
        for each in _named({*known, event_type}):
            if known.get(each.dataset) != each.name:
                _rename(connection, each, known.get(each.dataset))
        known = dict(connection.execute("SELECT event_type, name FROM rover_load.event_types").fetchall())
    found = of_events(event_type, known[event_type])
    make(connection, found)
    return found


def _named(event_types: Iterable[str]) -> Iterable[Table]:
    """The event types with names that differ, from those of the datasets too."""
    taken = [Table(dataset=each, name=each, folder=(), columns=()) for each in DATASETS]
    mine = [of_events(each, portable(each)) for each in sorted(event_types)]
    return told_apart([*taken, *mine])[len(taken) :]


def _rename(connection: Any, table: Table, before: str | None) -> None:
    if before is not None:
        old = of_events(table.dataset, before)
        connection.execute(f"DROP VIEW IF EXISTS {name_of(records(old))}")
        connection.execute(f"ALTER TABLE {name_of(raw(old))} RENAME TO {name_of(raw(table))}")
        connection.execute("DELETE FROM rover_load.event_types WHERE event_type = ?", [table.dataset])
    connection.execute("INSERT INTO rover_load.event_types VALUES (?, ?)", [table.dataset, table.name])


# -- views ---------------------------------------------------------------------------------------------------------


def views(connection: Any) -> None:
    """Makes the views anew: of a contract's tables where there are any."""
    tables = [of_rover(each) for each in DATASETS]
    if any(types(connection, raw(each)) for each in tables):
        for each in tables:
            make(connection, each)
        for statement in _rover_views():
            connection.execute(statement)
    known = connection.execute("SELECT event_type, name FROM rover_load.event_types").fetchall()
    for event_type, name in known:
        table = of_events(event_type, name)
        connection.execute(_view(records(table), records_of(table, _NAMES)))


@lru_cache(maxsize=1)
def _rover_views() -> tuple[str, ...]:
    return tuple(_view(name, found) for name, found in rover_views(_NAMES))


def _view(name: str, found: exp.Select) -> str:
    return exp.Create(this=_NAMES.of(name), kind="VIEW", expression=found, replace=True).sql("duckdb")
