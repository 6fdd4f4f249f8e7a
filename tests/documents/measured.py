"""The tables of docs/benchmarks.md: made from the figures of `make bench` and `make bench-events`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench import __main__ as profiles
from tests.bench import events
from tests.documents.blocks import table

Found = dict[str, dict[str, Any]]
Table = Callable[[Found], str]

PROFILES = {
    "df.write": '`df.write.partitionBy("date", "hour").json`, gzip',
    "export": "`export`, a snapshot of the same profiles",
}
EVENTS = {
    "df.write": '`df.write.format("avro")`, level 1 as export',
    "df.write, its own level": "the same at Spark's own default level",
    "export": "`export`",
}


def bench(found: Found) -> str:
    """A snapshot of profiles beside Spark's own JSON writer."""
    head = (
        "",
        "records",
        "JSON",
        "files",
        "CPU per million",
        "ratio",
        "peak of a Python worker",
        "of the driver's Python",
    )
    rows = [
        (
            PROFILES[name],
            f"{each['records']:,.0f}",
            f"{found['export']['raw_bytes'] / 1e6:,.0f} MB",  # both write the same fields of the same records
            f"{each['files']:.0f}",
            *_cost(found, name),
            _peak(each["worker_peak"]),
            _peak(each["driver_peak"]),
        )
        for name, each in found.items()
        if name in PROFILES
    ]
    return table(head, rows)


def bench_events(found: Found) -> str:
    """Events beside Spark's own Avro writer."""
    head = ("", "CPU per million", "ratio", "files", "size", "peak of a Python worker")
    rows = [
        (
            EVENTS[name],
            *_cost(found, name),
            f"{each['files']:.0f}",
            f"{each['bytes'] / 1e6:.0f} MB",
            _peak(each["worker_peak"]),
        )
        for name, each in found.items()
    ]
    return table(head, rows)


def _cost(found: Found, name: str) -> tuple[str, str]:
    cost, plain = (found[each]["cpu"] / found[each]["records"] for each in (name, "df.write"))
    return f"{cost * 1e6:.1f} s", f"{cost / plain:.2f}"


def _peak(size: float) -> str:
    return f"{size / 1e6:.0f} MB" if size else "none"


def measured(
    root: Path = Path("rover_bench"), rows: int = 5_000_000, of_events: int = 2_000_000
) -> dict[str, str]:
    """Both tables, from runs of today. Removes what they wrote."""
    root = root.resolve()
    shutil.rmtree(root, ignore_errors=True)
    profiles.run("table", root, rows)
    beside = {name: profiles.run(name, root, rows) for name in PROFILES}
    shutil.rmtree(root, ignore_errors=True)
    events.run("table", root, of_events, types=1)
    streamed = {name: events.run(name, root, of_events, types=1) for name in EVENTS}
    shutil.rmtree(root, ignore_errors=True)
    return {"bench": bench(beside), "bench-events": bench_events(streamed)}
