"""Snowflake: a stage over the place, and COPY, which remembers for 64 days what it has loaded."""

from __future__ import annotations

from collections.abc import Iterable

from rover_spark.consume.ddl.engines.port import Engine, Names, created, listed, raw, text_literal
from rover_spark.consume.ddl.place import Place
from rover_spark.consume.ddl.sql import quoted
from rover_spark.consume.ddl.statement import Statement
from rover_spark.consume.ddl.tables import Column, Table

LOGICAL = ("Look at the first rows: logical types of Avro may arrive as the numbers and bytes below them.",)
_URLS = {
    "s3": "s3://{bucket}/{path}/",
    "gs": "gcs://{bucket}/{path}/",
    "az": "azure://<account>.blob.core.windows.net/{bucket}/{path}/",
}


def _filled(table: Table, names: Names, place: Place) -> Iterable[Statement]:
    stage = f"{table.name}_stage"
    below = place.below(*table.folder)
    url = text_literal(
        _URLS[place.scheme].replace("{bucket}", below.bucket).replace("{path}", below.path), ENGINE
    )
    form = "TYPE = AVRO" if table.avro else "TYPE = JSON COMPRESSION = GZIP"
    yield Statement(
        table.dataset,
        "table",
        f"CREATE STAGE IF NOT EXISTS {names.text(stage, ENGINE.dialect)}\n"
        f'URL = {url}\nSTORAGE_INTEGRATION = "<storage integration>"\nFILE_FORMAT = ({form})',
        (
            "The objects as they lie there. Put the name of your storage integration in place of <storage integration>.",
        ),
    )
    yield created(ENGINE, table, names)
    chosen = ",\n    ".join(map(_chosen, table.columns))
    text = (
        f"COPY INTO {names.text(raw(table), ENGINE.dialect)} ({listed((*table.names, table.object_key), ENGINE.dialect)})\n"
        f"FROM (\n  SELECT\n    {chosen},\n    METADATA$FILENAME\n  FROM @{names.text(stage, ENGINE.dialect)}\n)\n"
        f"PATTERN = {text_literal('.*[.]avro' if table.avro else '.*[.]ndjson[.]gz', ENGINE)}\n"
        f"FILE_FORMAT = ({form})\nON_ERROR = ABORT_STATEMENT"
    )
    about = (
        "Loads the objects that were not loaded in the last 64 days; the view takes out what is loaded again."
    )
    yield Statement(table.dataset, "load", text, (about, *(LOGICAL if table.avro else ())))


def _chosen(column: Column) -> str:
    """A field by its exact name."""
    field = f"$1:{quoted(column.name, ENGINE.dialect)}"
    return field if column.kind in ("json", "any") else f"CAST({field} AS {ENGINE.type_of(column)})"


ENGINE = Engine(
    name="snowflake",
    dialect="snowflake",
    types={
        "key": "VARCHAR",
        "text": "VARCHAR",
        "integer": "NUMBER(19, 0)",
        "real": "DOUBLE",
        "flag": "BOOLEAN",
        "time": "TIMESTAMP_TZ(6)",
        "day": "DATE",
        "octets": "BINARY",
        "decimal": "NUMBER({precision}, {scale})",
        "json": "VARIANT",
        "any": "VARIANT",
    },
    schemes=("s3", "gs", "az"),
    filled=_filled,
    remarks=('Names keep their case: write "roverID" with its quotes in your queries.',),
)
