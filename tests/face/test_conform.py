"""`rover-spark conform` as people and programs meet it: exit codes, the table, the document; and that it loads no Spark."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rover_spark.cli import app
from rover_spark.consume.conform import doubled
from rover_spark.errors import StoreError
from rover_spark.face.receivers.conform import conform
from rover_spark.store.local import LocalStore
from tests.consume.written import AT, currents_bucket, key, put, record, rover_bucket, text

CONFIGURATION = """
name = "acme"
destination = "s3://elsewhere/acme"
ledger = "/data/control/acme"
[store]
region = "eu-central-1"
[datasets.fan_profiles]
table = "/data/tables/fan_profiles"
"""


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    return currents_bucket(rover_bucket(tmp_path / "bucket"))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["conform", *map(str, arguments)])


def test_a_bucket_as_the_contract_says_exits_0(bucket: Path) -> None:
    result = run(bucket)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "fan_profiles" in result.stdout and "users.behaviors.CustomEvent" in result.stdout
    assert result.stdout.endswith("all of it is as the contract says\n")
    assert run(f"file://{bucket}", "--json").exit_code == 0


def test_an_empty_place_has_nothing_to_do(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert (result.exit_code, result.stdout) == (0, "no files of a contract are there\n")


def test_a_breach_exits_1_with_its_count_and_an_example(bucket: Path) -> None:
    put(bucket, key("fan_profiles"), b"{}\n")
    put(bucket, "exports/fan_profiles/[red]\x1b[31m", b"")
    result = run(bucket)
    assert result.exit_code == 1
    assert "not_gzip: fan_profiles: a file is no gzip\n" in result.stdout
    assert f"    {key('fan_profiles')} not gzip: it does not begin as a member\n" in result.stdout
    assert "exports/fan_profiles/[red]\\x1b[31m is no key of the contract" in result.stdout
    assert "all of it" not in result.stdout


def test_what_was_not_compared_is_said_and_breaks_nothing(
    bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = {**record("fan_profiles", 0), "traits": {}}
    put(bucket, key("fan_profiles", AT, "z9"), gzip.compress(text([again])))
    monkeypatch.setattr(doubled, "COMPARED", 0)
    result = run(bucket)
    assert result.exit_code == 0
    assert "1 record has the id of another one and was not compared\n" in result.stdout
    assert result.stdout.endswith("all else is as the contract says\n")


@pytest.mark.parametrize("number", ["0", "99999999999999999999"])
def test_a_sample_has_bounds(bucket: Path, number: str) -> None:
    result = run(bucket, "--sample", number)
    assert result.exit_code == 2 and "--sample" in result.stderr


def test_with_json_the_report_is_one_document(bucket: Path) -> None:
    put(bucket, key("fan_profiles"), b"{}\n")
    result = run(bucket, "--json", "--since", "2026-11-21T04:00:00Z", "--sample", "1", "--for", "duckdb")
    assert result.exit_code == 1 and result.stdout.count("\n") == 1
    found = json.loads(result.stdout)
    assert list(found) == [
        "command", "result", "batches", "problems", "place", "datasets", "breaches", "manifests", "others", "notices"
    ]  # fmt: skip
    assert (found["command"], found["result"], found["place"]) == ("conform", "failed", str(bucket))
    assert {each["dataset"]: (each["files"], each["read"]) for each in found["datasets"]} == {
        "fan_identity_graph": (2, 1),
        "fan_profile_merges": (2, 1),
        "fan_profiles": (2, 1),
        "fan_track_events": (2, 1),
        "users.behaviors.CustomEvent": (3, 1),
        "users.messages.email.Open": (3, 1),
    }
    (breach,) = found["breaches"]
    assert (breach["code"], breach["count"], breach["example"]["key"]) == ("not_gzip", 1, key("fan_profiles"))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["/no/such/directory"], "place_unknown"),
        (["ftp://x/y"], "place_unknown"),
        ([".", "--for", "duckbd"], "loader_unknown"),
        ([".", "--since", "yesterday"], "now_invalid"),
        ([".", "--since", "2026-11-21T04:00:00"], "now_invalid"),
        ([".", "--since", "1234567d"], "age_invalid"),
        ([".", "-c", "/no/such/file.toml"], "config_unreadable"),
    ],
)
def test_a_mistake_exits_2_with_one_message(arguments: list[str], code: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == "" and f"{code}: " in result.stderr and "Traceback" not in result.stderr
    (problem,) = json.loads(run(*arguments, "--json").stdout)["problems"]
    assert problem["code"] == code


def test_a_store_that_refuses_is_told_in_words_of_this_command(
    bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(store: LocalStore, prefix: str) -> None:
        raise StoreError(
            "cannot list it",
            code="store_refused",
            remedy="Look. Run export again: it goes on where it stopped.",
        )

    monkeypatch.setattr(LocalStore, "listing", refuse)
    result = run(bucket)
    assert result.exit_code == 1
    assert result.stderr == "store_refused: cannot list it\n  → Look. Run conform again.\n"


def test_an_age_is_counted_from_now(tmp_path: Path) -> None:
    now = datetime.now(timezone.utc)
    for hours in (1, 30):
        put(tmp_path, key("fan_profiles", now - timedelta(hours=hours)), b"")
    for age, files in (("24h", 1), ("2d", 2)):
        (found,) = json.loads(run(tmp_path, "--since", age, "--json").stdout)["datasets"]
        assert found["files"] == files


def test_a_configuration_only_says_how_the_bucket_is_reached(bucket: Path, tmp_path: Path) -> None:
    file = tmp_path / "acme.toml"
    file.write_text(CONFIGURATION, encoding="utf-8")
    assert run(bucket, "-c", file).exit_code == 0


def test_the_function_gives_what_the_command_line_shows(bucket: Path) -> None:
    found = conform(str(bucket), now=AT, processes=1)
    assert found.ok and found.result == "done" and len(found.datasets) == 6


def test_it_loads_neither_spark_nor_what_only_the_producer_needs(bucket: Path) -> None:
    program = (
        "import sys\n"
        "from rover_spark.face.receivers.conform import conform\n"
        f"assert conform({str(bucket)!r}).ok\n"
        "print([name for name in ('pyspark', 'py4j', 'pyarrow', 'pandas', 'deltalake', 'boto3') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
