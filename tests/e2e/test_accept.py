"""A trait more without a snapshot: what waits for a confirmation holds back nobody, and counts from the next batch on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from rover_spark.cli import app
from rover_spark.errors import ConfigError
from rover_spark.face import commands
from rover_spark.face.console.results import show
from tests import receiver
from tests.e2e.world import FEED, World, row, uuid

AT = "2026-11-01 10:00:00"
PROFILES, GRAPH = "fan_profiles", "fan_identity_graph"
LATER = f"TIMESTAMP '{AT}' + INTERVAL 1 DAY"


@pytest.fixture
def acme(world: World) -> World:
    world.identities(row(1, "email", "a", AT))
    world.sql(
        f"CREATE TABLE {{t}} (id STRING, first STRING, town STRING, at TIMESTAMP) USING delta {FEED}",
        t="fans",
    )
    rows = ", ".join(f"('{uuid(n)}', 'f{n}', 't{n}', TIMESTAMP '{AT}')" for n in (1, 2, 3))
    world.sql(f"INSERT INTO {{t}} VALUES {rows}", t="fans")
    columns = {"roverID": "id", "traits": "struct(first)", "updatedAt": "at"}
    world.datasets[PROFILES] = {"table": world.table("fans"), "columns": columns}
    return world


def traits(world: World, expression: str) -> None:
    world.datasets[PROFILES]["columns"]["traits"] = expression


def configured(world: World, path: Path) -> str:
    lines = [
        f'{name} = "{value}"'
        for name, value in world.settings.model_dump().items()
        if name in {"name", "destination", "ledger"}
    ]
    for dataset, chosen in world.datasets.items():
        columns = ", ".join(f'{name} = "{text}"' for name, text in chosen["columns"].items())
        lines += [f"[datasets.{dataset}]", f'table = "{chosen["table"]}"', f"columns = {{ {columns} }}"]
    path.write_text("\n".join(lines))
    return str(path)


def test_a_trait_more_counts_from_the_next_batch_on(
    acme: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*arguments: str) -> tuple[int, Any]:
        config = configured(acme, tmp_path / "acme.toml")
        done = CliRunner().invoke(app, [*arguments, "-c", config, "--json"])
        return done.exit_code, json.loads(done.stdout)

    monkeypatch.setattr("rover_spark.face.session.build_session", lambda **_: acme.spark)
    with pytest.raises(ConfigError, match="never delivered"):
        commands.accept(acme.spark, acme.settings, PROFILES)
    acme.delivered()
    acme.sql(f"UPDATE {{t}} SET first = 'new', at = {LATER} WHERE id = '{uuid(1)}'", t="fans")
    acme.sql(f"UPDATE {{t}} SET at = at WHERE id = '{uuid(2)}'", t="fans")
    acme.sql(f"INSERT INTO {{t}} VALUES {row(2, 'email', 'b', AT)}", t="ids")
    traits(acme, "struct(first, town)")
    # it waits: the others go on, and it is named everywhere
    code, planned = run("plan")
    assert (code, [each["dataset"] for each in planned["batches"]]) == (1, [GRAPH])
    assert [each["code"] for each in planned["problems"]] == ["source_changed"]
    code, document = run("export", "--now", acme.now().isoformat())
    assert (code, [each["dataset"] for each in document["batches"]]) == (1, [GRAPH])
    (problem,) = document["problems"]
    assert problem["message"].startswith(
        "datasets.fan_profiles.columns.traits: differs from what batch fan_profiles.1.1 was delivered with; nothing of fan_profiles"
    )
    assert f"rover-spark accept -c {tmp_path / 'acme.toml'} --dataset fan_profiles" in problem["remedy"]
    waiting = commands.status(acme.spark, acme.settings)
    assert {each.dataset: bool(each.waits) for each in waiting.datasets} == {
        GRAPH: False,
        PROFILES: True,
    }
    console = Console(record=True, width=200)
    show(console, waiting)
    assert "waits for a confirmation" in console.export_text() and "source_changed" in str(waiting.problems)
    code, document = run("export", "--dataset", PROFILES)
    assert (code, document["batches"], document["problems"][0]["code"]) == (2, [], "source_changed")
    # an expression that cannot be evaluated is not accepted
    traits(acme, "struct(first, city)")
    with pytest.raises(ConfigError, match="city"):
        commands.accept(acme.spark, acme.settings, PROFILES)
    traits(acme, "struct(first, town)")
    code, document = run("accept", "--dataset", PROFILES)
    assert (code, document["result"], document["columns"]) == (0, "accepted", ["traits"])
    code, document = run("accept", "--dataset", PROFILES)
    assert (code, document["problems"][0]["code"]) == (2, "accept_refused")
    (accepted,) = (
        acme.spark.read.format("delta").load(acme.settings.ledger).where("state = 'ACCEPTED'").collect()
    )
    assert (
        json.loads(accepted["note"])["columns"]["traits"] == "struct(first, town)"
        and accepted["batch"] is None
    )
    # what was accepted is what counts: anything else waits again
    traits(acme, "struct(town)")
    with pytest.raises(
        ConfigError, match=r"columns\.traits: differs from what was accepted after batch fan_profiles\.1\.1"
    ):
        acme.export(datasets=[PROFILES])
    traits(acme, "struct(first, town)")
    ahead = commands.plan(acme.spark, acme.settings)
    assert ahead.accepted == {PROFILES: ["traits"]}
    show(console, ahead)
    assert "fan_profiles: columns accepted: traits" in console.export_text()
    (batch,) = acme.delivered().batches
    assert (batch.batch, batch.phase) == ("fan_profiles.1.2", "changes")
    # fan 2 was touched and is as it was; fan 3 shows its town as soon as it changes, or after a rerun
    assert (batch.counts["delivered"], batch.counts["no_change"]) == (1, 1)
    assert receiver.profiles(acme.bucket) == {
        uuid(1): {"first": "new", "town": "t1"}, uuid(2): {"first": "f2"}, uuid(3): {"first": "f3"}
    }  # fmt: skip
    assert commands.plan(acme.spark, acme.settings).document() == {
        "command": "plan", "result": "nothing to do", "batches": [], "problems": [], "planned": {}, "accepted": {}
    }  # fmt: skip
    assert commands.rerun(acme.spark, acme.settings, PROFILES).result == "requested"


def test_columns_of_events_need_no_confirmation(acme: World) -> None:
    event = {"table": "/data/t", "columns": {"id": "i", "time": "t"}}
    integration = {"cluster": "c", "connection": "S3", "integration_id": "i", "zone": "z"}
    acme.datasets = {}
    acme.options = {"contract": "currents", "currents": integration, "events": {"users.Event": event}}
    with pytest.raises(ConfigError, match="a changed schema gets a new id") as caught:
        commands.accept(acme.spark, acme.settings, "events")
    assert caught.value.code == "accept_refused" and "allow_breaking" in caught.value.remedy
