"""Currents beside Spark's own Avro writer: CPU seconds per million events; and a day of many event types in one session.

python -m tests.bench.events [--rows 2000000] [--types 200] [--rounds 1] [--dir DIR]

All contenders deliver the same events of 12 fields with deflate, in fresh processes, one after the other: Spark's own
writer at level 1, as export, and at the level that it takes by itself.
Export also orders them, takes out repeats, cuts files of 15,000 to 100,000, and records all of it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from rover_spark import build_session
from rover_spark.config.settings import Settings, parse
from rover_spark.face import commands
from tests.bench.contenders import FEED, SESSION
from tests.bench.meter import Meter

PER_TYPE = 1_000
FIELDS = """
    concat('evt-', id) AS id, timestamp_seconds(1700000000 + id) AS time, 'Europe/Oslo' AS timezone,
    concat('user-', pmod(hash(id), 100000)) AS user_id, sha1(cast(id AS string)) AS device_id, 'iOS' AS platform,
    concat('7.', pmod(id, 9)) AS app_version, concat('campaign-', pmod(id, 50)) AS campaign, pmod(id, 1000) AS amount,
    md5(cast(id AS string)) AS session_id, concat('screen ', pmod(id, 30)) AS screen, id % 3 = 0 AS returning"""


def _settings(root: Path, name: str, events: dict[str, Any]) -> Settings:
    place = {"cluster": "prod-01", "connection": "S3", "integration_id": name, "zone": "eu", "partitions": 2}
    return parse(
        {
            "name": name,
            "contract": "currents",
            "destination": f"file://{root}/bucket/{name}",
            "ledger": f"{root}/control/{name}",
            "currents": place,
            "events": {event: {"start": "earliest", **chosen} for event, chosen in events.items()},
        }
    )


def table(spark: SparkSession, root: Path, rows: int, types: int) -> dict[str, Any]:
    """The sources: one table of events of one type, one of events of many, and as many tables of one type each."""
    for name, kind, count in (
        ("one", "'one'", rows),
        ("many", f"concat('kind-', id % {types})", types * PER_TYPE),
        ("apart/0", "'one'", PER_TYPE),
    ):
        place = f"delta.`{root}/{name}`"
        spark.sql(
            f"CREATE TABLE {place} USING delta {FEED} AS SELECT {FIELDS}, {kind} AS kind FROM range({count})"
        )
    for number in range(1, types):
        shutil.copytree(root / "apart/0", root / f"apart/{number}")
    return {}


def plain(spark: SparkSession, root: Path, rows: int, types: int, level: int = 1) -> dict[str, Any]:
    """Spark's own writer: one column more or less is all the same to it, so it gets the same ones."""
    spark.conf.set("spark.sql.avro.deflate.level", str(level))
    frame = spark.read.format("delta").load(f"{root}/one").drop("kind")
    shutil.rmtree(root / "plain", ignore_errors=True)
    with Meter() as meter:
        timed = frame.withColumn("time", F.unix_seconds("time").cast("int"))
        timed.write.format("avro").option("compression", "deflate").save(str(root / "plain"))
    sizes = [path.stat().st_size for path in (root / "plain").rglob("*.avro")]
    return {**meter.figures, "records": rows, "bytes": sum(sizes), "files": len(sizes)}


def export(spark: SparkSession, root: Path, rows: int, types: int) -> dict[str, Any]:
    """The whole run."""
    columns = {
        name: name for name in spark.read.format("delta").load(f"{root}/one").columns if name != "kind"
    }
    settings = _settings(root, "one", {"users.behaviors.One": {"table": f"{root}/one", "columns": columns}})
    for place in (settings.ledger, settings.destination.removeprefix("file://")):
        shutil.rmtree(place, ignore_errors=True)
    with Meter() as meter:
        (batch,) = commands.export(spark, settings).batches
    size = sum(file.bytes for file in batch.files)
    return {**meter.figures, "records": batch.counts["delivered"], "bytes": size, "files": len(batch.files)}


def day(spark: SparkSession, root: Path, rows: int, types: int, apart: bool = False) -> dict[str, Any]:
    """A day of many event types, out of one table or of one each; how many Spark jobs it took."""
    events = {
        f"bench.Kind{n}": {"table": f"{root}/apart/{n}"}
        if apart
        else {"table": f"{root}/many", "where": f"kind = 'kind-{n}'"}
        for n in range(types)
    }
    settings = _settings(root, "apart" if apart else "many", events)
    for place in (settings.ledger, settings.destination.removeprefix("file://")):
        shutil.rmtree(place, ignore_errors=True)
    with Meter() as meter:
        (batch,) = commands.export(spark, settings).batches
    jobs = len(spark.sparkContext.statusTracker().getJobIdsForGroup(None))
    return {**meter.figures, "records": batch.counts["delivered"], "files": len(batch.files), "jobs": jobs}


PLAIN = "df.write"
CONTENDERS: dict[str, Callable[[SparkSession, Path, int, int], dict[str, Any]]] = {
    PLAIN: plain,
    "df.write, its own level": partial(plain, level=-1),
    "export": export,
}
DAYS: dict[str, Callable[[SparkSession, Path, int, int], dict[str, Any]]] = {
    "one table": day,
    "a table each": partial(day, apart=True),
}


def run(name: str, root: Path, rows: int, types: int) -> dict[str, Any]:
    """One contender in a fresh process; what it measured of itself."""
    command = [sys.executable, "-m", "tests.bench.events", "--only", name, "--dir", str(root)]
    command += ["--rows", str(rows), "--types", str(types)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _shown(found: dict[str, dict[str, Any]]) -> Table:
    shown = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("", "events", "CPU", "CPU per\nmillion", "ratio", "wall", "worker", "files", "size"):
        shown.add_column(name, justify="right" if name else "left", no_wrap=True)
    plainly = found[PLAIN]["cpu"] / found[PLAIN]["records"]
    for name, each in found.items():
        cost = each["cpu"] / each["records"]
        figures = (
            f"{each['cpu']:.0f} s",
            f"{cost * 1e6:.1f} s",
            f"{cost / plainly:.2f}",
            f"{each['wall']:.0f} s",
        )
        sizes = (
            f"{each['worker_peak'] / 1e6:.0f} MB",
            f"{each['files']:.0f}",
            f"{each['bytes'] / 1e6:.0f} MB",
        )
        shown.add_row(name, f"{each['records']:,.0f}", *figures, *sizes)
    return shown


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="make bench-events ARGS=…", description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--types", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--dir", type=Path, default=Path("rover_bench"))
    parser.add_argument("--only", choices=("table", *CONTENDERS, *DAYS), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    root = chosen.dir.resolve()
    if chosen.only:
        spark = build_session("bench", conf={**SESSION, "spark.local.dir": str(root / "local")})
        act = {"table": table, **CONTENDERS, **DAYS}[chosen.only]
        print(json.dumps(act(spark, root, chosen.rows, chosen.types)))
        return
    shutil.rmtree(root, ignore_errors=True)
    run("table", root, chosen.rows, chosen.types)
    rounds = [
        {name: run(name, root, chosen.rows, chosen.types) for name in CONTENDERS}
        for _ in range(chosen.rounds)
    ]
    found = {
        name: {key: statistics.median(each[name][key] for each in rounds) for key in rounds[0][name]}
        for name in rounds[0]
    }
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(_shown(found))
    for name in DAYS:
        whole = run(name, root, chosen.rows, chosen.types)
        console.print(
            f"{chosen.types} event types, {name}, {whole['records']:,.0f} events: {whole['wall']:.0f} s, "
            f"{whole['cpu']:.0f} s of CPU, {whole['jobs']:.0f} Spark jobs, {whole['files']:.0f} files"
        )
    shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
