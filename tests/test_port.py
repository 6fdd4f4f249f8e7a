"""Which contract is it? Only produce/ answers: no other room names a contract, its datasets, its plans or its folders."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import rover_spark
from rover_spark.contract.rover import DATASETS
from rover_spark.errors import ConfigError
from rover_spark.produce.port import decode
from tests.produce.rover.test_plan import PLAN

PACKAGE = Path(rover_spark.__file__).parent
ROOMS = ("face", "audit", "deliver", "ledger", "delta", "store", "encode", "model")
MODULES = sorted(
    path.relative_to(PACKAGE).as_posix() for room in ROOMS for path in (PACKAGE / room).rglob("*.py")
)
_PARTS_OF_SETTINGS = {"contract", "datasets", "events", "currents"}
_WORDS = {"rover", "currents", "events", *DATASETS}
_FOLDERS = (
    "rover_spark.produce.rover",
    "rover_spark.produce.currents",
    "rover_spark.contract.rover",
    "rover_spark.contract.currents",
    "rover_spark.contract.keys",
    "rover_spark.config.currents",
)
# no dispatch: a plan's mark in its own stored text and in its manifest, the auditor that the port gives for it, and what `status`, `conform` and `load` give
_ALLOWED = {
    "model/plan.py": [".contract"],
    "deliver/completion.py": [".contract"],
    "audit/verify.py": [".contract"],
    "face/results.py": [".datasets"],
    "face/receivers/conform.py": [".datasets"],
    "face/receivers/load.py": [".datasets"],
    "face/console/results.py": [".datasets"],
}


def named(tree: ast.Module) -> Iterator[str]:
    """Everything by which a module names a contract."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            whole = {node.module or "", *(f"{node.module}.{each.name}" for each in node.names)}
            yield from (each for each in whole if each.startswith(_FOLDERS))
        elif isinstance(node, ast.Attribute) and node.attr in _PARTS_OF_SETTINGS:
            yield f".{node.attr}"
        elif isinstance(node, ast.Constant) and node.value in _WORDS:
            yield repr(node.value)
        elif isinstance(node, ast.Name) and node.id.endswith("Plan") and node.id != "Plan":
            yield node.id


@pytest.mark.parametrize("module", MODULES)
def test_no_room_outside_of_produce_names_a_contract(module: str) -> None:
    found = named(ast.parse((PACKAGE / module).read_text(encoding="utf-8")))
    assert [each for each in found if each not in _ALLOWED.get(module, [])] == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("if settings.contract == 'currents': pass", ["'currents'", ".contract"]),
        ("isinstance(plan, EventPlan)", ["EventPlan"]),
        ("from rover_spark.produce.rover.steps import x", ["rover_spark.produce.rover.steps"] * 2),
        ("if dataset == 'fan_profiles': pass", ["'fan_profiles'"]),
        ("'A sentence that says fan_profiles.'\nplan: Plan = port.decode(text)", []),
    ],
)
def test_what_names_a_contract_is_found(text: str, found: list[str]) -> None:
    assert [each.removesuffix(".x") for each in sorted(named(ast.parse(text)))] == found


def test_a_stored_plan_says_its_contract_and_format_and_a_newer_one_is_refused() -> None:
    text = PLAN.to_json()
    assert text.startswith('{"contract":"rover","format":1,')
    assert decode(text) == PLAN == decode(text.replace('"contract":"rover","format":1,', "")), "0.1.0"
    for newer in (text.replace('"format":1', '"format":4'), text.replace('"rover"', '"rover_next"', 1)):
        with pytest.raises(ConfigError, match="fan_profiles") as caught:
            decode(newer)
        assert (caught.value.code, caught.value.exit_code) == ("plan_newer", 2)
