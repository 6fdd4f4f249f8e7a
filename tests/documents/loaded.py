"""The tables of loads in docs/benchmarks.md: made from the report that `make bench-load` writes."""

from __future__ import annotations

from typing import Any

from tests.bench import report
from tests.bench.loading.__main__ import FILE
from tests.bench.loading.shown import HEAD, failed, rows, titles
from tests.documents.blocks import ROOT, table

PLACE = ROOT / "bench"


def loaded() -> dict[str, str]:
    """The block, where there is a report."""
    found = report.read(PLACE, FILE)
    return {"bench-load": made(found)} if found else {}


def made(found: dict[str, Any]) -> str:
    """For each kind of texts how it was measured, and a table of each load."""
    return "\n".join(_part(kind, part) for kind, part in found.items())


def _part(kind: str, part: dict[str, Any]) -> str:
    machine = part["machine"]
    said = (
        f"`--kind {kind}`, medians of {part['rounds']}, {part['at'][:10]}, commit `{part['commit']}`, "
        f"{machine['cores']} cores of {machine['processor']}, heap {part['memory']}.\n"
    )
    tables = [f"{title}:\n\n{table(HEAD, rows(part, load))}" for load, title in enumerate(titles(part))]
    return "\n".join([said, *tables, *(f"* {line}\n" for line in failed(part))])
