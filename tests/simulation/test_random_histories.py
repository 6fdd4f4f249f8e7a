"""Random histories, exported at random moments and killed at random steps: receivers end in the source's state.

A receiver that applies the files by the contract alone is compared after each export that ends. ``make test-full`` runs
300 histories of datasets and 30 of integrations, ``make test`` the first worlds of them. A failure names its seed:
``make test ARGS="--full -k 'histories and 17-'"``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import pytest
from pyspark.sql import SparkSession

from rover_spark.contract.currents import parse_currents_key
from rover_spark.face import commands
from rover_spark.face.results import Result
from tests import receiver
from tests.simulation.streams import EXTRA, TABLE, RandomStream
from tests.simulation.worlds import FAMILIES, IDENTIFIERS, RandomWorld

HISTORIES = 300
STREAMS = 30
ALWAYS = 1
EXPORTS = 3


def _require_state(world: RandomWorld) -> None:
    """The receiver's state against the source's, by the rules of the dataset."""
    rows, bucket = world.rows(), world.bucket
    if world.wide:
        values = {(row[0], name, told(row[3])) for row in rows for name, (_, told) in IDENTIFIERS.items()}
        assert receiver.identities(bucket) == {each for each in values if each[2] is not None}
    elif world.dataset == "fan_identity_graph":
        assert receiver.identities(bucket) == {row[:3] for row in rows}
        latest = receiver.latest(bucket, world.dataset, "roverID", "identifierType", "identifier")
        assert {row[:3]: latest[row[:3]]["note"] for row in rows} == {row[:3]: row[3] for row in rows}
    elif world.dataset == "fan_profiles":
        held, living = receiver.profiles(bucket), {row[0]: {"note": row[3]} for row in rows}
        assert {fan: held.get(fan) for fan in living} == living
        assert not world.tombstones or held == living
    elif world.dataset == "fan_profile_merges":
        held = set(receiver.latest(bucket, world.dataset, "roverID", "mergedRoverID"))
        assert {row[:2] for row in rows} <= held <= world.merges
    else:
        found = list(receiver.loaded(bucket, world.dataset).values())
        assert len(found) == len(world.events)


def _require_events(world: RandomStream) -> None:
    """Each event is there, once by its id and as it was; offsets do not overlap, and an id stands for one schema."""
    held: dict[str, tuple[str, dict[str, Any]]] = {}
    taken: dict[tuple[str, int], set[int]] = defaultdict(set)
    schemas: dict[int, Any] = {}
    for path in sorted(path for path in (world.bucket / "acme").rglob("*") if path.is_file()):
        key = parse_currents_key("acme", path.relative_to(world.bucket).as_posix())
        assert key is not None, path
        with path.open("rb") as stream:
            reader = fastavro.reader(stream)
            events, written = list(reader), (key.event_type, reader.writer_schema)
        assert events and schemas.setdefault(key.schema_id, written) == written
        offsets = set(range(key.offset, key.offset + len(events)))
        assert not offsets & taken[key.event_type, key.partition]
        taken[key.event_type, key.partition] |= offsets
        for event in events:
            assert key.hour in world.commits_of(event["id"]), (
                "it stands under the hour of a commit that brought it"
            )
            assert held.setdefault(event["id"], (key.event_type, event))[0] == key.event_type
            _require_event(event, world.events[event["id"]][1])
    assert {name: event_type for name, (event_type, _) in held.items()} == {
        name: event_type for name, (event_type, _) in world.events.items()
    }


def _require_event(event: dict[str, Any], row: dict[str, Any]) -> None:
    assert (event["note"], event["time"]) == (row["note"], int(row["at"].timestamp()))
    assert all(value == row.get(name) for name, value in event.items() if name.startswith(EXTRA))


def _each(count: int) -> pytest.MarkDecorator:
    """Seeds; what CI leaves out is marked."""
    return pytest.mark.parametrize(
        "seed",
        [pytest.param(n, id=f"{n}-", marks=[] if n < ALWAYS else pytest.mark.full) for n in range(count)],
    )


@pytest.mark.law(5)
@_each(HISTORIES // FAMILIES)
def test_random_histories_end_in_the_state_of_the_source(
    spark: SparkSession, tmp_path: Path, seed: int
) -> None:
    world = RandomWorld(spark, tmp_path, seed)
    _live_through(world, lambda: _require_state(world), f"seed {seed}, {world.dataset}")


@pytest.mark.law(5)
@pytest.mark.law(6)
@_each(STREAMS)
def test_random_histories_of_an_integration_deliver_each_event(
    spark: SparkSession, tmp_path: Path, seed: int
) -> None:
    world = RandomStream(spark, tmp_path, seed)
    _live_through(world, lambda: _require_events(world), f"seed {seed}, {len(TABLE)} event types")


def _live_through(world: RandomWorld | RandomStream, require_received: Callable[[], None], name: str) -> None:
    """Exports, kills and commits in turn; the receiver is compared after each export that ends."""
    draw = world.random
    try:
        for _ in range(EXPORTS):
            if draw.random() < 0.6:
                world.export(kill_at=draw.randint(1, 12))
                for _ in range(draw.randint(0, 5)):
                    world.live()
            elif draw.random() < 0.2:
                world.intervene()
            _exported(world)
            require_received()
            for _ in range(draw.randint(2, 20)):
                world.live()
        _exported(world)
        require_received()
        assert commands.verify(world.spark, world.settings).ok
        assert _exported(world).result == "nothing to do"
    except BaseException as failure:
        failure.add_note(f"{name}: {' '.join(world.journal)}")
        raise


def _exported(world: RandomWorld | RandomStream) -> Result:
    result = world.export()
    assert result is not None and result.ok, result and result.problems
    return result
