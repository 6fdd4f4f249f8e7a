"""Databricks: read_files over the place; objects and additional fields are VARIANT (Databricks Runtime 15.3)."""

from __future__ import annotations

from collections.abc import Iterable

from rover_spark.consume.ddl.engines.port import Engine, Names, created, listed, raw, text_literal, unloaded
from rover_spark.consume.ddl.place import Place, exact
from rover_spark.consume.ddl.sql import quoted
from rover_spark.consume.ddl.statement import Statement
from rover_spark.consume.ddl.tables import Column, Table

_FILE = "_metadata.file_path"


def _filled(table: Table, names: Names, place: Place) -> Iterable[Statement]:
    yield created(ENGINE, table, names)
    chosen = ", ".join(_chosen(each, table.avro) for each in table.columns)
    into = names.text(raw(table), ENGINE.dialect)
    text = (
        f"INSERT INTO {into} ({listed((*table.names, table.object_key), ENGINE.dialect)})\n"
        f"SELECT {chosen}, {_FILE}\n"
        f"FROM {_reader(table, place.below(*table.folder))}\n"
        f"WHERE {unloaded(table, names, ENGINE.dialect, _FILE)}"
    )
    yield Statement(
        table.dataset,
        "load",
        text,
        ("Loads the objects that were not loaded before; run it as often as you like.",),
    )


def _reader(table: Table, place: Place) -> str:
    where = text_literal(f"{_address(place)}/", ENGINE)
    if table.avro:
        return f"read_files({where}, format => 'avro', partitionColumns => '', schemaEvolutionMode => 'none')"
    schema = ", ".join(
        f"{quoted(each.name, ENGINE.dialect)} {ENGINE.type_of(each)}" for each in table.columns
    )
    return f"read_files({where}, format => 'json', partitionColumns => '', schema => {text_literal(schema, ENGINE)})"


def _address(place: Place) -> str:
    if place.scheme == "az":
        return "/".join(
            filter(
                None,
                (f"abfss://{place.bucket}@<account>.dfs.core.windows.net", exact(place.path, brackets=False)),
            )
        )
    return f"{place.scheme}://{place.bucket}/{exact(place.path, brackets=False)}"


def _chosen(column: Column, avro: bool) -> str:
    name = quoted(column.name, ENGINE.dialect)
    if not avro:
        return name
    if column.kind in ("json", "any"):
        return f"PARSE_JSON(TO_JSON({name}))" if column.kind == "json" else f"CAST({name} AS VARIANT)"
    return f"CAST({name} AS {ENGINE.type_of(column)})"


ENGINE = Engine(
    name="databricks",
    dialect="databricks",
    types={
        "key": "STRING",
        "text": "STRING",
        "integer": "BIGINT",
        "real": "DOUBLE",
        "flag": "BOOLEAN",
        "time": "TIMESTAMP",
        "day": "DATE",
        "octets": "BINARY",
        "decimal": "DECIMAL({precision}, {scale})",
        "json": "VARIANT",
        "any": "VARIANT",
    },
    schemes=("s3", "gs", "az"),
    filled=_filled,
    recursive=False,
    remarks=("Needs Databricks Runtime 15.3, and an external location that may read the place.",),
)
