"""How many events wait for the others before they become rows."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence

import pyarrow as pa
import pytest

from rover_spark.consume.containers import Container
from rover_spark.consume.ddl.tables import Column
from rover_spark.consume.load import taking
from rover_spark.consume.records import BadLine
from tests.consume.written import SCHEMA, container, events


class Counting:
    """Rows that are counted."""

    columns: Collection[str] = ()

    def __init__(self) -> None:
        self.counts: list[int] = []

    def evolve(self, columns: Sequence[Column]) -> None:
        pass

    def add(self, rows: pa.Table, as_json: Collection[str], numbers: Sequence[int]) -> set[int]:
        self.counts.append(rows.num_rows)
        return set()

    def refuse(self, bad: BadLine, number: int) -> None:
        raise AssertionError(bad)


@pytest.mark.parametrize(("nulls", "counts"), [(0, [60]), (5000, [21, 21, 18])])
def test_events_that_are_large_in_memory_wait_for_few_others(
    nulls: int, counts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "REFERENCES", 40_000_000)
    fields = [{"name": "a", "type": "boolean"}, *({"name": f"n{i}", "type": "null"} for i in range(nulls))]
    item = {"type": "record", "name": "Item", "fields": fields}
    field = {"name": "items", "type": {"type": "array", "items": item}}
    rows = [{**each, "items": [{"a": True}]} for each in events(1000, 60)]
    data = container(rows, {**SCHEMA, "fields": [*SCHEMA["fields"], field]})
    found = Container(io.BytesIO(data))
    counting = Counting()
    taken = taking.taking("currents", "x", counting)
    taken.add(0, found.header)
    for event in found.events():
        taken.add(0, event)
    taken.flush()
    assert counting.counts == counts
