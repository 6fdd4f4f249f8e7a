"""Event tables' columns → what an event is made of: its id, whole seconds, the members of its datum. Pure columns.

Refuses, before any row is read, columns that cannot become what the schema asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, IntegralType, StringType, TimestampNTZType, TimestampType

from rover_spark.contract.avro_tree import Field, Schema
from rover_spark.contract.zones import ZONES
from rover_spark.delta.added_files import FILE, TABLE
from rover_spark.delta.read import FEED_COLUMNS
from rover_spark.errors import ConfigError
from rover_spark.produce.columns.avro import Misfit, is_text, shaped
from rover_spark.produce.columns.expressions import filtered, selected
from rover_spark.produce.columns.ids import ID_TYPES, encoded, id_text
from rover_spark.produce.columns.maps import characters, ill_formed
from rover_spark.produce.columns.values import raw_text
from rover_spark.produce.currents.plan import EventSource

ROUTE = "_route"  # which of the event types that are read together a row belongs to
_INT = (-(2**31), 2**31 - 1)
_ZONES = ", ".join(f"'{name}'" for name in ZONES)


def columns_of(
    rows: DataFrame, event_type: str, wanted: EventSource, route: Column | None = None
) -> DataFrame:
    """The filtered rows' fields as ``f_<name>``, natural key values as ``k_<n>``, and the columns that say where a row is from.

    ``route`` may generate several values, and then there are as many rows.

    Raises:
        ConfigError: an expression that cannot be evaluated; an id that is no text, a time that is no time.
    """
    setting = f'events."{event_type}"'
    rows = filtered(rows, setting, wanted.where)
    chosen = [(f"f_{name}", f"columns.{name}", text) for name, text in wanted.columns.items()]
    chosen += [(f"k_{n}", "natural_key", text) for n, text in enumerate(wanted.natural_key)]
    kept = [F.col(name) for name in (*FEED_COLUMNS, TABLE, FILE) if name in rows.columns]
    kept += [route.alias(ROUTE)] if route is not None else []
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
            "columns.timezone", "a time zone is given by its name, as text", "Name a column of text, or none."
        )
    for n, text in enumerate(wanted.natural_key):
        if not isinstance(types[f"k_{n}"], ID_TYPES):
            refuse("natural_key", f"{text} has no exact text", f"Write cast({text} as string).")


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
    counted = isinstance(dtype, IntegralType)
    found = column.cast("bigint") if counted else F.unix_seconds(column.cast("timestamp"))
    return F.when(found.between(*_INT), found)


def zone() -> Column:
    """The event's time zone; null where the IANA database has no such name."""
    # one call to the JVM: a literal of each name is six hundred of them
    return F.expr(f"CASE WHEN f_timezone IN ({_ZONES}) THEN f_timezone END")


def mended(schema: Schema, types: Mapping[str, DataType]) -> Column:
    """Whether U+FFFD is put into one of the texts of a row's event: all of them joined are looked at once."""
    texts = [F.col("f_id")] if "id" in types else []
    for name in (each.name for each in schema.fields if _is_looked_at(each)):
        text = raw_text(F.col(f"f_{name}"), types[name]) if name in types else None
        texts += [] if text is None else [text]
    return ill_formed(F.concat_ws(" ", *texts)) if texts else F.lit(False)


def _is_looked_at(field: Field) -> bool:
    return field.name not in {"id", "time", "timezone"} and is_text(field.type)


def members(
    schema: Schema, types: Mapping[str, DataType], event_type: str
) -> tuple[list[Column], list[Column]]:
    """The datum's members in the schema's order, and the reasons that keep a row out.

    The row has the column ``mended``, as the function of that name gives it.

    Raises:
        ConfigError: a field without a column, or whose column cannot become its type.
    """
    values: list[Column] = []
    reasons = [
        F.when(F.col("id").isNull(), F.lit("id: null")),
        F.when(F.col("seconds").isNull(), F.lit("time: null, or out of range")),
    ]
    for field in schema.fields:
        if field.name == "time":
            values.append(
                F.col("seconds").cast("int" if field.type.kind == "int" else "bigint").alias("time")
            )
            continue
        column, dtype = _column_of(field.name, types, event_type)
        looked_at = _is_looked_at(field) and raw_text(column, dtype) is not None
        given, wrong = _fitted(column, dtype, field, event_type, _where_mended if looked_at else characters)
        values.append(F.col("id") if field.name == "id" else given.alias(field.name))
        reasons.append(wrong)
    return values, reasons


def _where_mended(text: Column) -> Column:
    return F.when(F.col("mended"), characters(text)).otherwise(text)


def _column_of(name: str, types: Mapping[str, DataType], event_type: str) -> tuple[Column, DataType]:
    """The column that gives a field. Of an id and a time zone that is what was made of the source's."""
    if name in {"id", "timezone"}:
        return F.col("id" if name == "id" else "zone"), StringType()
    if name not in types:
        raise ConfigError(
            f'events."{event_type}".columns.{name}: the schema has this field, and no column gives it',
            code="column_missing",
            remedy=f'Name it: columns = {{ {name} = "…" }}, or take the field out of the schema.',
        )
    return F.col(f"f_{name}"), types[name]


def _fitted(
    column: Column, dtype: DataType, field: Field, event_type: str, mend: Callable[[Column], Column]
) -> tuple[Column, Column]:
    try:
        return shaped(column, dtype, field.type, field.name, mend)
    except Misfit as error:
        raise ConfigError(
            f'events."{event_type}": {error}',
            code="column_type",
            remedy="Convert the column, or change the schema.",
        ) from None
