"""What must be mended before any row is read: exit 2, one message that names it, nothing written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from rover_spark.cli import app
from rover_spark.errors import ConfigError
from rover_spark.face import commands
from tests.e2e.world import World, row

AT = "2026-11-01 10:00:00"


def _refused(world: World, code: str, *words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        world.export()
    assert caught.value.code == code
    for word in words:
        assert word in caught.value.message + caught.value.remedy
    assert not world.bucket.exists() and not (world.root / "control").exists()


def test_a_source_that_cannot_serve_is_refused_with_what_mends_it(world: World) -> None:
    world.datasets["fan_identity_graph"] = {"table": world.table("ids")}
    _refused(world, "source_missing", "datasets.fan_identity_graph.table", world.table("ids"))
    world.sql("CREATE TABLE {t} (rover_id STRING, kind STRING, value STRING, at STRING) USING delta", t="ids")
    _refused(world, "feed_off", "ALTER TABLE delta.", "SET TBLPROPERTIES (delta.enableChangeDataFeed = true)")
    world.sql("ALTER TABLE {t} SET TBLPROPERTIES (delta.enableChangeDataFeed = true)", t="ids")
    _refused(world, "column_missing", "columns.roverID", "rover_id, kind, value, at")
    columns = {"roverID": "rover_id", "identifierType": "kind", "identifier": "value", "updatedAt": "at"}
    world.datasets["fan_identity_graph"]["columns"] = columns
    _refused(world, "column_type", "columns.updatedAt", "to_timestamp(at)")
    columns["updatedAt"] = "to_timestamp(at)"
    world.datasets["fan_identity_graph"]["where"] = "nowhere = 1"
    _refused(world, "column_missing", "where")


def test_credentials_for_another_account_than_that_of_the_settings_are_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.identities(row(1, "email", "a", AT))
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "AccountName=theirs;AccountKey=hunter2")
    store = {"endpoint": "https://ours.blob.core.windows.net"}
    world.options = {"destination": "az://container/acme", "store": store}
    _refused(world, "account_ambiguous", "ours.blob.core.windows.net", "theirs.blob.core.windows.net")


def test_a_changed_filter_is_refused_until_a_rerun_confirms_it(world: World) -> None:
    world.identities(f"{row(1, 'email', 'a', AT)}, {row(2, 'phone', 'b', AT)}")
    world.delivered()
    world.datasets["fan_identity_graph"]["where"] = "kind = 'email'"
    before = world.fingerprint()
    with pytest.raises(ConfigError, match=r"datasets\.fan_identity_graph\.where") as caught:
        world.export()
    assert "rerun" in caught.value.remedy and world.fingerprint() == before
    commands.rerun(world.spark, world.settings, "fan_identity_graph")
    result = world.delivered()
    assert [(b.phase, b.counts["delivered"]) for b in result.batches] == [("snapshot", 1)]


def test_a_ledger_of_a_newer_format_is_refused(world: World) -> None:
    world.identities(row(1, "email", "a", AT))
    world.delivered()
    world.spark.sql(
        f"ALTER TABLE delta.`{world.settings.ledger}` SET TBLPROPERTIES ('rover_spark.format' = '2')"
    )
    with pytest.raises(ConfigError, match="format 2") as caught:
        world.export()
    assert caught.value.code == "ledger_newer"


def test_the_command_line_speaks_json_and_exit_codes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.identities(row(1, "email", "a", AT))
    config = world.config()
    monkeypatch.setattr("rover_spark.face.session.build_session", lambda **_: world.spark)

    def run(*arguments: str) -> tuple[int, Any]:
        result = CliRunner().invoke(app, [*arguments, "-c", str(config), "--json"])
        return result.exit_code, json.loads(result.stdout)

    code, planned = run("plan", "--now", "2026-11-21T10:15:00Z")
    assert code == 0 and planned["batches"][0]["state"] == "PLANNED"
    code, document = run("export", "--now", "2026-11-21T10:15:00Z")
    assert (code, document["command"], document["result"], document["problems"]) == (0, "export", "done", [])
    (file,) = document["batches"][0]["files"]
    assert set(file) == {"key", "records", "bytes", "sha256", "raw_bytes", "raw_sha256"}
    assert "/date=2026-11-21/hour=10/fan_identity_graph-20261121T101500Z-part-" in file["key"]
    code, document = run("export", "--now", "2026-11-21T10:15:00Z")
    assert (code, document["result"]) == (0, "nothing to do")
    assert run("verify")[0] == 0
    (world.bucket / file["key"]).unlink()
    code, document = run("verify")
    assert (
        code == 1
        and document["problems"][0]["code"] == "object_missing"
        and file["key"] in document["problems"][0]["message"]
    )
    assert run("redeliver", "--batch", "fan_identity_graph.1.1")[0] == 0
    assert run("status")[0] == 0
    assert run("sweep", "--older-than", "0s") == (
        0,
        {
            "command": "sweep",
            "result": "nothing to do",
            "batches": [],
            "problems": [],
            "removed": [],
            "left": "",
        },
    )
    assert run("rerun", "--dataset", "fan_identity_graph")[0] == 0
    assert run("rerun", "--dataset", "fan_profiles")[0] == 2
