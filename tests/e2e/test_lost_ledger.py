"""A ledger that is not the one that delivered: refused, adopted, moved; and what receivers see of each."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from rover_spark import commands
from rover_spark.adoption import Adoption
from rover_spark.cli import app
from rover_spark.errors import ConfigError
from rover_spark.heads import Head
from rover_spark.result import iso
from rover_spark.settings import load
from tests import receiver
from tests.e2e.stream import CUSTOM, Stream, values
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


def documented(word: str) -> str:
    """The one line of the page on operating it that begins with this command."""
    text = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
    (line,) = (line[2:] for line in text.splitlines() if line.startswith(f"$ {word} "))
    return line


def shell(world: World, line: str) -> None:
    """A documented command, in this world's directories."""
    for place, here in (
        ("/data/control", "control"),
        ("/fast/control", "fast"),
        ("/backup/", "backup/"),
        ("/etc/rover_spark", "etc"),
    ):
        line = line.replace(place, f"{world.root}/{here}")
    subprocess.run(["bash", "-euc", line], check=True)


def test_a_ledger_is_backed_up_and_moved_by_the_documented_commands_and_the_export_goes_on(
    acme: World,
) -> None:
    for name in ("fast", "backup", "etc", "older"):
        (acme.root / name).mkdir()
    old = acme.root / "control"
    assert {path.name for path in old.iterdir()} >= {"acme", "acme_quarantine", "acme_floors", "acme.lock"}
    shell(acme, documented("tar"))
    shell(acme, documented("cp"))
    config = acme.root / "etc" / "acme.toml"
    config.write_text(acme.config().read_text())
    shell(acme, documented("sed"))
    assert load(config, {}).ledger == f"{acme.root}/fast/acme"
    shutil.rmtree(old)

    acme.options["ledger"] = load(config, {}).ledger
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

    # an older copy delivers again what came after it, under the same ids
    (backup,) = (acme.root / "backup").iterdir()
    subprocess.run(["tar", "-xzf", backup, "-C", acme.root / "older"], check=True)
    acme.options["ledger"] = f"{acme.root}/older/acme"
    assert acme.delivered().batches[0].batch == batch.batch
    again = [each["id"] for each in receiver.records(acme.bucket, IDS)].count(newest["id"])
    assert again == 2
    (foreign,) = commands.verify(acme.spark, acme.settings).problems
    assert foreign.code == "object_foreign" and f"of batch {batch.batch} of this export" in foreign.message


@pytest.mark.full
@pytest.mark.parametrize("start", ["earliest", "enable"])
def test_an_integration_that_is_adopted_takes_no_key_and_no_offset_twice(stream: Stream, start: str) -> None:
    stream.currents["partitions"] = 2
    stream.events[CUSTOM]["start"] = "earliest"
    stream.add(values(0, 10))
    stream.delivered()
    before = stream.files()
    lost = Path(stream.settings.ledger)
    shutil.rmtree(lost)
    stream.events[CUSTOM]["start"] = start
    assert refused(stream.export).code == "ledger_unaware"
    assert not lost.exists()
    result = commands.export(stream.spark, stream.settings, adopt_empty_ledger=True)
    assert result.ok and [problem.code for problem in result.problems] == ["ledger_adopted"]
    stream.add(values(10, 20))
    assert stream.delivered().problems == ()
    after = stream.files()
    fresh = {key: events for key, events in after.items() if key not in before}
    assert {key: events for key, events in after.items() if key in before} == before, (
        "and nothing was replaced"
    )
    assert all(key.offset >= 100_000 and key.schema_id > 1 for key in fresh)
    told = sorted(event["id"] for events in fresh.values() for event in events)
    assert told == sorted(f"e{n}" for n in range(0 if start == "earliest" else 10, 20))
    problems = commands.verify(stream.spark, stream.settings).problems
    assert [problem.code for problem in problems] == ["object_foreign"] * len(before)


def test_another_drivers_first_batch_is_no_lost_ledger(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It delivers between this run's look at the ledger and its look at the bucket."""
    world.identities(row(1, "email", "a", "2026-11-20 10:00:00"))
    look, other = Adoption.look, list[Any]()

    def late(self: Adoption, dataset: str, head: Head) -> None:
        if not other:
            other.append(None)
            other.append(world.delivered())
        look(self, dataset, head)

    monkeypatch.setattr(Adoption, "look", late)
    result = world.export()
    assert other[1].batches and result.ok and not result.batches, "it follows, and finds nothing to do"
    assert len(receiver.keys(world.bucket)) == 1
