"""PostgreSQL: reads no bucket; lines come through the client, one object after the other.

A line goes into a column of jsonb whole: the CSV format with quotes and delimiters that no JSON text holds takes it as it
stands. Avro objects are turned into such lines by a program of the receiver's choice.
"""

from __future__ import annotations

from collections.abc import Iterable

from rover_spark.consume.ddl.engines.port import Engine, Names, created, listed, raw, text_literal
from rover_spark.consume.ddl.place import Place
from rover_spark.consume.ddl.statement import Statement
from rover_spark.consume.ddl.tables import Column, Table

OBJECT = "<object key>"


def _filled(table: Table, names: Names, place: Place) -> Iterable[Statement]:
    yield created(ENGINE, table, names)
    lines = names.text(f"{table.name}_lines", ENGINE.dialect)
    yield Statement(
        table.dataset,
        "table",
        f"CREATE UNLOGGED TABLE IF NOT EXISTS {lines} (line JSONB)",
        ("The lines of one object, until they are loaded.",),
    )
    where = place.below(*table.folder).url
    how = "python -m fastavro" if table.avro else "gzip -dc"
    yield Statement(
        table.dataset,
        "load",
        f"COPY {lines} (line) FROM STDIN WITH (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')",
        (
            f"Run the next three statements in one transaction for each object below {where}/",
            f"that was not loaded yet, with its key in place of {OBJECT}. The client sends its lines: {how}.",
            "What is loaded twice is taken out by the view. jsonb takes no \\u0000 and no half of a surrogate pair.",
        ),
        each_object=True,
    )
    into = names.text(raw(table), ENGINE.dialect)
    chosen = ",\n  ".join(_chosen(each) for each in table.columns)
    yield Statement(
        table.dataset,
        "load",
        f"INSERT INTO {into} ({listed((*table.names, table.object_key), ENGINE.dialect)})\n"
        f"SELECT\n  {chosen},\n  {text_literal(OBJECT, ENGINE)}\nFROM {lines}",
        each_object=True,
    )
    yield Statement(table.dataset, "load", f"TRUNCATE TABLE {lines}", each_object=True)


def _chosen(column: Column) -> str:
    name = text_literal(column.name, ENGINE)
    if column.kind in ("json", "any"):
        return f"line -> {name}"
    if column.kind in ("key", "text"):
        return f"line ->> {name}"
    if column.kind == "octets":  # each as the letter of that number
        return f"CONVERT_TO(line ->> {name}, 'LATIN1')"
    return f"CAST(line ->> {name} AS {ENGINE.type_of(column)})"


ENGINE = Engine(
    name="postgres",
    dialect="postgres",
    types={
        "key": "TEXT",
        "text": "TEXT",
        "integer": "BIGINT",
        "real": "DOUBLE PRECISION",
        "flag": "BOOLEAN",
        "time": "TIMESTAMPTZ",
        "day": "DATE",
        "octets": "BYTEA",
        "decimal": "NUMERIC({precision}, {scale})",
        "json": "JSONB",
        "any": "JSONB",
    },
    schemes=("s3", "gs", "az", "file"),
    filled=_filled,
    ran=True,
    remarks=('Names keep their case: write "roverID" with its quotes in your queries.',),
)
