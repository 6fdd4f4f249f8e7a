"""Record ids and row keys as columns: the encoding of ``contract.ids``, evaluated by Spark."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import (
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    IntegralType,
    StringType,
    TimestampNTZType,
    TimestampType,
)

from rover_spark.contract.ids import Value, canonical

ID_TYPES = (StringType, IntegralType, DecimalType, BooleanType, DateType, TimestampType, TimestampNTZType)


def id_text(column: Column, dtype: DataType) -> Column:
    """The text of a value in an id: instants as microseconds, anything else as Spark prints it."""
    if isinstance(dtype, TimestampType | TimestampNTZType):
        return F.unix_micros(column.cast("timestamp")).cast("string")
    return column.cast("string")


def encoded(text: Column) -> Column:
    """``~`` for null, else ``<octets>:<text>``."""
    return F.coalesce(F.concat(F.octet_length(text).cast("string"), F.lit(":"), text), F.lit("~"))


def digest32(prefix: Sequence[Value], encodings: Sequence[Column]) -> Column:
    """First 32 hex digits of the SHA-256 of a constant prefix followed by encoded values."""
    return F.substring(F.sha2(F.concat(F.lit(canonical(prefix)), *encodings), 256), 1, 32)
