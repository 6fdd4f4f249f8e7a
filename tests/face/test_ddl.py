"""`rover-spark ddl` as a person meets it: what is on which stream, exit codes, and that it needs no Spark."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import sqlglot
import yaml
from typer.testing import CliRunner, Result

from rover_spark.cli import app
from rover_spark.errors import ConfigError
from rover_spark.face.receivers.statements import ddl

CONFIGURATION = """
name = "acme"
destination = "s3://bucket/acme"
ledger = "/data/control/acme"
[datasets.fan_profiles]
table = "/data/tables/fan_profiles"
extra = { loyaltyTier = "tier" }
"""


@pytest.fixture(autouse=True)
def no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROVER_SPARK_CONFIG", raising=False)


@pytest.fixture
def acme(tmp_path: Path) -> Path:
    path = tmp_path / "acme.toml"
    path.write_text(CONFIGURATION, encoding="utf-8")
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["ddl", *map(str, arguments)])


def test_standard_output_is_a_script_that_can_be_run_as_it_is(acme: Path) -> None:
    done = run("--engine", "redshift", "-c", acme, "--schema", "crm")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("-- For redshift: made by rover-spark ddl.")
    assert "'s3://bucket/acme/exports/fan_profiles/<object, or folder, or manifest>'" in done.stdout
    assert '"crm"."fan_profiles_raw"' in done.stdout and '"loyaltyTier" SUPER' in done.stdout
    assert len([each for each in sqlglot.parse(done.stdout, dialect="redshift") if each]) == 5


def test_data_contracts_are_one_stream_of_documents() -> None:
    done = run("--engine", "odcs", "--place", "gs://bucket/acme")
    assert done.exit_code == 0
    found = list(yaml.safe_load_all(done.stdout))
    assert [each["kind"] for each in found] == ["DataContract"] * 4


@pytest.mark.parametrize("engine", ["duckdb", "odcs"])
def test_with_json_it_is_one_document(engine: str, acme: Path) -> None:
    done = run("--engine", engine, "-c", acme, "--json")
    assert done.exit_code == 0 and done.stdout.count("\n") == 1
    found = json.loads(done.stdout)
    assert (found["command"], found["result"], found["engine"], found["problems"]) == (
        "ddl",
        "done",
        engine,
        [],
    )
    assert all(
        set(each) == {"dataset", "purpose", "text", "remarks", "each_object"} for each in found["statements"]
    )


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--engine", "redshfit"], "engine_unknown", "did you mean redshift?"),
        (["--engine", "oracle"], "engine_unknown", "athena, bigquery, clickhouse, databricks, duckdb, odcs, postgres"),
        (["--engine", "duckdb", "--dataset", "fan_profile"], "dataset_unknown", "did you mean fan_profiles?"),
        (["--engine", "duckdb", "--place", "bucket"], "place_invalid", "s3://BUCKET/PREFIX"),
        (["--engine", "bigquery", "--place", "s3://b/p"], "place_invalid", "gs://"),
        (["--engine", "duckdb", "--schema", "a\\b"], "name_invalid", "control characters and backslashes"),
        (["--engine", "duckdb", "-c", "no.toml"], "config_unreadable", "Name a readable file"),
    ],
)  # fmt: skip
def test_wrong_usage_exits_2_and_says_what_there_is(arguments: list[str], code: str, words: str) -> None:
    done = run(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert f"{code}: " in done.stderr and words in " ".join(done.stderr.split())
    (problem,) = json.loads(run(*arguments, "--json").stdout)["problems"]
    assert problem["code"] == code


def test_help_names_every_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    done = run("-h")
    with pytest.raises(ConfigError) as caught:
        ddl("none")
    engines = caught.value.remedy.removeprefix("There are ").rstrip(".").split(", ")
    assert len(engines) == 9 and all(each in done.stdout for each in engines)
    assert "Example: rover-spark ddl --engine duckdb" in done.stdout


@pytest.mark.parametrize(
    ("missing", "code"), [("pyspark", 0), ("pyarrow", 0), ("deltalake", 0), ("sqlglot", 2), ("yaml", 2)]
)
def test_it_needs_two_packages_and_no_spark(missing: str, code: int) -> None:
    without = (
        f"import sys; sys.modules[{missing!r}] = None; from rover_spark.cli import app; app(sys.argv[1:])"
    )
    command = [sys.executable, "-c", without, "ddl", "--engine", "duckdb", "--dataset", "fan_profiles"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == code and "Traceback" not in done.stderr
    assert ("rover_spark[ddl]" in done.stderr) is (code == 2)
