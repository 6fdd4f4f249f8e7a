"""The scaling tables of docs/benchmarks.md: made from the report that `make bench-scale` writes."""

from __future__ import annotations

import json
from typing import Any

from tests.bench.scale.__main__ import FILE
from tests.documents.blocks import ROOT, table

PLACE = ROOT / "bench"


def scaled() -> dict[str, str]:
    """The block, where there is a report."""
    path = PLACE / FILE
    return {"bench-scale": made(json.loads(path.read_text()))} if path.exists() else {}


def made(found: dict[str, Any]) -> str:
    """The driver's steps by number of chunks, and what a further thousand costs; then tasks of one row."""
    return _steps(found["chunks"]) + "\n" + _tasks(found["tasks"])


def _steps(by_size: dict[str, Any]) -> str:
    sizes = list(by_size)
    rows = []
    for step in by_size[sizes[0]]["steps"]:
        costs = [by_size[size]["steps"][step]["cpu"] for size in sizes]
        rows.append((step, *(f"{cost:.2f} s" for cost in costs), _further(sizes, costs)))
    costs = [each["cpu"] for each in by_size.values()]
    rows.append(("the process", *(f"{cost:.1f} s" for cost in costs), _further(sizes, costs)))
    peaks = [each["driver"] / 1e6 for each in by_size.values()]
    growth = (peaks[-1] - peaks[0]) / (int(sizes[-1]) - int(sizes[0])) * 1000
    rows.append(("its most memory", *(f"{peak:.0f} MB" for peak in peaks), f"{growth:.1f} MB"))
    return table(("CPU of the driver", *(f"{int(size):,} chunks" for size in sizes), "a further 1,000"), rows)


def _tasks(by_size: dict[str, Any]) -> str:
    sizes = list(by_size)
    rows = [
        (f"{int(size):,}", f"{each['cpu']:.0f} s", *(f"{each[role] / 1e6:.0f} MB" for role in ("jvm", "driver", "worker")))
        for size, each in by_size.items()
    ]  # fmt: skip
    costs = [each["cpu"] for each in by_size.values()]
    rows.append(("a further 1,000", _further(sizes, costs), "", "", ""))
    return table(("chunks of one row, by Spark", "CPU of all processes", "JVM", "driver", "worker"), rows)


def _further(sizes: list[str], costs: list[float]) -> str:
    return f"{(costs[-1] - costs[0]) / (int(sizes[-1]) - int(sizes[0])) * 1000:.2f} s"
