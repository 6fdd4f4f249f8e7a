"""The report as tables, for the terminal and for the documents: one of each load."""

from __future__ import annotations

from typing import Any

from tests.bench.loading.contenders import PLAIN
from tests.bench.shown import megabytes

HEAD = ("", "CPU", "ratio", "time", "records a CPU second", "text a CPU second", "JVM", "driver", "worker", "together")  # fmt: skip


def titles(part: dict[str, Any]) -> tuple[str, str]:
    """What each of the two loads is."""
    first, further = part["batches"]
    repeated = first["records"] + further["records"] - further["table_rows"]
    how = "under a later `emittedAt`" if part["later"] else "word for word"
    return (
        f"{_said(first)} into an empty table",
        f"{_said(further)} into that table, {repeated:,} of them there before, {how}",
    )


def _said(batch: dict[str, Any]) -> str:
    return f"{batch['records']:,} records, {batch['text_bytes'] / 1e6:,.0f} MB of text, in {batch['files']} objects"


def rows(part: dict[str, Any], load: int) -> list[tuple[str, ...]]:
    """A line for each contender that has figures of this load, below ``HEAD``."""
    batch = part["batches"][load]
    found = []
    for line in part["contenders"].values():
        if load >= len(line.get("loads", ())):
            continue
        cost = line["loads"][load]
        found.append(
            (
                line["label"],
                f"{cost['cpu']:.1f} s",
                _ratio(part, load, cost["cpu"]),
                f"{cost['wall']:.1f} s",
                f"{batch['records'] / cost['cpu']:,.0f}",
                f"{batch['text_bytes'] / 1e6 / cost['cpu']:,.1f} MB",
                *(megabytes(cost[each]) for each in ("jvm", "driver", "worker", "together")),
            )
        )
    return found


def _ratio(part: dict[str, Any], load: int, cpu: float) -> str:
    loads = part["contenders"].get(PLAIN, {}).get("loads")
    return f"{cpu / loads[load]['cpu']:.2f}" if loads else "–"


def failed(part: dict[str, Any]) -> list[str]:
    """Who has no figures, and why."""
    return [f"{line['label']}: {line['failed']}" for line in part["contenders"].values() if "failed" in line]
