"""The SQL expressions of the settings, evaluated over a table: what cannot be is refused by the setting's name."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rover_spark.delta.names import backticked
from rover_spark.delta.read import FEED_COLUMNS
from rover_spark.errors import ConfigError


def filtered(rows: DataFrame, setting: str, where: str | None) -> DataFrame:
    """The rows that ``where`` keeps. Raises ConfigError, with the setting's name, where it cannot be evaluated."""
    if where is None:
        return rows
    try:
        return rows.where(F.expr(where))
    except (AnalysisException, ParseException) as error:
        raise _unresolved(f"{setting}.where", where, rows, error) from None


def selected(
    rows: DataFrame, setting: str, kept: Sequence[Column], wanted: Sequence[tuple[str, str, str]]
) -> DataFrame:
    """``kept`` as they are, and of each (alias, key, expression) its value. Raises ConfigError that names the key."""
    try:
        return rows.select(*kept, *(F.expr(text).alias(alias) for alias, _, text in wanted))
    except (AnalysisException, ParseException) as whole:
        row = F.col(backticked(rows.columns[0]))  # next to it an aggregate cannot aggregate the whole table
        for _, key, text in wanted:
            try:
                rows.select(row, F.expr(text))
            except (AnalysisException, ParseException) as error:
                raise _unresolved(f"{setting}.{key}", text, rows, error) from None
        raise _unresolved(f"{setting}.columns", "the selection", rows, whole) from None


def _unresolved(setting: str, text: str, rows: DataFrame, error: Exception) -> ConfigError:
    """An expression that Spark cannot evaluate on these rows."""
    columns = ", ".join(name for name in rows.columns if name not in FEED_COLUMNS)
    reason = str(error).splitlines()[0][:300]
    return ConfigError(
        f"{setting}: {text!r} cannot be evaluated on the table: {reason}",
        code="column_missing",
        remedy=f"Write an expression over the table's columns: {columns}",
    )
