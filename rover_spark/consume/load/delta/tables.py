"""The raw tables in Delta: made, found again, and widened as schemas grow.

JSON is kept as text, in columns whose comment says so. The comment of ``object_key`` names the dataset or event type, so
nobody else's table is written to. A field whose type changed becomes JSON, as old and new values both can be: the table is
written anew once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
from pyspark.sql import Column as SparkColumn
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import (
    BinaryType,
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    LongType,
    StringType,
    StructField,
    TimestampType,
)

from rover_spark.consume.ddl.engines.port import raw
from rover_spark.consume.ddl.sql import quoted
from rover_spark.consume.ddl.tables import Column, Table, portable
from rover_spark.consume.load.delta.place import DIALECT, Into
from rover_spark.consume.load.delta.reading import json_text
from rover_spark.consume.load.due import Contract
from rover_spark.consume.load.tables import of_events, of_rover
from rover_spark.contract.rover import DATASETS
from rover_spark.errors import ConfigError

JSON = "JSON"  # the comment of a column that holds it
_COMMENT = f" COMMENT '{JSON}'"
_LOADED = "rover-spark load: "  # begins the comment that names a table's dataset or event type
_INDEXED = "delta.dataSkippingStatsColumns"
_SPARK: dict[str, DataType] = {
    "key": StringType(), "text": StringType(), "integer": LongType(), "real": DoubleType(), "flag": BooleanType(),
    "time": TimestampType(), "day": DateType(), "octets": BinaryType(), "json": StringType(), "any": StringType(),
    "source": StringType(),
}  # fmt: skip
_ARROW: dict[type[DataType], pa.DataType] = {
    StringType: pa.string(), LongType: pa.int64(), DoubleType: pa.float64(), BooleanType: pa.bool_(),
    TimestampType: pa.timestamp("us", "UTC"), DateType: pa.date32(), BinaryType: pa.binary(),
}  # fmt: skip


@dataclass(frozen=True)
class Raw:
    """A raw table as it is now: its name, whether it holds events of Currents, and its columns in order."""

    name: str
    events: bool
    fields: tuple[StructField, ...]

    @property
    def json(self) -> frozenset[str]:
        """The columns that hold JSON."""
        return frozenset(each.name for each in self.fields if each.metadata.get("comment") == JSON)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns."""
        return tuple(each.name for each in self.fields)


def arrow_type(kind: DataType) -> pa.DataType:
    """The Arrow type of a column of a raw table."""
    return pa.decimal128(kind.precision, kind.scale) if isinstance(kind, DecimalType) else _ARROW[type(kind)]


def opened(spark: SparkSession, into: Into, contract: Contract, dataset: str) -> Raw:
    """The raw table of a dataset or an event type, which is made where there is none.

    Where another event type has the name already, digits of the type's SHA-256 stand behind it.

    Raises:
        ConfigError: a table of somebody else has its name.
    """
    found = list(_tables(contract, dataset))
    for table in found:
        _make(spark, into, table)
        fields = into.frame(spark, raw(table)).schema.fields
        if any(each.metadata.get("comment") == f"{_LOADED}{dataset}" for each in fields):
            there = Raw(raw(table), table.avro, tuple(fields))
            return evolved(spark, into, there, table.columns) if contract == "rover" else there
    raise ConfigError(
        f"--into {into}: the table {raw(found[-1])} is there, and was not made by rover-spark load",
        code="into_invalid",
        remedy="Load into another path or schema, or rename that table.",
    )


def _tables(contract: Contract, dataset: str) -> Iterator[Table]:
    if contract == "rover":
        yield of_rover(dataset)
        return
    name = portable(dataset)
    if name not in DATASETS:
        yield of_events(dataset, name)
    yield of_events(dataset, f"{name}_{hashlib.sha256(dataset.encode()).hexdigest()[:16]}")


def _make(spark: SparkSession, into: Into, table: Table) -> None:
    if into.has(spark, raw(table)):
        return
    builder = into.builder(spark, raw(table))
    for each in table.stored:
        comment = f"{_LOADED}{table.dataset}" if each.kind == "source" else JSON if _form(each)[1] else None
        builder = builder.addColumn(each.name, _type_of(each), comment=comment)
    indexed = ("id", *(each for each in ("emittedAt", table.event_time) if each in table.names))
    builder.property(_INDEXED, ",".join(indexed)).execute()


def _type_of(column: Column) -> DataType:
    return DecimalType(column.precision, column.scale) if column.kind == "decimal" else _SPARK[column.kind]


def evolved(spark: SparkSession, into: Into, table: Raw, columns: Sequence[Column]) -> Raw:
    """The table with these columns, too."""
    there = {each.name: (each.dataType, each.name in table.json) for each in table.fields}
    new: dict[str, Column] = {}
    turned: set[str] = set()
    for each in columns:
        form = there.get(each.name) or (_form(new[each.name]) if each.name in new else None)
        if form is None:
            new[each.name] = each
        elif form[1] or form == _form(each):
            continue
        elif each.name in there:
            turned.add(each.name)
        else:
            new[each.name] = Column(each.name, "any")
    if new:
        added = ", ".join(
            f"{quoted(each.name, DIALECT)} {_type_of(each).simpleString()}{_COMMENT if _form(each)[1] else ''}"
            for each in new.values()
        )
        spark.sql(f"ALTER TABLE {into.sql(table.name)} ADD COLUMNS ({added})")
    if turned:
        _turn(spark, into, table.name, turned)
    if not new and not turned:
        return table
    return replace(table, fields=tuple(into.frame(spark, table.name).schema.fields))


def _turn(spark: SparkSession, into: Into, name: str, columns: set[str]) -> None:
    """Writes the table anew, with these columns as JSON."""
    frame = into.frame(spark, name)
    chosen = [F.col(quoted(each, DIALECT)) for each in frame.columns]
    for place, field in enumerate(frame.schema.fields):
        if field.name in columns:
            spell = _spelled if isinstance(field.dataType, DoubleType) else as_json
            chosen[place] = spell(chosen[place]).alias(field.name, metadata={"comment": JSON})
    into.save(frame.select(*chosen).write.mode("overwrite").option("overwriteSchema", "true"), name)


def _spelled(value: SparkColumn) -> SparkColumn:
    """Numbers as the tasks of a load write them: before Java 19 Spark gives a few of them a digit too many."""
    return F.when(value.isNotNull(), F.udf(json_text, StringType(), useArrow=False)(value))


def _form(column: Column) -> tuple[DataType, bool]:
    """The type of a column, and whether it holds JSON."""
    return _type_of(column), column.kind in ("json", "any")


def as_json(value: SparkColumn) -> SparkColumn:
    """A column as the JSON text that it would have in a column of JSON."""
    options = {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'", "timeZone": "UTC"}
    whole = F.to_json(F.struct(value.alias("v")), options)
    return F.when(value.isNotNull(), F.regexp_extract(whole, r'(?s)^\{"v":(.*)\}$', 1))
