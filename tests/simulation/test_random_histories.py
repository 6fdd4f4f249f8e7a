"""Random histories, exported at random moments and killed at random steps: receivers end in the source's state.

A receiver that applies the files by the contract alone is compared after each export that ends. ``make test-full`` runs
300 histories, ``make test`` the first worlds of them. A failure names its seed:
``make test ARGS="--full -k 'histories and 17-'"``.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from rover_spark.face import commands
from tests import receiver
from tests.simulation.worlds import FAMILIES, IDENTIFIERS, RandomWorld

HISTORIES = 300
ALWAYS = 1
EXPORTS = 4


def _assert_received(world: RandomWorld) -> None:
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


@pytest.mark.law(5)
@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(n, id=f"{n}-", marks=[] if n < ALWAYS else pytest.mark.full)
        for n in range(HISTORIES // FAMILIES)
    ],
)
def test_random_histories_end_in_the_sources_state(spark: SparkSession, tmp_path: Path, seed: int) -> None:
    world = RandomWorld(spark, tmp_path, seed)
    try:
        for _ in range(EXPORTS):
            if world.random.random() < 0.6:
                world.export(kill_at=world.random.randint(1, 12))
                for _ in range(world.random.randint(0, 5)):
                    world.live()
            elif world.random.random() < 0.2:
                world.rerun()
            result = world.export()
            assert result is not None and result.ok, result
            _assert_received(world)
            for _ in range(world.random.randint(2, 20)):
                world.live()
        last = world.export()
        assert last is not None and last.ok, last
        _assert_received(world)
        assert commands.verify(spark, world.settings).ok
        again = world.export()
        assert again is not None and again.result == "nothing to do"
    except BaseException as failure:
        failure.add_note(f"seed {seed}, {world.dataset}: {' '.join(world.journal)}")
        raise
