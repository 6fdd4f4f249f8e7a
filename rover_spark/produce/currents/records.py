"""Rows of event tables → events: id, whole seconds, one Avro datum each. Pure columns, no action.

Promises one row per source row and event type, each with its outcome, so that counts add up. What cannot be an event is
quarantined with its reason; what is no appended row is suppressed (or was refused before, by the plan). Event types that
make the same of the same rows, but for their filter, are one company: they are read together, once.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import replace

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.avro.functions import to_avro

from rover_spark.contract.currents import natural_prefix
from rover_spark.delta.frames import union
from rover_spark.delta.names import span
from rover_spark.errors import ConfigError
from rover_spark.model.manifest import BEFORE
from rover_spark.produce.columns.chunks import element
from rover_spark.produce.columns.maps import JSON_OPTIONS, as_stored
from rover_spark.produce.currents.arrived import arrived
from rover_spark.produce.currents.fields import ROUTE, columns_of, identity, members, seconds, types_of, zone
from rover_spark.produce.currents.plan import HOUR_MS, EventPlan, Slice

TOO_LARGE = "event_too_large"
LATE_SECONDS = 3600
Company = list[tuple[int, Slice]]  # slices with their numbers in the plan


def require_avro(spark: SparkSession) -> None:
    """Raises ConfigError where this Spark has no Avro package, before anything is planned."""
    try:
        with redirect_stdout(io.StringIO()):  # where PySpark tells of it, at length
            to_avro(F.lit(0))
    except TypeError:  # a name that is no class of the JVM
        raise ConfigError(
            "contract: currents: this Spark has no Avro package, so no event could be encoded",
            code="no_avro",
            remedy=f"Add org.apache.spark:spark-avro_2.12:{spark.version.partition('-')[0]} to --packages; _2.13 from Spark 4 on.",
        ) from None


def companies(slices: Iterable[tuple[int, Slice]], texts: Mapping[str, str] | None = None) -> list[Company]:
    """Slices that differ in no more than their event type and filter, together; ``texts`` are the schemas that count too."""
    found: dict[str, Company] = {}
    for number, one in slices:
        source = one.source
        fields = json.loads(texts[one.event_type])["fields"] if texts else []
        alike = [
            source.table,
            one.from_version,
            one.to_version,
            one.by_feed,
            source.columns,
            source.natural_key,
        ]
        found.setdefault(json.dumps([*alike, fields]), []).append((number, one))
    return list(found.values())


def event_rows(
    spark: SparkSession, plan: EventPlan, found: Sequence[Company], texts: dict[str, str]
) -> DataFrame:
    """All rows of these companies: (chunk, id, commit, outcome, datum, problem, row_json, event), and what is told of each."""
    feeds = _Feeds(spark)
    return union([_company_rows(feeds.of(each), plan, each, texts[each[0][1].event_type]) for each in found])


def counted(spark: SparkSession, found: Sequence[Company], integration: str, partitions: int) -> DataFrame:
    """(slice, change, hour, partition, rows) of these companies: what the plan's groups are made of."""
    parts, feeds = [], _Feeds(spark)
    for company in found:
        frame = feeds.of(company)
        of_row = _identity(frame, company, integration) if partitions > 1 else F.lit("")
        parts.append(
            frame.select(
                _by_route([F.lit(number) for number, _ in company]).alias("slice"),
                F.col("_change_type").alias("change"),
                element(company[0][1].hours, _hour_number(company[0][1])).alias("hour"),
                _partition(of_row, partitions).alias("partition"),
            )
        )
    return union(parts).groupBy("slice", "change", "hour", "partition").agg(F.count(F.lit(1)).alias("rows"))


def told(slices: Iterable[Slice]) -> str:
    """What of which tables is read, for messages: the first few."""
    found = [
        span(*each) for each in sorted({(s.source.table, s.from_version or 0, s.to_version) for s in slices})
    ]
    return ", ".join(found[:3]) + (f" and {len(found) - 3} more tables" if len(found) > 3 else "")


class _Feeds:
    """What arrived in the slices: companies that share a table share its frame, which is dear to make."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark
        self._frames: dict[tuple[object, ...], DataFrame] = {}

    def of(self, company: Company) -> DataFrame:
        """The company's fields, of all its rows; a row that several of its filters keep is there for each."""
        _, one = company[0]
        place = (one.source.table, one.from_version, one.to_version, one.by_feed)
        if place not in self._frames:
            self._frames[place] = arrived(self._spark, one)
        rows = self._frames[place]
        if len(company) == 1:
            return columns_of(rows, one.event_type, one.source)
        filters = [each.source.where or "true" for _, each in company]
        routes = (F.when(F.expr(text), F.lit(n)) for n, text in enumerate(filters))
        any_of = replace(one.source, where=" OR ".join(f"({text})" for text in filters))
        return columns_of(rows, one.event_type, any_of, F.array_compact(F.array(*routes)))


def _by_route(each: Sequence[Column]) -> Column:
    """Of a company's values the one of the row's event type."""
    if len(each) == 1:
        return each[0]
    return F.element_at(F.array(*each), F.col(ROUTE) + 1)


def _identity(frame: DataFrame, company: Company, integration: str) -> Column:
    prefixes = [F.lit(natural_prefix(integration, one.event_type)) for _, one in company]
    return identity(frame, company[0][1].source, _by_route(prefixes))


def _company_rows(frame: DataFrame, plan: EventPlan, company: Company, text: str) -> DataFrame:
    _, one = company[0]
    types = types_of(frame)
    frame = (
        frame.withColumn("id", _identity(frame, company, plan.integration.integration_id))
        .withColumn("seconds", seconds(types["time"]))
        .withColumn("zone", zone() if "timezone" in types else F.lit(None).cast("string"))
    )
    schema = json.loads(text)
    values, reasons, replaced = members(schema, types, one.event_type)
    appended = F.col("_change_type") == "insert"
    lateness = F.unix_seconds("_commit_timestamp") - F.col("seconds")
    whole = F.struct(*(as_stored(F.col(f"f_{name}"), dtype).alias(name) for name, dtype in types.items()))
    as_json = F.to_json(whole, {**JSON_OPTIONS, "ignoreNullFields": "false"})
    frame = frame.withColumn("problem", F.when(appended, F.coalesce(*reasons)))
    datum = F.when(appended & F.col("problem").isNull(), to_avro(F.struct(*values), json.dumps(schema)))
    frame = frame.withColumn("datum", datum)
    large = F.octet_length("datum") > plan.max_event_bytes
    frame = frame.withColumn("problem", F.when(large, F.lit(TOO_LARGE)).otherwise(F.col("problem")))
    outcome = (
        F.when(F.col("_change_type") == "update_preimage", F.lit(BEFORE))
        .when(~appended, F.lit("suppressed"))
        .when(F.col("problem").isNotNull(), F.lit("quarantined"))
        .otherwise(F.lit("delivered"))
    )
    delivered = F.col("outcome") == "delivered"
    no_zone = (
        F.col("f_timezone").isNotNull() & F.col("zone").isNull() if "timezone" in types else F.lit(False)
    )
    frame = frame.withColumn("outcome", outcome).select(
        _chunk(plan, company).alias("chunk"),
        F.when(delivered, F.col("id")).alias("id"),
        F.col("_commit_version").alias("commit"),
        "outcome",
        F.when(delivered, F.col("datum")).alias("datum"),
        (delivered & (lateness > LATE_SECONDS)).alias("late"),
        F.when(delivered & (lateness > LATE_SECONDS), lateness).alias("lateness"),
        (delivered & no_zone).alias("zoneless"),
        (delivered & replaced).alias("mended"),
        "problem",
        F.when(F.col("problem").isNotNull(), as_json).alias("row_json"),
        _by_route([F.lit(each.event_type) for _, each in company]).alias("event"),
    )
    if len(one.hours) > 1:  # all events with one id stand where the first of them was queued
        same = Window.partitionBy("event", "id").orderBy("commit", "chunk")
        first = F.first("chunk").over(same)
        frame = frame.withColumn("chunk", F.when(F.col("id").isNotNull(), first).otherwise(F.col("chunk")))
    return frame


def _hour_number(one: Slice) -> Column:
    """Which of the slice's queue hours: that of the commit which brought the row in, as the plan pinned it."""
    numbers = {hour: n for n, hour in enumerate(one.hours)}
    of_commits = tuple(numbers[commit.timestamp // HOUR_MS * HOUR_MS] for commit in one.commits)
    return element(of_commits, (F.col("_commit_version") - one.commits[0].version).cast("int")).cast("int")


def _partition(identity: Column, partitions: int) -> Column:
    return F.pmod(F.hash(identity), F.lit(partitions)).cast("int") if partitions > 1 else F.lit(0)


def _chunk(plan: EventPlan, company: Company) -> Column:
    """The number of the row's group; rows of no group (updates, deletes) stand with the first of their event type."""
    first, hours = company[0][1], company[0][1].hours
    numbers = {(each.slice, each.hour, each.partition): n for n, each in enumerate(plan.groups)}
    leading = {each.slice: n for n, each in reversed([*enumerate(plan.groups)])}
    table = tuple(
        numbers.get((number, hour, partition), leading.get(number, 0))
        for number, _ in company
        for hour in hours
        for partition in range(plan.partitions)
    )
    route = F.col(ROUTE) if len(company) > 1 else F.lit(0)
    place = (route * len(hours) + _hour_number(first)) * plan.partitions
    return element(table, (place + _partition(F.col("id"), plan.partitions)).cast("int")).cast("int")
