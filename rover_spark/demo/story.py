"""The demo, step by step: creates a sample company's tables, delivers them, changes them for a day, delivers the changes,
reruns one dataset, delivers events under the other contract, Currents, and verifies both buckets.

Writes below one directory only: ``tables/``, ``control/`` (the ledgers), ``bucket/`` and two configuration files, so that
every command can be tried on it afterwards; and into a bucket where one is named. Refuses a directory that is not empty.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

from pyspark.sql import SparkSession
from rich.console import Console
from rich.text import Text

from rover_spark.config.settings import Settings, load
from rover_spark.deliver.progress import Progress
from rover_spark.demo.company import Company
from rover_spark.demo.fan import one_fan
from rover_spark.demo.messages import STREAM, Messages
from rover_spark.demo.next import next_commands, program_name, shown_path
from rover_spark.demo.screen import Screen
from rover_spark.demo.tree import bucket_tree
from rover_spark.errors import ConfigError, Problem, RoverSparkError
from rover_spark.face import commands
from rover_spark.face.results import DemoResult
from rover_spark.model.dataset_state import BatchRecord, DatasetState
from rover_spark.model.wording import counted
from rover_spark.produce import port
from rover_spark.store import open_store, prefix_of

_RERUN = "fan_profiles"


def run(
    spark: SparkSession,
    directory: Path,
    *,
    fans: int,
    seed: int,
    progress: Progress,
    console: Console | None,
    destination: str | None = None,
) -> DemoResult:
    """Runs the whole demo; the result has its batches in order of delivery. ``destination`` replaces the directory ``bucket/``.

    Raises:
        ConfigError: the directory is not empty, or the bucket holds files of a demo before this one.
    """
    if directory.exists() and any(directory.iterdir()):
        raise ConfigError(
            f"--dir {directory}: holds something already, and the demo overwrites nothing",
            code="demo_dir_taken",
            remedy=f"Remove it (rm -r {directory}) or name another one with --dir.",
        )
    demo = _Demo(spark, directory, destination, progress, Screen(console, progress))
    settings = demo.begin()
    yesterday = datetime.now(timezone.utc) - timedelta(hours=25)  # noqa: TID251 - the company lives up to today
    demo.tables(settings, Company(spark, demo.root / "tables", fans=fans, seed=seed, anchor=yesterday), fans)
    events = demo.stream(Messages(spark, demo.root / "tables", fans=fans, seed=seed))
    return demo.end(settings, events)


class _Demo:
    """One demo: where it lies, what it delivered, and what went wrong."""

    def __init__(
        self,
        spark: SparkSession,
        directory: Path,
        destination: str | None,
        progress: Progress,
        screen: Screen,
    ) -> None:
        self.root = directory.resolve()
        self._config = self.root / "acme.toml"
        self._spark, self._directory = spark, directory
        self._destination = destination
        self._progress, self._screen = progress, screen
        self._delivered: list[BatchRecord] = []
        self._problems: list[Problem] = []

    def begin(self) -> Settings:
        """The directory with its configuration file. A refused destination leaves nothing behind."""
        self.root.mkdir(parents=True, exist_ok=True)
        self._config.write_text(_configuration(self.root, self._destination), encoding="utf-8")
        try:
            settings = self._load(self._config)
            _refuse_taken(settings)
        except RoverSparkError:
            self._config.unlink()
            self.root.rmdir()
            raise
        return settings

    def tables(self, settings: Settings, company: Company, fans: int) -> None:
        """Steps 1 to 5: the company's tables, delivered, changed for a day, delivered again; one dataset is rerun."""
        place = self._directory / "tables"
        self._screen.heading(
            f"1/8 a company with {fans:,} fans and three days behind it: Delta tables in {place}"
        )
        with self._progress.doing("founding the company"):
            past = company.found()
        self._screen.lived(past)
        self._screen.heading("2/8 the first delivery: snapshots; events count from now on")
        self._export(settings)
        self._screen.heading("3/8 the company lives a day")
        with self._progress.doing("living a day"):
            today = company.live_a_day()
        self._screen.lived(today)
        self._screen.heading("4/8 the second delivery: the changes of that day")
        self._export(settings)
        self._screen.heading(f"5/8 the receiver asks for a snapshot rerun of {_RERUN}")
        commands.rerun(self._spark, settings, _RERUN)
        self._export(settings, _RERUN)

    def stream(self, messages: Messages) -> Settings:
        """Steps 6 and 7: a table of events, delivered under Currents on two days; the second has a field more."""
        config = self.root / "acme_events.toml"
        bucket = self._destination.rstrip("/") if self._destination else f"file://{self.root}/bucket"
        config.write_text(messages.configuration(self.root, f"{bucket}/currents/acme"), encoding="utf-8")
        settings = self._load(config)
        with self._progress.doing("writing events"):
            count = messages.found()
        self._screen.heading(
            f"6/8 the other contract: {count:,} events of {len(STREAM)} types, in Avro by type and hour"
        )
        self._export(settings)
        with self._progress.doing("writing events"):
            messages.gain_a_field()
            count = messages.live_a_day()
        self._screen.heading(
            f"7/8 another day: {count:,} events that have one field more, under new schema ids"
        )
        self._export(settings)
        return settings

    def end(self, settings: Settings, events: Settings) -> DemoResult:
        """Step 8: verifies both buckets and shows them."""
        self._screen.heading("8/8 the bucket is read back and held against the ledgers")
        with self._progress.doing("reading the bucket back"):
            rover, currents = (
                commands.verify(self._spark, each, progress=self._progress) for each in (settings, events)
            )
        if rover.ok and currents.ok:
            read = (rover.verified, currents.verified)
            files = counted(sum(each.files for each in read), "file")
            records = counted(sum(each.records for each in read), "record")
            self._screen.line(f"{files}, {records}: all of it is as the ledgers say")
        self._show(settings, events)
        problems = (*rover.problems, *currents.problems, *self._problems)
        return DemoResult(
            result="failed" if problems else "done",
            ok=not problems,
            batches=tuple(self._delivered),
            problems=problems,
            verified=rover.verified,
            currents=currents.verified,
            directory=str(self._directory),
            config=str(self._config),
        )

    def _show(self, settings: Settings, events: Settings) -> None:
        rover = [batch for batch in self._delivered if batch.dataset in settings.datasets]
        streamed = [batch for batch in self._delivered if batch.dataset not in settings.datasets]
        bucket = self._destination.rstrip("/") if self._destination else str(self._directory / "bucket")
        store = open_store(settings.destination, settings.name, settings.access)
        prefix = prefix_of(events.destination)
        self._screen.parts(
            lambda _: Text(),
            lambda width: bucket_tree(f"{bucket}/", rover, width, prefix=store.prefix),
            lambda width: bucket_tree(f"{bucket}/currents/acme/", streamed, width, depth=2, prefix=prefix),
        )
        self._screen.parts(lambda width: _below(one_fan(store, rover, width)), lambda _: Text())
        self._screen.batches(tuple(self._delivered))
        program, files = program_name(sys.argv[0]), None if self._destination else self._directory / "bucket"
        self._screen.parts(
            lambda _: Text(),
            lambda width: next_commands(program, shown_path(self._config), rover, files, width),
        )

    def _export(self, settings: Settings, *datasets: str) -> None:
        with self._progress.doing("looking at tables"):
            result = commands.export(self._spark, settings, datasets=datasets, progress=self._progress)
        self._delivered.extend(result.batches)
        self._problems.extend(result.problems)

    def _load(self, config: Path) -> Settings:
        # the environment may say how a bucket is reached
        return load(config, None if self._destination else {})


def _below(part: Text | None) -> Text | None:
    """The part behind an empty line."""
    return Text.assemble("\n", part) if part is not None else None


def _refuse_taken(settings: Settings) -> None:
    """Raises ConfigError where an earlier demo delivered into the bucket: its ledger lies in another directory."""
    store = open_store(settings.destination, settings.name, settings.access)
    owner = port.owner(settings)
    for dataset in settings.delivers if store.can_read else ():
        if (found := owner.earlier(store, dataset, DatasetState())) is not None:
            raise ConfigError(
                f"--destination {settings.destination}: holds files of another demo already: {found.key}",
                code="demo_destination_taken",
                remedy="Name another place with --destination, or remove what is there.",
            )


def _configuration(root: Path, destination: str | None) -> str:
    def text(value: object) -> str:
        return json.dumps(str(value))  # TOML's basic strings have JSON's escapes

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
