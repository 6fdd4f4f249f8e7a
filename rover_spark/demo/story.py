"""The demo: a sample company is founded, delivered, lives a day, is delivered again, rerun, verified and shown.

Its events are delivered under the other contract, Currents, too.

Writes below one directory only: ``tables/``, ``control/`` (the ledger), ``bucket/`` and the two configurations, so that every
command can be tried on it afterwards; and into a bucket where one is named. Refuses a directory that holds something already.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from pyspark.sql import SparkSession
from rich.console import Console

from rover_spark import commands
from rover_spark.console import plain
from rover_spark.demo.company import Company, Lived
from rover_spark.demo.messages import STREAM, Messages
from rover_spark.demo.tree import bucket_tree
from rover_spark.errors import ConfigError, Problem
from rover_spark.heads import BatchRecord
from rover_spark.progress import Progress
from rover_spark.result import Result
from rover_spark.settings import Settings, load

_RERUN = "fan_profiles"


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
        ConfigError: the directory is not empty.
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
    settings = load(config, None if destination else {})  # how a bucket is reached, the environment may say
    yesterday = datetime.now(timezone.utc) - timedelta(hours=25)  # noqa: TID251 - the company lives up to today
    company = Company(spark, root / "tables", fans=fans, seed=seed, anchor=yesterday)

    def say(text: str) -> None:
        if console is not None:
            console.print(plain(text), style="bold")

    delivered: list[BatchRecord] = []
    problems: list[Problem] = []

    def deliver(*datasets: str, under: Settings = settings) -> None:
        result = commands.export(spark, under, datasets=datasets, progress=progress)
        delivered.extend(result.batches)
        problems.extend(result.problems)

    say(f"1/8 a company with {fans:,} fans and three days behind it: Delta tables in {directory / 'tables'}")
    say("    " + _lived(company.found()))
    say("2/8 the first delivery: snapshots; events count from now on")
    deliver()
    say("3/8 the company lives a day")
    say("    " + _lived(company.live_a_day()))
    say("4/8 the second delivery: the changes of that day")
    deliver()
    say(f"5/8 the receiver asks for a snapshot rerun of {_RERUN}")
    commands.rerun(spark, settings, _RERUN)
    deliver(_RERUN)
    stream = Messages(spark, root / "tables", fans=fans, seed=seed)
    away = f"{destination or f'file://{root}/bucket'}/currents/acme"
    (root / "acme_events.toml").write_text(stream.configuration(root, away), encoding="utf-8")
    events = load(root / "acme_events.toml", None if destination else {})
    say(f"6/8 the other contract: {stream.found():,} events of {len(STREAM)} types, in Avro by type and hour")
    deliver(under=events)
    stream.gain_a_field()
    say(f"7/8 another day: {stream.live_a_day():,} events that have one field more, under new schema ids")
    deliver(under=events)
    say("8/8 the bucket is read back and held against the ledgers")
    checked, besides = commands.verify(spark, settings), commands.verify(spark, events)
    if console is not None:
        told = [batch for batch in delivered if batch.dataset in settings.datasets]
        bucket = str(destination or directory / "bucket")
        console.print(bucket_tree(f"{bucket}/", told, console.width))
        streamed = [batch for batch in delivered if batch.dataset not in settings.datasets]
        console.print(bucket_tree(f"{bucket}/currents/acme/", streamed, console.width, depth=2))
        _try_next(console, config, told, destination is None)
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


def _lived(lived: Lived) -> str:
    told = (f"{count:,} {name.replace('_', ' ')}" for name, count in asdict(lived).items() if count)
    return ", ".join(told)


def _try_next(console: Console, config: Path, delivered: list[BatchRecord], local: bool) -> None:
    shown = config.relative_to(Path.cwd()) if config.is_relative_to(Path.cwd()) else config
    changes = next((b for b in reversed(delivered) if b.phase == "changes" and b.files), delivered[0])
    bucket = config.parent / "bucket"
    console.print()
    console.print(plain("Try next:"), style="bold")
    for command in (
        f"rover-spark status -c {shown}",
        f"rover-spark verify -c {shown}",
        f"rover-spark schemas -c {shown.with_name('acme_events.toml')} --publish",
        f"rover-spark redeliver -c {shown} --batch {changes.batch}",
        f"gzip -dc {bucket}/{changes.files[0].key} | head -3" if changes.files and local else "",
    ):
        console.print(plain(f"  {command}"), soft_wrap=True)


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
