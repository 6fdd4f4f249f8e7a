"""Who is measured: each loads what arrived in a bucket, once per record, and is called again for what arrives later.

Each load runs in a process of its own: `python -m tests.bench.loading.inside NAME JSON`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Job:
    """What a contender's process is asked for. ``into`` is a directory of its own, kept between its two loads."""

    place: Path  # the bucket, whole
    files: str  # a pattern of the objects that are new, for who keeps no books of its own
    into: Path
    memory: str  # of the JVM's heap, and of DuckDB by hand


@dataclass(frozen=True)
class Contender:
    """A line of a report. ``table`` is where below ``into`` its rows are; none where it only reads."""

    name: str
    label: str
    module: str
    function: str
    engine: Literal["delta", "duckdb", ""]
    table: str = ""

    def load(self, job: Job) -> None:
        """Loads what is new, in this process."""
        module = import_module(f"tests.bench.loading.{self.module}")
        getattr(module, self.function)(job)


DELTA, DUCKDB = "delta", "profiles.duckdb"
RAW = "fan_profiles_raw"
CONTENDERS = (
    Contender("spark", "Spark by hand, `dropDuplicates`, `MERGE` into Delta", "by_hand", "spark", "delta", DELTA),
    Contender("load-spark", "`rover-spark load`, into Delta", "ours", "spark", "delta", f"{DELTA}/{RAW}"),
    Contender("duckdb", "DuckDB by hand, `read_json`, `MERGE`", "by_hand", "duckdb", "duckdb", DUCKDB),
    Contender("load-duckdb", "`rover-spark load`, into DuckDB", "ours", "duckdb", "duckdb", DUCKDB),
    Contender("conform-1", "`rover-spark conform --processes 1`", "ours", "conform_by_one", ""),
    Contender("conform-2", "`rover-spark conform --processes 2`", "ours", "conform_by_two", ""),
)  # fmt: skip
PLAIN = "spark"  # what ratios are to


def named(name: str) -> Contender:
    """The contender of this name."""
    return next(each for each in CONTENDERS if each.name == name)
