"""What a task of the loader that is Spark gives, without Spark."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rover_spark.consume.containers import Container
from rover_spark.consume.load.delta import reading as task
from rover_spark.consume.load.due import Due
from rover_spark.consume.load.objects import Damaged, Part
from rover_spark.errors import RunError, StoreError
from tests.consume.load.loading import NOW
from tests.consume.written import SCHEMA, container, events


@pytest.mark.parametrize(
    ("raised", "codes"),
    [
        (StoreError("slow down", code="store_failed", remedy=""), ["unread", "unread"]),
        (PermissionError(13, "Permission denied"), ["unread", "unread"]),
        (FileNotFoundError("gone"), ["gone", "gone"]),
        (RunError("five in a row", code="object_unreadable", remedy=""), ["given_up", "given_up"]),
    ],
)
def test_an_object_that_cannot_be_read_ends_alone_unless_the_reader_gives_up(
    raised: Exception, codes: list[str], tmp_path: Path
) -> None:
    tried = []

    def read(due: Due) -> Iterator[Part]:
        tried.append(due.key)
        raise raised
        yield

    due = [(number, Due(f"k{number}", 1, "rover", "fan_profiles", "", NOW)) for number in range(2)]
    reading = task.Reading(read, [due], [("id", pa.string()), ("object_key", pa.string())], (), ())
    batches = list(reading(iter([pa.RecordBatch.from_pydict({"id": pa.array([0])})])))
    rows = [row for batch in batches for row in batch.to_pylist()]
    assert [(row[task.PART], row[task.CODE]) for row in rows] == [(task.END, code) for code in codes]
    assert len(tried) == (1 if codes[0] == "given_up" else 2)


def test_an_object_that_shows_no_event_has_no_schema() -> None:
    schemas = {"whole": SCHEMA, "empty": {**SCHEMA, "name": "Empty"}, "cut": {**SCHEMA, "name": "Cut"}}

    def read(due: Due) -> Iterator[Part]:
        found = Container(io.BytesIO(container(events(0, due.key != "empty"), schemas[due.key])))
        yield found.header
        if due.key == "cut":
            raise Damaged("avro_cut", "is cut short")
        yield from found.events()

    due = [(number, Due(key, 1, "currents", "x", "", NOW)) for number, key in enumerate(schemas)]
    (batch,) = task.Schemas(read, [due])(iter([pa.RecordBatch.from_pydict({"id": pa.array([0])})]))
    assert [each.count('"CustomEvent"') for each in batch.column("schema").to_pylist()] == [1]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e22, "1.0E22"), (-9.5e21, "-9.5E21"), (1e7, "1.0E7"), (9999999.5, "9999999.5"), (0.001, "0.001"),
        (1.25e-4, "1.25E-4"), (100.0, "100.0"), (0.0, "0.0"), (float("nan"), '"NaN"'), (Decimal("2.50"), "2.50"),
        (Decimal("0.0000001"), "1E-7"), (datetime(1, 2, 3), '"0001-02-03T00:00:00.000000Z"'),
        ("\x1f\n\\u001f", r'"\u001F\n\\u001f"'), (b"\xff", '"/w=="'), (True, "true"),
    ],
)  # fmt: skip
def test_values_become_json_as_spark_writes_it(value: Any, text: str) -> None:
    assert task.json_text(value) == text


def test_an_instant_that_python_does_not_know_is_refused_where_its_column_is_json() -> None:
    instants = pa.array([0, None, 2**62], pa.int64()).cast(pa.timestamp("us"))
    found, wrong = task._as_json(instants)
    assert (found.to_pylist(), wrong) == (['"1970-01-01T00:00:00.000000Z"', None, None], {2})
