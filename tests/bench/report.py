"""The report of `make bench`: medians, the cost of a further million rows, and where and how it was measured. One JSON file.

Parts are written kind by kind: a kind that is measured again replaces its part, and the others stay.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from tests.bench.contenders import KINDS
from tests.bench.rounds import Figures, Plan, Runs

ROOT = Path(__file__).resolve().parents[2]
FILE = "bench.json"
PACKAGES = ("pyspark", "delta-spark", "pyarrow", "isal", "duckdb", "polars", "chdb", "pandas", "fastavro")


def part(plan: Plan, runs: Runs, failed: dict[str, str]) -> dict[str, Any]:
    """The part of one kind, from what the rounds gave. ``sizes`` holds medians by number of rows, as text."""
    lines = {}
    for each in plan.contenders:
        line: dict[str, Any] = {"label": each.label, "level": each.level}
        if each.name in failed:
            line["failed"] = failed[each.name]
        elif by_size := runs.get(each.name):
            found_by = {size: medians(found) for size, found in sorted(by_size.items())}
            line["per_million"] = {name: slope(found_by, name) for name in ("cpu", "wall", "bytes")}
            line["sizes"] = {str(size): found for size, found in found_by.items()}
        lines[each.name] = line
    return {
        **where(),
        "rounds": plan.rounds,
        "memory": plan.memory,
        "compression": KINDS[plan.kind].compression,
        "starts": KINDS[plan.kind].starts and not plan.warm,
        "contenders": lines,
    }


def where() -> dict[str, Any]:
    """When, from which commit and on what machine it was measured."""
    return {
        "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": _machine(),
    }


def medians(runs: list[Figures]) -> Figures:
    """The median of each figure."""
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def slope(medians: dict[int, Figures], name: str) -> float | None:
    """How much a figure grows with a further million rows: the straight line nearest to all sizes. None for one size."""
    if len(medians) < 2:
        return None
    return statistics.linear_regression(
        [size / 1e6 for size in medians], [found[name] for found in medians.values()]
    ).slope


def _machine() -> dict[str, Any]:
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": os.cpu_count(),
        "processor": names[0].partition(":")[2].strip() if names else platform.machine(),
        "memory": memory,
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or "unknown"


def read(place: Path, file: str = FILE) -> dict[str, Any]:
    """The report in a directory; empty where there is none."""
    path = place / file
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def write(place: Path, name: str, made: dict[str, Any], file: str = FILE) -> dict[str, Any]:
    """Puts a part into the report; the whole of it."""
    place.mkdir(parents=True, exist_ok=True)
    report = {**read(place, file), name: made}
    (place / file).write_text(json.dumps(report, indent=1, ensure_ascii=False), encoding="utf-8")
    return report
