"""DuckDB: reads directories and buckets by itself, JSON with its own reader, Avro with the extension of that name."""

from __future__ import annotations

from collections.abc import Iterable

from rover_spark.consume.ddl.engines.port import Engine, Names, created, listed, raw, text_literal, unloaded
from rover_spark.consume.ddl.place import Place, exact
from rover_spark.consume.ddl.sql import quoted
from rover_spark.consume.ddl.statement import Statement
from rover_spark.consume.ddl.tables import Column, Table


def _filled(table: Table, names: Names, place: Place) -> Iterable[Statement]:
    yield created(ENGINE, table, names)
    files = exact(place.below(*table.folder).plain, brackets=True)
    chosen = ",\n  ".join(_chosen(each, table.avro) for each in table.columns)
    into = names.text(raw(table), ENGINE.dialect)
    text = (
        f"INSERT INTO {into} ({listed((*table.names, table.object_key), ENGINE.dialect)})\n"
        f"SELECT\n  {chosen},\n  {_FILE}\n"
        f"FROM {_reader(table, files)}\n"
        f"WHERE {unloaded(table, names, ENGINE.dialect, _FILE)}"
    )
    yield Statement(table.dataset, "load", text, tuple(_remarks(table, place)))


_FILE = '"filename"'


def _reader(table: Table, files: str) -> str:
    if table.avro:
        return f"read_avro({text_literal(f'{files}/*/*/*/*.avro', ENGINE)}, filename = TRUE, hive_partitioning = FALSE)"
    types = ", ".join(
        f"{text_literal(each.name, ENGINE)}: {text_literal(ENGINE.type_of(each), ENGINE)}"
        for each in table.columns
    )
    pattern = text_literal(f"{files}/*/*/*.ndjson.gz", ENGINE)
    return (
        f"read_json({pattern}, format = 'newline_delimited', compression = 'gzip',\n"
        f"  columns = {{{types}}},\n  filename = TRUE, hive_partitioning = FALSE)"
    )


def _chosen(column: Column, avro: bool) -> str:
    name = quoted(column.name, ENGINE.dialect)
    if not avro:
        return name
    logical = _logical(column)
    if column.kind == "day":
        return f"DATE '1970-01-01' + {name}"
    if column.kind == "time":
        micros = {"timestamp-millis": f"{name} * 1000", "timestamp-nanos": f"{name} // 1000"}
        return f"make_timestamp({micros.get(logical, name)})"
    if column.kind in ("json", "any"):
        return f"CAST(to_json({name}) AS JSON)"
    return f"CAST({name} AS {ENGINE.type_of(column)})"


def _logical(column: Column) -> str:
    value = column.avro.besides_null if column.avro is not None else None
    return value.known_logical if value is not None else ""


def _remarks(table: Table, place: Place) -> Iterable[str]:
    yield "Loads the objects that were not loaded before; run it as often as you like."
    if table.avro:
        yield "Needs the extension: INSTALL avro; LOAD avro; It is not there in the tests, so this load is parsed only."
        yield "The extension gives the bytes of a decimal, in big-endian two's complement."
    if place.scheme == "s3":
        yield "Needs: CREATE SECRET (TYPE s3, KEY_ID '<key id>', SECRET '<secret>', REGION '<region>');"
    elif place.scheme == "gs":
        yield "Needs: CREATE SECRET (TYPE gcs, KEY_ID '<key id>', SECRET '<secret>');"
    elif place.scheme == "az":
        yield "Needs: CREATE SECRET (TYPE azure, CONNECTION_STRING '<connection string>');"


ENGINE = Engine(
    name="duckdb",
    dialect="duckdb",
    types={
        "key": "VARCHAR",
        "text": "VARCHAR",
        "integer": "BIGINT",
        "real": "DOUBLE",
        "flag": "BOOLEAN",
        "time": "TIMESTAMP",
        "day": "DATE",
        "octets": "BLOB",
        "decimal": "BLOB",  # as the extension for Avro gives it
        "json": "JSON",
        "any": "JSON",
    },
    schemes=("file", "s3", "gs", "az"),
    filled=_filled,
    ran=True,
    remarks=(
        "Instants are TIMESTAMP, in UTC. An object of JSON may have 16,777,216 bytes: raise maximum_object_size for more.",
    ),
)
