"""Lines that a task mends: which plans have that step, what it counts, and how large a record gets by it."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, cast

import pyarrow as pa
import pytest

from rover_spark.deliver.task import Tally
from rover_spark.encode.json_integers import quoted_integers
from rover_spark.produce.port import Part
from rover_spark.produce.rover.files import RoverFiles
from rover_spark.produce.rover.plan import BatchPlan, Text
from rover_spark.produce.rover.text import Mending, with_mended_lines
from tests.plans import batch_plan

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ALL = Text(duplicate_keys="last", nul="replace", big_integers="string")
LINES = [
    '{"id":"1","traits":{"a":1,"a":null,"b":null},"n":9007199254740993}\n',
    None,
    '{"id":"2","traits":{"a":"\\u0000"},"gone":null}\n',
    '{"id":"3","traits":{}}\n',
]


def rows() -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(
        {
            "chunk": [0] * 4,
            "outcome": ["delivered", "quarantined", "delivered", "delivered"],
            "floor": [False] * 4,
            "mended": [False] * 4,
            "twice": [True, False, False, False],
            "id": ["1", None, "2", "3"],
            "line": LINES,
        }
    )


def part_of(plan: BatchPlan) -> Part:
    return with_mended_lines(Part(cast("DataFrame", None)), plan)


def mended(plan: BatchPlan) -> pa.RecordBatch:
    step = part_of(plan).rows
    assert step is not None
    (found,) = pickle.loads(pickle.dumps(step))([rows()])
    return found


def test_a_plan_that_keeps_everything_has_no_such_step_and_counts_what_it_counted() -> None:
    plan = batch_plan()
    part = Part(cast("DataFrame", None))
    assert with_mended_lines(part, plan) is part
    assert [mark.name for mark in RoverFiles(plan).marks] == ["floors", "replaced"]


def test_lines_are_mended_and_counted_by_setting() -> None:
    plan = batch_plan(text=ALL)
    found = mended(plan)
    assert found.column("line").to_pylist() == [
        '{"id":"1","traits":{},"n":"9007199254740993"}\n',
        None,
        '{"id":"2","traits":{"a":"\ufffd"},"gone":null}\n',
        '{"id":"3","traits":{}}\n',
    ]
    for name in ("chunk", "outcome", "id"):
        assert found.column(name) == rows().column(name)
    tally = Tally(RoverFiles(plan).marks)
    tally.add_batch(found, {})
    counts = tally.manifest([]).counts
    assert {name: counts[name] for name in ("duplicate_keys", "nul", "big_integers")} == {
        "duplicate_keys": 1,
        "nul": 1,
        "big_integers": 1,
    }
    assert counts["delivered"] == 3


@pytest.mark.parametrize(
    ("text", "differing"),
    [(Text(duplicate_keys="last"), [0]), (Text(nul="replace"), [2]), (Text(big_integers="string"), [0])],
)
def test_each_setting_mends_by_itself(text: Text, differing: list[int]) -> None:
    found = mended(batch_plan(text=text)).column("line").to_pylist()
    assert [n for n, line in enumerate(found) if line != LINES[n]] == differing


def test_nulls_stay_but_in_traits() -> None:
    """Events have no object without nulls, not even one that is named so."""
    found = mended(batch_plan(text=ALL, dataset="fan_track_events", phase="changes", from_version=7))
    assert (
        found.column("line")[0].as_py() == '{"id":"1","traits":{"a":null,"b":null},"n":"9007199254740993"}\n'
    )


def test_what_makes_the_lines_runs_first() -> None:
    def made(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield batch.slice(2)

    (found,) = Mending(ALL, None, made)([rows()])
    assert found.column("id").to_pylist() == ["2", "3"]
    assert found.column("nul").to_pylist() == [True, False]


TEXTS = [
    '"a":9007199254740991,"b":9007199254740992,"c":-9007199254740992',
    '"a":"9007199254740992","b":"\\\\","c":[12345678901234567,1234567890123456],"d":"\\"",  "e":-12345678901234567 ',
    '"a":12345678901234567.0,"b":0.12345678901234567,"c":12345678901234567e2,"d":1E12345678901234567,"e":1e-12345678901234567',
    '"a":"x 12345678901234567,","b":{"12345678901234567":12345678901234567890123456789012345678}',
    "",
]


def test_spark_and_the_task_agree_on_what_integers_add(spark: SparkSession) -> None:
    from pyspark.sql import functions as F

    from rover_spark.produce.columns.json_text import added_quotes

    frame = spark.createDataFrame([(text,) for text in TEXTS], "text string").coalesce(1)
    found = [row[0] for row in frame.select(added_quotes(F.col("text"))).collect()]
    quoted, _ = quoted_integers(pa.array(TEXTS))
    assert found == [len(after) - len(text) for after, text in zip(quoted.to_pylist(), TEXTS, strict=True)]
    assert found == [4, 4, 0, 2, 0]
