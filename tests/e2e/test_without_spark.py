"""Commands that read no row start no Spark where tables and ledger are paths; they give the documents that they give with Spark."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from rover_spark.config.settings import Settings
from rover_spark.delta.session import Session
from rover_spark.errors import RoverSparkError
from rover_spark.face import commands
from tests import NATIVE
from tests.e2e.stream import CUSTOM, Stream, values
from tests.e2e.world import World, row, sources_of

pytestmark = pytest.mark.skipif(not NATIVE, reason="Spark reads logs and ledger")


class Started(AssertionError):
    """Somebody asked for Spark."""


def none() -> Session:
    def start() -> SparkSession:
        raise Started

    return Session(start)


LOOKS: dict[str, Callable[[Any, Settings], Any]] = {
    "status": commands.status,
    "verify": commands.verify,
    "sweep": lambda spark, settings: commands.sweep(spark, settings, older_than=timedelta()),
    "plan": commands.plan,
    "export": commands.export,
}
FOUR = [row(n, "email", f"{n}@x", "2026-11-01 10:00:00") for n in range(4)]


@pytest.fixture
def delivered(world: World) -> World:
    world.identities(", ".join(FOUR))
    world.delivered()
    world.sql("DELETE FROM {t} WHERE value = '1@x'", t="ids")
    world.delivered()
    return world


def test_nothing_to_do_and_looking_start_no_spark(delivered: World) -> None:
    for name, look in LOOKS.items():
        without, with_it = look(none(), delivered.settings), look(delivered.spark, delivered.settings)
        assert without.ok, (name, without.problems)
        assert _steady(without.document()) == _steady(with_it.document()), name


def test_what_is_appended_is_planned_from_the_log(delivered: World) -> None:
    delivered.sql(f"INSERT INTO {{t}} VALUES {row(9, 'email', '9@x', '2026-11-02 10:00:00')}", t="ids")
    without = commands.plan(none(), delivered.settings)
    assert _steady(without.document()) == _steady(
        commands.plan(delivered.spark, delivered.settings).document()
    )
    assert [each.source_rows for each in without.planned.values()] == [1]
    assert delivered.delivered().batches[0].counts["delivered"] == 1


def test_commits_without_rows_are_delivered_without_spark(delivered: World) -> None:
    delivered.sql("OPTIMIZE {t}", t="ids")
    (batch,) = commands.export(none(), delivered.settings).batches
    assert (batch.state, batch.counts["read"], batch.files) == ("COMMITTED", 0, ())
    assert batch.plan is not None and "spark" not in batch.plan.versions


def test_a_rerun_is_asked_for_without_spark(delivered: World) -> None:
    commands.rerun(none(), delivered.settings, "fan_identity_graph")
    assert delivered.delivered().batches[-1].plan.phase == "snapshot"  # type: ignore[union-attr]


def test_between_deliveries_nothing_starts_spark(delivered: World) -> None:
    sources, _ = sources_of(none(), delivered.settings)
    assert sources.waiting().rows == 0
    delivered.sql(f"INSERT INTO {{t}} VALUES {row(9, 'email', '9@x', '2026-11-02 10:00:00')}", t="ids")
    assert sources.waiting().rows == 1


def test_events_that_wait_for_nothing_start_no_spark(stream: Stream) -> None:
    stream.delivered()
    stream.add(values(0, 9))
    stream.add("SELECT 'bad', 'custom', 'f', CAST(NULL AS TIMESTAMP), 'Europe/Oslo', map('k', 'v'), 1L")
    stream.delivered()
    for name, look in LOOKS.items():
        without = look(none(), stream.settings)
        assert without.ok, (name, without.problems)
        assert _steady(without.document()) == _steady(look(stream.spark, stream.settings).document()), name
    assert [each.quarantined for each in commands.status(none(), stream.settings).datasets] == [1]
    found = commands.schemas(none(), stream.settings)
    assert [each.event_type for each in found.schemas] == [CUSTOM]


def test_changed_columns_of_events_are_tried_though_nothing_waits(stream: Stream) -> None:
    stream.delivered()
    stream.events[CUSTOM]["columns"]["user_id"] = "no_such_column"
    with pytest.raises(RoverSparkError) as refused:
        commands.export(stream.spark, stream.settings)
    assert refused.value.exit_code == 2 and "user_id" in refused.value.message


def test_a_changed_setting_is_refused_without_spark(delivered: World) -> None:
    delivered.datasets["fan_identity_graph"]["where"] = "kind <> 'phone'"
    for name in ("plan", "export"):
        with pytest.raises(RoverSparkError) as refused:
            LOOKS[name](none(), delivered.settings)
        assert refused.value.exit_code == 2, name


@pytest.mark.parametrize(
    "command",
    [
        "status",
        "export",
        *(pytest.param(each, marks=pytest.mark.full) for each in ("plan", "verify", "sweep")),
    ],
)
def test_the_command_line_needs_no_java_where_nothing_is_read(
    command: str, delivered: World, tmp_path: Path
) -> None:
    environ = {name: value for name, value in os.environ.items() if name != "SPARK_HOME"}
    environ |= {"JAVA_HOME": str(tmp_path / "nowhere"), "PATH": os.defpath}
    program = [sys.executable, "-m", "rover_spark", command, "--json", "-c", str(delivered.config())]
    done = subprocess.run(program, capture_output=True, text=True, env=environ, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["command"] == command


def _steady(document: dict[str, Any]) -> dict[str, Any]:
    """The document without what depends on when it was asked for."""
    text = json.dumps(document, default=str)
    tree: dict[str, Any] = json.loads(text)
    for each in tree.get("datasets", ()):
        each.pop("oldest_minutes", None)
        each.pop("days_left", None)
    for each in tree.get("batches", ()):
        each.pop("emitted_at", None)
    return tree
