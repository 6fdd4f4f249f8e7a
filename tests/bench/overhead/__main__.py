"""What a run costs besides its rows, next to the code of version 0.1.0 in one run: CPU seconds of all its processes.

python -m tests.bench.overhead [--only SCENARIO ...] [--quick] [--types N ...] [--runs N] [--without-before] [--json FILE]

Scenarios: cold (an export with nothing to do, status), batch (ten warm exports of four datasets with 1,000 new rows each,
beside plain Delta appends of these rows), tables and types (a day of 200, 500, 1,000 event types out of a table each and out
of one), ledger (status on 10,000 batches), runs (500 exports in one process: does a run get slower, does memory grow?).
The ratios are worth quoting, not the seconds. 0.1.0 is the commit that versions.py names.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tests.bench.overhead.scenarios import QUICK, SCENARIOS, Found, Sizes, measure
from tests.bench.overhead.versions import BEFORE, NOW, versions


def shown(found: Found) -> Table:
    """The figures side by side, with the ratio of this version's to those of before."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for name in (
        f"{BEFORE}\nCPU",
        f"{NOW}\nCPU",
        "ratio",
        f"{BEFORE}\nwall",
        f"{NOW}\nwall",
        "ratio",
        "besides",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for line, by in found.items():
        cells = []
        for figure in ("cpu", "wall"):
            before, now = (by.get(name, {}).get(figure) for name in (BEFORE, NOW))
            cells += [_seconds(before), _seconds(now), f"{now / before:.2f}" if now and before else ""]
        table.add_row(line, *cells, _besides(by.get(NOW, {})))
    return table


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} s"


def _besides(figures: dict[str, float]) -> str:
    if "heap" in figures:
        return f"heap {figures['heap'] / 1e6:.0f} MB, Python {figures['python'] / 1e6:.0f} MB"
    return f"{figures['jobs']:.0f} jobs, {figures['files']:.0f} files" if "jobs" in figures else ""


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        prog="make bench-overhead ARGS=…",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", choices=SCENARIOS, action="append", help="may be repeated")
    parser.add_argument("--quick", action="store_true", help="small sizes: minutes, not hours")
    parser.add_argument(
        "--rounds", type=int, help="cold processes of each command, of which the median counts"
    )
    parser.add_argument("--exports", type=int, help="warm exports in a row")
    parser.add_argument("--types", type=int, action="append", help="event types; may be repeated")
    parser.add_argument(
        "--types-before", type=int, help=f"the most event types that {BEFORE} is measured with"
    )
    parser.add_argument("--batches", type=int, help="batches of the large ledger")
    parser.add_argument("--runs", type=int, help="exports in one process")
    parser.add_argument("--runs-before", type=int, help=f"the same for {BEFORE}")
    parser.add_argument("--without-before", action="store_true", help=f"leave {BEFORE} out")
    parser.add_argument("--json", type=Path, help="the file to write all figures to")
    parser.add_argument("--dir", type=Path, default=Path("rover_bench"))
    chosen = parser.parse_args()
    given = {
        name: value for name, value in vars(chosen).items() if name in Sizes.__dataclass_fields__ and value
    }
    if "types" in given:
        given["types"] = tuple(given["types"])
        given.setdefault("types_before", max(given["types"]))
    sizes = replace(QUICK if chosen.quick else Sizes(), **given)
    root = chosen.dir.resolve() / "overhead"
    both = versions(root, [NOW] if chosen.without_before else [BEFORE, NOW])
    console, found = Console(width=None if sys.stdout.isatty() else 150), Found()
    for name in chosen.only or list(SCENARIOS):
        with console.status(name):
            of_one = measure(name, both, root, sizes)
        console.print(shown(of_one))
        found |= of_one
        if chosen.json:  # after each: a long run may be stopped
            chosen.json.write_text(json.dumps(found, indent=1))
    shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
