"""Rules of the house that an import linter cannot see: sizes, names, the error tree, what is documented."""

from __future__ import annotations

import inspect
import json
import pickle
import re
import subprocess
import sys
from pathlib import Path
from types import NoneType
from typing import Any, get_args

import pytest
from pydantic import BaseModel

import rover_spark
from rover_spark import errors
from rover_spark.cli import app
from rover_spark.config.settings import Settings, load, parse
from rover_spark.errors import ConfigError, Problem, ReaderRefused, RoverSparkError, RunError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path(rover_spark.__file__).parent
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


# -- modules -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", MODULES)
def test_no_module_is_longer_than_400_lines(module: str) -> None:
    # a file that grows past that mixes state, orchestration and I/O; a lower limit makes splinters
    assert len((PACKAGE / module).read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("module", MODULES)
def test_every_module_opens_with_what_it_promises(module: str) -> None:
    assert (PACKAGE / module).read_text(encoding="utf-8").startswith('"""')


def test_the_public_names_are_pinned_and_each_can_be_imported() -> None:
    assert sorted(rover_spark.__all__) == [
        "BatchPlan",
        "ConfigError",
        "RoverSparkError",
        "RunError",
        "Settings",
        "SourceGap",
        "__version__",
        "build_session",
        "commands",
        "load",
        "parse",
        "parse_rover_key",
        "rover_key",
    ]
    for name in rover_spark.__all__:
        found = getattr(rover_spark, name)
        assert getattr(found, "__name__", name).rpartition(".")[2] == name
    with pytest.raises(AttributeError, match="nothing_like_it"):
        rover_spark.nothing_like_it  # noqa: B018


@pytest.mark.parametrize(
    "module",
    [
        "rover_spark",
        "rover_spark.contract.keys",
        "rover_spark.model.plan",
        "rover_spark.store",
        "rover_spark.cli",
    ],
)
def test_what_needs_no_engine_loads_none(module: str) -> None:
    program = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in json.loads(done.stdout)}
    assert loaded.isdisjoint(
        {"pyspark", "py4j", "delta", "boto3", "botocore", "google", "azure", "pandas", "pyarrow"}
    )


# -- errors --------------------------------------------------------------------------------------------------

ERRORS = [
    found for _, found in inspect.getmembers(errors, inspect.isclass) if issubclass(found, RoverSparkError)
]


def test_the_docstring_of_errors_is_the_tree() -> None:
    """Every class stands in it, below its parent, and nothing else does."""
    shown: dict[str, str | None] = {}
    path: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^ {4}([ │├└─]*)([A-Z]\w+) {2,}\S", line)
        if not found:
            continue
        depth, name = len(found[1]), found[2]
        while path and path[-1][0] >= depth:
            path.pop()
        shown[name] = path[-1][1] if path else None
        path.append((depth, name))
    real = {kind.__name__: kind.__base__.__name__ for kind in ERRORS if kind.__base__}
    assert shown == {**real, "RoverSparkError": None}


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_an_error_survives_the_way_from_an_executor(kind: type[RoverSparkError]) -> None:
    error = kind("what happened", code="a_code", remedy="what to do")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert again.problem == error.problem == Problem("a_code", "what happened", "what to do")
    assert (str(again), again.exit_code) == (str(error), error.exit_code)


def test_exit_codes_tell_usage_from_failure() -> None:
    codes = {kind: kind("x", code="x").exit_code for kind in ERRORS}
    assert codes == {kind: 2 if issubclass(kind, ConfigError) else 1 for kind in ERRORS}
    assert codes[RunError] == 1


def test_every_error_raised_in_the_package_has_a_code() -> None:
    """`code` has no default, but where the class has one of its own: leaving it out fails at the raise, not in a reader of --json."""
    assert ReaderRefused("x").code == "reader_refused"
    for kind in ERRORS:
        if kind is ReaderRefused:
            continue
        with pytest.raises(TypeError, match="code"):
            kind("what happened")  # type: ignore[call-arg]


# -- what is documented --------------------------------------------------------------------------------------


def settings_of(model: type[BaseModel], where: str = "") -> dict[str, str]:
    """Every setting of a model and the models inside it: dotted path → last name."""
    found = {}
    for name, field in model.model_fields.items():
        key = field.alias or name
        found[f"{where}{key}"] = key
        for inner in models_in(field.annotation):
            found |= settings_of(inner, f"{where}{key}.")
    return found


def models_in(annotation: Any) -> list[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return [annotation]
    return [
        model
        for argument in get_args(annotation)
        if argument is not NoneType
        for model in models_in(argument)
    ]


def test_the_walk_over_the_settings_reaches_every_level() -> None:
    assert {"name", "files.max_bytes", "datasets.natural_key"} <= set(settings_of(Settings))


@pytest.mark.parametrize("setting", sorted(settings_of(Settings)))
def test_every_setting_stands_in_the_reference(setting: str) -> None:
    text = (ROOT / "conf" / "reference.toml").read_text(encoding="utf-8")
    name = setting.rpartition(".")[2]
    as_key = rf"^\s*#?\s*{name}\s*="
    as_table = rf"^\s*#?\s*\[(?:[^\]\n]*\.)?{name}(?:\.[^\]\n]*)?\]"
    assert re.search(f"{as_key}|{as_table}", text, re.MULTILINE), f"{setting} is missing"


@pytest.mark.parametrize("file", ["reference.toml", "minimal.toml", "currents.toml"])
def test_the_configurations_we_ship_load(file: str) -> None:
    assert isinstance(load(ROOT / "conf" / file, {}), Settings)


def test_what_the_reference_says_of_currents_loads() -> None:
    text = (ROOT / "conf" / "reference.toml").read_text(encoding="utf-8")
    lines = text.partition("conf/currents.toml loads.\n#\n")[2].splitlines()
    assert lines and all(line.startswith("#") for line in lines)
    tree = tomllib.loads("\n".join(line[2:] for line in lines))
    base = {"name": "acme", "destination": "file:///data/bucket/acme", "ledger": "/data/control/acme"}
    assert parse({**base, "contract": "currents", **tree}).contract == "currents"


def test_the_reference_shows_the_defaults() -> None:
    settings = load(ROOT / "conf" / "reference.toml", {})
    assert settings.files == type(settings.files)()
    assert settings.contract == "rover"


COMMANDS = [
    "accept",
    "check",
    "conform",
    "ddl",
    "demo",
    "export",
    "load",
    "plan",
    "quarantine",
    "redeliver",
    "rerun",
    "schemas",
    "status",
    "sweep",
    "verify",
]


def test_the_commands_are_pinned() -> None:
    found = [
        command.name or command.callback.__name__ for command in app.registered_commands if command.callback
    ]
    assert sorted(found) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_stands_in_the_documents(command: str) -> None:
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert re.search(rf"\brover-spark {command}\b", text)


# -- lint ----------------------------------------------------------------------------------------------------

LINT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]


@pytest.mark.law(3)
@pytest.mark.parametrize(
    "name",
    [
        "random",
        "secrets",
        "os.urandom",
        "uuid.uuid1",
        "uuid.uuid4",
        "time.time",
        "time.time_ns",
        "datetime.datetime.now",
        "datetime.datetime.utcnow",
        "datetime.datetime.today",
        "datetime.date.today",
        "os.environ",
        "os.getenv",
        "pyspark.sql.functions.rand",
        "pyspark.sql.functions.randn",
        "pyspark.sql.functions.uuid",
        "pyspark.sql.functions.shuffle",
        "pyspark.sql.functions.current_timestamp",
        "pyspark.sql.functions.current_date",
        "pyspark.sql.functions.localtimestamp",
        "pyspark.sql.functions.now",
        "pyspark.sql.functions.monotonically_increasing_id",
        "pyspark.sql.SparkSession.builder",
    ],
)
def test_clocks_and_random_numbers_are_banned(name: str) -> None:
    assert LINT["flake8-tidy-imports"]["banned-api"][name]["msg"]


@pytest.mark.law(3)
def test_the_ban_is_in_force_in_the_whole_package() -> None:
    assert {"TID", "T20", "BLE"} <= set(LINT["select"])
    assert not [rule for rule in LINT["ignore"] if rule.startswith("TID")]
    lifted = [where for where, rules in LINT["per-file-ignores"].items() if "TID251" in rules]
    assert sorted(lifted) == ["conf/*.py", "tests/**"]


def test_every_exception_from_the_ban_gives_its_reason() -> None:
    for module in MODULES:
        for line in (PACKAGE / module).read_text(encoding="utf-8").splitlines():
            if "noqa: TID251" in line:
                # in session.py its docstring gives the reason; elsewhere it stands beside the exception
                assert re.search(r"noqa: TID251 - \S+ \S+", line) or module == "face/session.py", (
                    f"{module}: {line}"
                )
