"""Export beside a plain `df.write`: CPU seconds per million records, memory, and the time of `status`.

python -m tests.bench [--rows 5000000] [--rounds 1] [--dir DIR]

Each contender runs in a process of its own, one after the other in each round, over one table: a machine's noise hits
both, and only their ratio is worth quoting. CPU seconds are those of the JVM and all Python workers together.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tests.bench.contenders import CONTENDERS

Figures = dict[str, Any]


def run(contender: str, root: Path, rows: int) -> Figures:
    """One contender in a fresh process; what it measured of itself."""
    command = [sys.executable, "-m", "tests.bench.contenders", contender, str(root), str(rows)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def middle(runs: list[Figures]) -> Figures:
    """The median of each figure."""
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def deliveries(found: dict[str, Figures]) -> Table:
    """The contenders side by side; the ratio is to the plain writer."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in (
        "",
        "records",
        "JSON",
        "CPU",
        "CPU per\nmillion",
        "ratio",
        "wall",
        "worker",
        "driver",
        "files",
    ):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    plain = found["df.write"]["cpu"] / found["df.write"]["records"] if "df.write" in found else None
    for name, each in found.items():
        cost = each["cpu"] / each["records"]
        table.add_row(
            name,
            f"{each['records']:,.0f}",
            f"{each['raw_bytes'] / 1e6:,.0f} MB" if "raw_bytes" in each else "",
            f"{each['cpu']:.0f} s",
            f"{cost * 1e6:.1f} s",
            f"{cost / plain:.2f}" if plain else "",
            f"{each['wall']:.0f} s",
            f"{each['worker_peak'] / 1e6:.0f} MB",
            f"{each['driver_peak'] / 1e6:.0f} MB",
            f"{each['files']:.0f}",
        )
    table.caption = "CPU of the JVM and all workers; worker, driver: peak memory of one Python process"
    return table


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--dir", type=Path, default=Path("rover_bench"))
    parser.add_argument("--only", choices=CONTENDERS, action="append")
    chosen = parser.parse_args()
    root = chosen.dir.resolve()
    console = Console()
    shutil.rmtree(root, ignore_errors=True)
    with console.status(f"{chosen.rows:,} profiles, then {chosen.rounds} rounds"):
        run("table", root, chosen.rows)
        names = chosen.only or list(CONTENDERS)
        rounds = [{name: run(name, root, chosen.rows) for name in names} for _ in range(chosen.rounds)]
    found = {name: middle([each[name] for each in rounds]) for name in names}
    nightly, status = found.pop("nightly", None), found.pop("status", None)
    if found:
        console.print(deliveries(found))
    if nightly:
        console.print(
            f"{nightly['rows']:,.0f} rows overwritten, {nightly['records']:,.0f} of them changed: "
            f"{nightly['cpu']:.0f} s of CPU, {nightly['wall']:.0f} s, worker {nightly['worker_peak'] / 1e6:.0f} MB"
        )
    if status:
        console.print(f"status on a ledger of {status['batches']:,.0f} batches: {status['wall']:.2f} s")
    shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
