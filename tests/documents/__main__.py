"""Makes every block of the documents again: `make docs`.

python -m tests.documents [--read-only | --benchmarks]

Without options: what is read off the project, and real runs of the demo and of a session over its tables. `--read-only` leaves
the runs out and takes seconds. `--benchmarks` makes the tables of the last `make bench` from its report, and nothing else.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.documents.blocks import ROOT, replace
from tests.documents.codes import codes
from tests.documents.commands import commands
from tests.documents.conforming import breaches, loaders
from tests.documents.laws import laws
from tests.documents.loaded import loaded
from tests.documents.measured import measured
from tests.documents.results import adds
from tests.documents.rooms import rooms, test_line
from tests.documents.scaled import scaled
from tests.documents.settings import settings

# what needs no run, and is compared exactly
READ: dict[str, Callable[[], str]] = {
    "settings": settings,
    "commands": commands,
    "adds": adds,
    "codes": codes,
    "breaches": breaches,
    "loaders": loaders,
    "laws": laws,
    "rooms": rooms,
    "test": test_line,
}
# what a run gives, and is compared by its shape
RUN = ("demo", "bucket", "session", "document")


def run() -> dict[str, str]:
    """The blocks of real runs, from a demo in a directory of its own."""
    from rover_spark.demo import SESSION
    from rover_spark.face.session import build_session
    from tests.documents import runs

    with tempfile.TemporaryDirectory() as home:
        os.chdir(home)
        spark = build_session("rover_spark documents", conf={**SESSION, "spark.ui.enabled": "false"})
        place = Path(home) / runs.DEMO
        _, said = runs.demo(spark)
        made = {"demo": runs.shown(said), "bucket": runs.bucket(place)}
        made |= {"session": runs.session(place), "document": runs.document(place)}
        spark.stop()
        os.chdir(ROOT)
    return made


def main() -> None:
    """Writes the blocks and names the pages that changed."""
    parser = argparse.ArgumentParser(prog="make docs ARGS=…", description=__doc__)
    parser.add_argument("--read-only", action="store_true", help="only what needs no run: seconds")
    parser.add_argument("--benchmarks", action="store_true", help="only the tables of the last make bench")
    chosen = parser.parse_args()
    if chosen.benchmarks:
        made = measured() | scaled() | loaded()
        if not made:
            raise SystemExit("bench/ holds no report: make bench writes one")
    else:
        made = {name: make() for name, make in READ.items()}
        if not chosen.read_only:
            made |= run()
    for page in replace(made):
        sys.stdout.write(f"changed: {page.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
