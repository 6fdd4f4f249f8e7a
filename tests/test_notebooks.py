"""The notebooks as they are kept, and where there is no demo. What they say of one stands in test_demo.py."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

from tests.notebooks import CONFIGS, NOTEBOOKS, PICTURES, code, each_notebook, execute, read


def test_every_notebook_is_held_to_what_follows() -> None:
    assert sorted(path.name for path in NOTEBOOKS.glob("*.ipynb")) == sorted(CONFIGS) == sorted(PICTURES)


@each_notebook
def test_it_is_kept_without_outputs(name: str) -> None:
    notebook = read(name)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert [cell for cell in code(notebook) if cell.outputs or cell.execution_count is not None] == []


@each_notebook
def test_it_defines_nothing(name: str) -> None:
    for cell in code(read(name)):
        assert not [line for line in cell.source.splitlines() if line.startswith(("def ", "class "))]


@each_notebook
def test_every_picture_is_titled_and_its_axes_are_named(name: str) -> None:
    pictures = [cell.source for cell in code(read(name)) if "plt.show()" in cell.source]
    assert len(pictures) >= PICTURES[name]
    for source in pictures:
        missing = [word for word in ("suptitle(", "xlabel=", "ylabel=") if word not in source]
        assert not missing, f"{missing} in\n{source}"


@pytest.mark.slow
@each_notebook
def test_without_a_demo_it_says_to_make_one(no_traces: None, tmp_path: Path, name: str) -> None:
    notebook = read(name)
    first, config = code(notebook)[0], f'CONFIG = "rover_demo/{CONFIGS[name]}"'
    assert config in first.source, "one variable names another export"
    first.source = first.source.replace(config, f'CONFIG = "no_such_demo/{CONFIGS[name]}"')
    absent = re.escape(f"There is no no_such_demo/{CONFIGS[name]} ")
    with pytest.raises(CellExecutionError, match=rf"{absent}.* Run `make demo`"):
        execute(notebook, tmp_path)
    assert [cell.execution_count for cell in code(notebook)[1:]] == [None] * (len(code(notebook)) - 1)
