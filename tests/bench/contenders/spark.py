"""Spark's own writers: what people write today. The same fields of the same records, neither ordered nor cut."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from rover_spark import build_session
from tests.bench.contenders import Act, Job
from tests.bench.contenders.ours import conf
from tests.bench.sources import EMITTED, ID_PREFIX


def json(job: Job) -> Act:
    """gzip at level 1, as all others."""
    return _json(job, {"zlib.compress.level": "BEST_SPEED"})


def json_at_its_own_level(job: Job) -> Act:
    """Hadoop's default level."""
    return _json(job, {})


def _json(job: Job, options: dict[str, str]) -> Act:
    spark = build_session("bench", conf=conf(job))

    def act() -> None:
        rows = spark.read.format("delta").load(str(job.table))
        records = rows.select(
            _record_id().alias("id"),
            F.lit(1).alias("version"),
            F.col("rover_id").alias("roverID"),
            F.lit(EMITTED).alias("emittedAt"),
            "traits",
            F.date_format("updated_at", "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'").alias("updatedAt"),
            F.lit("2026-11-21").alias("date"),
            F.lit("12").alias("hour"),
        )
        written = records.write.mode("overwrite").partitionBy("date", "hour").options(**options)
        written.json(str(job.data), compression="gzip")

    return act


def _record_id() -> Column:
    micros = F.unix_micros("updated_at").cast("string")
    text = F.concat(F.lit(ID_PREFIX), "rover_id", F.lit("16:"), micros)
    return F.substring(F.sha2(text, 256), 1, 32)


def avro(job: Job) -> Act:
    """deflate at level 1, as rover_spark."""
    return _avro(job, 1)


def avro_at_its_own_level(job: Job) -> Act:
    """The level that Spark takes where none is named."""
    return _avro(job, -1)


def _avro(job: Job, level: int) -> Act:
    spark = build_session("bench", conf=conf(job))
    spark.conf.set("spark.sql.avro.deflate.level", str(level))

    def act() -> None:
        events = spark.read.format("delta").load(str(job.table))
        timed = events.withColumn("time", F.unix_seconds("time").cast("int"))
        timed.write.mode("overwrite").format("avro").option("compression", "deflate").save(str(job.data))

    return act
