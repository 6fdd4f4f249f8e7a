"""A small export over real Delta tables in a directory of its own."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from rover_spark.config.settings import Settings, parse
from rover_spark.contract.manifests import key_of, parse_key
from rover_spark.deliver.schedule import Sources
from rover_spark.delta.session import Session
from rover_spark.face import commands
from rover_spark.face.results import Result
from rover_spark.ledger.table import Ledger
from rover_spark.produce import port

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=timezone.utc)
FEED = "TBLPROPERTIES (delta.enableChangeDataFeed = true)"
IDENTITY_COLUMNS = {"roverID": "rover_id", "identifierType": "kind", "identifier": "value", "updatedAt": "at"}


def uuid(n: int) -> str:
    """The n-th fan's roverID."""
    return f"{n:08x}-0000-4000-8000-{n:012x}"


class World:
    """Tables, ledger and bucket below one root; every export is an hour after the one before."""

    def __init__(self, spark: SparkSession, root: Path) -> None:
        self.spark = spark
        self.root = root
        self.bucket = root / "bucket"
        self.clock = NOON
        self.datasets: dict[str, dict[str, Any]] = {}
        self.options: dict[str, Any] = {}

    def table(self, name: str) -> str:
        return str(self.root / "tables" / name)

    def sql(self, text: str, **tables: str) -> None:
        """Runs one statement; {name} stands for a table."""
        self.spark.sql(text.format(**{name: f"delta.`{self.table(path)}`" for name, path in tables.items()}))

    def identities(self, rows: str = "") -> None:
        """An identity table with ``rows`` as SQL values."""
        self.sql(
            f"CREATE TABLE {{t}} (rover_id STRING, kind STRING, value STRING, at TIMESTAMP) USING delta {FEED}",
            t="ids",
        )
        if rows:
            self.sql(f"INSERT INTO {{t}} VALUES {rows}", t="ids")
        self.datasets["fan_identity_graph"] = {"table": self.table("ids"), "columns": IDENTITY_COLUMNS}

    @property
    def settings(self) -> Settings:
        base = {
            "name": "acme",
            "destination": f"file://{self.bucket}",
            "ledger": str(self.root / "control" / "acme"),
            "datasets": self.datasets,
        }
        return parse({**base, **self.options})

    def config(self) -> Path:
        """The identity export as a configuration file."""
        path = self.root / "acme.toml"
        path.write_text(f"""
name = "acme"
destination = "file://{self.bucket}"
ledger = "{self.settings.ledger}"
[datasets.fan_identity_graph]
table = "{self.table("ids")}"
columns = {{ roverID = "rover_id", identifierType = "kind", identifier = "value", updatedAt = "at" }}
""")
        return path

    def now(self) -> datetime:
        self.clock += timedelta(hours=1)
        return self.clock

    def export(self, **options: Any) -> Result:
        return commands.export(self.spark, self.settings, **{"now": self.now(), **options})

    def delivered(self, **options: Any) -> Result:
        """An export that must succeed."""
        result = self.export(**options)
        assert result.ok, result.problems
        return result

    def announced(self) -> list[str]:
        """The keys of the completion manifests, in the order of their instants."""
        found = (parse_key(key) for key in self.fingerprint())
        return [
            key_of(each.root, each.stream, each.instant, each.token)
            for each in sorted((each for each in found if each), key=lambda each: each.instant)
        ]

    def fingerprint(self) -> dict[str, str]:
        """Every file below the bucket, staging included, with its hash."""
        return fingerprint(self.bucket)


def fingerprint(bucket: Path) -> dict[str, str]:
    return {
        path.relative_to(bucket).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(bucket.rglob("*"))
        if path.is_file()
    }


def row(n: int, kind: str, value: str, at: str) -> str:
    """One identity row as SQL values."""
    return f"('{uuid(n)}', '{kind}', '{value}', TIMESTAMP '{at}')"


def sources_of(spark: SparkSession | Session, settings: Settings) -> tuple[Sources, int]:
    """The sources of an export, and how many waiting rows are enough."""
    ledger = Ledger(Session.of(spark), settings.ledger, settings.name, port.decode, settings.tables)
    producer = port.producer(Session.of(spark), settings, ledger, 0)
    return Sources(Session.of(spark), settings.tables, settings.delivers, ledger, producer), producer.enough
