"""The schema that columns get where an event type has none of its own."""

from __future__ import annotations

import json

import fastavro
import pytest
from pyspark.sql import SparkSession
from pyspark.sql.types import IntegerType, MapType

from rover_spark.produce.columns.avro import Misfit
from rover_spark.produce.columns.avro_schema import derived


def test_a_schema_of_columns_lets_everything_but_the_required_be_null(spark: SparkSession) -> None:
    frame = spark.sql(
        "SELECT 'a' AS id, 1 AS time, cast(1 AS decimal(9, 2)) AS price, array(1L) AS tags, map('k', 1.5f) AS more, "
        "named_struct('city', named_struct('zip', 'x')) AS home, now() AS at, current_date() AS day, true AS yes"
    )
    fields = {field.name: field.dataType for field in frame.schema.fields}
    text = derived("Event", "com.acme", fields, {"id": "string", "time": "int"})
    tree = json.loads(text)
    fastavro.parse_schema(tree)
    types = {each["name"]: each["type"] for each in tree["fields"]}
    assert (tree["namespace"], types["id"], types["time"], types["tags"][1]["items"]) == (
        "com.acme", "string", "int", ["null", "long"],
    )  # fmt: skip
    assert (
        types["home"][1]["name"] == "Event_home"
        and types["home"][1]["fields"][0]["type"][1]["name"] == "Event_home_city"
    )
    assert types["at"] == ["null", {"type": "long", "logicalType": "timestamp-micros"}]
    with pytest.raises(Misfit):
        derived("Event", "", {"v": MapType(IntegerType(), IntegerType())}, {})
