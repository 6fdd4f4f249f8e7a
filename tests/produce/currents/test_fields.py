"""What an event is made of: its members in the schema's order, and what keeps a row out."""

from __future__ import annotations

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from rover_spark.contract.avro import parse
from rover_spark.delta.session import Session
from rover_spark.face.pinned import pinned
from rover_spark.produce.currents.fields import members

UUID = {"type": "string", "logicalType": "uuid"}
GOOD = "6f9619ff-8b86-d011-b42d-00c04fc964ff"


def test_an_id_of_the_source_that_is_no_uuid_is_kept_out_where_the_schema_says_uuid(
    spark: SparkSession,
) -> None:
    frame = spark.sql(f"SELECT id, 1 AS seconds FROM VALUES ('{GOOD}'), ('e1'), (null) AS t(id)")
    told = {}
    for avro in ("string", UUID):
        schema = {
            "type": "record",
            "name": "Event",
            "fields": [{"name": "id", "type": avro}, {"name": "time", "type": "int"}],
        }
        _, reasons = members(parse(schema), {}, "a.B")
        with pinned(Session.of(spark)):
            rows = frame.select("id", F.coalesce(*reasons).alias("why")).collect()
        told[str(avro)] = {row["id"]: row["why"] for row in rows}
    assert told["string"] == {GOOD: None, "e1": None, None: "id: null"}
    assert told[str(UUID)] == {GOOD: None, "e1": "id: no UUID", None: "id: null"}
