"""The two versions that are measured: this work tree, and the commit of version 0.1.0 as git has it.

Both run in this environment, with the same Spark, from a directory that holds nothing or their own package: the first
entry of Python's path decides which `rover_spark` a process and its workers load.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
COMMIT = "f08ec4a"
BEFORE, NOW = "0.1.0", "now"

# 0.1.0 has no rover_spark.__main__
_CLI = """
try:
    from rover_spark.__main__ import main
except ImportError:
    from rover_spark.cli import main
main()
"""


@dataclass(frozen=True)
class Version:
    """A version's name and the directory that its processes run in."""

    name: str
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment, with the version's package before all others."""
        path = [str(self.home), str(ROOT)]
        return {**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYSPARK_PYTHON": sys.executable}

    def cli(self, *arguments: str) -> list[str]:
        """The command that runs the command line."""
        return [sys.executable, "-c", _CLI, *arguments]

    def inside(self, *arguments: str) -> list[str]:
        """The command that runs a measurement inside one process."""
        return [sys.executable, "-m", "tests.bench.overhead.inside", *arguments]


def versions(root: Path, names: list[str]) -> list[Version]:
    """The versions of these names, each with a home below ``root``. Exits where git has no such commit."""
    found = []
    for name in names:
        home = root / "code" / name
        home.mkdir(parents=True, exist_ok=True)
        if name == BEFORE:
            _unpack(home)
        found.append(Version(name, home))
    return found


def _unpack(home: Path) -> None:
    command = ["git", "-C", str(ROOT), "archive", COMMIT, "rover_spark"]
    done = subprocess.run(command, capture_output=True)
    if done.returncode:
        raise SystemExit(f"no commit {COMMIT} here, the code of {BEFORE}: git fetch --unshallow brings it")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archived:
        archived.extractall(home, filter="data")
