"""The notebooks as a reader runs them: each in a kernel of its own, with what its cells put out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.documents.blocks import ROOT

NOTEBOOKS = ROOT / "notebooks"
EXPORT, CURRENTS = "01_look_at_an_export.ipynb", "02_currents.ipynb"
LOADED, GRAPH, HEALTH = (
    "03_load_and_current_state.ipynb",
    "04_identity_graph.ipynb",
    "05_delivery_health.ipynb",
)
CONFIGS = dict.fromkeys((EXPORT, CURRENTS, LOADED, GRAPH, HEALTH), "acme.toml") | {
    CURRENTS: "acme_events.toml"
}
PICTURES = {EXPORT: 5, CURRENTS: 1, LOADED: 3, GRAPH: 3, HEALTH: 4}  # at least
each_notebook = pytest.mark.parametrize("name", CONFIGS)


@dataclass(frozen=True)
class Looked:
    """What a notebook's cells put out."""

    outputs: list[Any]

    def printed(self) -> str:
        """Standard output."""
        return "".join(o.text for o in self.outputs if o.output_type == "stream" and o.name == "stdout")

    def rows(self) -> list[list[str]]:
        """The words of each printed line."""
        return [line.split() for line in self.printed().splitlines()]

    def tables(self) -> list[str]:
        """The frames that are a cell's last value, as HTML."""
        return [o.data["text/html"] for o in self.outputs if "text/html" in o.get("data", {})]


def read(name: str) -> Any:
    """A notebook as it is kept."""
    return nbformat.read(NOTEBOOKS / name, as_version=4)


def code(notebook: Any) -> list[Any]:
    """Its cells that are run."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def execute(notebook: Any, place: Path) -> Looked:
    """Runs a notebook with ``place`` as its working directory. CellExecutionError where a cell fails."""
    resources = {"metadata": {"path": str(place)}}
    done = NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()
    return Looked([output for cell in code(done) for output in cell.outputs])
