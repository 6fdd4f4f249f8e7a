"""What builds columns runs no action: an action belongs to the planner and the producer, where its errors get a name."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import rover_spark

PRODUCE = Path(rover_spark.__file__).parent / "produce"
BUILDERS = (
    "records.py",
    "fields.py",
    "layout.py",
    "changes.py",
    "envelope.py",
    "identifiers.py",
    "unchanged.py",
)
ACTIONS = {
    "collect", "count", "first", "foreach", "foreachPartition", "head", "isEmpty", "save", "saveAsTable", "show", "tail",
    "take", "toArrow", "toLocalIterator", "toPandas", "write", "rdd",
}  # fmt: skip
MODULES = sorted(
    path
    for path in PRODUCE.rglob("*.py")
    if path.parent.name == "columns" or (path.parent.name in {"rover", "currents"} and path.name in BUILDERS)
)


def actions(text: str) -> list[str]:
    """Actions on a frame; of the names that are functions of columns too, ``F.first`` is none."""
    return [
        f"line {node.lineno}: .{node.attr}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute) and node.attr in ACTIONS
        if not (isinstance(node.value, ast.Name) and node.value.id == "F")
    ]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_builds_columns_runs_no_action(module: Path) -> None:
    assert actions(module.read_text(encoding="utf-8")) == []


def test_an_action_would_be_seen() -> None:
    assert len(MODULES) > 15
    assert actions("rows.select('a').collect()\nF.first('a')\nframe.write.save()") == [
        "line 1: .collect",
        "line 3: .save",
        "line 3: .write",
    ]
