"""The record as one line of JSON: envelope first, own fields, event time last, ``\\n`` at the end.

Source: Rover, "Common envelope". Every value that is written without escaping here cannot need any: hex digits,
a lower-case UUID, a formatted instant.
"""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from rover_spark.contract.rover import CONTRACT, VERSION
from rover_spark.produce.columns.ids import digest32, encoded
from rover_spark.produce.rover.plan import BatchPlan


def instant_text(micros: Column) -> Column:
    """ISO 8601, UTC, six decimals and ``Z``."""
    return F.date_format(F.timestamp_micros(micros), "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'")


def record_id(plan: BatchPlan, operation: Column, event_us: Column) -> Column:
    """The record's id: a digest of (contract, export, epoch, dataset, natural key values as emitted)."""
    parts: list[Column] = []
    static = 0
    for name in plan.source.natural_key:
        if name == plan.definition.event_time:
            parts.append(encoded(event_us.cast("string")))
        elif name == "operation":
            parts.append(encoded(operation))
        else:
            parts.append(F.col("naturals")[static])
            static += 1
    return digest32([CONTRACT, plan.export, plan.epoch, plan.dataset], parts)


def line(plan: BatchPlan, operation: Column) -> Column:
    """The record's line, from the columns ``id``, ``rover_id``, ``inner``, ``tail`` and ``event_us``."""
    emitted_at = plan.emitted_at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{plan.instant % 1000:03d}Z"
    own = F.when(F.col("inner") != "", F.col("inner"))
    if plan.source.deletes == "tombstone":
        own = F.when(operation == "delete", F.lit('"deleted":true')).otherwise(own)
    members = [own]
    if plan.definition.operation:
        members.append(F.concat(F.lit('"operation":"'), operation, F.lit('"')))
    if plan.source.extra:
        members.append(F.when(F.col("tail") != "", F.col("tail")))
    return F.concat(
        F.lit('{"id":"'),
        F.col("id"),
        F.lit(f'","version":{VERSION},"roverID":"'),
        F.col("rover_id"),
        F.lit(f'","emittedAt":"{emitted_at}",'),
        F.concat_ws(",", *members),
        F.lit(f',"{plan.definition.event_time}":"'),
        instant_text(F.col("event_us")),
        F.lit('"}\n'),
    )
