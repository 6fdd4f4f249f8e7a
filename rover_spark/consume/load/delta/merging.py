"""Rows into a raw table, each record once.

Of records with one id the one with the greatest ``emittedAt`` is kept, of these the greatest by its other columns, of equal
ones that of the first object by its key: so the order in which objects are loaded decides nothing. The columns of events are
compared as JSON texts: their types may change from load to load.
"""

from __future__ import annotations

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from rover_spark.consume.ddl.sql import quoted
from rover_spark.consume.load.delta.place import DIALECT, Into
from rover_spark.consume.load.delta.tables import Raw, as_json
from rover_spark.errors import RunError

_FIRST = ("emittedAt",)
_RANK, _CONTENT, _KNOWN = (
    "load rank",
    "load content",
    "load known",
)  # beside the columns, by names that no field has


def merge(spark: SparkSession, into: Into, table: Raw, rows: DataFrame, expected: int) -> tuple[int, int]:
    """Puts the rows into the table, in one commit; how many ids were new, and how many records repeated one.

    Raises:
        RunError: there are not as many rows as ``expected``: Spark read objects again, and they were others by then.
    """
    target = into.frame(spark, table.name)
    total, distinct, met = _counted(rows, target)
    if total != expected:
        raise RunError(
            f"--into {into}: objects of {table.name} changed while they were read: {expected} records, then {total};"
            " none of this group is loaded",
            code="object_unreadable",
            remedy="Run load again.",
        )
    if distinct < total:
        order = [*(each.desc() for each in _content(table)), F.col("object_key")]
        rows = rows.withColumn(_RANK, F.row_number().over(Window.partitionBy("id").orderBy(*order)))
        rows = rows.where(_named(_RANK) == 1)
    rows = rows.select(*map(_named, table.columns))
    if met:
        _upsert(spark, into, table, rows, target)
    else:
        into.save(rows.write.mode("append"), table.name)
    return distinct - met, total - (distinct - met)


def _counted(rows: DataFrame, target: DataFrame) -> tuple[int, int, int]:
    """The records, the ids among them, and how many of these the table has."""
    ids = rows.groupBy("id").agg(F.count("*").alias("n"))
    if target.isEmpty():
        found = ids.agg(F.sum("n"), F.count("*"), F.lit(0))
    else:
        known = target.select("id", F.lit(1).alias("known"))
        found = ids.join(known, "id", "left").agg(F.sum("n"), F.count("*"), F.count("known"))
    total, distinct, met = found.collect()[0]
    return total or 0, distinct, met


def _upsert(spark: SparkSession, into: Into, table: Raw, rows: DataFrame, target: DataFrame) -> None:
    """Rows some of whose ids the table has. Mostly these are there as they come: hashes tell, so the table need not move."""
    content = _content(table)
    hashed = F.xxhash64(*content, *(each.isNull() for each in content))  # it passes over nulls
    first = () if table.events else _FIRST
    known = F.struct(hashed.alias("content"), *first, "object_key")
    found = rows.withColumn(_CONTENT, hashed).join(target.select("id", known.alias(_KNOWN)), "id", "left")
    new = _named(_KNOWN).isNull()
    there = {each: F.col(f"`{_KNOWN}`.{each}") for each in ("content", *first, "object_key")}
    older = F.coalesce(*(F.col(each) < there[each] for each in first), F.lit(False))
    may_replace = F.when(_named(_CONTENT) != there["content"], ~older)
    may_replace = may_replace.otherwise(F.col("object_key") < there["object_key"])
    found = found.where(new | may_replace).persist(StorageLevel.DISK_ONLY)
    try:
        if found.where(~new).isEmpty():
            into.save(found.select(*map(_named, table.columns)).write.mode("append"), table.name)
        else:
            _replace(spark, into, table, found.select(*map(_named, table.columns)))
    finally:
        found.unpersist()


def _replace(spark: SparkSession, into: Into, table: Raw, rows: DataFrame) -> None:
    ours, theirs = (
        F.struct(*_content(table, f"{mine}."), F.col(f"{other}.object_key")) for mine, other in ("st", "ts")
    )
    found = into.delta(spark, table.name).alias("t").merge(rows.alias("s"), "t.id = s.id")
    found.whenMatchedUpdateAll(ours > theirs).whenNotMatchedInsertAll().execute()


def _content(table: Raw, side: str = "") -> list[Column]:
    """What decides between records with one id before the keys of their objects: the instant of their batch, all other columns."""
    names = set(table.columns) - {"id", "object_key"}
    chosen = sorted(names) if table.events else [*_FIRST, *sorted(names - set(_FIRST))]
    found = {each: F.col(f"{side}{quoted(each, DIALECT)}") for each in chosen}
    typed = names - table.json if table.events else ()
    return [as_json(value) if each in typed else value for each, value in found.items()]


def _named(name: str) -> Column:
    return F.col(quoted(name, DIALECT))
