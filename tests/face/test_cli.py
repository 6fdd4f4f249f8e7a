"""The command line as far as it goes without Spark: usage, configuration, exit codes, the two streams."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rover_spark import __version__
from rover_spark.cli import app

COMMANDS = [
    "export",
    "plan",
    "rerun",
    "accept",
    "redeliver",
    "status",
    "verify",
    "quarantine",
    "schemas",
    "check",
    "sweep",
]
REQUIRED = {
    "rerun": ["--dataset", "fan_profiles"],
    "accept": ["--dataset", "fan_profiles"],
    "redeliver": ["--batch", "fan_profiles.1.1"],
}
GOOD = """
name = "acme"
destination = "file:///data/bucket/acme"
ledger = "/data/control/acme"
[datasets.fan_profiles]
table = "/data/tables/fan_profiles"
"""


class SparkStarted(BaseException):
    """No Exception: the command line makes a message of those."""


@pytest.fixture(autouse=True)
def no_spark(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that begins, once its options and settings are read, is a failure of the test, not a minute of waiting."""

    def refuse(*_: object, **__: object) -> None:
        raise SparkStarted

    for name in ("build_session", "require_pyspark"):
        monkeypatch.setattr(f"rover_spark.face.session.{name}", refuse)
    for name in [name for name in os.environ if name.upper().startswith("ROVER_SPARK__")]:
        monkeypatch.delenv(name)
    # rich wraps at the width of the terminal
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "acme.toml"
    path.write_text(GOOD, encoding="utf-8")
    return path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.toml"
    path.write_text(GOOD + "[files]\nmax_bytes = 0\n", encoding="utf-8")
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def document(result: Result) -> dict[str, Any]:
    """The one JSON document on standard output, and nothing else there."""
    assert result.stdout.count("\n") == 1
    assert result.stdout.endswith("}\n")
    found: dict[str, Any] = json.loads(result.stdout)
    assert found["result"] == "failed"
    assert found["batches"] == []
    return found


def assert_told(result: Result, *words: str) -> None:
    assert result.exit_code == 2
    assert result.stdout == ""
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_bad_configuration_exits_2_and_names_the_key_before_spark_starts(command: str, bad: Path) -> None:
    result = run(command, "-c", bad, *REQUIRED.get(command, []))
    assert_told(result, "config_invalid: configuration: files.max_bytes: ", "→ Mend that key")


@pytest.mark.parametrize("command", COMMANDS)
def test_with_json_the_problem_is_one_document_and_nothing_else(command: str, bad: Path) -> None:
    result = run(command, "-c", bad, *REQUIRED.get(command, []), "--json")
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr
    found = document(result)
    assert found["command"] == command
    (problem,) = found["problems"]
    assert set(problem) == {"code", "message", "remedy"}
    assert problem["code"] == "config_invalid"
    assert problem["message"].startswith("configuration: files.max_bytes: ")
    assert problem["remedy"]


@pytest.mark.parametrize(
    ("content", "code"),
    [(None, "config_unreadable"), ("name = ", "config_syntax"), ("", "config_invalid")],
    ids=["missing", "syntax", "empty"],
)
def test_a_file_that_cannot_be_taken_exits_2(tmp_path: Path, content: str | None, code: str) -> None:
    path = tmp_path / "some.toml"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    assert_told(run("export", "-c", path), f"{code}: ")
    (problem,) = document(run("export", "-c", path, "--json"))["problems"]
    assert problem["code"] == code


def test_what_comes_from_outside_is_printed_as_plain_text(tmp_path: Path) -> None:
    path = tmp_path / "some.toml"
    path.write_text(GOOD + '"[red]\\u001b[31mx" = 1\n', encoding="utf-8")
    result = run("export", "-c", path)
    assert_told(result, r"[red]\x1b[31mx: unknown key")
    assert "\x1b[31m" not in result.stderr


@pytest.mark.parametrize("command", ["export", "plan"])
@pytest.mark.parametrize(
    ("now", "why"),
    [
        ("2026-11-21T10:15:00", "has no time zone"),
        ("2026-11-21", "has no time zone"),
        ("yesterday", "is not an instant"),
        ("", "is not an instant"),
        ("2026-13-01T00:00:00Z", "is not an instant"),
    ],
)
def test_an_instant_needs_a_time_zone(command: str, now: str, why: str, good: Path) -> None:
    assert_told(run(command, "-c", good, "--now", now), f"now_invalid: --now {now}: {why}")
    (problem,) = document(run(command, "-c", good, "--now", now, "--json"))["problems"]
    assert problem["code"] == "now_invalid"


@pytest.mark.parametrize(
    "now", ["2026-11-21T10:15:00Z", "2026-11-21T12:15:00+02:00", "2026-11-21T10:15:00.123456Z"]
)
def test_an_instant_with_a_zone_goes_on_to_spark(now: str, good: Path) -> None:
    with pytest.raises(SparkStarted):
        run("export", "-c", good, "--now", now)


@pytest.mark.parametrize(
    "age", ["", "7", "d", "7w", "-7d", "7.5d", "7 d", "7d ", "1d12h", "1234567d", "7d\n"]
)
def test_an_age_is_a_number_and_a_unit(age: str, good: Path) -> None:
    result = run("sweep", "-c", good, f"--older-than={age}")
    assert_told(result, "age_invalid: --older-than ", "7d, 12h or 30m")
    (problem,) = document(run("sweep", "-c", good, f"--older-than={age}", "--json"))["problems"]
    assert problem["code"] == "age_invalid"


@pytest.mark.parametrize("age", ["7d", "12h", "30m", "0s"])
def test_a_good_age_goes_on_to_spark(age: str, good: Path) -> None:
    with pytest.raises(SparkStarted):
        run("sweep", "-c", good, "--older-than", age)


@pytest.mark.parametrize(
    "arguments",
    [
        ["export"],
        ["export", "--no-such-option"],
        ["export", "-c"],
        ["rerun", "-c", "x.toml"],
        ["redeliver", "-c", "x.toml"],
        ["verify", "-c", "x.toml", "surplus"],
        ["status", "-c", "x.toml", "--now", "2026-11-21T10:15:00Z"],
        ["no-such-command"],
        ["demo", "--fans", "3"],
        ["demo", "--fans", "many"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("as_json", [False, True])
def test_wrong_usage_exits_2(arguments: list[str], as_json: bool) -> None:
    result = run(*arguments, *(["--json"] if as_json else []))
    assert_told(result)
    assert result.stderr


def test_help_lists_every_command() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for command in ["demo", "ddl", *COMMANDS]:
        assert f" {command} " in result.stdout


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("demo", ["--dir", "--fans", "--seed", "--destination"]),
        ("export", ["--dataset", "--now", "--strict"]),
        ("plan", ["--dataset", "--now"]),
        ("rerun", ["--dataset", "--accept-gap"]),
        ("redeliver", ["--batch"]),
        ("status", []),
        ("verify", []),
        ("quarantine", ["--dataset", "--batch", "--limit"]),
        ("schemas", ["--publish"]),
        ("check", []),
        ("sweep", ["--older-than"]),
    ],
)
def test_each_command_has_its_options(command: str, options: list[str]) -> None:
    result = run(command, "-h")
    assert result.exit_code == 0 and result.stdout == run(command, "--help").stdout
    assert f"Example: rover-spark {command} " in result.stdout, "an example that can be pasted"
    common = ["--json", "--verbose", "-v"] + ([] if command == "demo" else ["--config", "-c"])
    for option in [*options, *common]:
        assert option in result.stdout


@pytest.mark.parametrize("width", ["80", "120"])
@pytest.mark.parametrize("command", ["demo", *COMMANDS])
def test_an_example_stands_in_one_line_and_is_good_usage(
    command: str, width: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    monkeypatch.setenv("TERMINAL_WIDTH", width)
    (line,) = [line for line in run(command, "-h").stdout.splitlines() if "Example:" in line]
    example = line.partition("rover-spark ")[2].split()
    assert example[0] == command
    monkeypatch.chdir(tmp_path)
    for name in ("acme.toml", "acme_events.toml"):
        (tmp_path / name).write_text(GOOD, encoding="utf-8")
    with pytest.raises(SparkStarted):
        run(*example)


def test_the_configuration_may_come_from_the_environment(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROVER_SPARK_CONFIG", str(good))
    with pytest.raises(SparkStarted):  # and is no setting: those begin ROVER_SPARK__
        run("status")
    assert_told(run("status", "-c", "no.toml"), "config_unreadable")
    monkeypatch.setenv("ROVER_SPARK_CONFIG", "")
    assert_told(run("status"), "--config")


def test_it_tells_its_version_and_how_the_shell_completes_it() -> None:
    assert run("--version").stdout == f"rover-spark {__version__}\n"
    assert "--install-completion" in run("--help").stdout


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("utf-8", "bäd.toml"), ("ascii", "bäd.toml"), ("utf-8", os.fsdecode(b"b\xff.toml"))],
    ids=["utf-8", "ascii output", "a file name that is no text"],
)
def test_one_json_document_whatever_the_terminal_can_show(tmp_path: Path, encoding: str, name: str) -> None:
    program = [sys.executable, "-c", "from rover_spark.cli import main; main()"]
    environ = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(
        [*program, "export", "--json", "-c", tmp_path / name], capture_output=True, env=environ
    )
    assert b"Traceback" not in done.stderr
    assert done.returncode == 2
    assert json.loads(done.stdout)["problems"][0]["code"] == "config_unreadable"


@pytest.mark.parametrize("missing", ["pyspark", "py4j", "pandas", "pyarrow"])
def test_a_bare_installation_says_what_to_install(good: Path, missing: str) -> None:
    without = (
        f"import sys; sys.modules[{missing!r}] = None; from rover_spark.cli import app; app(sys.argv[1:])"
    )
    command = [sys.executable, "-c", without, "status", "-c", str(good)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert (
        missing in done.stderr and "rover_spark[spark]" in done.stderr and "rover_spark[arrow]" in done.stderr
    )


@pytest.mark.parametrize(
    ("scheme", "module", "extra"),
    [("s3", "botocore", "s3"), ("gs", "google.cloud.storage", "gcs"), ("az", "azure.storage.blob", "azure")],
)
def test_a_destination_whose_sdk_is_missing_names_its_extra(scheme: str, module: str, extra: str) -> None:
    without = (
        f"import sys; sys.modules[{module!r}] = None; from rover_spark.store import open_store\n"
        f"try: open_store('{scheme}://bucket/p', 'acme')\nexcept Exception as error: print(error.code, error.remedy)"
    )
    done = subprocess.run([sys.executable, "-c", without], capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith(f"no_sdk Install rover_spark[{extra}] on the driver"), done


def test_a_failure_of_a_run_that_stays_up_is_shown_as_that_of_export(bad: Path) -> None:
    assert document(run("export", "-c", bad, "--every", "5m", "--json"))["command"] == "export"
