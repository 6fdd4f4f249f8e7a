"""Event tables' columns → what an event is made of: its id, whole seconds, the members of its datum. Pure columns.

Refuses, before any row is read, columns that cannot become what the schema asks for.
"""

from __future__ import annotations

import json
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, IntegralType, StringType, TimestampNTZType, TimestampType

from rover_spark.contract.zones import ZONES
from rover_spark.delta.read import FEED_COLUMNS
from rover_spark.errors import ConfigError
from rover_spark.produce.columns.avro import Misfit, is_text, shaped, spelled_out
from rover_spark.produce.columns.expressions import filtered, selected
from rover_spark.produce.columns.ids import ID_TYPES, encoded, id_text
from rover_spark.produce.columns.maps import any_of, characters, ill_formed
from rover_spark.produce.columns.values import raw_text
from rover_spark.produce.currents.plan import EventSource

ROUTE = "_route"  # which of the event types that are read together a row belongs to
_INT = (-(2**31), 2**31 - 1)
_ZONES = ", ".join(f"'{name}'" for name in ZONES)


def columns_of(
    rows: DataFrame, event_type: str, wanted: EventSource, routes: Column | None = None
) -> DataFrame:
    """The filtered rows' fields as ``f_<name>``, natural key values as ``k_<n>``, and the feed's own columns.

    A row is there once for each of its ``routes``, an array.

    Raises:
        ConfigError: an expression that cannot be evaluated; an id that is no text, a time that is no time.
    """
    setting = f'events."{event_type}"'
    rows = filtered(rows, setting, wanted.where)
    chosen = [(f"f_{name}", f"columns.{name}", text) for name, text in wanted.columns.items()]
    chosen += [(f"k_{n}", "natural_key", text) for n, text in enumerate(wanted.natural_key)]
    kept = [F.col(name) for name in FEED_COLUMNS if name in rows.columns]
    kept += [F.explode(routes).alias(ROUTE)] if routes is not None else []
    frame = selected(rows, setting, kept, chosen)
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
    if not isinstance(types.get("f_timezone", StringType()), StringType):
        refuse(
            "columns.timezone", "a time zone is told by its name, as text", "Name a column of text, or none."
        )
    for n, text in enumerate(wanted.natural_key):
        if not isinstance(types[f"k_{n}"], ID_TYPES):
            refuse("natural_key", f"{text} has no exact text", f"Write cast({text} as string).")


def require_fit(frame: DataFrame, event_type: str, text: str) -> None:
    """Raises ConfigError unless what ``columns_of`` gave can become what the schema asks for."""
    members(json.loads(text), types_of(frame), event_type)


def types_of(frame: DataFrame) -> dict[str, DataType]:
    """The types of the fields that ``columns_of`` gave."""
    return {field.name[2:]: field.dataType for field in frame.schema.fields if field.name.startswith("f_")}


def identity(frame: DataFrame, source: EventSource, prefix: Column) -> Column:
    """The event's id: the source's own, or the digest of its natural key in the form of a UUID; null where it has none.

    ``prefix`` is what the digest begins with, as text: of which type of which integration the event is.
    """
    if not source.natural_key:
        return F.when(F.col("f_id") != "", characters(F.col("f_id")))
    types = {field.name: field.dataType for field in frame.schema.fields}
    names = [f"k_{n}" for n in range(len(source.natural_key))]
    # the feed mends text before we see it: files that are read beside it must give the same id
    texts = [id_text(F.col(name), types[name]) for name in names]
    parts = [
        encoded(characters(text) if isinstance(types[name], StringType) else text)
        for name, text in zip(names, texts, strict=True)
    ]
    digest = F.sha2(F.concat(prefix, *parts), 256)
    cuts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    whole = reduce(lambda left, right: left & right, (F.col(name).isNotNull() for name in names))
    return F.when(whole, F.concat_ws("-", *(F.substring(digest, start, size) for start, size in cuts)))


def seconds(dtype: DataType) -> Column:
    """The event's time in whole seconds since 1970; null where it is out of an int's range."""
    column = F.col("f_time")
    told = (
        column.cast("bigint") if isinstance(dtype, IntegralType) else F.unix_seconds(column.cast("timestamp"))
    )
    return F.when(told.between(*_INT), told)


def zone() -> Column:
    """The event's time zone; null where the IANA database has no such name."""
    # one call to the JVM: a literal of each name is six hundred of them
    return F.expr(f"CASE WHEN f_timezone IN ({_ZONES}) THEN f_timezone END")


def members(
    schema: dict[str, Any], types: dict[str, DataType], event_type: str
) -> tuple[list[Column], list[Column], Column]:
    """The datum's members in the schema's order, the reasons that keep a row out, and whether U+FFFD was put into its text.

    Raises:
        ConfigError: a field without a column, or whose column cannot become its type.
    """
    setting = f'events."{event_type}"'
    values: list[Column] = []
    replaced = [ill_formed(F.col("f_id"))] if "id" in types else []
    reasons = [
        F.when(F.col("id").isNull(), F.lit("id: null")),
        F.when(F.col("seconds").isNull(), F.lit("time: null, or out of range")),
    ]
    for field in spelled_out(schema)["fields"]:
        name = field["name"]
        if name == "id":
            values.append(F.col("id"))
            reasons.append(shaped(F.col("id"), StringType(), field["type"], name)[1])
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
            if name != "timezone" and is_text(field["type"]) and (raw := raw_text(column, dtype)) is not None:
                replaced.append(ill_formed(raw))
    return values, reasons, any_of(replaced)
