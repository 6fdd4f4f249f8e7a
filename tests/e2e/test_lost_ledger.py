"""A ledger that is not the one that delivered: refused, adopted, moved; and what receivers see of each."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from rover_spark import commands
from rover_spark.cli import app
from rover_spark.errors import ConfigError
from rover_spark.result import iso
from tests import receiver
from tests.e2e.stream import Stream, values
from tests.e2e.world import World, row

ROWS = ", ".join(row(n, "email", f"{n}@example.com", "2026-11-20 10:00:00") for n in range(1, 4))


IDS = "fan_identity_graph"


@pytest.fixture
def acme(spark: SparkSession, tmp_path: Path) -> World:
    """Three rows delivered, one of them deleted and that told, and one in the quarantine."""
    world = World(spark, tmp_path)
    world.identities(
        f"{ROWS}, {row(9, 'email', 'x', '2026-11-20 10:00:00').replace('00000009-', 'no-uuid-')}"
    )
    world.delivered()
    world.sql("DELETE FROM {t} WHERE value = '3@example.com'", t="ids")
    world.delivered()
    return world


def refused(act: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        act()
    return caught.value


def test_a_ledger_that_does_not_know_what_was_delivered_is_refused_until_it_is_adopted(
    acme: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, first = acme.fingerprint(), list(receiver.records(acme.bucket, IDS))
    right, typo = acme.settings.ledger, acme.root / "control" / "amce"
    acme.options["ledger"] = str(typo)
    for act in (lambda: commands.plan(acme.spark, acme.settings, now=acme.now()), acme.export):
        error = refused(act)
        assert (error.code, error.exit_code) == ("ledger_unaware", 2)
        assert "fan_identity_graph.1." in error.message and str(typo) in error.message
        assert "--adopt-empty-ledger" in error.remedy
    checked = commands.check(acme.spark, acme.settings)
    (problem,) = checked.problems
    assert not checked.ok and problem.message.startswith("ledger: files that it should know: ")
    monkeypatch.setattr("rover_spark.session.build_session", lambda **_: acme.spark)
    told = CliRunner().invoke(app, ["export", "-c", str(acme.config()), "--json"])
    assert (told.exit_code, json.loads(told.stdout)["problems"][0]["code"]) == (2, "ledger_unaware")
    wrong = CliRunner().invoke(
        app, ["export", "-c", str(acme.config()), "--adopt-empty-ledger", "--every", "5m"]
    )
    assert wrong.exit_code == 2 and "--adopt-empty-ledger" in wrong.output
    probe = acme.bucket / "_rover_staging" / "acme" / "probe"
    probe.unlink()
    assert acme.fingerprint() == before and not typo.exists(), "nothing was written anywhere"

    # whoever knows what was delivered, or has another name, is not kept from delivering
    acme.sql("INSERT INTO {t} VALUES " + row(4, "email", "4@example.com", "2026-11-21 10:00:00"), t="ids")
    acme.options = {"name": "acme-eu", "ledger": str(typo)}
    assert acme.delivered().batches[0].batch == "fan_identity_graph.1.1"
    acme.options = {"ledger": right}
    assert acme.delivered().batches[0].batch == "fan_identity_graph.1.3"

    acme.options = {"ledger": str(typo)}  # which holds a batch by now, but of the other name
    assert refused(acme.export).code == "ledger_unaware"
    taken = len(receiver.keys(acme.bucket))
    result = acme.delivered(adopt_empty_ledger=True)
    (batch,) = result.batches
    assert batch.batch == "fan_identity_graph.1.1" and batch.counts["delivered"] == 3
    assert [problem.code for problem in result.problems] == ["ledger_adopted", "rows_quarantined"]
    assert len(receiver.keys(acme.bucket)) == taken + 1, "new files, and no key is taken a second time"
    again = [each for each in receiver.records(acme.bucket, IDS) if each["emittedAt"] == iso(batch.instant)]
    ids = {each["identifier"]: each["id"] for each in first if each["operation"] == "create"}
    assert {each["identifier"]: each["id"] for each in again if each["identifier"] in ids} == {
        name: ids[name] for name in ("1@example.com", "2@example.com")
    }, "whoever loads by id sees what is there already"
    found = commands.verify(acme.spark, acme.settings)
    mine = [p for p in found.problems if "of batch fan_identity_graph.1.2 of this export" in p.message]
    assert len(mine) == 1 and {p.code for p in found.problems} == {"object_foreign"}
    assert not [p for p in found.problems if p.remedy.startswith("Remove")]
    assert all("names the right place" in p.remedy for p in found.problems)
    assert acme.delivered().result == "nothing to do", "adopted once, it is a ledger as any other"


def test_a_ledger_moves_as_directories_and_the_export_goes_on(acme: World) -> None:
    old, new = acme.root / "control", acme.root / "elsewhere"
    assert {path.name for path in old.iterdir()} >= {"acme", "acme_quarantine", "acme_floors"}
    shutil.copytree(old, new)
    shutil.rmtree(old)
    acme.options["ledger"] = str(new / "acme")
    older = row(3, "email", "3@example.com", "2026-11-20 10:00:00")  # comes back with its time of before
    acme.sql(f"INSERT INTO {{t}} VALUES {older}", t="ids")
    (batch,) = acme.delivered().batches
    assert batch.batch == "fan_identity_graph.1.3" and batch.counts["delivered"] == 1
    told = [each for each in receiver.records(acme.bucket, IDS) if each["identifier"] == "3@example.com"]
    newest = max(told, key=lambda each: each["updatedAt"])
    assert [each["operation"] for each in told].count("create") == 2 and newest["operation"] == "create", (
        "its floor came along"
    )
    assert commands.verify(acme.spark, acme.settings).ok
    assert not old.exists()


@pytest.mark.full
def test_an_integration_that_began_elsewhere_is_refused_and_never_adopted(stream: Stream) -> None:
    stream.events[next(iter(stream.events))]["start"] = "earliest"
    stream.add(values(0, 10))
    stream.delivered()
    lost = Path(stream.settings.ledger)
    shutil.rmtree(lost)
    for adopt in (False, True):
        error = refused(
            lambda adopt=adopt: commands.export(stream.spark, stream.settings, adopt_empty_ledger=adopt)
        )
        assert error.code == "ledger_unaware" and "integration_id" in error.remedy
    assert not lost.exists()
