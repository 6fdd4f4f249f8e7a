"""rover-spark as a receiver beside loads that are written by hand: one export of profiles into one table, each id once.

python -m tests.bench.loading [--rows 5000000] [--further 1000000] [--kind KIND ...] [--rounds 1] [--only NAME,...] [--report DIR]

The export is written first, and costs nobody anything. Each contender loads it in a process of its own, and then, in another
one, a further batch half of whose records it has already, under other keys. CPU is that of the process and all that it
started, its start included. A table that is not what it must be, row by row, gives no figures. `conform` reads the first
batch and writes nothing. The machine must do nothing else.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tests.bench import report
from tests.bench.loading.contenders import CONTENDERS
from tests.bench.loading.export import KINDS, Export
from tests.bench.loading.rounds import Plan, measured
from tests.bench.loading.shown import HEAD, failed, rows, titles

FILE = "load.json"


def chosen_by(arguments: list[str] | None = None) -> argparse.Namespace:
    """What the command line asks for."""
    names = [each.name for each in CONTENDERS]
    parser = argparse.ArgumentParser(
        prog="make bench-load ARGS=…", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )  # fmt: skip
    parser.add_argument("--rows", type=int, default=5_000_000, help="records of the export")
    parser.add_argument("--further", type=int, help="records of the further batch; default: a fifth")
    parser.add_argument("--rows-of-a-file", type=int, default=100_000)
    parser.add_argument("--kind", choices=KINDS, action="append", help="may be repeated; default: all")
    parser.add_argument("--rounds", type=int, default=1, help="of which the median counts")
    parser.add_argument("--only", help=f"names of contenders, separated by commas: {', '.join(names)}")
    parser.add_argument(
        "--later", action="store_true", help="what is repeated has a later emittedAt, and replaces what is there"
    )  # fmt: skip
    parser.add_argument("--memory", default="4g", help="of the JVM's heap, and DuckDB's by hand")
    parser.add_argument(
        "--dir", type=Path, default=Path("rover_bench"), help="for export and tables; removed"
    )
    parser.add_argument("--report", type=Path, default=Path("bench"))
    chosen = parser.parse_args(arguments)
    chosen.kind = chosen.kind or list(KINDS)
    chosen.further = chosen.rows // 5 if chosen.further is None else chosen.further
    chosen.only = chosen.only.split(",") if chosen.only else names
    if unknown := set(chosen.only) - set(names):
        parser.error(f"no contender is called {', '.join(sorted(unknown))}")
    if not 0 < chosen.further <= chosen.rows:
        parser.error("the further batch has at least one record, and no more than the first")
    return chosen


def main() -> int:
    """Measures, prints, writes; 1 where a contender failed."""
    chosen = chosen_by()
    console, failures = Console(width=None if sys.stdout.isatty() else 190), 0
    contenders = tuple(each for each in CONTENDERS if each.name in chosen.only)
    for kind in chosen.kind:
        root = chosen.dir.resolve() / "loading" / kind
        shutil.rmtree(root, ignore_errors=True)
        export = Export(kind, chosen.rows, chosen.further, chosen.rows_of_a_file, chosen.later)
        with console.status(kind) as status:
            part = measured(Plan(export, contenders, chosen.rounds, chosen.memory, root), status.update)
        report.write(chosen.report, kind, part, FILE)
        for load, title in enumerate(titles(part)):
            table = Table(
                *HEAD, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title=f"{kind}: {title}", title_justify="left"
            )
            for row in rows(part, load):
                table.add_row(*(cell.replace("`", "") for cell in row))
            console.print(table)
        for line in failed(part):
            console.print(line, markup=False)
        failures += len(failed(part))
        shutil.rmtree(root, ignore_errors=True)
    console.print(chosen.report / FILE)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
