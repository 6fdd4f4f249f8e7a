"""What a task of the loader that is Spark gives, without Spark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from rover_spark.consume.load.delta import reading as task
from rover_spark.consume.load.due import Due
from rover_spark.consume.load.objects import Part
from rover_spark.errors import RunError, StoreError
from tests.consume.load.loading import NOW


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
