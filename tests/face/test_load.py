"""`rover-spark load` as people and programs meet it: exit codes, the table, the document; and that it loads no Spark."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rover_spark.cli import app
from rover_spark.errors import ConfigError
from rover_spark.face.receivers.load import load
from tests.consume.load.loading import DUCKDB
from tests.consume.load.test_manifests import batch, publish
from tests.consume.written import currents_bucket, key, put, record, rover_bucket, text

CONFIGURATION = """
name = "acme"
destination = "file://{place}"
ledger = "/data/control/acme"
[datasets.fan_profiles]
table = "/data/tables/fan_profiles"
"""


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    return currents_bucket(rover_bucket(tmp_path / "bucket", records=5))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["load", *map(str, arguments)])


def test_one_command_loads_and_the_views_are_there(bucket: Path, tmp_path: Path) -> None:
    file = tmp_path / "crm.duckdb"
    result = run(bucket, "--into", file)
    assert (result.exit_code, result.stderr) == (0, "")
    rows = [line.split() for line in result.stdout.splitlines()]
    assert rows[0] == ["dataset", "objects", "new", "repeated", "bad", "lines", "damaged"]
    assert ["fan_profiles", "2", "10", "0", "0", "0"] in rows
    assert ["users.behaviors.CustomEvent", "3", "60", "0", "0", "0"] in rows
    assert DUCKDB.ask(file, "SELECT count(*) FROM fan_profiles_current") == [(10,)]
    again = run(bucket, "--into", file)
    assert (again.exit_code, again.stdout) == (0, "nothing to do\n")


def test_what_is_in_the_quarantine_is_a_notice_and_with_strict_a_failure(
    bucket: Path, tmp_path: Path
) -> None:
    put(
        bucket,
        key("fan_profiles", token="bad"),
        gzip.compress(text([record("fan_profiles", 99)]) + b"{}\n[red]"),
    )
    put(bucket, key("fan_profiles", token="cut"), b"")
    result = run(bucket, "--into", tmp_path / "a.duckdb")
    assert result.exit_code == 0
    notice = "load_quarantined: in the quarantine: 2 lines, 1 object; all else is loaded\n"
    assert notice in result.stdout + result.stderr
    strict = run(bucket, "--into", tmp_path / "b.duckdb", "--strict", "--json")
    found = json.loads(strict.stdout)
    assert (strict.exit_code, found["result"], found["quarantined"]) == (1, "failed", 3)
    assert [each["code"] for each in found["problems"]] == ["load_quarantined"]
    assert DUCKDB.ask(tmp_path / "b.duckdb", "SELECT count(*) FROM fan_profiles_raw") == [(11,)]


def test_the_place_may_come_from_a_configuration(bucket: Path, tmp_path: Path) -> None:
    (tmp_path / "acme.toml").write_text(CONFIGURATION.format(place=bucket))
    result = run("-c", tmp_path / "acme.toml", "--into", tmp_path / "a.duckdb", "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["place"], len(found["datasets"])) == (0, f"file://{bucket}", 6)


def test_manifests_may_have_the_place_that_the_configuration_names(bucket: Path, tmp_path: Path) -> None:
    completion, paths = batch(bucket)
    paths[0].unlink()
    publish(tmp_path / "elsewhere", completion)
    manifests = f'[manifests]\nplace = "file://{tmp_path}/elsewhere"\n'
    (tmp_path / "acme.toml").write_text(CONFIGURATION.format(place=bucket) + manifests)
    result = run("-c", tmp_path / "acme.toml", "--into", tmp_path / "a.duckdb", "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["waiting"], found["manifests"]) == (0, 1, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--into", "x.duckdb"], "place_unknown: neither a URL nor a configuration is named"),
        (["BUCKET", "--into", "x.duckdb", "--engine", "spak"], "engine_unknown: --engine spak: there is no such engine, did you mean spark?"),
        (["nowhere", "--into", "x.duckdb"], "place_unknown: "),
        (["BUCKET", "--into", "nowhere/x.duckdb"], "into_invalid: --into nowhere/x.duckdb: there is no directory nowhere"),
        (["BUCKET", "--into", "x.duckdb", "--look-back", "soon"], "age_invalid: "),
    ],
)  # fmt: skip
def test_wrong_usage_is_one_message_and_exit_2(
    arguments: list[str], message: str, bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*(str(bucket) if each == "BUCKET" else each for each in arguments))
    assert result.exit_code == 2 and result.stderr.startswith(message)
    assert "Traceback" not in result.stderr and not (tmp_path / "x.duckdb").exists()


def test_without_duckdb_it_says_what_to_install(
    bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(ConfigError) as refused:
        load(str(bucket), into=tmp_path / "x.duckdb")
    assert (refused.value.code, refused.value.remedy) == ("no_sdk", "Install rover_spark[duckdb].")
    assert "duckdb" in refused.value.message


def test_loading_starts_no_spark(bucket: Path, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from rover_spark.face.receivers.load import load\n"
        f"assert load({str(bucket)!r}, into={str(tmp_path / 'x.duckdb')!r}).ok\n"
        "print([name for name in ('pyspark', 'py4j', 'deltalake', 'boto3') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
