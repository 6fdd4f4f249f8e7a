"""ClickHouse: reads buckets by table functions, JSON lines and Avro alike.

All columns but ``id`` are Nullable: a join that finds nothing gives null then, and not the value that a type begins with.
Objects of JSON are kept as their text: the type JSON drops nulls and takes a dot in a key for a path.
"""

from __future__ import annotations

from collections.abc import Iterable

from rover_spark.consume.ddl.engines.port import Engine, Names, created, listed, raw, text_literal, unloaded
from rover_spark.consume.ddl.place import Place, exact
from rover_spark.consume.ddl.sql import quoted
from rover_spark.consume.ddl.statement import Statement
from rover_spark.consume.ddl.tables import Column, Table

_SETTINGS = (
    "SETTINGS use_hive_partitioning = 0, date_time_input_format = 'best_effort', input_format_skip_unknown_fields = 1,\n"
    "  input_format_json_read_objects_as_strings = 1, input_format_json_read_numbers_as_strings = 1,\n"
    "  input_format_json_read_bools_as_strings = 1, input_format_json_read_arrays_as_strings = 1"
)
# the fields of all schema ids together
_AVRO_SETTINGS = (
    "SETTINGS use_hive_partitioning = 0, schema_inference_mode = 'union',\n"
    "  input_format_avro_allow_missing_fields = 1"
)


def _filled(table: Table, names: Names, place: Place) -> Iterable[Statement]:
    yield created(ENGINE, table, names, " ENGINE = MergeTree ORDER BY (id)")
    chosen = ", ".join(_chosen(each, table.avro) for each in table.columns)
    into = names.text(raw(table), ENGINE.dialect)
    settings = _AVRO_SETTINGS if table.avro else _SETTINGS
    text = (
        f"INSERT INTO {into} ({listed((*table.names, table.object_key), ENGINE.dialect)})\n"
        f"SELECT {chosen}, _path\n"
        f"FROM {_reader(table, place)}\n"
        f"WHERE {unloaded(table, names, ENGINE.dialect, '_path')}\n{settings}"
    )
    yield Statement(
        table.dataset,
        "load",
        text,
        ("Loads the objects that were not loaded before; run it as often as you like.",),
    )


def _reader(table: Table, place: Place) -> str:
    below = place.below(*table.folder)
    ending = "*/*/*/*.avro" if table.avro else "*/*/*.ndjson.gz"
    columns = ", ".join(
        f"{quoted(each.name, ENGINE.dialect)} {ENGINE.type_of(each)}" for each in table.columns
    )
    structure = "auto" if table.avro else columns
    form, path = ("Avro" if table.avro else "JSONEachRow"), f"{exact(below.path, brackets=False)}/{ending}"
    match place.scheme:
        case "file":
            function, where = "file", [f"/{path}", form]
        case "gs":
            function, where = (
                "gcs",
                [
                    f"https://storage.googleapis.com/{below.bucket}/{path}",
                    "<hmac key>",
                    "<hmac secret>",
                    form,
                ],
            )
        case "az":
            function, where = "azureBlobStorage", ["<connection string>", below.bucket, path, form, "auto"]
        case _:
            address = f"https://{below.bucket}.s3.<region>.amazonaws.com/{path}"
            function, where = "s3", [address, "<access key id>", "<secret access key>", form]
    arguments = ", ".join(text_literal(each, ENGINE) for each in (*where, structure))
    return f"{function}({arguments})"


def _chosen(column: Column, avro: bool) -> str:
    name = quoted(column.name, ENGINE.dialect)
    if not avro:
        return name
    if column.kind in ("json", "any"):
        return f"toJSONString({name})"
    return f"CAST({name} AS {ENGINE.type_of(column)})"


ENGINE = Engine(
    name="clickhouse",
    dialect="clickhouse",
    types={
        "key": "String",
        "text": "Nullable(String)",
        "integer": "Nullable(Int64)",
        "real": "Nullable(Float64)",
        "flag": "Nullable(Bool)",
        "time": "Nullable(DateTime64(6, 'UTC'))",
        "day": "Nullable(Date32)",
        "octets": "Nullable(String)",
        "decimal": "Nullable(Decimal({precision}, {scale}))",
        "json": "Nullable(String)",
        "any": "Nullable(String)",
    },
    schemes=("s3", "gs", "az", "file"),
    filled=_filled,
    ran=True,
    create_schema="CREATE DATABASE IF NOT EXISTS {name}",
    remarks=(
        "Objects and additional fields are Nullable(String), the text of their JSON; a string stands there without its quotes.",
    ),
)
