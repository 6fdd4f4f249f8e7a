"""Which rows of a source count: ``where`` filters them, and ``identifiers`` make several rows of one wide row.

A wide row holds an identifier in each of several columns. Each one that is not null becomes a row of its own: it has the
table's columns, ``_identifierType`` (the name in the settings) and ``_identifier`` (the value as text). Keys, changes and
counts are all of these rows.
"""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DecimalType, IntegralType, StringType

from rover_spark.contract.rover import SPREAD
from rover_spark.errors import ConfigError
from rover_spark.produce.columns.expressions import filtered, selected
from rover_spark.produce.rover.plan import Source

_PLAIN_SCALE = 6  # with more decimals Spark writes small numbers as 1E-7


def counting(rows: DataFrame, dataset: str, source: Source) -> DataFrame:
    """The rows that count.

    Raises:
        ConfigError: a filter or an identifier that cannot be evaluated, or has no exact text; the message names it.
    """
    rows = filtered(rows, f"datasets.{dataset}", source.where)
    if not source.identifiers:
        return rows
    named, kind, value = list(source.identifiers.items()), *SPREAD.values()
    if taken := [name for name in rows.columns if name.casefold() in {kind.casefold(), value.casefold()}]:
        raise ConfigError(
            f"datasets.{dataset}.identifiers: the table has a column {taken[0]}, which is the name of what they make",
            code="column_taken",
            remedy="Read the table through another one, in which that column has another name.",
        )
    setting = f"datasets.{dataset}"
    wanted = [(f"i{n}", f"identifiers.{name}", text) for n, (name, text) in enumerate(named)]
    types = selected(rows, setting, [], wanted).schema.fields
    for (name, text), field in zip(named, types, strict=True):
        _check_type(f"{setting}.identifiers.{name}", name, text, field.dataType)
    # a struct each: in one array the collation of one column would become that of all
    made = [
        F.struct(F.lit(name).alias(kind), F.expr(text).cast("string").alias(value)) for name, text in named
    ]
    return rows.select("*", F.inline(F.array(*made))).where(F.col(value).isNotNull())


def _check_type(setting: str, name: str, text: str, dtype: DataType) -> None:
    if isinstance(dtype, StringType | IntegralType):
        return
    if isinstance(dtype, DecimalType):
        if dtype.scale <= _PLAIN_SCALE:
            return
        mend = f"cast({text} as decimal({dtype.precision}, 0))"
    else:
        exact = "bigint" if dtype.typeName() in {"double", "float"} else "string"
        mend = f"cast({text} as {exact})"
    raise ConfigError(
        f"{setting}: {text} is {dtype.simpleString()}, which has no text that is sure to stay the same",
        code="column_type",
        remedy=f'Convert it in the configuration: identifiers = {{ {name} = "{mend}" }}',
    )
