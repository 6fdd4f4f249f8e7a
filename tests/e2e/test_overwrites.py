"""A table that is rewritten as a whole: its rows are decided once in a run, and a later run decides the same (laws 3, 4, 9)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from rover_spark.delta import read
from rover_spark.face import commands
from tests import receiver
from tests.e2e.world import World, row
from tests.effects import Fault, Killed, effects

ROWS = [row(n, "email", f"{n}@x", "2026-11-01 10:00:00") for n in range(40)]
CHANGED = ["(NULL, 'email', 'nobody', NULL)"] + [
    row(n, "email", f"{n}@x", f"2026-11-0{2 if n == 7 else 1} 10:00:00") for n in range(3, 43)
]


def _overwritten(world: World) -> None:
    world.options = {"files": {"target_records": 5}}
    world.identities(", ".join(ROWS))
    world.delivered()
    world.sql(f"INSERT OVERWRITE {{t}} VALUES {', '.join(CHANGED)}", t="ids")


def _source(world: World) -> set[tuple[str, str, str]]:
    rows = world.spark.read.format("delta").load(world.table("ids")).where("rover_id IS NOT NULL").collect()
    return {(r["rover_id"], r["kind"], r["value"]) for r in rows}


def _kept_by(world: World) -> int:
    context: Any = world.spark.sparkContext
    return int(context._jsc.getPersistentRDDs().size())


@pytest.mark.law(4)
@pytest.mark.law(9)
def test_an_overwrite_is_read_once_after_it_was_counted_and_redelivered_with_the_same_bytes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _overwritten(world)
    reads, changes = list[int](), read.changes
    monkeypatch.setattr(read, "changes", lambda *given: reads.append(1) or changes(*given))
    before = _kept_by(world)
    result = world.delivered()
    assert len(reads) == 2, "by change type, and row by row"
    assert _kept_by(world) == before
    (batch,) = result.batches
    # 3 rows gone, 3 new, one with a later time, one without a key; the others as they were
    assert {name: n for name, n in batch.counts.items() if n} == {
        "read": 44,
        "delivered": 7,
        "no_change": 36,
        "quarantined": 1,
    }
    assert len(batch.files) == 2, "as many as seven records need"
    assert receiver.identities(world.bucket) == _source(world)
    seen = world.fingerprint()
    assert commands.redeliver(world.spark, world.settings, batch.batch).ok
    assert world.fingerprint() == seen
    world.sql("RESTORE TABLE {t} TO VERSION AS OF 1", t="ids")
    assert world.delivered().batches[0].counts["delivered"] == 7
    assert receiver.identities(world.bucket) == _source(world), "what was restored wins over its delete"


@pytest.mark.law(3)
def test_a_run_that_finds_an_overwrite_planned_decides_its_rows_anew(world: World) -> None:
    _overwritten(world)
    now = world.now()
    with pytest.raises(Killed), effects(Fault("ledger PLANNED", "after")):
        commands.export(world.spark, world.settings, now=now)
    result = commands.export(world.spark, world.settings, now=now + timedelta(minutes=1))
    assert result.ok and result.batches[0].instant == int(now.timestamp() * 1000)
    assert result.batches[0].counts["no_change"] == 36 and len(result.batches[0].files) == 2
    assert receiver.identities(world.bucket) == _source(world)


def test_a_plan_that_is_only_shown_keeps_nothing(world: World) -> None:
    _overwritten(world)
    before = _kept_by(world)
    ahead = commands.plan(world.spark, world.settings, now=world.now())
    assert len(ahead.batches) == 1 and _kept_by(world) == before
