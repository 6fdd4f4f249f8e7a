"""BigQuery: an external table over the objects, and an insert from it that names each row's object.

The external table takes no partitions from the folders: a partition must not be named like a column, and a field may be
named ``date``. One ``*`` in a URI stands for all that follows.
"""

from __future__ import annotations

from collections.abc import Iterable

from rover_spark.consume.ddl.engines.port import (
    Engine,
    Names,
    columns_text,
    created,
    listed,
    raw,
    text_literal,
    unloaded,
)
from rover_spark.consume.ddl.place import Place
from rover_spark.consume.ddl.sql import quoted
from rover_spark.consume.ddl.statement import Statement
from rover_spark.consume.ddl.tables import Column, Table


def _filled(table: Table, names: Names, place: Place) -> Iterable[Statement]:
    yield created(ENGINE, table, names)
    files = names.text(f"{table.name}_files", ENGINE.dialect)
    below = place.below(*table.folder).url
    uris = text_literal(f"{below}/*.{'avro' if table.avro else 'ndjson.gz'}", ENGINE)
    if table.avro:  # the types are those of the files
        options = f"format = 'AVRO', uris = [{uris}], enable_logical_types = TRUE"
        text = f"CREATE EXTERNAL TABLE IF NOT EXISTS {files}\nOPTIONS ({options})"
        about = ("Create it anew when a schema id was added: its columns are those of the newest object.",)
    else:
        columns = columns_text(table.columns, ENGINE.dialect, ENGINE.type_of)
        options = f"format = 'NEWLINE_DELIMITED_JSON', compression = 'GZIP', uris = [{uris}], ignore_unknown_values = TRUE"
        text = f"CREATE EXTERNAL TABLE IF NOT EXISTS {files} (\n{columns}\n)\nOPTIONS ({options})"
        about = ("The objects as they lie there.",)
    yield Statement(table.dataset, "table", text, about)
    into = names.text(raw(table), ENGINE.dialect)
    chosen = ", ".join(_chosen(each, table.avro) for each in table.columns)
    text = (
        f"INSERT INTO {into} ({listed((*table.names, table.object_key), ENGINE.dialect)})\n"
        f"SELECT {chosen}, _FILE_NAME\nFROM {files}\n"
        f"WHERE {unloaded(table, names, ENGINE.dialect, '_FILE_NAME')}"
    )
    yield Statement(
        table.dataset,
        "load",
        text,
        ("Loads the objects that were not loaded before; run it as often as you like.",),
    )


def _chosen(column: Column, avro: bool) -> str:
    name = quoted(column.name, ENGINE.dialect)
    if not avro:
        return name
    if column.kind in ("json", "any"):
        return f"TO_JSON({name})"
    return f"CAST({name} AS {ENGINE.type_of(column)})"


ENGINE = Engine(
    name="bigquery",
    dialect="bigquery",
    types={
        "key": "STRING",
        "text": "STRING",
        "integer": "INT64",
        "real": "FLOAT64",
        "flag": "BOOL",
        "time": "TIMESTAMP",
        "day": "DATE",
        "octets": "BYTES",
        "decimal": "BIGNUMERIC({precision}, {scale})",
        "json": "JSON",
        "any": "JSON",
    },
    schemes=("gs",),
    filled=_filled,
    remarks=(
        "A schema is a dataset of BigQuery. Names that differ in case alone are one column there.",
        "An object of more than 4 GB compressed cannot be read, nor a row of more than 100 MB.",
    ),
)
