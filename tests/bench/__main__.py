"""rover_spark beside Spark's own writers and single-machine engines, on the same rows: one table, one JSON file, one plot.

python -m tests.bench [--kind KIND ...] [--rows 0.25,1] [--rounds 3] [--only NAME,...] [--warm] [--quick] [--report DIR]

Kinds: hashes (profiles of long texts that do not compress), texts (profiles of names, cities, small numbers), events (Avro),
nightly (the changes of an overwrite of at most 1,000,000 rows). Every contender runs in a process of its own, one after the
other in each round. CPU is that of the process and all that it started. What it wrote is counted and a sample compared field
by field: a contender that wrote something else has no figures. The cost of a further million rows is the slope between sizes,
so that start-up does not count. The machine must do nothing else.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from rich.console import Console

from tests.bench import plot, report, shown
from tests.bench.contenders import KINDS, PLAIN
from tests.bench.rounds import Plan, measured

OURS = ("native", "arrow", "files", "hash")


def chosen_by(arguments: list[str] | None = None) -> argparse.Namespace:
    """What the command line asks for; ``--quick`` is a preset that other options change."""
    parser = argparse.ArgumentParser(
        prog="make bench ARGS=…", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kind", choices=KINDS, action="append", help="may be repeated; default: all")
    parser.add_argument("--rows", help="sizes in millions, separated by commas; default: 0.25,1")
    parser.add_argument("--rounds", type=int, help="of which the median counts; default: 3")
    parser.add_argument("--only", help="names of contenders, separated by commas: " + ", ".join(_names()))
    parser.add_argument("--warm", action="store_true", help="the second time of two in one process counts")
    parser.add_argument("--memory", default="2g", help="of the JVM's heap; default: 2g")
    parser.add_argument("--quick", action="store_true", help="100,000 short texts, one round, Spark only")
    parser.add_argument(
        "--dir", type=Path, default=Path("rover_bench"), help="for tables and output; removed"
    )
    parser.add_argument("--report", type=Path, default=Path("bench"), help="for the report; default: bench")
    chosen = parser.parse_args(arguments)
    quick = chosen.quick
    chosen.kind = chosen.kind or (["texts"] if quick else list(KINDS))
    chosen.rounds = chosen.rounds or (1 if quick else 3)
    chosen.rows = sorted(
        round(float(size) * 1e6) for size in (chosen.rows or ("0.1" if quick else "0.25,1")).split(",")
    )
    chosen.only = chosen.only.split(",") if chosen.only else [*OURS, PLAIN] if quick else _names()
    if unknown := set(chosen.only) - set(_names()):
        parser.error(f"no contender is called {', '.join(sorted(unknown))}")
    return chosen


def _names() -> list[str]:
    return list(dict.fromkeys(each.name for kind in KINDS.values() for each in kind.contenders))


def main() -> int:
    """Measures, prints, writes; 1 where a contender has no figures."""
    chosen = chosen_by()
    root, console = chosen.dir.resolve(), Console(width=None if sys.stdout.isatty() else 190)
    failures = 0
    for kind in chosen.kind:
        contenders = tuple(each for each in KINDS[kind].contenders if each.name in chosen.only)
        plan = Plan(kind, contenders, tuple(chosen.rows), chosen.rounds, chosen.warm, chosen.memory, root)
        with console.status(kind) as status:
            runs, failed = measured(plan, status.update)
        name = f"{kind}, warm" if chosen.warm else kind
        made = report.part(plan, runs, failed)
        whole = report.write(chosen.report, name, made)
        console.print(shown.table(name, made))
        for contender, why in failed.items():
            console.print(f"{contender}: {why}", markup=False)
        failures += len(failed)
        plot.draw(whole, chosen.report)
    shutil.rmtree(root, ignore_errors=True)
    console.print(f"{chosen.report / report.FILE}, {chosen.report / plot.FILE}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
