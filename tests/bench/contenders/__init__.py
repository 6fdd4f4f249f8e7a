"""Who is measured: each writes the same records of a table, with the same kind of compression.

A contender is a function ``prepare(job)`` that loads what it needs and gives an ``act``, which writes all files below
``job.data``. Each runs in a process of its own: `python -m tests.bench.contenders NAME JSON`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

Act = Callable[[], None]


@dataclass(frozen=True)
class Job:
    """What a contender's process is asked for. ``out`` is its own, and may hold more than the files: a ledger."""

    kind: str
    rows: int
    table: Path
    out: Path
    memory: str  # of the JVM's heap

    @property
    def data(self) -> Path:
        """Below it lie the files that count."""
        return self.out / "data"

    @property
    def local(self) -> Path:
        """Where Spark keeps what it shuffles."""
        return self.out.with_name("local")

    @property
    def sources(self) -> list[Path]:
        """The table's data files: one commit wrote it, so all of them count."""
        return sorted(self.table.glob("*.parquet"))


@dataclass(frozen=True)
class Contender:
    """A line of a report. ``level`` is that of the compression, where its writer takes one."""

    name: str
    label: str
    level: str
    module: str
    function: str
    largest: int | None = None  # the most rows that it is measured with: more take hours

    def prepare(self, job: Job) -> Act:
        """Loads what it needs."""
        module = import_module(f"tests.bench.contenders.{self.module}")
        act: Act = getattr(module, self.function)(job)
        return act


@dataclass(frozen=True)
class Kind:
    """A part of a report: contenders over tables of ``sources``. ``suffix`` is that of the files that count.

    One row in ``one_of`` gives a record. ``starts`` says whether a figure holds the start of the process.
    """

    table: str
    contenders: tuple[Contender, ...]
    compression: str
    suffix: str
    one_of: int = 1
    starts: bool = True


PLAIN = "spark"  # the writer that ratios are to
_PROFILES = (
    Contender("native", "rover_spark, files layout, native reader", "1", "ours", "native"),
    Contender("arrow", "rover_spark, files layout, Spark reads, tasks encode", "1", "ours", "arrow"),
    Contender("files", "rover_spark, files layout, Spark reads and encodes", "1", "ours", "files"),
    Contender("hash", "rover_spark, hash layout", "1", "ours", "hashed"),
    Contender(PLAIN, 'Spark, `df.write.partitionBy("date", "hour").json`', "1", "spark", "json"),
    Contender("spark-default", "the same, its own level", "6", "spark", "json_at_its_own_level"),
    Contender("duckdb", "DuckDB, `COPY … (FORMAT json)`", "its own", "json_peers", "duckdb"),
    Contender("polars", "Polars, `sink_ndjson`", "1", "json_peers", "polars"),
    Contender("chdb", "chDB, `INTO OUTFILE … JSONEachRow`", "1", "json_peers", "chdb"),
    Contender("pandas", "pandas, `to_json(lines=True)`", "1", "json_peers", "pandas", largest=5_000_000),
)
_EVENTS = (
    Contender("files", "rover_spark, files layout", "1", "ours", "files"),
    Contender("hash", "rover_spark, hash layout", "1", "ours", "hashed"),
    Contender(PLAIN, 'Spark, `df.write.format("avro")`', "1", "spark", "avro"),
    Contender("spark-default", "the same, its own level", "6", "spark", "avro_at_its_own_level"),
    Contender("polars", "Polars, `write_avro`", "its own", "avro_peers", "polars"),
    Contender("chdb", "chDB, `INTO OUTFILE … Avro`", "its own", "avro_peers", "chdb"),
    Contender("fastavro", "fastavro, `writer`", "1", "avro_peers", "fastavro", largest=5_000_000),
)
_NIGHTLY = (
    Contender("changes", "rover_spark, the changes of an overwrite", "1", "nightly", "changes", largest=1_000_000),
)  # fmt: skip
KINDS = {
    "hashes": Kind("hashes", _PROFILES, "gzip", ".gz"),
    "texts": Kind("texts", _PROFILES, "gzip", ".gz"),
    "events": Kind("events", _EVENTS, "deflate", ".avro"),
    "nightly": Kind("hashes", _NIGHTLY, "gzip", ".gz", one_of=256, starts=False),
}


def named(kind: str, name: str) -> Contender:
    """The contender of a kind that has this name."""
    return next(each for each in KINDS[kind].contenders if each.name == name)
