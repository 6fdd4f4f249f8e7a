"""What a warehouse is to the statements: its dialect, its types, and how a raw table of its own is filled.

A module of this folder each: ``ENGINE`` is the value. What all have in common stands here: the table, quoted for the
dialect, with a remark behind each column that needs one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from sqlglot import exp

from rover_spark.consume.ddl.place import Place
from rover_spark.consume.ddl.sql import identifier, literal, quoted, remark
from rover_spark.consume.ddl.statement import Statement
from rover_spark.consume.ddl.tables import Column, Kind, Table
from rover_spark.consume.ddl.views import Read, as_stored


@dataclass(frozen=True)
class Names:
    """Where the tables and views stand: no schema, ``schema`` or ``catalog.schema``."""

    schema: tuple[str, ...]

    def of(self, name: str) -> exp.Table:
        """A table or view as an expression."""
        above = [identifier(each) for each in reversed(self.schema)]
        return exp.Table(
            this=identifier(name), db=above[0] if above else None, catalog=above[1] if above[1:] else None
        )

    def text(self, name: str, dialect: str) -> str:
        """A table or view as text of a dialect."""
        return self.of(name).sql(dialect)


Filled = Callable[[Table, Names, Place], Iterable[Statement]]


@dataclass(frozen=True)
class Engine:
    """A warehouse. ``schemes`` are those of the places that it reads by itself.

    ``types`` may hold ``{precision}`` and ``{scale}``. ``filled`` makes the raw table and loads it. ``ddl_dialect`` is for
    the one whose tables are defined in another dialect than its views. ``ran`` says whether its statements are run in the
    tests of this package; those of the others are parsed.
    """

    name: str
    dialect: str
    types: Mapping[Kind, str]
    schemes: tuple[str, ...]
    filled: Filled
    recursive: bool = True
    ran: bool = False
    read: Read = as_stored
    remarks: tuple[str, ...] = ()
    ddl_dialect: str = ""
    create_schema: str = "CREATE SCHEMA IF NOT EXISTS {name}"

    def type_of(self, column: Column) -> str:
        """The type of a column."""
        kind: Kind = "text" if column.kind == "source" else column.kind
        return self.types[kind].format(precision=column.precision, scale=column.scale)


def raw(table: Table) -> str:
    """The name of the raw table: what was loaded, repeats and all."""
    return f"{table.name}_raw"


def records(table: Table) -> str:
    """The name of the view with one row per id."""
    return f"{table.name}_records"


def current(table: Table) -> str:
    """The name of the view of the current state."""
    return f"{table.name}_current"


def columns_text(columns: Iterable[Column], dialect: str, type_of: Callable[[Column], str]) -> str:
    """Columns between the brackets of a table, one a line, with remarks."""
    found = list(columns)
    lines = []
    for number, each in enumerate(found, 1):
        comma = "," if number < len(found) else ""
        about = f"  {remark(each.about)}" if each.about else ""
        lines.append(f"  {quoted(each.name, dialect)} {type_of(each)}{comma}{about}")
    return "\n".join(lines)


def created(engine: Engine, table: Table, names: Names, ending: str = "") -> Statement:
    """The raw table, empty."""
    columns = columns_text(table.stored, engine.dialect, engine.type_of)
    name = names.text(raw(table), engine.dialect)
    text = f"CREATE TABLE IF NOT EXISTS {name} (\n{columns}\n){ending}"
    remarks = ["What was loaded, repeats and all."]
    if table.avro and not table.schema:
        remarks.append("Without a schema only the fields that the configuration names are here.")
    return Statement(table.dataset, "table", text, tuple(remarks))


def listed(columns: Iterable[str], dialect: str, before: str = "") -> str:
    """Names of columns, between commas."""
    return ", ".join(f"{before}{quoted(each, dialect)}" for each in columns)


def unloaded(table: Table, names: Names, dialect: str, address: str) -> str:
    """The condition that an object was not loaded before; ``address`` is the expression that names it."""
    key = quoted(table.object_key, dialect)
    name = names.text(raw(table), dialect)
    return f"{address} NOT IN (SELECT {key} FROM {name} WHERE {key} IS NOT NULL)"


def text_literal(text: str, engine: Engine) -> str:
    """A string literal."""
    return literal(text, engine.dialect)
