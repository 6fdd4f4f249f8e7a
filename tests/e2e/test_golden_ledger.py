"""Ledgers that version 0.1.0 wrote: what it left open ends as it would have ended it, and delivery goes on from there.

Under each contract one batch is open at PLANNED and one at STAGED: 0.1.0 was killed there. ``tests/golden/make_0_1_0.py``
says how, and what 0.1.0 itself made of them afterwards.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from rover_spark import Settings, parse
from rover_spark.contract.currents import CurrentsKey, parse_currents_key
from rover_spark.face import commands
from tests.golden.fixture import EXPORTS, FINISHED, PURCHASE, restore, settings

Batches = dict[str, dict[str, Any]]

OPEN = {
    "rover": {"fan_profiles.1.3": "STAGED", "fan_identity_graph.1.3": "PLANNED"},
    "planned": {"events.1.2": "PLANNED"},
    "staged": {"events.1.2": "STAGED"},
}
LATE = timedelta(hours=1)  # an hour and a half after they were planned


class Left:
    """Tables, ledgers and buckets as 0.1.0 left them, below a directory of its own."""

    def __init__(self, spark: SparkSession, root: Path, engine: str = "auto") -> None:
        self.spark, self.root, self._engine = spark, root, engine
        self._expected = restore(root)
        self._finished: dict[str, Batches] = {}
        self.same_zlib = self._expected["zlib"] == zlib.ZLIB_RUNTIME_VERSION

    def settings(self, export: str) -> Settings:
        return parse({**settings(self.root, export), "tables": {"engine": self._engine}})

    def expected(self, export: str) -> Batches:
        """What 0.1.0 delivered when it went on."""
        return _by_name(self._expected["batches"][export])

    def finished(self, export: str) -> Batches:
        """What today's code delivers when it goes on."""
        if export not in self._finished:
            self._finished[export] = self.export(export)
        return self._finished[export]

    def export(self, export: str, later: timedelta = timedelta()) -> Batches:
        result = commands.export(self.spark, self.settings(export), now=FINISHED + later)
        assert result.ok, result.problems
        return _by_name(result.document()["batches"])

    def states(self, export: str) -> dict[str, str]:
        shown = commands.status(self.spark, self.settings(export), now=FINISHED).document()
        assert not shown["problems"]
        return {batch["id"]: batch["state"] for batch in shown["batches"]}

    def sql(self, table: str, text: str) -> None:
        self.spark.sql(text.replace("{t}", f"delta.`{self.root}/tables/{table}`"))

    def require_whole(self, export: str, *aborted: str) -> None:
        result = commands.verify(self.spark, self.settings(export))
        assert result.ok, result.problems
        states = self.states(export)
        assert states == {name: "ABORTED" if name in aborted else "COMMITTED" for name in states}


def _by_name(batches: Iterable[dict[str, Any]]) -> Batches:
    return {batch["id"]: batch for batch in batches}


def _text(batch: dict[str, Any]) -> dict[str, Any]:
    """The batch without what depends on the compressor."""
    files = [
        {name: each for name, each in file.items() if name not in {"bytes", "sha256"}}
        for file in batch["files"]
    ]
    return {**batch, "files": files}


def _keys(batches: Iterable[dict[str, Any]]) -> dict[CurrentsKey, int]:
    """How many events each file has, by the parts of its key."""
    found = {}
    for file in (file for batch in batches for file in batch["files"]):
        key = parse_currents_key("", file["key"])
        assert key is not None
        found[key] = file["records"]
    return found


@pytest.fixture(scope="module", params=["auto", pytest.param("spark", marks=pytest.mark.full)])
def left(
    request: pytest.FixtureRequest, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Left:
    """Goes on without Spark in log and ledger, and with it."""
    return Left(spark, tmp_path_factory.mktemp("left"), request.param)


@pytest.mark.law(3)
@pytest.mark.parametrize("export", EXPORTS)
def test_a_batch_that_the_first_version_left_open_ends_with_the_files_of_that_version(
    left: Left, export: str
) -> None:
    """Also the commits after the plans: they are in the batches that 0.1.0 would have delivered next."""
    before = left.states(export)
    assert {name: before[name] for name in OPEN[export]} == OPEN[export]

    found, expected = left.finished(export), left.expected(export)
    assert OPEN[export].keys() < expected.keys() == found.keys()
    for name, batch in expected.items():
        same = {field: found[name][field] for field in batch}
        assert batch["files"]
        assert _text(same) == _text(batch)
        if left.same_zlib:
            assert same == batch
        for file in found[name]["files"]:
            content = (left.root / "buckets" / export / "acme" / file["key"]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == file["sha256"]


def test_datasets_go_on_from_a_ledger_of_0_1_0(left: Left) -> None:
    ends = {batch["dataset"]: batch["to_version"] for batch in left.finished("rover").values()}
    left.sql("profiles", "DELETE FROM {t} WHERE rover_id LIKE '00000005-%'")
    left.sql("identities", "DELETE FROM {t} WHERE rover_id LIKE '00000005-%'")

    found = left.export("rover", timedelta(minutes=1))
    assert {name: batch["counts"]["delivered"] for name, batch in found.items()} == {
        "fan_profiles.1.5": 1,
        "fan_identity_graph.1.5": 1,
    }
    assert {batch["dataset"]: batch["from_version"] - 1 for batch in found.values()} == ends
    left.require_whole("rover")


@pytest.mark.parametrize("export", ["planned", "staged"])
def test_an_integration_goes_on_from_a_ledger_of_0_1_0(left: Left, export: str) -> None:
    """Its offsets go on where the files of 0.1.0 end, under the schema ids that 0.1.0 gave."""
    before = _keys(left.finished(export).values())
    ends: dict[tuple[str, int], int] = {}
    for key, records in before.items():
        place = key.event_type, key.partition
        ends[place] = max(ends.get(place, 0), key.offset + records)
    left.sql(
        "events",
        "INSERT INTO {t} SELECT concat('more', id), IF(id % 2 = 0, 'purchase', 'custom'), 'fan-1', "
        "timestamp_seconds(1763900000 + id), 'Europe/Oslo', map(), id FROM range(20)",
    )

    ((name, batch),) = left.export(export, timedelta(minutes=1)).items()
    after = _keys([batch])
    assert (name, batch["counts"]["delivered"]) == ("events.1.4", 20)
    assert {(key.event_type, key.partition): key.offset for key in after} == ends
    assert {(key.event_type, key.schema_id) for key in after} == {
        (event_type, max(key.schema_id for key in before if key.event_type == event_type))
        for event_type, _ in ends
    }
    left.require_whole(export)


def test_an_old_plan_of_the_first_version_is_aborted_and_planned_anew(
    spark: SparkSession, tmp_path: Path
) -> None:
    """Its rows are in the next batch; the schema id that it took stays taken. What was STAGED is published."""
    left = Left(spark, tmp_path)
    found = left.export("rover", LATE)
    assert set(found) == {"fan_profiles.1.3", "fan_profiles.1.4", "fan_identity_graph.1.4"}
    expected = left.expected("rover")
    assert _text({**expected["fan_profiles.1.3"]}) == _text(found["fan_profiles.1.3"])
    both = [expected[f"fan_identity_graph.1.{seq}"]["counts"]["delivered"] for seq in (3, 4)]
    assert found["fan_identity_graph.1.4"]["counts"]["delivered"] == sum(both)
    left.require_whole("rover", "fan_identity_graph.1.3")

    found = left.export("planned", LATE)
    assert set(found) == {"events.1.3"}
    ids = {key.schema_id for key in _keys(found.values()) if key.event_type == PURCHASE}
    taken = {key.schema_id for key in _keys(left.expected("planned").values()) if key.event_type == PURCHASE}
    assert ids == {schema_id + 1 for schema_id in taken}
    left.require_whole("planned", "events.1.2")
