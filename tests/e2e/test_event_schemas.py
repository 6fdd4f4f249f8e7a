"""A schema of one's own: an .avsc beside the configuration, what it keeps out, and what it is refused for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pytest
from pyspark.sql import SparkSession

from rover_spark.contract.avro import canonical, parse
from rover_spark.errors import ConfigError
from tests.e2e.stream import CUSTOM, Stream, values

COLUMNS = {
    "id": "event_id",
    "time": "at",
    "who": "fan",
    "zone": "zone",
    "price": "cast(n AS decimal(12, 2)) / 4",
}
FIELDS: list[dict[str, Any]] = [
    {"name": "id", "type": "string"},
    {"name": "time", "type": "long"},
    {"name": "who", "type": "string", "doc": "whose event it is"},
    {
        "name": "zone",
        "type": ["null", {"type": "enum", "name": "Zone", "symbols": ["UTC", "CET"]}],
        "default": None,
    },
    {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}},
]


@pytest.fixture(scope="module")
def shared(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Stream:
    stream = Stream(spark, tmp_path_factory.mktemp("refused"))
    stream.add(values(0, 3))
    return stream


@pytest.fixture
def refused(shared: Stream) -> Iterator[Stream]:
    """One table of events for all that is refused: nothing is ever written."""
    events, shared.events = shared.events, deepcopy(shared.events)
    yield shared
    shared.events = events
    assert not shared.bucket.exists() and not Path(shared.settings.ledger).exists()


def wanting(stream: Stream, fields: Any, **columns: str | None) -> Path:
    """The stream asks for a schema of these fields; a column that is None is left out."""
    tree = {"type": "record", "name": "Own", "namespace": "com.acme", "fields": fields}
    path = stream.root / "own.avsc"
    path.write_text(json.dumps(tree if isinstance(fields, list) else fields))
    chosen = {name: text for name, text in {**COLUMNS, **columns}.items() if text is not None}
    stream.events[CUSTOM] |= {"columns": chosen, "schema": str(path), "start": "earliest"}
    return path


def test_events_are_written_with_the_schema_that_is_given_and_what_does_not_fit_is_set_aside(
    stream: Stream,
) -> None:
    path = wanting(stream, FIELDS)
    at = "timestamp '2026-11-20 10:00:00'"
    stream.add(
        f"VALUES ('a', 'custom', 'f', {at}, 'UTC', null, 1), ('b', 'custom', 'g', {at}, null, null, 7)"
    )
    stream.add(
        f"VALUES ('c', 'custom', null, {at}, 'UTC', null, 1), ('d', 'custom', 'f', {at}, 'EST', null, 1)"
    )
    stream.add(f"VALUES ('e', 'custom', 'f', {at}, 'CET', null, 9999999)")
    (batch,) = stream.delivered().batches
    assert (batch.counts["delivered"], batch.counts["quarantined"]) == (2, 3)
    ((_, events),) = stream.files().items()
    told = [{name: event[name] for name in ("id", "who", "zone", "price")} for event in events]
    assert told == [
        {"id": "a", "who": "f", "zone": "UTC", "price": Decimal("0.25")},
        {"id": "b", "who": "g", "zone": None, "price": Decimal("1.75")},
    ]
    (file,) = stream.bucket.rglob("*.avro")
    with file.open("rb") as opened:
        header = fastavro.reader(opened).metadata["avro.schema"]
    assert header == canonical(parse(path.read_text())) and "com.acme.Own" in header
    quarantine = stream.spark.read.format("delta").load(f"{stream.settings.ledger}_quarantine")
    assert sorted(row["reason"] for row in quarantine.collect()) == [
        "price: does not fit bytes",
        "who: null",
        "zone: no such symbol",
    ]


@pytest.mark.parametrize(
    ("fields", "columns", "code", "words"),
    [
        ("no record", {}, "schema_invalid", "schema"),
        (FIELDS[:1], {}, "schema_invalid", "time"),
        (FIELDS[1:], {}, "schema_invalid", "id"),
        ([*FIELDS, {"name": "a-b", "type": "string"}], {}, "schema_invalid", "a-b"),
        (FIELDS, {"who": None}, "column_missing", "columns.who"),
        (FIELDS, {"more": "n"}, "field_missing", "columns.more"),
        (FIELDS, {"price": "'text'"}, "column_type", "price"),
        ([*FIELDS, {"name": "timezone", "type": "string"}], {"timezone": "n"}, "column_type", "timezone"),
    ],
)
def test_a_schema_that_cannot_be_kept_is_refused_before_anything_is_written(
    refused: Stream, fields: Any, columns: dict[str, str | None], code: str, words: str
) -> None:
    wanting(refused, fields, **columns)
    with pytest.raises(ConfigError) as caught:
        refused.export()
    assert caught.value.code == code and words in caught.value.message and CUSTOM in caught.value.message


def test_a_schema_that_is_not_there_is_told_by_its_name(refused: Stream) -> None:
    wanting(refused, FIELDS).unlink()
    with pytest.raises(ConfigError, match=r"own\.avsc cannot be read"):
        refused.export()


def test_a_spark_without_avro_is_told_before_anything_is_planned(
    refused: Stream, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(*_: object) -> None:
        print("________ Spark Avro's libraries not found ________")
        raise TypeError("'JavaPackage' object is not callable")

    monkeypatch.setattr("rover_spark.produce.currents.records.to_avro", missing)
    with pytest.raises(ConfigError, match="no Avro package") as caught:
        refused.export()
    assert (
        caught.value.code == "no_avro" and f"spark-avro_2.12:{refused.spark.version}" in caught.value.remedy
    )
    assert capsys.readouterr().out == "", "standard output belongs to --json"
