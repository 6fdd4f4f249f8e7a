"""A table is named by a path or by its name in a catalog: what reads and what writes either."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, DataFrameReader, DataFrameWriter


def loaded(reader: DataFrameReader, table: str) -> DataFrame:
    """The table, by the reader's options."""
    return reader.load(table) if "/" in table else reader.table(table)


def saved(writer: DataFrameWriter, table: str) -> None:
    """Writes the table, by the writer's options. One action."""
    if "/" in table:
        writer.save(table)
    else:
        writer.saveAsTable(table)
