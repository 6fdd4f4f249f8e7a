"""Rows of event tables → events: id, whole seconds, one Avro datum each. Only builds columns, runs no action.

Promises one row per source row and event type, each with its outcome, so that counts add up. A row that cannot be an event
is quarantined with its reason; a row that was not appended is suppressed (or the plan refused it before).
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import replace

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.avro.functions import to_avro
from pyspark.sql.types import DataType

from rover_spark.contract.avro import registered_tree
from rover_spark.contract.currents import natural_prefix
from rover_spark.delta.added_files import FILE, TABLE
from rover_spark.delta.frames import union
from rover_spark.errors import ConfigError
from rover_spark.model.manifest import BEFORE
from rover_spark.produce.columns.chunks import chunk_of
from rover_spark.produce.columns.lookup import lookup
from rover_spark.produce.columns.quarantine import row_json
from rover_spark.produce.currents.fields import (
    ROUTE,
    columns_of,
    identity,
    members,
    mended,
    seconds,
    types_of,
    zone,
)
from rover_spark.produce.currents.plan import HOUR_MS, EventPlan
from rover_spark.produce.currents.scan import Scan, ScanGroup

TOO_LARGE = "event_too_large"
LATE_SECONDS = 3600


def require_avro(spark: SparkSession) -> None:
    """Raises ConfigError where this Spark has no Avro package, before anything is planned."""
    try:
        with redirect_stdout(io.StringIO()):  # PySpark prints a long advice
            to_avro(F.lit(0))
    except TypeError:  # a name that is no class of the JVM
        raise ConfigError(
            "contract: currents: this Spark has no Avro package, so no event could be encoded",
            code="no_avro",
            remedy=f"Add org.apache.spark:spark-avro_2.12:{spark.version.partition('-')[0]} to --packages; _2.13 from Spark 4 on.",
        ) from None


def event_rows(
    arrived: Mapping[tuple[Scan, ...], DataFrame],
    plan: EventPlan,
    groups: Sequence[ScanGroup],
    schemas: Mapping[str, str],
) -> DataFrame:
    """One row per source row and event type of these groups, in the columns of ``_events``.

    ``arrived`` holds the rows of each group's scans, ``schemas`` the text of each event type's schema.
    """
    return union(
        [_events(_columns(arrived, each), plan, each, schemas[each.leader.event_type]) for each in groups]
    )


def counted(
    arrived: Mapping[tuple[Scan, ...], DataFrame],
    groups: Sequence[ScanGroup],
    integration: str,
    partitions: int,
) -> DataFrame:
    """(slice, change, hour, partition, rows) of these groups: what the groups of a plan are made of."""
    parts = []
    for group in groups:
        frame = _columns(arrived, group)
        # the id decides the partition; where there is one, nobody computes it
        event_id = _event_id(frame, group, integration) if partitions > 1 else F.lit("")
        parts.append(
            frame.select(
                lookup(group.numbers, F.col(ROUTE)).cast("int").alias("slice"),
                F.col("_change_type").alias("change"),
                lookup(group.hours, _hour_index(group)).alias("hour"),
                _partition(event_id, partitions).alias("partition"),
            )
        )
    return union(parts).groupBy("slice", "change", "hour", "partition").agg(F.count(F.lit(1)).alias("rows"))


def _columns(arrived: Mapping[tuple[Scan, ...], DataFrame], group: ScanGroup) -> DataFrame:
    """The group's fields; a row that the filters of several slices keep is there once for each."""
    one, rows, filters = group.leader, arrived[group.scans], group.filters
    table = F.col(TABLE) if len(group.scans) > 1 else None
    if len(filters) == 1:
        return columns_of(rows, one.event_type, one.source, table)
    texts = [text or "true" for text in filters]
    first = F.lit(0) if table is None else table * len(filters)
    routes = (F.when(F.expr(text), first + n) for n, text in enumerate(texts))
    any_of = replace(one.source, where=" OR ".join(f"({text})" for text in texts))
    return columns_of(rows, one.event_type, any_of, F.explode(F.array_compact(F.array(*routes))))


def _of_route(values: Sequence[str]) -> Column:
    """The value, of one per slice of a group, that belongs to the row's slice."""
    if len(values) == 1:
        return F.lit(values[0])
    return F.element_at(F.array(*(F.lit(value) for value in values)), F.col(ROUTE) + 1)


def _event_id(frame: DataFrame, group: ScanGroup, integration: str) -> Column:
    prefixes = [natural_prefix(integration, one.event_type) for one in group.slices]
    return identity(frame, group.leader.source, _of_route(prefixes))


def _events(frame: DataFrame, plan: EventPlan, group: ScanGroup, schema: str) -> DataFrame:
    """(chunk, id, commit, outcome, datum, lateness, invalid_timezone, mended, problem, row_json, event).

    ``id`` and ``datum`` are null where a row is not delivered, ``lateness`` where it is not late, ``row_json`` where it
    has no problem.
    """
    one, by_file = group.leader, FILE in frame.columns
    types = types_of(frame)
    frame = (
        frame.withColumn("id", _event_id(frame, group, plan.integration.integration_id))
        .withColumn("seconds", seconds(types["time"]))
        .withColumn("zone", zone() if "timezone" in types else F.lit(None).cast("string"))
    )
    tree = registered_tree(schema)
    frame = frame.withColumn("mended", mended(tree, types))
    values, reasons = members(tree, types, one.event_type)
    appended = F.col("_change_type") == "insert"
    frame = frame.withColumn("problem", F.when(appended, F.coalesce(*reasons)))
    datum = F.when(appended & F.col("problem").isNull(), to_avro(F.struct(*values), schema))
    frame = frame.withColumn("datum", datum)
    large = F.octet_length("datum") > plan.max_event_bytes
    frame = frame.withColumn("problem", F.when(large, F.lit(TOO_LARGE)).otherwise(F.col("problem")))
    frame = frame.withColumn("outcome", _outcome(appended))
    delivered = F.col("outcome") == "delivered"
    lateness = F.unix_seconds("_commit_timestamp") - F.col("seconds")
    late = delivered & (lateness > LATE_SECONDS)
    frame = frame.select(
        (F.col(FILE) if by_file else _chunk(plan, group)).alias("chunk"),
        F.when(delivered, F.col("id")).alias("id"),
        F.col("_commit_version").alias("commit"),
        "outcome",
        F.when(delivered, F.col("datum")).alias("datum"),
        F.when(late, lateness).alias("lateness"),
        (delivered & _invalid_timezone(types)).alias("invalid_timezone"),
        (delivered & F.col("mended")).alias("mended"),
        "problem",
        F.when(
            F.col("problem").isNotNull(), row_json({f"f_{name}": dtype for name, dtype in types.items()})
        ).alias("row_json"),
        _of_route([each.event_type for each in group.slices]).alias("event"),
    )
    several = any(len(each.hours) > 1 for each in group.tables)
    return _with_repeats(frame) if several and not by_file else frame


def _outcome(appended: Column) -> Column:
    return (
        F.when(F.col("_change_type") == "update_preimage", F.lit(BEFORE))
        .when(~appended, F.lit("suppressed"))
        .when(F.col("problem").isNotNull(), F.lit("quarantined"))
        .otherwise(F.lit("delivered"))
    )


def _invalid_timezone(types: Mapping[str, DataType]) -> Column:
    if "timezone" not in types:
        return F.lit(False)
    return F.col("f_timezone").isNotNull() & F.col("zone").isNull()


def _with_repeats(frame: DataFrame) -> DataFrame:
    """All events of a type with one id in the chunk of the first that was queued: there the repeats are counted."""
    same = Window.partitionBy("event", "id").orderBy("commit", "chunk")
    first = F.first("chunk").over(same)
    return frame.withColumn("chunk", F.when(F.col("id").isNotNull(), first).otherwise(F.col("chunk")))


def _hour_index(group: ScanGroup) -> Column:
    """Which of the group's queue hours a row has: that of its commit, as the plan pinned it."""
    index = {hour: n for n, hour in enumerate(group.hours)}
    of_commits, places = list[int](), list[int]()
    for one in group.tables:
        places.append(len(of_commits) - one.commits[0].version)
        of_commits += [index[commit.timestamp // HOUR_MS * HOUR_MS] for commit in one.commits]
    if len(index) == 1:
        return F.lit(0)
    return lookup(of_commits, lookup(places, F.col(TABLE)) + F.col("_commit_version"))


def _partition(event_id: Column, partitions: int) -> Column:
    return chunk_of(event_id, partitions) if partitions > 1 else F.lit(0)


def _chunk(plan: EventPlan, scanned: ScanGroup) -> Column:
    """The number of the plan's group that has the row's event type, queue hour and partition.

    Rows of no group are no events (updates, deletes): they go to the first group of their event type.
    """
    numbers = {(each.slice, each.hour, each.partition): n for n, each in enumerate(plan.groups)}
    first = {each.slice: n for n, each in reversed([*enumerate(plan.groups)])}
    hours, partitions = scanned.hours, range(plan.partitions)
    table = [
        [[numbers.get((slice_, hour, part), first.get(slice_, 0)) for part in partitions] for hour in hours]
        for slice_ in scanned.numbers
    ]
    partition = _partition(F.col("id"), plan.partitions)
    return lookup(table, F.col(ROUTE), _hour_index(scanned), partition).cast("int")
