"""Rows of event tables → events in file order: id, whole seconds, one Avro datum each. Pure columns, no action.

Promises one row per source row, each with its outcome, so that counts add up. What cannot be an event is quarantined
with its reason; what is no appended row is suppressed (or was refused before, by the plan).
"""

from __future__ import annotations

import json
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.avro.functions import to_avro
from pyspark.sql.types import DataType, IntegralType, StringType, TimestampNTZType, TimestampType

from rover_spark.appends import arrived
from rover_spark.contract.currents import natural_prefix
from rover_spark.contract.zones import ZONES
from rover_spark.errors import ConfigError
from rover_spark.eventplan import HOUR_MS, EventPlan, EventSource, Slice
from rover_spark.records.avro import Misfit, characters, shaped, spelled_out, text_of
from rover_spark.records.changes import BEFORE
from rover_spark.records.fields import filtered, selected
from rover_spark.records.ids import ID_TYPES, encoded, id_text
from rover_spark.records.values import JSON_OPTIONS, holds_replacement, mended

TOO_LARGE = "event_too_large"
LATE_SECONDS = 3600
_INT = (-(2**31), 2**31 - 1)
_FEED = ("_change_type", "_commit_version", "_commit_timestamp")


def columns_of(rows: DataFrame, event_type: str, wanted: EventSource) -> DataFrame:
    """The filtered rows' fields as ``f_<name>``, natural key values as ``k_<n>``, and the feed's own columns.

    Raises:
        ConfigError: an expression that cannot be evaluated; an id that is no text, a time that is no time.
    """
    setting = f'events."{event_type}"'
    rows = filtered(rows, setting, wanted.where)
    chosen = [(f"f_{name}", f"columns.{name}", text) for name, text in wanted.columns.items()]
    chosen += [(f"k_{n}", "natural_key", text) for n, text in enumerate(wanted.natural_key)]
    fed = [F.col(name) for name in _FEED if name in rows.columns]
    frame = selected(rows, setting, fed, chosen)
    _check(frame, setting, wanted)
    return frame


def _check(frame: DataFrame, setting: str, wanted: EventSource) -> None:
    types = {field.name: field.dataType for field in frame.schema.fields}

    def refuse(name: str, why: str, mend: str) -> None:
        raise ConfigError(f"{setting}.{name}: {why}", code="column_type", remedy=mend)

    if not wanted.natural_key and not isinstance(types.get("f_id"), StringType):
        refuse(
            "columns.id",
            "an event needs an id that is text",
            "Name a column, or a natural_key to make ids of.",
        )
    time = types.get("f_time")
    if not isinstance(time, TimestampType | TimestampNTZType | IntegralType):
        refuse(
            "columns.time", "an event needs a timestamp, or whole seconds since 1970", "Use to_timestamp(…)."
        )
    for n, text in enumerate(wanted.natural_key):
        if not isinstance(types[f"k_{n}"], ID_TYPES):
            refuse("natural_key", f"{text} has no exact text", f"Write cast({text} as string).")


def fitting(rows: DataFrame, event_type: str, wanted: EventSource, text: str) -> None:
    """Raises ConfigError unless the table's columns can become what the schema asks for."""
    frame = columns_of(rows, event_type, wanted)
    _fields(json.loads(text), types_of(frame), f'events."{event_type}"')


def types_of(frame: DataFrame) -> dict[str, DataType]:
    """The types of the fields that ``columns_of`` gave."""
    return {field.name[2:]: field.dataType for field in frame.schema.fields if field.name.startswith("f_")}


def event_rows(spark: SparkSession, plan: EventPlan, texts: dict[str, str]) -> DataFrame:
    """All source rows of a plan: (chunk, id, commit, outcome, datum, problem, row_json, event), and what is told of each."""
    feeds = _Changes(spark)
    parts = [
        _slice_rows(feeds, plan, number, json.loads(texts[plan.slices[number].event_type]))
        for number in plan.delivering
    ]
    return reduce(DataFrame.unionAll, parts)


def counted(
    spark: SparkSession, slices: list[tuple[int, Slice]], integration: str, partitions: int
) -> DataFrame:
    """(slice, change, hour, partition, rows): what the plan's groups are made of."""
    parts, feeds = [], _Changes(spark)
    for number, one in slices:
        frame = feeds.of(one)
        identity = _identity(frame, one, integration) if partitions > 1 else F.lit("")
        parts.append(
            frame.select(
                F.lit(number).alias("slice"),
                F.col("_change_type").alias("change"),
                _hour(one).alias("hour"),
                _partition(identity, partitions).alias("partition"),
            )
        )
    found = reduce(DataFrame.unionAll, parts)
    return found.groupBy("slice", "change", "hour", "partition").agg(F.count(F.lit(1)).alias("rows"))


class _Changes:
    """What arrived in the slices: event types that share a table share its frame, which is dear to make."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark
        self._frames: dict[tuple[str, int, int], DataFrame] = {}

    def of(self, one: Slice) -> DataFrame:
        """The slice's fields, of all its rows."""
        assert one.from_version is not None
        place = (one.source.table, one.from_version, one.to_version)
        if place not in self._frames:
            self._frames[place] = arrived(self._spark, one)
        return columns_of(self._frames[place], one.event_type, one.source)


def _slice_rows(feeds: _Changes, plan: EventPlan, number: int, schema: dict[str, Any]) -> DataFrame:
    one = plan.slices[number]
    frame = feeds.of(one)
    types = types_of(frame)
    frame = (
        frame.withColumn("id", _identity(frame, one, plan.integration.integration_id))
        .withColumn("seconds", _seconds(types["time"]))
        .withColumn("zone", _zone() if "timezone" in types else F.lit(None).cast("string"))
    )
    values, reasons, emitted = _fields(schema, types, f'events."{one.event_type}"')
    own = {f"f_{name}": dtype for name, dtype in types.items()}
    appended = F.col("_change_type") == "insert"
    commit_seconds = F.unix_seconds("_commit_timestamp")
    lateness = commit_seconds - F.col("seconds")
    whole = F.struct(*(F.col(f"f_{name}").alias(name) for name in types))
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
    dropped = (
        F.col("f_timezone").isNotNull() & F.col("zone").isNull() if "timezone" in types else F.lit(False)
    )
    frame = frame.withColumn("outcome", outcome).select(
        _chunk(plan, number, _hour(one), _partition(F.col("id"), plan.partitions)).alias("chunk"),
        F.when(delivered, F.col("id")).alias("id"),
        F.col("_commit_version").alias("commit"),
        "outcome",
        F.when(delivered, F.col("datum")).alias("datum"),
        (delivered & (lateness > LATE_SECONDS)).alias("late"),
        F.when(delivered, lateness).alias("lateness"),
        (delivered & dropped).alias("zoneless"),
        (delivered & mended(emitted, own)).alias("mended"),
        "problem",
        F.when(F.col("problem").isNotNull(), as_json).alias("row_json"),
        F.lit(one.event_type).alias("event"),
    )
    if len(one.hours) > 1:  # all events with one id stand where the first of them was queued
        same = Window.partitionBy("id").orderBy("commit", "chunk")
        first = F.first("chunk").over(same)
        frame = frame.withColumn("chunk", F.when(F.col("id").isNotNull(), first).otherwise(F.col("chunk")))
    return frame


def _identity(frame: DataFrame, one: Slice, integration: str) -> Column:
    """The event's id: the source's own, or the digest of its natural key in the form of a UUID; null where it has none."""
    if not one.source.natural_key:
        return F.when(F.col("f_id") != "", characters(F.col("f_id")))
    types = {field.name: field.dataType for field in frame.schema.fields}
    names = [f"k_{n}" for n in range(len(one.source.natural_key))]
    parts = [encoded(id_text(F.col(name), types[name])) for name in names]
    digest = F.sha2(F.concat(F.lit(natural_prefix(integration, one.event_type)), *parts), 256)
    cuts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    whole = reduce(lambda left, right: left & right, (F.col(name).isNotNull() for name in names))
    return F.when(whole, F.concat_ws("-", *(F.substring(digest, start, size) for start, size in cuts)))


def _seconds(dtype: DataType) -> Column:
    column = F.col("f_time")
    seconds = (
        column.cast("bigint") if isinstance(dtype, IntegralType) else F.unix_seconds(column.cast("timestamp"))
    )
    return F.when(seconds.between(*_INT), seconds)


def _zone() -> Column:
    return F.when(F.col("f_timezone").isin(*ZONES), F.col("f_timezone"))


def _fields(
    schema: dict[str, Any], types: dict[str, DataType], setting: str
) -> tuple[list[Column], list[Column], Column]:
    """The datum's members in the schema's order, the reasons that keep a row out, and whether U+FFFD stands in its text.

    Raises:
        ConfigError: a field without a column, or whose column cannot become its type.
    """
    values: list[Column] = []
    replaced = holds_replacement(F.col("id"))
    reasons = [
        F.when(F.col("id").isNull(), F.lit("id: null")),
        F.when(F.col("seconds").isNull(), F.lit("time: null, or out of range")),
    ]
    for field in spelled_out(schema)["fields"]:
        name = field["name"]
        if name == "id":
            values.append(F.col("id"))
        elif name == "time":
            kind = field["type"] if isinstance(field["type"], str) else field["type"]["type"]
            values.append(F.col("seconds").cast("int" if kind == "int" else "bigint").alias(name))
        else:
            column, dtype = (
                (F.col("zone"), StringType()) if name == "timezone" else (F.col(f"f_{name}"), types.get(name))
            )
            if dtype is None:
                raise ConfigError(
                    f"{setting}.columns.{name}: the schema has this field, and no column gives it",
                    code="column_missing",
                    remedy=f'Name it: columns = {{ {name} = "…" }}, or take the field out of the schema.',
                )
            try:
                given, wrong = shaped(column, dtype, field["type"], name)
            except Misfit as error:
                raise ConfigError(
                    f"{setting}: {error}",
                    code="column_type",
                    remedy="Convert the column, or change the schema.",
                ) from None
            values.append(given.alias(name))
            reasons.append(wrong)
            if (text := text_of(given, field["type"])) is not None:
                replaced = replaced | holds_replacement(text)
    return values, reasons, replaced


def _hour(one: Slice) -> Column:
    """The queue hour of a row, ms since 1970: that of the commit which brought it in, as the plan pinned it."""
    starts: dict[int, int] = {}
    for commit in one.commits:  # timestamps rise with versions
        starts.setdefault(commit.timestamp // HOUR_MS * HOUR_MS, commit.version)
    hours = sorted(starts.items())
    found = F.lit(hours[0][0])
    for hour, version in hours[1:]:
        found = F.when(F.col("_commit_version") >= version, F.lit(hour)).otherwise(found)
    return found.cast("bigint")


def _partition(identity: Column, partitions: int) -> Column:
    return F.pmod(F.hash(identity), F.lit(partitions)).cast("int") if partitions > 1 else F.lit(0)


def _chunk(plan: EventPlan, number: int, hour: Column, partition: Column) -> Column:
    """The number of the row's group; rows of no group (updates, deletes) stand with the slice's first."""
    mine = [(n, group) for n, group in enumerate(plan.groups) if group.slice == number]
    found = F.lit(mine[0][0] if mine else 0)
    for n, group in mine[1:]:
        found = F.when((hour == group.hour) & (partition == group.partition), F.lit(n)).otherwise(found)
    return found.cast("int")
