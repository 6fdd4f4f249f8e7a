"""A ledger that is not the one that delivered: refused, adopted, moved; and what receivers see of each."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rover_spark.cli import app
from rover_spark.config.settings import load
from rover_spark.errors import ConfigError
from rover_spark.face import commands
from rover_spark.face.document import iso
from rover_spark.model.dataset_state import BatchRecord
from tests import receiver
from tests.e2e.stream import CUSTOM, Stream, values
from tests.e2e.world import World, row
from tests.effects import effects

ROWS = ", ".join(row(n, "email", f"{n}@example.com", "2026-11-20 10:00:00") for n in range(1, 4))


IDS = "fan_identity_graph"


def refused(act: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        act()
    return caught.value


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


def test_what_becomes_of_a_ledger_that_is_moved_mistyped_lost_or_brought_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One story, for each of its exports takes seconds: every part begins where the one before ended."""
    world.identities(
        f"{ROWS}, {row(9, 'email', 'x', '2026-11-20 10:00:00').replace('00000009-', 'no-uuid-')}"
    )
    first = world.delivered().batches[0]
    world.sql("DELETE FROM {t} WHERE value = '3@example.com'", t="ids")
    world.delivered()
    _backed_up_and_moved_by_the_documented_commands(world)
    again = row(3, "email", "3@example.com", "2026-11-20 10:00:00")  # comes back with its time of before
    world.sql(f"INSERT INTO {{t}} VALUES {again}", t="ids")
    _goes_on(world)
    right = world.settings.ledger
    _is_refused_under_a_path_with_a_typo(world, monkeypatch)
    _begins_anew_once_it_is_adopted(world, first)
    _delivers_again_under_the_same_ids_from_an_older_copy(world)
    world.options["ledger"] = right
    assert {problem.code for problem in commands.verify(world.spark, world.settings).problems} == {
        "object_foreign"
    }, "what the right ledger knows is all there, as it was delivered"


def _backed_up_and_moved_by_the_documented_commands(world: World) -> None:
    for name in ("fast", "backup", "etc", "older"):
        (world.root / name).mkdir()
    old = world.root / "control"
    assert {path.name for path in old.iterdir()} >= {"acme", "acme_quarantine", "acme_floors", "acme.lock"}
    shell(world, documented("tar"))
    shell(world, documented("cp"))
    config = world.root / "etc" / "acme.toml"
    config.write_text(world.config().read_text())
    shell(world, documented("sed"))
    shutil.rmtree(old)
    world.options["ledger"] = load(config, {}).ledger
    assert world.options["ledger"] == f"{world.root}/fast/acme"


def _goes_on(world: World) -> None:
    (batch,) = world.delivered().batches
    assert batch.batch == "fan_identity_graph.1.3" and batch.counts["delivered"] == 1
    told = [each for each in receiver.records(world.bucket, IDS) if each["identifier"] == "3@example.com"]
    assert [each["operation"] for each in sorted(told, key=lambda each: each["updatedAt"])] == [
        "create",
        "delete",
        "create",
    ], "its floor came along"
    assert commands.verify(world.spark, world.settings).ok
    assert not (world.root / "control").exists()


def _is_refused_under_a_path_with_a_typo(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before, typo = world.fingerprint(), world.root / "fast" / "amce"
    world.options["ledger"] = str(typo)
    for act in (lambda: commands.plan(world.spark, world.settings, now=world.now()), world.export):
        error = refused(act)
        assert (error.code, error.exit_code) == ("ledger_unaware", 2)
        assert "fan_identity_graph.1." in error.message and str(typo) in error.message
        assert "--adopt-empty-ledger" in error.remedy
    checked = commands.check(world.spark, world.settings)
    (problem,) = checked.problems
    assert not checked.ok and problem.message.startswith("ledger: files that it should know: ")
    (world.bucket / "_rover_staging" / "acme" / "probe").unlink()
    monkeypatch.setattr("rover_spark.face.session.build_session", lambda **_: world.spark)
    told = CliRunner().invoke(app, ["export", "-c", str(world.config()), "--json"])
    assert (told.exit_code, json.loads(told.stdout)["problems"][0]["code"]) == (2, "ledger_unaware")
    both = ["export", "-c", str(world.config()), "--adopt-empty-ledger", "--every", "5m"]
    assert CliRunner().invoke(app, both).exit_code == 2, "it is for once, not for every start"
    assert world.fingerprint() == before and not typo.exists(), "nothing was written anywhere"
    # another export may deliver into the same bucket
    world.options["name"] = "acme-eu"
    assert commands.plan(world.spark, world.settings, now=world.now()).batches[0].batch == f"{IDS}.1.1"
    del world.options["name"]


def _begins_anew_once_it_is_adopted(world: World, first: BatchRecord) -> None:
    taken, before = receiver.keys(world.bucket), list(receiver.records(world.bucket, IDS))
    result = world.delivered(adopt_empty_ledger=True)
    (batch,) = result.batches
    assert batch.batch == first.batch and batch.counts["delivered"] == 3
    assert [problem.code for problem in result.problems] == ["ledger_adopted", "rows_quarantined"]
    assert set(receiver.keys(world.bucket)) - set(taken) == {file.key for file in batch.files}
    ids = {each["identifier"]: each["id"] for each in before if each["emittedAt"] == iso(first.instant)}
    anew = {
        each["identifier"]: each["id"]
        for each in receiver.records(world.bucket, IDS)
        if each["emittedAt"] == iso(batch.instant)
    }
    assert anew == ids, "whoever loads by id sees what is there already"
    found = commands.verify(world.spark, world.settings).problems
    assert {problem.code for problem in found} == {"object_foreign"} and len(found) == len(taken)
    assert all(f"of batch {IDS}.1.{n} of this export" in each.message for n, each in enumerate(found, 1))
    assert all("names the right place" in problem.remedy for problem in found)
    assert not [problem for problem in found if "emove" in problem.remedy]
    later = commands.plan(world.spark, world.settings, now=world.now())
    assert later.result == "nothing to do", "adopted once, it is a ledger as any other"


def _delivers_again_under_the_same_ids_from_an_older_copy(world: World) -> None:
    (backup,) = (world.root / "backup").iterdir()
    subprocess.run(["tar", "-xzf", backup, "-C", world.root / "older"], check=True)
    world.options["ledger"] = f"{world.root}/older/acme"
    before = [each["id"] for each in receiver.records(world.bucket, IDS)]
    (batch,) = world.delivered().batches
    assert batch.batch == f"{IDS}.1.3"
    assert {each["id"] for each in receiver.records(world.bucket, IDS)} == set(before)
    assert len(receiver.keys(world.bucket)) == 5, "in a file of its own"


@pytest.mark.law(6)
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


def test_another_drivers_first_batch_is_no_lost_ledger(world: World) -> None:
    """It delivers between this run's look at the ledger and its look at the bucket."""
    world.identities(row(1, "email", "a", "2026-11-20 10:00:00"))
    other = list[Any]()

    def look(effect: str) -> None:
        if not other:
            assert effect == "source state", "between the two"
            other.append(None)
            other.append(world.delivered())

    with effects(look=look):
        result = world.export()
    assert other[1].batches and result.ok and not result.batches, "it follows, and finds nothing to do"
    assert len(receiver.keys(world.bucket)) == 1
