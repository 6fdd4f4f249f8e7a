"""The receiver's commands as the command line knows them: options → one function → exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rover_spark.face.arguments import Json, Verbose
from rover_spark.face.running import run_at_once

if TYPE_CHECKING:
    from rover_spark.face.results import Result


def ddl(
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            metavar="NAME",
            help="athena, bigquery, clickhouse, databricks, duckdb, postgres, redshift, snowflake; or odcs, for data contracts.",
        ),
    ],
    configured: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            metavar="FILE",
            envvar="ROVER_SPARK_CONFIG",
            help="The sender's configuration: datasets, additional fields, event types, place. Else all datasets of the Rover contract.",
        ),
    ] = None,
    place: Annotated[
        str,
        typer.Option("--place", metavar="URL", help="Where the objects lie, else where the sender delivers."),
    ] = "",
    schema: Annotated[
        str,
        typer.Option(
            "--schema",
            metavar="NAME",
            help="SCHEMA or CATALOG.SCHEMA of the tables; else the contract's name.",
        ),
    ] = "",
    dataset: Annotated[
        list[str] | None,
        typer.Option("--dataset", metavar="NAME", help="Only this dataset or event type; may repeat."),
    ] = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Print statements for a receiver's warehouse: tables, loads, views of the current state; or data contracts."""

    def call() -> Result:
        from rover_spark.config.settings import load
        from rover_spark.face.receivers import statements

        settings = load(configured) if configured is not None else None
        return statements.ddl(engine, settings, place=place, schema=schema, datasets=dataset or ())

    run_at_once("ddl", call, as_json, verbose, str(configured or "FILE"))
