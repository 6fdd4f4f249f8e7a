"""Plans as values, whole and valid, for tests that are about one of their fields."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rover_spark.contract.currents import Integration
from rover_spark.model.table import HistoryRow
from rover_spark.produce.currents.plan import EventPlan
from rover_spark.produce.rover.plan import BatchPlan, Files, Source

INSTANT = 1_795_256_100_123
EU = Integration("prod-01", "S3", "65f1c2d3", "eu")


def batch_plan(**fields: Any) -> BatchPlan:
    """A snapshot of fan_profiles at version 7 in three chunks, with these fields in place of its own."""
    plan = BatchPlan(
        export="acme",
        dataset="fan_profiles",
        epoch=1,
        seq=1,
        phase="snapshot",
        instant=INSTANT,
        from_version=None,
        to_version=7,
        table_id="table-1",
        commits=(HistoryRow(7, 1_795_256_000_000, "WRITE"),),
        source=Source("/t", {"roverID": "id"}, ("roverID", "updatedAt"), None, {}, "suppress"),
        files=Files(chunks=3, max_bytes=1000, max_record_bytes=100, compression_level=1),
        destination="file:///b",
        source_rows=42,
        inserts_only=True,
        floors=False,
        aborted=(),
        versions={"spark": "4.1.1"},
    )
    return replace(plan, **fields)


def event_plan(**fields: Any) -> EventPlan:
    """A batch of an integration that has no event types yet, with these fields in place of its own."""
    plan = EventPlan(
        export="acme",
        dataset="events",
        epoch=1,
        seq=1,
        phase="changes",
        instant=1,
        destination="memory://b",
        source_rows=0,
        versions={},
        integration=EU,
        partitions=1,
        codec="null",
        compression_level=1,
        max_event_bytes=900_000,
        slices=(),
        groups=(),
        schemas=(),
    )
    return replace(plan, **fields)
