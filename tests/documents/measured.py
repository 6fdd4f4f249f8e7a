"""The tables of docs/benchmarks.md: made from the report that `make bench` writes."""

from __future__ import annotations

from typing import Any

from tests.bench import report
from tests.bench.contenders import KINDS
from tests.bench.shown import megabytes, ratio, seconds
from tests.documents.blocks import ROOT, table

PLACE = ROOT / "bench"
_HEAD = ("", "level", "CPU per million rows", "ratio", "time per million rows", "size per million", "JVM", "driver", "worker")  # fmt: skip
_OF_ONE = ("rows", "CPU", "time", "JVM", "driver", "worker")


def block(name: str) -> str:
    """The block of a part of the report."""
    return f"bench-{name.replace(', ', '-')}"


PARTS = (*KINDS, "events, warm")
MEASURED = tuple(block(name) for name in PARTS)


def measured() -> dict[str, str]:
    """The blocks of all parts that the report holds."""
    found = report.read(PLACE)
    return {block(name): made(part) for name, part in found.items() if name in PARTS}


def made(part: dict[str, Any]) -> str:
    """One part: how it was measured, then a line a contender; memory is that of its largest size."""
    lines = {name: line for name, line in part["contenders"].items() if "sizes" in line}
    sizes = sorted({int(size) for line in lines.values() for size in line["sizes"]})
    machine = part["machine"]
    said = (
        f"{' and '.join(f'{size:,}' for size in sizes)} rows, medians of {part['rounds']}, {part['at'][:10]}, "
        f"commit `{part['commit']}`, {machine['cores']} cores of {machine['processor']}, heap {part['memory']}.\n\n"
    )
    return said + (_of_one(lines) if len(part["contenders"]) == 1 else _side_by_side(part, lines))


def _side_by_side(part: dict[str, Any], lines: dict[str, Any]) -> str:
    rows = []
    for line in lines.values():
        growth, found = line["per_million"], _largest(line)[1]
        size = "–" if growth["bytes"] is None else f"{growth['bytes'] / 1e6:,.0f} MB"
        cost = (seconds(growth["cpu"]), ratio(part, line), seconds(growth["wall"]))
        rows.append((line["label"], line["level"], *cost, size, *_memory(found)))
    return table(_HEAD, rows)


def _of_one(lines: dict[str, Any]) -> str:
    rows = []
    for line in lines.values():
        size, found = _largest(line)
        rows.append((f"{size:,}", seconds(found["cpu"]), seconds(found["wall"]), *_memory(found)))
    return table(_OF_ONE, rows)


def _memory(found: dict[str, Any]) -> tuple[str, ...]:
    return tuple(megabytes(found[role]) for role in ("jvm", "driver", "worker"))


def _largest(line: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    size = max(line["sizes"], key=int)
    return int(size), line["sizes"][size]
