"""What is read off the project's own files: the rooms of the package, in the order of imports, and the line that `make test` runs."""

from __future__ import annotations

import ast
import os
import subprocess
import sys

from tests.documents.blocks import ROOT, fenced, table

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def rooms() -> str:
    """The layers that import-linter checks, each with the first line of its docstring."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    (layers,) = (each["layers"] for each in contracts if each.get("containers") == ["rover_spark"])
    names = [layer.partition(" ")[0] for layer in layers]
    return table(("room", "holds"), [(f"`{name}`", _promise(name)) for name in names])


def _promise(name: str) -> str:
    place = ROOT / "rover_spark" / name
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    said = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return said.partition("\n")[0].replace("``", "`")


def test_line() -> str:
    """The command behind `make test`; its output is dots for many minutes."""
    # a make around this one would pass its own ARGS on
    plain = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "ARGS"))
    }
    shown = subprocess.run(
        ["make", "--just-print", "test"], cwd=ROOT, env=plain, capture_output=True, text=True, check=True
    ).stdout
    (line,) = (each for each in shown.splitlines() if "bin/pytest" in each)
    return fenced("console", f"$ make test\n{line.rstrip()}\n…")
