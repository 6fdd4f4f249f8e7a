"""Law 10: never empty.

There is no file without records. A range that yields none (OPTIMIZE only, no change, enabling) is COMMITTED with its
counts and no file, so it is not read again. Only "no new version" changes nothing.
"""

from __future__ import annotations

import pytest

from rover_spark.face import commands
from rover_spark.face.results import Result
from tests.e2e.stream import Stream, values
from tests.e2e.world import World, row
from tests.effects import effects

AT = "2026-11-01 10:00:00"


def _without_files(result: Result, **counts: int) -> None:
    (batch,) = result.batches
    assert (batch.state, batch.files) == ("COMMITTED", ())
    assert {name: count for name, count in batch.counts.items() if count} == counts


@pytest.mark.law(10)
def test_a_range_without_records_is_committed_without_a_file_and_not_read_again(world: World) -> None:
    world.identities(f"{row(1, 'email', 'a', AT)}, {row(2, 'email', 'b', AT)}")
    world.delivered()
    delivered = world.fingerprint()
    world.sql("OPTIMIZE {t}", t="ids")
    _without_files(world.delivered())
    world.sql("UPDATE {t} SET value = value", t="ids")
    _without_files(world.delivered(), read=2, no_change=2)
    with effects() as journal:
        assert world.delivered().result == "nothing to do"
    assert journal.names("source state") == [], "it is not read again, and nothing is written"
    assert world.fingerprint() == delivered
    assert commands.verify(world.spark, world.settings).ok


@pytest.mark.law(10)
def test_an_integration_that_has_no_events_is_committed_without_a_file_and_not_read_again(
    stream: Stream,
) -> None:
    for first in (0, 3):  # before it is enabled, and two files for OPTIMIZE
        stream.add(values(first, first + 3))
    _without_files(stream.delivered())
    stream.sql("OPTIMIZE {t}")
    _without_files(stream.delivered())
    with effects() as journal:
        assert stream.delivered().result == "nothing to do"
    # its schema is resolved, and nothing is read
    assert journal.names("source state", "source snapshot") == []
    assert stream.files() == {}
