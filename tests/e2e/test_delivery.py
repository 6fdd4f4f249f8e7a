"""Snapshot, changes, nothing to do; what plan says and export does; what verify finds."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from rover_spark.contract.manifests import Previous, parse
from rover_spark.deliver import batch as deliver
from rover_spark.errors import ConfigError
from rover_spark.face import commands
from rover_spark.model.manifest import Manifest
from tests import receiver
from tests.e2e.world import World, row, uuid
from tests.effects import ALWAYS, Fault, effects, no_answer


def test_a_snapshot_is_followed_by_changes_and_then_by_nothing(world: World) -> None:
    world.identities(", ".join(row(n, "email", f"{n}@x", "2026-11-01 10:00:00") for n in range(50)))
    world.options["files"] = {"target_records": 20}
    planned = commands.plan(world.spark, world.settings, now=world.clock + timedelta(hours=1))
    assert not world.bucket.exists() and not (world.root / "control").exists(), "plan changes nothing"

    first = world.delivered()
    assert [(b.batch, b.phase, b.state) for b in first.batches] == [
        ("fan_identity_graph.1.1", "snapshot", "COMMITTED")
    ]
    assert first.batches[0].counts["read"] == first.batches[0].counts["delivered"] == 50
    said, done = planned.document()["batches"][0], first.document()["batches"][0]
    same = ("id", "dataset", "epoch", "phase", "from_version", "to_version", "emitted_at")
    assert {name: said[name] for name in same} == {name: done[name] for name in same}
    assert done["emitted_at"] == "2026-11-21T13:00:00.000Z"
    assert all(
        f["key"].startswith("exports/fan_identity_graph/date=2026-11-21/hour=13/") for f in done["files"]
    )
    assert receiver.keys(world.bucket) == sorted(file["key"] for file in done["files"])
    assert {r["operation"] for r in receiver.records(world.bucket, "fan_identity_graph")} == {"create"}

    before = world.fingerprint()
    ledger = world.spark.sql(f"DESCRIBE HISTORY delta.`{world.settings.ledger}`").count()
    assert world.delivered().result == "nothing to do"
    assert world.fingerprint() == before, "a run with nothing to do changes nothing"
    assert world.spark.sql(f"DESCRIBE HISTORY delta.`{world.settings.ledger}`").count() == ledger

    world.sql("DELETE FROM {t} WHERE value = '7@x'", t="ids")
    world.sql(f"UPDATE {{t}} SET rover_id = '{uuid(99)}' WHERE value = '8@x'", t="ids")
    second = world.delivered().batches[0]
    assert (
        second.phase,
        second.plan and second.plan.from_version,
        second.plan and second.plan.to_version,
    ) == ("changes", 2, 3)
    told = {
        (r["roverID"], r["operation"])
        for r in receiver.records(world.bucket, "fan_identity_graph")
        if r["emittedAt"] > "2026-11-21T14"
    }
    assert told == {(uuid(7), "delete"), (uuid(8), "delete"), (uuid(99), "create")}
    table = world.spark.read.format("delta").load(world.table("ids")).collect()
    assert receiver.identities(world.bucket) == {(r["rover_id"], r["kind"], r["value"]) for r in table}
    one, two = world.announced()
    assert not (world.fingerprint().keys() - {one, two} - {*receiver.keys(world.bucket)}), (
        "nothing stays staged"
    )
    said = parse((world.bucket / two).read_bytes())
    assert said.previous == Previous(one, world.fingerprint()[one])
    assert [file.key for file in said.files] == sorted(file.key for file in second.files)
    assert (said.columns, said.key) == (
        ("id", "version", "roverID", "emittedAt", "identifierType", "identifier", "operation", "updatedAt"),
        ("roverID", "identifierType", "identifier"),
    )
    assert commands.verify(world.spark, world.settings).ok

    status = commands.status(world.spark, world.settings, now=world.now()).document()
    assert status["datasets"][0]["lag"] == 0 and status["datasets"][0]["delivered_version"] == 3
    assert status["datasets"][0]["oldest_minutes"] is None and status["datasets"][0]["quarantined"] == 0
    assert commands.quarantine(world.spark, world.settings).result == "nothing to do"
    with pytest.raises(ConfigError, match="lies before"):
        world.export(now=world.clock - timedelta(days=1))


@pytest.mark.law(4)
def test_redelivery_heals_a_damaged_object_with_the_same_bytes(world: World) -> None:
    world.identities(row(1, "email", "a", "2026-11-01 10:00:00"))
    batch = world.delivered().batches[0]
    world.sql("DELETE FROM {t} WHERE true", t="ids")
    intact = world.fingerprint()
    path = world.bucket / batch.files[0].key
    path.write_bytes(path.read_bytes()[:-3] + b"xyz")
    (world.bucket / "exports" / "stray.txt").write_text("who was here")
    found = commands.verify(world.spark, world.settings)
    assert not found.ok
    assert {(p.code, p.message.split(":")[0]) for p in found.problems} == {
        ("object_changed", batch.files[0].key),
        ("object_foreign", "exports/stray.txt"),
    }
    (world.bucket / "exports" / "stray.txt").unlink()
    path.unlink()
    assert [p.code for p in commands.verify(world.spark, world.settings).problems] == ["object_missing"]
    again = commands.redeliver(world.spark, world.settings, batch.batch, now=world.now())
    assert again.ok and world.fingerprint() == intact
    (manifest,) = world.announced()
    (world.bucket / manifest).write_bytes(b"lies")
    (problem,) = commands.verify(world.spark, world.settings).problems
    assert (problem.code, problem.message.split(":")[0]) == ("object_changed", manifest)
    assert commands.redeliver(world.spark, world.settings, batch.batch, now=world.now()).ok
    assert world.fingerprint() == intact
    assert commands.verify(world.spark, world.settings).ok
    assert world.delivered().batches[0].counts["delivered"] == 1, "a redelivery changes no dataset state"
    with pytest.raises(ConfigError, match="not in the ledger"):
        commands.redeliver(world.spark, world.settings, "fan_identity_graph.9.9")


@pytest.mark.law(9)
def test_rows_that_cannot_be_delivered_go_to_the_quarantine(world: World) -> None:
    good = row(1, "email", "a", "2026-11-01 10:00:00")
    bad = [
        "(NULL, 'email', 'b', TIMESTAMP '2026-11-01')",
        "('nonsense', 'email', 'c', TIMESTAMP '2026-11-01')",
    ]
    bad += [f"('{uuid(2)}', 'email', NULL, TIMESTAMP '2026-11-01')", f"('{uuid(3)}', 'email', 'd', NULL)"]
    world.identities(", ".join([good, *bad]))
    result = world.export(strict=True)
    assert not result.ok and [p.code for p in result.problems] == ["rows_quarantined"]
    assert result.batches[0].counts == {
        "read": 5,
        "delivered": 1,
        "no_change": 0,
        "superseded": 0,
        "suppressed": 0,
        "conflict": 0,
        "quarantined": 4,
    }
    held = world.spark.read.format("delta").load(world.settings.ledger + "_quarantine").collect()
    assert {r["reason"] for r in held} == {
        "roverID_missing",
        "roverID_malformed",
        "identifier_missing",
        "updatedAt_missing",
    }
    assert all(r["batch"] == "fan_identity_graph.1.1" and r["row"].startswith("{") for r in held)
    assert commands.verify(world.spark, world.settings).ok

    # a second batch sets one more aside; delivered again, a batch counts once
    world.sql(f"INSERT INTO {{t}} VALUES ('{uuid(4)}', 'email', 'e', NULL)", t="ids")
    world.delivered()
    commands.redeliver(world.spark, world.settings, "fan_identity_graph.1.1")
    world.sql(f"INSERT INTO {{t}} VALUES {row(5, 'email', 'f', '2026-11-01 10:00:00')}", t="ids")
    history = world.spark.sql(f"DESCRIBE HISTORY delta.`{world.table('ids')}` LIMIT 1")
    at = history.selectExpr("unix_millis(timestamp)").collect()[0][0]
    later = datetime.fromtimestamp(at / 1000, timezone.utc) + timedelta(minutes=90)
    (standing,) = commands.status(world.spark, world.settings, now=later).document()["datasets"]
    assert (standing["lag"], standing["oldest_minutes"], standing["quarantined"]) == (1, 90.0, 5)

    shown = commands.quarantine(world.spark, world.settings, limit=2)
    found = shown.quarantine
    assert shown.result == "done" and (found.total, len(found.rows)) == (5, 2)
    counts = {each.reason: each.rows for each in found.reasons}
    assert counts == dict.fromkeys({r["reason"] for r in held}, 1) | {"updatedAt_missing": 2}
    assert [each.batch for each in found.rows] == ["fan_identity_graph.1.2", "fan_identity_graph.1.1"]
    assert json.loads(found.rows[0].row)["roverID"] == uuid(4), "the row is whole"
    first = commands.quarantine(world.spark, world.settings, batch="fan_identity_graph.1.1")
    assert first.quarantine.total == len(first.quarantine.rows) == 4
    none = commands.quarantine(world.spark, world.settings, batch="fan_identity_graph.1.9")
    assert (none.result, none.ok, none.quarantine.rows) == ("nothing to do", True, ())
    with pytest.raises(ConfigError, match="no such dataset"):
        commands.quarantine(world.spark, world.settings, dataset="fan_profiles")


def test_text_that_is_no_unicode_is_replaced_delivered_and_counted(world: World) -> None:
    world.identities(row(1, "email", "sound \ufffd 😀 \u2028", "2026-11-01 10:00:00"))
    broken = f"'{uuid(2)}', 'email', cast(unhex('61EDA0BD62') AS STRING), TIMESTAMP '2026-11-01 10:00:00'"
    world.sql(f"INSERT INTO {{t}} SELECT {broken}", t="ids")
    result = world.delivered()
    assert result.batches[0].counts["delivered"] == 2 and result.batches[0].counts["replaced"] == 1
    assert [problem.code for problem in result.problems] == ["text_replaced"]
    told = {name[0]: name[2] for name in receiver.identities(world.bucket)}
    assert told[uuid(1)] == "sound \ufffd 😀 \u2028"
    assert set(told[uuid(2)]) == set("a\ufffdb")
    assert commands.verify(world.spark, world.settings).ok


@pytest.mark.law(4)
@pytest.mark.law(7)
def test_staged_bytes_that_are_made_anew_by_another_encoder_take_nothing_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half published, the other half's bytes lost, the text compressed otherwise today: each file is what the ledger says."""
    world.identities(", ".join(row(n, "email", f"{n}@x", "2026-11-01 10:00:00") for n in range(40)))
    world.options["files"] = {"target_records": 10}
    staged = deliver.staged

    def otherwise(*args: Any) -> Manifest:
        made = staged(*args)
        files = []
        for file in made.files:
            path = world.bucket / file.staged
            path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 9, mtime=1))
            packed = path.read_bytes()
            assert hashlib.sha256(packed).hexdigest() != file.sha256
            files.append(replace(file, bytes=len(packed), sha256=hashlib.sha256(packed).hexdigest()))
        return replace(made, files=tuple(files))

    with effects(Fault("store publish", number=3, times=ALWAYS, error=no_answer)):
        assert [problem.code for problem in world.export().problems] == [no_answer().code]
    before = {name: text for name, text in world.fingerprint().items() if name.startswith("exports/")}
    for name in set(world.fingerprint()) - set(before):
        (world.bucket / name).unlink()
    monkeypatch.setattr(deliver, "staged", otherwise)
    with effects(Fault("store publish", number=5, times=ALWAYS, error=no_answer)) as journal:
        assert not world.export().ok, "and it dies again, before any of the new ones is published"
    assert len(journal.gave["store publish"]) == 2
    world.delivered()
    after = world.fingerprint()
    assert 0 < len(before) < len(after) and {name: after[name] for name in before} == before
    assert commands.verify(world.spark, world.settings).ok
    assert len(list(receiver.records(world.bucket, "fan_identity_graph"))) == 40
