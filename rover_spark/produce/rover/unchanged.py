"""Keys whose rows a range of changes brought back as they were, found before any record is made of a row.

An overwrite or a RESTORE deletes and inserts every row of a table. Of most of them the row before and the row after hold the
same values, so they are no change, whatever would be made of them. Two digests of 64 bits, of a SHA-256 of all values, decide.
Pure columns: no action.
"""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DateType, TimestampNTZType, TimestampType

from rover_spark.produce.columns.maps import has
from rover_spark.produce.columns.quarantine import row_json
from rover_spark.produce.rover.changes import by_key, is_after
from rover_spark.produce.rover.fields import values_of

_TIMES = (DateType, TimestampType, TimestampNTZType)


def changed_keys(frame: DataFrame, partitions: int) -> DataFrame:
    """(key, rows) of the keys that may have changed; in one row without a key, the rows of all others.

    ``frame`` is what ``keyed`` makes of a change data feed. A key is among the others where each commit that touched it took
    one row away and brought one row with equal values.
    """
    types = values_of(frame)
    # JSON counts years in their era: the text of a cast tells 1 BC from 1 AD
    times = (F.col(name).cast("string") for name, dtype in types.items() if has(dtype, *_TIMES))
    values = F.sha2(F.concat_ws("\n", row_json(types), *times), 256)
    brought = is_after().cast("int").alias("brought")
    slim = frame.select("key", "commit", brought, values.alias("values"))
    digests = (F.xxhash64("values").alias("one"), F.xxhash64(F.lit(1), "values").alias("other"))
    units = (
        by_key(slim.select("key", "commit", "brought", *digests), partitions)
        .groupBy("key", "commit")
        .agg(
            F.count("*").alias("rows"),
            F.sum("brought").alias("brought"),
            F.bit_xor("one").alias("one"),
            F.bit_xor("other").alias("other"),
        )
    )
    same = F.expr("rows = 2 AND brought = 1 AND one = 0 AND other = 0")
    keys = units.groupBy("key").agg(F.bool_and(same).alias("same"), F.sum("rows").alias("rows"))
    found = keys.groupBy(F.when(~F.col("same"), F.col("key")).alias("key")).agg(F.sum("rows").alias("rows"))
    return found.coalesce(partitions)
