"""The scaling tables of docs/benchmarks.md: made from the report that `make bench-scale` writes."""

from __future__ import annotations

import json
from typing import Any

from tests.bench.scale.__main__ import FILE
from tests.documents.blocks import ROOT, table

PLACE = ROOT / "bench"
_RUNS = {"plans": "data files, the command `plan`", "tasks": "chunks of one row, a whole export by Spark"}


def scaled() -> dict[str, str]:
    """The block, where there is a report."""
    path = PLACE / FILE
    return {"bench-scale": made(json.loads(path.read_text()))} if path.exists() else {}


def made(found: dict[str, Any]) -> str:
    """The driver's steps by number of chunks, and what a further thousand costs; then whole commands."""
    parts = (_runs(name, found[part]) for part, name in _RUNS.items() if found[part])
    return "\n".join((_steps(found["chunks"]), *parts))


def _steps(by_size: dict[str, Any]) -> str:
    sizes = list(by_size)
    rows = []
    for step in by_size[sizes[0]]["steps"]:
        costs = [by_size[size]["steps"][step]["cpu"] for size in sizes]
        rows.append((step, *(f"{cost:.2f} s" for cost in costs), _further(sizes, costs)))
    costs = [each["cpu"] for each in by_size.values()]
    rows.append(("the process", *(f"{cost:.1f} s" for cost in costs), _further(sizes, costs)))
    peaks = [max(step["memory"] for step in each["steps"].values()) / 1e6 for each in by_size.values()]
    growth = (peaks[-1] - peaks[0]) / (int(sizes[-1]) - int(sizes[0])) * 1000
    rows.append(("its most memory", *(f"{peak:.0f} MB" for peak in peaks), f"{growth:.1f} MB"))
    return table(("CPU of the driver", *(f"{int(size):,} chunks" for size in sizes), "a further 1,000"), rows)


def _runs(name: str, by_size: dict[str, Any]) -> str:
    rows = [
        (f"{int(size):,}", f"{each['cpu']:.0f} s", f"{each['wall']:.0f} s", *(_peak(each[role]) for role in ("jvm", "driver", "worker")))
        for size, each in by_size.items()
    ]  # fmt: skip
    sizes = list(by_size)
    if len(sizes) > 1:
        further = (_further(sizes, [each[name] for each in by_size.values()]) for name in ("cpu", "wall"))
        rows.append(("a further 1,000", *further, "", "", ""))
    return table((name, "CPU of all processes", "time", "JVM", "driver", "worker"), rows)


def _peak(size: float) -> str:
    return f"{size / 1e6:.0f} MB" if size else "–"


def _further(sizes: list[str], costs: list[float]) -> str:
    return f"{(costs[-1] - costs[0]) / (int(sizes[-1]) - int(sizes[0])) * 1000:.2f} s"
