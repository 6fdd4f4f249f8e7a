"""A small integration: one Delta table of events, delivered by event type, and what readers find in the bucket."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import fastavro
from pyspark.sql import SparkSession

from rover_spark.config.settings import Settings, parse
from rover_spark.contract.currents import CurrentsKey, parse_currents_key
from rover_spark.face import commands
from rover_spark.face.results import Result
from rover_spark.produce.currents.plan import HOUR_MS
from tests.e2e.world import FEED

CUSTOM, PURCHASE = "users.behaviors.CustomEvent", "users.behaviors.Purchase"
PLACE = {"cluster": "prod-01", "connection": "S3", "integration_id": "65f1c2d3", "zone": "eu"}
COLUMNS = {"id": "event_id", "time": "at", "timezone": "zone", "user_id": "fan", "properties": "props"}


class Stream:
    """One table of events, delivered by an integration of its own."""

    def __init__(self, spark: SparkSession, root: Path, table: str = FEED) -> None:
        self.spark, self.root = spark, root
        self.bucket = root / "bucket"
        self.table = f"{root}/tables/events"
        self.events: dict[str, dict[str, Any]] = {
            CUSTOM: {"table": self.table, "where": "kind = 'custom'", "columns": dict(COLUMNS)}
        }
        self.currents: dict[str, Any] = dict(PLACE)
        self.sql(
            "CREATE TABLE {t} (event_id STRING, kind STRING, fan STRING, at TIMESTAMP, zone STRING, "
            f"props MAP<STRING, STRING>, n BIGINT) USING delta {table}"
        )

    def sql(self, text: str) -> None:
        self.spark.sql(text.replace("{t}", f"delta.`{self.table}`"))

    def add(self, rows: str) -> None:
        self.sql(f"INSERT INTO {{t}} {rows}")

    @property
    def settings(self) -> Settings:
        return parse(
            {
                "name": "acme",
                "contract": "currents",
                "destination": f"file://{self.bucket}/acme",
                "ledger": f"{self.root}/control/acme",
                "currents": self.currents,
                "events": self.events,
            }
        )

    def export(self) -> Result:
        return commands.export(self.spark, self.settings)

    def delivered(self) -> Result:
        result = self.export()
        assert result.ok, result.problems
        return result

    def files(self) -> dict[CurrentsKey, list[Any]]:
        """What fastavro reads, by the parts of the key; anything else in the bucket fails."""
        found = {}
        for path in sorted(self.bucket.rglob("*")):
            if path.is_file():
                key = parse_currents_key("acme", path.relative_to(self.bucket).as_posix())
                assert key is not None, path
                with path.open("rb") as stream:
                    found[key] = list(fastavro.reader(stream))
        return found

    def commit_hour(self) -> datetime:
        row = self.spark.sql(f"DESCRIBE HISTORY delta.`{self.table}` LIMIT 1").collect()[0]
        at = int(row["timestamp"].timestamp() * 1000)
        return datetime.fromtimestamp(at // HOUR_MS * HOUR_MS // 1000, timezone.utc)


def values(
    first: int, last: int, *, kind: str = "custom", at: str = "timestamp_seconds(1763700000 + id)"
) -> str:
    return (
        f"SELECT concat('e', id), '{kind}', concat('fan-', id % 7), {at}, 'Europe/Oslo', "
        f"map('k', cast(id AS string)), id FROM range({first}, {last})"
    )
