"""Staged rows on their way from Spark to Python, with as few and narrow columns as say all: what most rows have is null.

Each column of each row is written by the JVM, sent, and read again: that costs more than the encoding of an event.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column
from pyspark.sql import functions as F

_MENDED, _ZONE = 1, 2


def narrow() -> list[Column]:
    """(chunk, outcome, lateness, flags, id, line) of staged rows; ``outcome`` is null where a row is delivered."""
    flags = F.when(F.col("mended"), F.lit(_MENDED)).otherwise(F.lit(0))
    flags += F.when(F.col("invalid_timezone"), F.lit(_ZONE)).otherwise(F.lit(0))
    return [
        F.col("chunk"),
        F.when(F.col("outcome") != "delivered", F.col("outcome")).alias("outcome"),
        F.col("lateness"),
        F.when(F.col("mended") | F.col("invalid_timezone"), flags).cast("tinyint").alias("flags"),
        F.col("id"),
        F.col("datum").alias("line"),
    ]


def widened(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The rows of ``narrow`` with the columns that the marks of a batch of events name."""
    for batch in batches:
        lateness, flags = batch.column("lateness"), batch.column("flags")
        yield pa.RecordBatch.from_pydict(
            {
                "chunk": batch.column("chunk"),
                "outcome": pc.fill_null(batch.column("outcome"), "delivered"),
                "late": lateness.is_valid(),
                "lateness": lateness,
                "invalid_timezone": _has(flags, _ZONE),
                "mended": _has(flags, _MENDED),
                "id": batch.column("id"),
                "line": batch.column("line"),
            }
        )


def _has(flags: pa.Array, bit: int) -> pa.Array:
    return pc.fill_null(pc.not_equal(pc.bit_wise_and(flags, pa.scalar(bit, pa.int8())), 0), False)
