"""What is measured inside one process with one SparkSession: `python -m tests.bench.overhead.inside NAME ROOT JSON`.

Either version runs this. The last line that it prints is JSON.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from rover_spark import build_session, load
from tests.bench.meter import Meter, resident
from tests.bench.overhead import sources

try:
    from rover_spark.face import commands
except ImportError:  # 0.1.0
    from rover_spark import commands

SESSION = {"spark.master": "local[2]", "spark.driver.memory": "2g"}
ROWS = 1_000
Figures = dict[str, Any]


def _export(spark: SparkSession, config: Path) -> tuple[Figures, Any]:
    settings = load(config)
    with Meter() as meter:
        result = commands.export(spark, settings)
    assert result.ok, result.problems
    return {"cpu": meter.figures["cpu"], "wall": meter.figures["wall"]}, result


def make(spark: SparkSession, root: Path, types: int = 0, rows: int = ROWS) -> Figures:
    """The source tables."""
    if types:
        sources.make_events(spark, root, types, rows)
    else:
        sources.make_datasets(spark, root, rows)
    return {}


def deliver(spark: SparkSession, root: Path, config: str) -> Figures:
    """One export, such as a ledger's first."""
    figures, result = _export(spark, root / config)
    counts = [batch.counts for batch in result.batches]
    return {
        **figures,
        "records": sum(each["delivered"] for each in counts),
        "files": sum(len(batch.files) for batch in result.batches),
        "jobs": len(spark.sparkContext.statusTracker().getJobIdsForGroup(None)),
    }


def batches(spark: SparkSession, root: Path, config: str, count: int, datasets: list[str]) -> Figures:
    """Exports in a row in one process, each of 1,000 new rows of each dataset; beside it the appends of these rows.

    Memory is what the JVM's heap holds after it was cleaned, and what the kernel counts for the driver's Python.
    """
    _export(spark, root / config)
    found: list[Figures] = []
    first = 1_000_000
    every = max(1, count // 20)
    for number in range(count):
        with Meter() as meter:
            for dataset in datasets:
                sources.append(spark, root, dataset, first, ROWS)
        first += ROWS
        figures, result = _export(spark, root / config)
        delivered = sum(batch.counts["delivered"] for batch in result.batches)
        assert delivered == ROWS * len(datasets), delivered
        figures |= {"append_cpu": meter.figures["cpu"], "append_wall": meter.figures["wall"]}
        if number % every == 0 or number == count - 1:
            figures |= _memory(spark)
        found.append(figures)
        print(number, figures, file=sys.stderr, flush=True)
    return {"runs": found}


def _memory(spark: SparkSession) -> Figures:
    gc.collect()
    java: Any = spark._jvm
    java.System.gc()
    runtime = java.Runtime.getRuntime()
    return {
        "heap": runtime.totalMemory() - runtime.freeMemory(),
        "python": resident(os.getpid()),
        "threads": threading.active_count(),
        "java_threads": java.Thread.activeCount(),
    }


def ledger(spark: SparkSession, root: Path, config: str, count: int) -> Figures:
    """Fills a ledger with ``count`` batches of each dataset: its first batch copied under other numbers, plan and files with it."""
    settings = load(root / config)
    _export(spark, root / config)
    table = f"delta.`{settings.ledger}`"
    copied = {
        "transition": "transition + 3 * n",
        "seq": "seq + n",
        "instant": "instant + n",
        "batch": "replace(batch, '.1.1', concat('.1.', 1 + n))",
        "phase": "'changes'",
        "plan": """
            replace(replace(replace(plan, '"seq":1,', concat('"seq":', 1 + n, ',')),
                '"phase":"snapshot"', '"phase":"changes"'), '"from_version":null', '"from_version":0')""",
    }
    columns = ", ".join(f"{copied.get(name, name)} AS {name}" for name in spark.table(table).columns)
    numbers = f"(SELECT id + 1 AS n FROM range({count - 1}))"
    spark.sql(
        f"INSERT INTO {table} SELECT {columns} FROM {table}, {numbers} WHERE phase <> 'enable' OR phase IS NULL"
    )
    return {}


ACTS: dict[str, Callable[..., Figures]] = {
    "make": make,
    "deliver": deliver,
    "batches": batches,
    "ledger": ledger,
}


def main(name: str, root: Path, arguments: str) -> None:
    """Runs one and prints what it measured."""
    spark = build_session("bench", conf={**SESSION, "spark.local.dir": str(root / "local")})
    print(json.dumps(ACTS[name](spark, root, **json.loads(arguments))))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
