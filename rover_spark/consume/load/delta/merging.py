"""Rows into a raw table, each record once.

Of records with one id the one with the greatest ``emittedAt`` is kept, of these the greatest by its other columns: so the
order in which objects are loaded decides nothing.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from rover_spark.consume.ddl.sql import quoted
from rover_spark.consume.load.delta.place import DIALECT, Into
from rover_spark.consume.load.delta.tables import Raw
from rover_spark.errors import RunError

_RANK = "load rank"


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
        best = Window.partitionBy("id").orderBy(*(each.desc() for each in _order(table, "")))
        rows = rows.withColumn(_RANK, F.row_number().over(best)).where(F.col(f"`{_RANK}`") == 1)
    rows = rows.select(*(F.col(quoted(each, DIALECT)) for each in table.columns))
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
    ours, theirs = (F.struct(*_order(table, f"{side}.")) for side in ("s", "t"))
    new = F.col("t.id").isNull()
    better = rows.alias("s").join(target.alias("t"), F.col("s.id") == F.col("t.id"), "left")
    chosen = better.where(new | (ours > theirs)).select("s.*")
    found = into.delta(spark, table.name).alias("t").merge(chosen.alias("s"), "t.id = s.id")
    found.whenMatchedUpdateAll().whenNotMatchedInsertAll().execute()


def _order(table: Raw, side: str) -> list[Column]:
    """What decides between records with one id: the instant of their batch, all other columns, the key of their object."""
    names = set(table.columns) - {"id", "object_key"}
    first = [each for each in ("emittedAt",) if each in names]
    chosen = (*first, *sorted(names - set(first)), "object_key")
    return [F.col(f"{side}{quoted(each, DIALECT)}") for each in chosen]
