"""Athena: an external table is the raw table, so nothing is loaded; the view of the records gives the types.

Columns are strings in the external table of JSON: an object keeps its text, and keys keep their case (``case.insensitive``
is off, each name with capitals is mapped). The folders of dates and hours are no partitions: the views ask for all of them.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp

from rover_spark.consume.ddl.engines.port import Engine, Names, columns_text, raw
from rover_spark.consume.ddl.place import Place
from rover_spark.consume.ddl.sql import literal, quoted
from rover_spark.consume.ddl.statement import Statement
from rover_spark.consume.ddl.tables import Column, Table
from rover_spark.contract.avro_tree import Schema
from rover_spark.errors import ConfigError

_HIVE = "hive"
_PLAIN = {
    "boolean": "boolean", "int": "int", "long": "bigint", "float": "float", "double": "double",
    "bytes": "binary", "fixed": "binary", "string": "string", "enum": "string",
}  # fmt: skip
_AVRO = (
    "STORED AS INPUTFORMAT 'org.apache.hadoop.hive.ql.io.avro.AvroContainerInputFormat'\n"
    "OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.avro.AvroContainerOutputFormat'"
)


def _filled(table: Table, names: Names, place: Place) -> Iterable[Statement]:
    name = names.text(raw(table), _HIVE)
    columns = columns_text(table.columns, _HIVE, _avro_type if table.avro else lambda _: "STRING")
    place = place.below(*table.folder)
    if table.avro:
        if not table.schema:
            raise ConfigError(
                f"athena reads Avro by a schema, and the configuration names none for {table.dataset}",
                code="schema_missing",
                remedy=f'Name the .avsc file: events."{table.dataset}".schema. rover-spark schemas --publish writes it.',
            )
        text = (
            f"CREATE EXTERNAL TABLE IF NOT EXISTS {name} (\n{columns}\n)\n"
            f"ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.avro.AvroSerDe'\n"
            f"WITH SERDEPROPERTIES ({_pairs({'avro.schema.literal': table.schema})})\n"
            f"{_AVRO}\nLOCATION {_text(place.url + '/')}"
        )
    else:
        text = (
            f"CREATE EXTERNAL TABLE IF NOT EXISTS {name} (\n{columns}\n)\n"
            f"ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'\n"
            f"WITH SERDEPROPERTIES ({_pairs({'case.insensitive': 'false', **_mapped(table)})})\n"
            f"LOCATION {_text(place.url + '/')}"
        )
    yield Statement(
        table.dataset,
        "table",
        text,
        ("The objects as they lie there: nothing is loaded, a query reads what is there.",),
    )


def _mapped(table: Table) -> dict[str, str]:
    return {f"mapping.{name.lower()}": name for name in table.names if name != name.lower()}


def _pairs(values: dict[str, str]) -> str:
    return ", ".join(f"{_text(name)} = {_text(value)}" for name, value in values.items())


def _text(text: str) -> str:
    return literal(text, _HIVE)


def _avro_type(column: Column) -> str:
    return _hive(column.avro) if column.avro is not None else "string"


def _hive(schema: Schema) -> str:
    """An Avro type as Hive's SerDe reads it."""
    value = schema.besides_null
    if value is None:
        return "string"
    if value.known_logical == "decimal":
        return f"decimal({value.precision},{value.scale})"
    if value.known_logical in ("date", "timestamp-millis"):
        return value.known_logical.partition("-")[0]
    match value.kind:
        case "array":
            return f"array<{_hive(value.parts[0])}>"
        case "map":
            return f"map<string,{_hive(value.parts[0])}>"
        case "record":
            return f"struct<{','.join(f'{quoted(each.name, _HIVE)}:{_hive(each.type)}' for each in value.fields)}>"
    return _PLAIN[value.kind]


def _read(column: Column, found: exp.Column) -> exp.Expr:
    """A column of the external table with the type that the view gives."""
    if column.kind == "source":
        return exp.column(exp.to_identifier("$path", quoted=True), table=found.args["table"])
    if column.avro is not None:
        return _typed_avro(column, found)
    match column.kind:
        case "time":
            return _utc(exp.Anonymous(this="from_iso8601_timestamp_nanos", expressions=[found]))
        case "integer":
            return exp.cast(found, "BIGINT", dialect="athena")
        case "flag":
            return exp.cast(found, "BOOLEAN", dialect="athena")
    return found


def _utc(instant: exp.Expr) -> exp.Expr:
    """An instant without its zone: the catalog of views has no type for one with it."""
    utc = exp.AtTimeZone(this=instant, zone=exp.Literal.string("UTC"))
    return exp.cast(utc, "TIMESTAMP(6)", dialect="athena")


def _typed_avro(column: Column, found: exp.Column) -> exp.Expr:
    value = column.avro.besides_null if column.avro is not None else None
    micros = value is not None and value.known_logical == "timestamp-micros"
    if micros:  # the SerDe knows no such type: it gives the number
        nanos = exp.Mul(this=found, expression=exp.Literal.number(1000))
        return _utc(exp.Anonymous(this="from_unixtime_nanos", expressions=[nanos]))
    if column.kind == "json":
        return exp.Anonymous(this="json_format", expressions=[exp.cast(found, "JSON", dialect="athena")])
    return found


ENGINE = Engine(
    name="athena",
    dialect="athena",
    types={
        "key": "VARCHAR",
        "text": "VARCHAR",
        "integer": "BIGINT",
        "real": "DOUBLE",
        "flag": "BOOLEAN",
        "time": "TIMESTAMP(6)",
        "day": "DATE",
        "octets": "VARBINARY",
        "decimal": "DECIMAL({precision}, {scale})",
        "json": "VARCHAR",
        "any": "VARCHAR",
    },
    schemes=("s3",),
    filled=_filled,
    recursive=False,
    read=_read,
    ddl_dialect=_HIVE,
    create_schema="CREATE DATABASE IF NOT EXISTS {name}",
    remarks=(
        "Objects and additional fields are the text of their JSON: json_extract reads them.",
        "Instants are TIMESTAMP, in UTC. A row may have 32 MB. Names are lower case there.",
    ),
)
