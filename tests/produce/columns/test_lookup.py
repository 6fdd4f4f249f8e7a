"""Constant tables: each row gets the entry at its place, however many entries a dimension has."""

from __future__ import annotations

from itertools import product

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from rover_spark.produce.columns.lookup import lookup


@pytest.mark.parametrize(
    "sizes", [(1,), (3,), (1, 1, 1), (2, 3, 4), (2, 1, 3), (1, 3, 1), (3, 1, 1), (1, 1, 2)]
)
def test_every_row_gets_the_entry_at_its_place(spark: SparkSession, sizes: tuple[int, ...]) -> None:
    places = list(product(*(range(size) for size in sizes)))
    numbers = {place: 10 + n for n, place in enumerate(places)}

    def table(*begun: int) -> object:
        if len(begun) == len(sizes):
            return numbers[begun]
        return [table(*begun, n) for n in range(sizes[len(begun)])]

    names = [f"i{n}" for n in range(len(sizes))]
    frame = spark.createDataFrame(places, ", ".join(f"{name} INT" for name in names))
    nested = table()
    assert isinstance(nested, list)
    found = frame.select(*names, lookup(nested, *(F.col(name) for name in names)).alias("found"))
    assert found.schema["found"].dataType.simpleString() == "bigint"
    assert {tuple(row)[:-1]: row["found"] for row in found.collect()} == numbers


def test_a_dimension_of_one_entry_asks_for_no_column(spark: SparkSession) -> None:
    found = spark.range(1).select(lookup([[[7]]], *(F.col("nowhere") for _ in range(3))).alias("found"))
    assert found.collect()[0]["found"] == 7
