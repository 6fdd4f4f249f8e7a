"""The receiver's commands as the command line knows them: options → one function → exit code."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rover_spark.consume.conform.loaders import LOADERS
from rover_spark.face.arguments import Json, Manifests, Verbose, age, beginning, config_file
from rover_spark.face.running import run_at_once, run_command, run_without_spark

if TYPE_CHECKING:
    from rover_spark.delta.session import Session
    from rover_spark.face.results import Result
    from rover_spark.face.stopping import UnderWay


def conform(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            help="s3://…, gs://…, az://…, file://… or a directory: an export, or all of a bucket.",
        ),
    ],
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="AGE",
            help="Only files of the last 24h or 7d, or from an instant on, with its time zone.",
        ),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(
            "--sample",
            metavar="N",
            min=1,
            max=1_000_000_000,
            help="Read N files of each dataset, evenly spread; the others are only listed.",
        ),
    ] = None,
    loader: Annotated[
        str | None,
        typer.Option(
            "--for", metavar="LOADER", help=f"Also name what this loader would refuse: {', '.join(LOADERS)}."
        ),
    ] = None,
    manifests: Manifests = None,
    access: Annotated[
        Path | None,
        config_file("A configuration file whose table store says how the bucket is reached."),
    ] = None,
    processes: Annotated[
        int, typer.Option("--processes", metavar="N", min=0, help="How many processes read; 0: one a core.")
    ] = 0,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Hold any bucket against the contract, without a ledger, a configuration or Spark; exit 1 on a breach."""

    def prepare() -> Callable[[], Result]:
        from rover_spark.config.settings import load
        from rover_spark.face.receivers.conform import conform as hold

        now = datetime.now(timezone.utc)  # noqa: TID251 - ages are counted from here
        at = beginning("--since", since, now) if since is not None else None
        settings = load(access) if access is not None else None
        return lambda: hold(
            url,
            since=at,
            sample=sample,
            loader=loader,
            manifests=manifests,
            access=settings.access if settings else None,
            processes=processes,
            now=now,
        )

    run_without_spark("conform", lambda _: prepare(), as_json, verbose, str(access or "FILE"), _end_conform)


def _end_conform() -> None:
    from rover_spark.consume.conform.run import abandon

    for each in multiprocessing.active_children():
        each.kill()
    abandon()


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
        config_file(
            "The sender's configuration: datasets, additional fields, event types, place. Else all datasets of the Rover contract.",
            envvar="ROVER_SPARK_CONFIG",
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


def load(
    url: Annotated[
        str | None,
        typer.Argument(
            metavar="[URL]",
            show_default=False,
            help="s3://…, gs://…, az://…, file://… or a directory that holds an export; else where the configuration delivers to.",
        ),
    ] = None,
    into: Annotated[
        str,
        typer.Option(
            "--into",
            metavar="PLACE",
            help="A DuckDB file, as crm.duckdb; for Delta tables a path, SCHEMA or CATALOG.SCHEMA. It is made where there is none.",
        ),
    ] = ...,  # type: ignore[assignment]
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine",
            metavar="NAME",
            help="duckdb or spark; else duckdb for a file that ends in .duckdb, .ddb or .db, and spark for all else.",
        ),
    ] = None,
    configured: Annotated[
        Path | None,
        config_file("A configuration file that says where the export is and how it is reached."),
    ] = None,
    manifests: Manifests = None,
    look_back: Annotated[
        str,
        typer.Option(
            "--look-back", metavar="AGE", help="How far before the last loaded hour files may still appear."
        ),
    ] = "48h",
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 1 where anything went into the quarantine.")
    ] = False,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Load what is new into tables, each record once, with the current state as views."""

    from rover_spark.face.receivers.load import uses_spark

    def prepare(progress: UnderWay) -> Callable[[Session | None], Result]:
        from rover_spark.config.settings import load as settings_of
        from rover_spark.face.receivers.load import load as load_into

        span = age("--look-back", look_back)
        settings = settings_of(configured) if configured is not None else None
        return lambda spark: load_into(
            url,
            into=into,
            engine=engine,
            spark=spark,
            settings=settings,
            manifests=manifests,
            look_back=span,
            strict=strict,
            progress=progress,
        )

    file = str(configured or "FILE")
    if uses_spark(into, engine):
        run_command(
            "load", lambda: lambda spark, progress: prepare(progress)(spark), as_json, verbose, file=file
        )
    run_without_spark("load", lambda progress: partial(prepare(progress), None), as_json, verbose, file)
