"""A part of the report as a table on the terminal."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from tests.bench.contenders import PLAIN

HEAD = ("", "level", "CPU", "wall", "CPU per\nmillion", "ratio", "wall per\nmillion", "JVM", "driver", "worker", "files", "size")  # fmt: skip


def table(name: str, part: dict[str, Any]) -> Table:
    """One line a contender: costs and memory at the largest size, and what a further million rows costs."""
    shown = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title=name, title_justify="left")
    for each in HEAD:
        shown.add_column(each, justify="right" if each else "left", no_wrap=True)
    for line in part["contenders"].values():
        shown.add_row(*cells(part, line))
    shown.caption = (
        f"{part['compression']}; figures at each contender's largest size, medians of {part['rounds']}; "
        f"{'with' if part['starts'] else 'without'} the start of the process; ratio: CPU per million to Spark's own writer"
    )
    return shown


def cells(part: dict[str, Any], line: dict[str, Any]) -> tuple[str, ...]:
    """The cells of one contender, below ``HEAD``; of one that has no figures, why."""
    label = line["label"].replace("`", "")
    if "sizes" not in line:
        return (label, line["level"], line.get("failed", "not measured")[:60], *[""] * (len(HEAD) - 3))
    rows, found = max(((int(size), each) for size, each in line["sizes"].items()), key=lambda each: each[0])
    growth = line["per_million"]
    return (
        f"{label}, {rows / 1e6:g} M",
        line["level"],
        f"{found['cpu']:.1f} s",
        f"{found['wall']:.1f} s",
        seconds(growth["cpu"]),
        ratio(part, line),
        seconds(growth["wall"]),
        *(megabytes(found[role]) for role in ("jvm", "driver", "worker")),
        f"{found['files']:.0f}",
        f"{found['bytes'] / 1e6:,.0f} MB",
    )


def seconds(value: float | None) -> str:
    """Seconds; a dash where one size gives no growth."""
    return "–" if value is None else f"{value:.1f} s"


def megabytes(value: float) -> str:
    """Memory; a dash for a process that there is not."""
    return f"{value / 1e6:,.0f} MB" if value else "–"


def ratio(part: dict[str, Any], line: dict[str, Any], figure: str = "cpu") -> str:
    """A contender's cost of a further million rows to that of Spark's own writer, in the same part of the report."""
    plain = part["contenders"].get(PLAIN, {}).get("per_million", {}).get(figure)
    own = line.get("per_million", {}).get(figure)
    return f"{own / plain:.2f}" if own and plain else "–"
