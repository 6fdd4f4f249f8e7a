"""The demo: a sample company is founded, delivered, lives a day, is delivered again, rerun, verified and shown.

Its events are delivered under the other contract, Currents, too.

Writes below one directory only: ``tables/``, ``control/`` (the ledger), ``bucket/`` and the two configurations, so that every
command can be tried on it afterwards; and into a bucket where one is named. Refuses a directory that holds something already.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from pyspark.sql import SparkSession
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from rover_spark.config.settings import Settings, load
from rover_spark.deliver.progress import Progress
from rover_spark.demo.company import Company, Lived
from rover_spark.demo.fan import one_fan
from rover_spark.demo.messages import STREAM, Messages
from rover_spark.demo.next import next_commands, program_name, shown_path
from rover_spark.demo.tree import bucket_tree
from rover_spark.errors import ConfigError, Problem, RoverSparkError
from rover_spark.face import commands
from rover_spark.face.console import hanging
from rover_spark.face.console.results import batches
from rover_spark.face.result import Result
from rover_spark.model.head import BatchRecord, Head
from rover_spark.model.wording import counted
from rover_spark.produce import port
from rover_spark.store import open_store, prefix_of

_RERUN = "fan_profiles"
Told = Text | Tree


def tell(
    spark: SparkSession,
    directory: Path,
    *,
    fans: int,
    seed: int,
    progress: Progress,
    console: Console | None,
    destination: str | None = None,
) -> Result:
    """Runs the whole demo; its batches in order of delivery. ``destination``: another one than a directory beside.

    Raises:
        ConfigError: the directory is not empty, or the bucket holds files of a demo before this one.
    """
    if directory.exists() and any(directory.iterdir()):
        raise ConfigError(
            f"--dir {directory}: holds something already, and the demo overwrites nothing",
            code="demo_dir_taken",
            remedy=f"Remove it (rm -r {directory}) or name another one with --dir.",
        )
    root = directory.resolve()
    root.mkdir(parents=True, exist_ok=True)
    config = root / "acme.toml"
    config.write_text(_configuration(root, destination), encoding="utf-8")
    try:
        settings = load(
            config, None if destination else {}
        )  # how a bucket is reached, the environment may say
        _refuse_taken(settings)
    except RoverSparkError:
        config.unlink()
        root.rmdir()
        raise
    yesterday = datetime.now(timezone.utc) - timedelta(hours=25)  # noqa: TID251 - the company lives up to today
    company = Company(spark, root / "tables", fans=fans, seed=seed, anchor=yesterday)

    def say(*told: Told) -> None:
        if console is not None:
            with progress.quiet():  # it writes to the same terminal
                for each in told:
                    console.print(each, soft_wrap=True)

    def head(text: str) -> None:
        say(*wrapped(Text(text, "bold"), 4))

    def lived(days: Lived) -> None:
        counts = (f"{count:,} {name.replace('_', ' ')}" for name, count in asdict(days).items() if count)
        say(*wrapped(Text(f"    {', '.join(counts)}"), 4))

    def wrapped(text: Text, indent: int) -> list[Text]:
        return hanging(text, console.width, indent) if console is not None else []

    delivered: list[BatchRecord] = []
    problems: list[Problem] = []

    def deliver(*datasets: str, under: Settings = settings) -> None:
        with progress.doing("looking at tables"):
            result = commands.export(spark, under, datasets=datasets, progress=progress)
        delivered.extend(result.batches)
        problems.extend(result.problems)

    head(f"1/8 a company with {fans:,} fans and three days behind it: Delta tables in {directory / 'tables'}")
    with progress.doing("founding the company"):
        past = company.found()
    lived(past)
    head("2/8 the first delivery: snapshots; events count from now on")
    deliver()
    head("3/8 the company lives a day")
    with progress.doing("living a day"):
        today = company.live_a_day()
    lived(today)
    head("4/8 the second delivery: the changes of that day")
    deliver()
    head(f"5/8 the receiver asks for a snapshot rerun of {_RERUN}")
    commands.rerun(spark, settings, _RERUN)
    deliver(_RERUN)
    stream = Messages(spark, root / "tables", fans=fans, seed=seed)
    away = f"{destination.rstrip('/') if destination else f'file://{root}/bucket'}/currents/acme"
    (root / "acme_events.toml").write_text(stream.configuration(root, away), encoding="utf-8")
    events = load(root / "acme_events.toml", None if destination else {})
    with progress.doing("writing events"):
        count = stream.found()
    head(f"6/8 the other contract: {count:,} events of {len(STREAM)} types, in Avro by type and hour")
    deliver(under=events)
    with progress.doing("writing events"):
        stream.gain_a_field()
        count = stream.live_a_day()
    head(f"7/8 another day: {count:,} events that have one field more, under new schema ids")
    deliver(under=events)
    head("8/8 the bucket is read back and held against the ledgers")
    with progress.doing("reading the bucket back"):
        checked, besides = (commands.verify(spark, under, progress=progress) for under in (settings, events))
    if checked.ok and besides.ok:
        files, records = (
            checked.more["verified"][name] + besides.more["verified"][name] for name in ("files", "records")
        )
        say(
            Text(
                f"    {counted(files, 'file')}, {counted(records, 'record')}: all of it is as the ledgers say"
            )
        )
    if console is not None:
        rover = [batch for batch in delivered if batch.dataset in settings.datasets]
        streamed = [batch for batch in delivered if batch.dataset not in settings.datasets]
        bucket = destination.rstrip("/") if destination else str(directory / "bucket")
        width = console.width
        store = open_store(settings.destination, settings.name, settings.access)
        say(Text(), bucket_tree(f"{bucket}/", rover, width, prefix=store.prefix))
        say(
            bucket_tree(
                f"{bucket}/currents/acme/", streamed, width, depth=2, prefix=prefix_of(events.destination)
            )
        )
        if fan := one_fan(store, rover, width):
            say(Text(), fan)
        say(Text())
        with progress.quiet():
            batches(console, tuple(delivered))
        program, files_below = program_name(sys.argv[0]), None if destination else directory / "bucket"
        say(Text(), next_commands(program, shown_path(config), rover, files_below, width))
    return replace(
        checked,
        command="demo",
        batches=tuple(delivered),
        problems=(*checked.problems, *besides.problems, *problems),
        ok=checked.ok and besides.ok and not problems,
        result="failed" if problems or not besides.ok else checked.result,
        more={
            **checked.more,
            "currents": besides.more["verified"],
            "directory": str(directory),
            "config": str(config),
        },
    )


def _refuse_taken(settings: Settings) -> None:
    """Raises ConfigError where a demo before this one delivered into the bucket: its ledger lies in another directory."""
    store = open_store(settings.destination, settings.name, settings.access)
    owner = port.owner(settings)
    for dataset in settings.delivers if store.can_read else ():
        if (found := owner.earlier(store, dataset, Head())) is not None:
            raise ConfigError(
                f"--destination {settings.destination}: holds files of another demo already: {found.key}",
                code="demo_destination_taken",
                remedy="Name another place with --destination, or remove what is there.",
            )


def _configuration(root: Path, destination: str | None) -> str:
    def text(value: object) -> str:
        return json.dumps(str(value))  # a TOML basic string has JSON's escapes

    return f"""# written by `rover-spark demo`; the keys are explained in conf/reference.toml
name = "acme"
contract = "rover"
destination = {text(destination or f"file://{root}/bucket")}
ledger = {text(root / "control" / "acme")}

[store]
can_read = true         # the demo verifies what it delivered

[files]
target_records = 2000   # small, so that the demo shows several files

[datasets.fan_profiles]
table = {text(root / "tables" / "fan_profiles")}
columns = {{ roverID = "rover_id", updatedAt = "updated_at" }}

[datasets.fan_identity_graph]
table = {text(root / "tables" / "fan_identities")}
columns = {{ roverID = "rover_id", identifierType = "kind", identifier = "value", updatedAt = "updated_at" }}

[datasets.fan_profile_merges]
table = {text(root / "tables" / "fan_merges")}
columns = {{ roverID = "survivor_id", mergedRoverID = "absorbed_id", occurredAt = "merged_at" }}

[datasets.fan_track_events]
table = {text(root / "tables" / "events")}
columns = {{ eventID = "event_id", roverID = "rover_id", attributes = "props", timestamp = "occurred_at" }}
"""
