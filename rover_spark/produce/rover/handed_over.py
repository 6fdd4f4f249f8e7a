"""Rows that Spark reads → records that the task makes, byte for byte those of ``fields`` and ``envelope``.

Spark reads the data files and evaluates the expressions, whatever they are; what they give goes to the task in Arrow
batches, and ``native_records`` makes the records. For tables that only Spark reads: deletion vectors, mapped columns,
expressions that are not plain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from rover_spark.delta.parquet_rows import as_wanted, small
from rover_spark.produce.rover.native_records import Records, records_of
from rover_spark.produce.rover.plain import Column
from rover_spark.produce.rover.plan import BatchPlan


@dataclass(frozen=True)
class HandedOver:
    """What a task runs on a column ``chunk``, and these."""

    records: Records
    columns: tuple[tuple[str, pa.DataType], ...]

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Rows that count → the rows of ``layout``.

        Raises:
            ReaderRefused: only Spark can make a record.
        """
        names = ["chunk", *(name for name, _ in self.columns)]
        for batch in batches:
            values = [as_wanted(batch.column(name), dtype) for name, dtype in self.columns]
            whole = pa.RecordBatch.from_arrays([batch.column("chunk"), *values], names=names)
            for rows in small(whole):
                yield self.records.of(rows, rows.column("chunk"), "a batch of rows")


def handed_over(plan: BatchPlan, kinds: Mapping[str, pa.DataType]) -> HandedOver:
    """What a task makes of the contract's fields ``f_<name>`` and additional ones ``x_<name>`` of these types.

    Raises:
        NotNative: Spark must make the records; the message says why.
    """
    values = {name: Column(name, (), kind) for name, kind in kinds.items()}
    fields, extra = (
        {name[2:]: each for name, each in values.items() if name.startswith(prefix)}
        for prefix in ("f_", "x_")
    )
    return HandedOver(records_of(plan, fields, extra), tuple(kinds.items()))
