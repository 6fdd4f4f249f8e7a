"""What tasks report of their chunks, when it is written, and which chunks a later run takes from it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from rover_spark.deliver import journal as room
from rover_spark.deliver.batch import Delivery
from rover_spark.deliver.journal import Journal, _Texts, journaled
from rover_spark.deliver.progress import LoggedProgress
from rover_spark.deliver.staging import _among, whole
from rover_spark.deliver.task import stage_batches
from rover_spark.errors import NotRepeatable
from rover_spark.model.dataset_state import DatasetState
from rover_spark.model.file import StagedFile
from rover_spark.model.journal import chunks_of, chunks_to_json
from rover_spark.model.manifest import Manifest
from rover_spark.produce.rover.files import RoverFiles
from rover_spark.store import open_store
from tests.deliver.test_task import PLAN, batches, row

FILE = StagedFile("exports/0", 3, 10, "a" * 64, 20, "b" * 64, 4, 0, "staged/0")
CHUNK = Manifest(
    (FILE, replace(FILE, key="exports/1", part=1)), {"delivered": 6, "quarantined": 1}, {"replaced": 2}
)


class Accumulator:
    def __init__(self, value: list[str], param: Any) -> None:
        self.value, self._param = value, param

    def add(self, more: list[str]) -> None:
        self.value = self._param.addInPlace(self.value, more)


SESSION: Any = SimpleNamespace(spark=SimpleNamespace(sparkContext=SimpleNamespace(accumulator=Accumulator)))


def reported(rows: list[Any]) -> dict[int, Manifest]:
    texts: list[str] = []
    store = open_store("memory://journal", "acme")
    stage_batches(batches(rows, 2), PLAN.batch, RoverFiles(PLAN), store, None, texts.append, by_id=False)
    return chunks_of(texts)


def test_a_chunk_comes_back_from_its_text_as_it_was() -> None:
    assert chunks_of([chunks_to_json({4: CHUNK})]) == {4: CHUNK}


@pytest.mark.law(9)
@pytest.mark.parametrize(
    "half",
    [
        replace(CHUNK, files=CHUNK.files[:1]),
        replace(CHUNK, files=CHUNK.files[1:]),
        replace(CHUNK, rows={}),
        replace(CHUNK, rows={"delivered": 5, "quarantined": 2}),
    ],
)
def test_a_chunk_without_all_of_its_files_and_counts_is_staged_again(half: Manifest) -> None:
    assert chunks_of([chunks_to_json({1: CHUNK, 4: half})]) == {1: CHUNK}


@pytest.mark.law(4)
def test_a_chunk_that_two_tries_staged_with_another_content_is_staged_again() -> None:
    elsewhere = replace(
        CHUNK, files=tuple(replace(each, staged="x", sha256="c" * 64) for each in CHUNK.files)
    )
    other = replace(CHUNK, files=tuple(replace(each, raw_sha256="d" * 64) for each in CHUNK.files))
    assert chunks_of([chunks_to_json({4: CHUNK}), chunks_to_json({4: elsewhere})]) == {4: CHUNK}
    assert chunks_of([chunks_to_json({4: CHUNK}), chunks_to_json({4: other})]) == {}


@pytest.mark.law(9)
def test_a_task_reports_each_of_its_chunks_with_its_own_files_and_counts() -> None:
    found = reported(
        [row(0, 60), row(0, 60), row(0, None, "quarantined"), row(2, 10), row(5, None, "superseded")]
    )
    assert {number: len(each.files) for number, each in found.items()} == {0: 2, 2: 1, 5: 0}
    assert [each.rows for each in found.values()] == [
        {"delivered": 2, "quarantined": 1},
        {"delivered": 1},
        {"superseded": 1},
    ]


@pytest.mark.law(7)
def test_a_task_that_fails_reports_nothing() -> None:
    def breaking() -> Iterator[pa.RecordBatch]:
        yield from batches([row(0, 10)])
        raise OSError("gone")

    texts: list[str] = []
    store = open_store("memory://journal", "acme")
    with pytest.raises(OSError, match="gone"):
        stage_batches(breaking(), PLAN.batch, RoverFiles(PLAN), store, None, texts.append, by_id=False)
    assert texts == []


def test_what_is_reported_is_written_while_the_rest_runs_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "EVERY", 0.02)
    written: list[list[str]] = []
    answers = iter([False])

    def write(texts: list[str]) -> bool:
        written.append(list(texts))
        return next(answers, True)

    with journaled(SESSION, write) as report:
        assert report is not None
        for number in range(3):
            report(str(number))
        until = time.monotonic() + 20
        while len(written) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        report("last")
        time.sleep(0.2)
    assert written[0] and written[-1][-1] == "last"
    taken = [text for texts in written[1:] for text in texts]
    assert taken == ["0", "1", "2", "last"], "what was not recorded is written again, the rest once"


def test_a_batch_that_is_staged_soon_costs_no_commit_even_where_it_fails() -> None:
    written: list[list[str]] = []
    with (
        pytest.raises(OSError, match="gone"),
        journaled(SESSION, lambda texts: bool(written.append(texts))) as report,
    ):
        assert report is not None
        report("one")
        raise OSError("gone")
    assert written == []


def test_an_error_writes_what_came_last(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[list[str]] = []
    with (
        pytest.raises(OSError, match="gone"),
        journaled(SESSION, lambda texts: not written.append(list(texts))) as report,
    ):
        assert report is not None
        report("one")
        monkeypatch.setattr(room, "EVERY", 0.0)
        raise OSError("gone")
    assert written == [["one"]]


def test_without_a_spark_context_tasks_report_nothing() -> None:
    connect: Any = SimpleNamespace(spark=SimpleNamespace())
    with journaled(connect, lambda _: True) as report:
        assert report is None


def test_lists_grow_in_place() -> None:
    held = ["a"]
    assert _Texts().addInPlace(held, ["b"]) is held and held == ["a", "b"]
    assert _Texts().zero(held) == []


def test_chunks_are_found_among_many_in_one_expression(spark: SparkSession) -> None:
    wanted = {0, 3, 70_000, 99_999}
    found = spark.range(0, 100_002).where(_among(F.col("id"), wanted))
    assert {each.id for each in found.collect()} == wanted
    assert spark.range(5).where(_among(F.col("id"), set())).count() == 0


def test_the_text_holds_what_a_manifest_holds() -> None:
    ((_, rows, marks, files),) = json.loads(chunks_to_json({4: CHUNK}))
    assert set(rows) | set(marks) == {"delivered", "quarantined", "replaced"}
    assert files == [list(vars(file).values()) for file in CHUNK.files]


@pytest.mark.law(9)
def test_what_was_staged_before_counts_and_stays_where_the_rest_does_not_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    aborted: list[str] = []
    store = SimpleNamespace(abort=aborted.extend)
    monkeypatch.setattr("rover_spark.deliver.staging.open_store", lambda *_: store)
    rest = Manifest((replace(FILE, key="exports/2", chunk=2, staged="staged/2"),), {"delivered": 3}, {})
    found = whole([rest], PLAN, RoverFiles(PLAN), 10, done={4: CHUNK})
    assert [file.chunk for file in found.files] == [2, 4, 4]
    assert found.counts == {**Manifest().counts, "read": 10, "delivered": 9, "quarantined": 1, "replaced": 2}
    for expected in (9, 11):
        with pytest.raises(NotRepeatable) as caught:
            whole([rest], PLAN, RoverFiles(PLAN), expected, done={4: CHUNK})
        assert caught.value.code == "rows_differ"
    assert aborted == ["staged/2"] * 2, "what the journal names may be another driver's by now"


def test_rows_that_a_filter_may_take_away_bound_what_arrives() -> None:
    arrived = [Manifest((), {"delivered": 8}, {})]
    for expected, at_most in ((8, 0), (10, 2), (10, 9)):
        assert whole(arrived, PLAN, RoverFiles(PLAN), expected, at_most=at_most).counts["read"] == 8
    for expected, at_most in ((9, 0), (10, 1), (7, 7)):
        with pytest.raises(NotRepeatable, match="8 arrived"):
            whole(arrived, PLAN, RoverFiles(PLAN), expected, at_most=at_most)


def test_a_journal_that_cannot_be_written_is_told_once_and_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    written = list[int]()

    class Ledger:
        storage = SimpleNamespace(place="/l")

        def record_journal(self, *_: Any) -> bool:
            written.append(1)
            raise OSError("disk full")

    ledger, producer = Ledger(), SimpleNamespace(now=0)
    parts: Any = (SESSION, ledger, producer, dict)
    with (
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(KeyError, match="the error that counts"),
    ):
        patch.setattr(room, "EVERY", 0.01)
        with Journal(*parts).of(PLAN) as report:
            assert report is not None
            report("one")
            until = time.monotonic() + 20
            while len(written) < 2 and time.monotonic() < until:
                time.sleep(0.01)
            raise KeyError("the error that counts")
    assert len(written) >= 3, "the writer goes on, and once more at the end"
    (told,) = (each for each in caplog.records if each.levelname == "WARNING")
    assert told.getMessage() == (
        f"{PLAN.batch}: what is staged is not noted, so a run that dies stages all of it again: disk full"
    )


def test_what_the_journal_of_an_aborted_batch_names_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    removed = list[str]()
    store = SimpleNamespace(abort=removed.extend)
    monkeypatch.setattr("rover_spark.deliver.batch.open_store", lambda *_: store)
    dataset_state = DatasetState(open=PLAN, open_state="PLANNED")
    ledger = SimpleNamespace(
        record=lambda state, *_, **__: state, journaled=lambda names: {name: {"staged/0"} for name in names}
    )
    parts: Any = (SESSION, ledger, SimpleNamespace(encoder="x"), lambda _: None, LoggedProgress())
    after = Delivery(*parts).abort(dataset_state, PLAN, "why")
    assert after.open is None and removed == ["staged/0"]
