"""Redshift: COPY into a table of its own, from there into the raw one: COPY cannot say which object a row came from."""

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
)
from rover_spark.consume.ddl.engines.snowflake import LOGICAL
from rover_spark.consume.ddl.place import Place
from rover_spark.consume.ddl.statement import Statement
from rover_spark.consume.ddl.tables import Table


def _filled(table: Table, names: Names, place: Place) -> Iterable[Statement]:
    yield created(ENGINE, table, names)
    copied = names.text(f"{table.name}_copied", ENGINE.dialect)
    columns = columns_text(table.columns, ENGINE.dialect, ENGINE.type_of)
    yield Statement(
        table.dataset,
        "table",
        f"CREATE TABLE IF NOT EXISTS {copied} (\n{columns}\n)",
        ("What the last COPY has read.",),
    )
    source = text_literal(f"{place.below(*table.folder).url}/<object, or folder, or manifest>", ENGINE)
    form = (
        "FORMAT AS AVRO 'auto ignorecase'"
        if table.avro
        else "FORMAT AS JSON 'auto ignorecase' GZIP TIMEFORMAT 'auto'"
    )
    yield Statement(
        table.dataset,
        "load",
        f"COPY {copied} FROM {source}\nIAM_ROLE '<iam role>'\n{form}\nREGION '<region>'",
        (
            "Run the next three statements in one transaction for each object or folder that you have not loaded yet.",
            "For a COPY manifest add the word MANIFEST. What is loaded twice is taken out by the view.",
            *(LOGICAL if table.avro else ()),
        ),
        each_object=True,
    )
    listing = listed(table.names, ENGINE.dialect)
    key = listed((table.object_key,), ENGINE.dialect)
    into = names.text(raw(table), ENGINE.dialect)
    yield Statement(
        table.dataset,
        "load",
        f"INSERT INTO {into} ({listing}, {key})\nSELECT {listing}, {source}\nFROM {copied}",
        each_object=True,
    )
    yield Statement(table.dataset, "load", f"DELETE FROM {copied}", each_object=True)


ENGINE = Engine(
    name="redshift",
    dialect="redshift",
    types={
        "key": "VARCHAR(256)",
        "text": "VARCHAR(65535)",
        "integer": "BIGINT",
        "real": "DOUBLE PRECISION",
        "flag": "BOOLEAN",
        "time": "TIMESTAMPTZ",
        "day": "DATE",
        "octets": "VARBYTE(1000000)",
        "decimal": "DECIMAL({precision}, {scale})",
        "json": "SUPER",
        "any": "SUPER",
    },
    schemes=("s3",),
    filled=_filled,
    recursive=False,
    remarks=(
        "A row may have 4 MB, a SUPER value 16 MB.",
        "Names are lower case, unless enable_case_sensitive_identifier is on.",
    ),
)
