"""`export --every`: when it delivers, what it does after a failure, and how it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest
from pyspark.sql import SparkSession

from rover_spark.deliver import schedule as cadence
from rover_spark.deliver.schedule import Waiting, stay
from rover_spark.delta.log import times
from rover_spark.errors import Problem
from rover_spark.face import commands
from rover_spark.face.results import ExportResult
from tests.e2e.stream import CUSTOM, Stream, values
from tests.e2e.world import World, row, sources_of
from tests.effects import ALWAYS, Fault, effects, slow_down

MINUTES = timedelta(minutes=5)
DONE = ExportResult()
FAILED = ExportResult(result="failed", ok=False, problems=(Problem("store_refused", "away"),))


@pytest.mark.parametrize(
    ("held", "due"),
    [
        (Waiting(), False),
        (Waiting(at_once=True), True),
        (Waiting(14_999, oldest=1_001), False),
        (Waiting(15_000, oldest=1_000), True),
        (Waiting(1, oldest=301_000 - 300_001), True),
        (Waiting(1, oldest=301_000 - 299_999), False),
    ],
)
def test_enough_events_or_an_old_one_are_due(held: Waiting, due: bool) -> None:
    assert held.is_due(301_000, MINUTES, 15_000) is due


class Resting(Event):
    """Notes how long it was asked to wait instead of waiting; set after so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times, self.waits = times, list[float]()

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        if len(self.waits) == self.times:
            self.set()
        return self.is_set()


def staying(
    outcomes: list[ExportResult], due: Callable[[], bool], times: int
) -> tuple[bool, list[float], list[ExportResult]]:
    stop, results = Resting(times), list[ExportResult]()
    well = stay(due, lambda: outcomes.pop(0), results.append, stop)
    return well, stop.waits, results


def test_a_failed_delivery_is_tried_again_with_growing_pauses_before_anything_else() -> None:
    looks: Iterator[bool] = iter([True, False])
    well, waits, results = staying([FAILED, FAILED, FAILED, DONE], lambda: next(looks), 5)
    rest = cadence.REST.total_seconds()
    assert waits == [rest, 2 * rest, 4 * rest, rest, rest]
    assert results == [FAILED] * 3 and well, "a delivery that did nothing is no result"


def test_pauses_end_growing_and_the_last_failure_is_what_it_ends_with() -> None:
    well, waits, _ = staying([FAILED] * 12, lambda: True, 12)
    assert not well and waits[-1] == 300 and max(waits) == 300


def test_what_waits_is_read_from_the_histories_alone(spark: SparkSession, tmp_path: Path) -> None:
    stream, other = Stream(spark, tmp_path), Stream(spark, tmp_path / "other")

    def waiting() -> Waiting:
        return sources_of(spark, stream.settings)[0].waiting()

    assert waiting() == Waiting(at_once=True), "nothing was ever delivered"
    stream.events["gone"] = {**stream.events[CUSTOM], "table": other.table}
    stream.delivered()
    assert waiting() == Waiting()
    other.add(values(0, 3))
    assert waiting().rows == 3
    del stream.events["gone"]
    assert waiting() == Waiting(), (
        "an event type that is not delivered any more keeps its place, and waits for nothing"
    )
    stream.add(values(0, 7))
    stream.add(values(7, 9))
    held = waiting()
    assert held.rows == 9 and held.oldest is not None and not held.at_once
    assert held.is_due(held.oldest + 300_000, MINUTES, 15_000)
    stream.events["another"] = stream.events[CUSTOM]
    assert waiting().at_once, "a new event type is enabled at once"


def test_a_table_that_was_made_anew_is_no_source_in_which_nothing_waits(
    spark: SparkSession, tmp_path: Path
) -> None:
    stream = Stream(spark, tmp_path)
    stream.add(values(0, 3))
    stream.delivered()
    shutil.rmtree(stream.table)
    anew = Stream(spark, tmp_path)
    results, stop = list[ExportResult](), Resting(1)
    assert not commands.export_every(spark, anew.settings, MINUTES, on_result=results.append, stop=stop).ok
    (problem,) = results[0].problems
    assert problem.code == "source_gap" and results[0].batches == ()


def test_rover_datasets_wait_for_a_file_of_the_size_that_is_aimed_at(world: World) -> None:
    world.identities(row(1, "email", "a", "2026-11-01 10:00:00"))
    world.options = {"files": {"target_records": 2}}
    world.delivered()
    sources, enough = sources_of(world.spark, world.settings)
    assert sources.waiting() == Waiting()
    for n in (2, 3):
        assert not sources.waiting().is_due(0, MINUTES, enough)
        world.sql(f"INSERT INTO {{t}} VALUES {row(n, 'email', 'b', '2026-11-02 10:00:00')}", t="ids")
    assert sources.waiting().is_due(0, MINUTES, enough)


def test_the_oldest_that_waits_is_found_behind_many_commits(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(times, "LISTED", 2)
    stream = Stream(spark, tmp_path)
    stream.delivered()
    sources, looks = sources_of(spark, stream.settings)[0], list[Waiting]()
    for n in range(4):
        stream.add(values(n, n + 1))
        looks.append(sources.waiting())
    assert [each.rows for each in looks] == [1, 2, 3, 4]
    assert len({each.oldest for each in looks}) == 1, "it grows no younger while others arrive"
    assert sources_of(spark, stream.settings)[0].waiting() == looks[-1], "nor for one who comes later"


def test_a_source_that_cannot_be_looked_at_for_a_while_does_not_end_it(stream: Stream) -> None:
    stream.delivered()
    stream.add(values(0, 2))
    stop, results = Resting(3), list[ExportResult]()
    busy = (
        Fault("source state", times=2, error=slow_down),
        Fault("source commits", times=ALWAYS, error=slow_down),
    )
    with effects(*busy):
        result = commands.export_every(
            stream.spark, stream.settings, MINUTES, on_result=results.append, stop=stop
        )
    assert result.ok and [each.ok for each in results] == [False, False, True]
    assert "SlowDown" in results[0].problems[0].message and results[0].problems[0].code == "spark_failed"
    assert sum(batch.counts["delivered"] for batch in results[2].batches) == 2


@pytest.mark.full
def test_it_stays_up_delivers_what_comes_and_ends_after_a_sigterm(
    spark: SparkSession, tmp_path: Path
) -> None:
    stream = Stream(spark, tmp_path)
    stream.events[CUSTOM]["start"] = "earliest"
    stream.add(values(0, 3))
    settings = stream.settings
    config = tmp_path / "acme.toml"
    place = "\n".join(f'{name} = "{value}"' for name, value in stream.currents.items())
    columns = ", ".join(f'{name} = "{value}"' for name, value in stream.events[CUSTOM]["columns"].items())
    config.write_text(
        f'name = "acme"\ncontract = "currents"\ndestination = "{settings.destination}"\nledger = "{settings.ledger}"\n'
        f'[currents]\n{place}\n[events."{CUSTOM}"]\ntable = "{stream.table}"\nstart = "earliest"\n'
        f"columns = {{ {columns} }}\nwhere = \"kind = 'custom'\"\n"
    )
    command = [str(Path(sys.executable).with_name("rover-spark")), "export", "-c", str(config)]
    command += ["--every", "1s", "--json"]
    with (tmp_path / "out").open("w") as out:
        staying = subprocess.Popen(command, stdout=out, cwd=Path(__file__).parents[2], start_new_session=True)
    try:
        _until(lambda: len(list(stream.bucket.rglob("*.avro"))) == 1)
        stream.add(values(3, 5))
        _until(lambda: len(list(stream.bucket.rglob("*.avro"))) == 2)
        _until(lambda: (tmp_path / "out").read_text().count("\n") == 2)
        os.killpg(staying.pid, signal.SIGTERM)  # as `timeout` and schedulers ask: the JVM is not in it
        assert staying.wait(120) == 0
    finally:
        staying.kill()
    results = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert [sum(batch["counts"]["delivered"] for batch in each["batches"]) for each in results] == [3, 2, 0]


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 240
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.5)
