"""What a run costs the driver for each chunk, from a table's log to COMMITTED, with a store that answers at once.

python -m tests.bench.scale [--chunks 1000,10000,50000,100000] [--plans 50000] [--tasks 500,2500] [--report DIR]

Chunks: a table of so many data files that are only in its log. A process lists them and plans, records the plan, the
manifest of as many staged files, publishes them, records the end and reads it all back as a recovery does. No Spark.
Plans: the command `plan` over such a table, Spark included.
Tasks: a whole export of so many data files of one row by Spark, for what its scheduler and a task cost besides rows.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tests.bench.meter import whole
from tests.bench.scale.tables import write_log, write_small_files

FILE = "scale.json"
ROWS, BYTES = 500_000, 128 << 20  # that the log says of each data file that is not there
Found = dict[str, dict[str, Any]]


def measured(act: str, root: Path) -> dict[str, Any]:
    """What a process costs that does one of these, and the steps that it printed."""
    command = [sys.executable, "-m", "tests.bench.scale.inside", act, str(root)]
    run = whole(command, stdout=subprocess.PIPE, text=True)
    if run.pop("code"):
        raise SystemExit(f"{' '.join(command)} failed")
    return {**run, "steps": json.loads(run.pop("out").splitlines()[-1])}


def found_by(act: str, sizes: Sequence[int], place: Path) -> Found:
    """The same for each number of data files, as text."""
    found = {}
    for files in sizes:
        shutil.rmtree(place, ignore_errors=True)
        if act == "job":
            write_small_files(place / "table", files)
        else:
            write_log(place / "table", files, ROWS, BYTES)
        found[str(files)] = measured(act, place)
    shutil.rmtree(place, ignore_errors=True)
    return found


def sizes_of(text: str) -> list[int]:
    """Numbers separated by commas, in order."""
    return sorted(int(each) for each in text.split(",") if each)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        prog="make bench-scale ARGS=…",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--chunks", type=sizes_of, default=[1_000, 10_000, 50_000, 100_000])
    parser.add_argument("--plans", type=sizes_of, default=[50_000])
    parser.add_argument("--tasks", type=sizes_of, default=[500, 2_500])
    parser.add_argument("--dir", type=Path, default=Path("rover_bench"))
    parser.add_argument("--report", type=Path, default=Path("bench"))
    chosen = parser.parse_args()
    place = chosen.dir.resolve() / "scale"
    found = {
        "chunks": found_by("driver", chosen.chunks, place),
        "plans": found_by("plan", chosen.plans, place),
        "tasks": found_by("job", chosen.tasks, place),
    }
    chosen.report.mkdir(parents=True, exist_ok=True)
    (chosen.report / FILE).write_text(json.dumps(found, indent=1))
    console = Console(width=None if sys.stdout.isatty() else 150)
    for name, by_size in found.items():
        if by_size:
            console.print(shown(name, by_size))


def shown(name: str, by_size: Found) -> Table:
    """A column for each size; a row for each step of the driver, then one for the whole process."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(name)
    for size in by_size:
        table.add_column(f"{int(size):,}", justify="right", no_wrap=True)
    steps = list(next(iter(by_size.values()))["steps"])
    for step in steps:
        cells = (each["steps"][step] for each in by_size.values())
        table.add_row(step, *(f"{each['cpu']:.2f} s of CPU, {each['memory'] / 1e6:.0f} MB" for each in cells))
    table.add_row("all", *(f"{each['cpu']:.1f} s of CPU, {each['wall']:.0f} s" for each in by_size.values()))
    table.add_row("", *(_memory(each) for each in by_size.values()))
    return table


def _memory(each: dict[str, Any]) -> str:
    return ", ".join(
        f"{role} {each[role] / 1e6:.0f} MB" for role in ("jvm", "driver", "worker") if each[role]
    )


if __name__ == "__main__":
    main()
