"""The measurements, the two versions alternately in one run: cold processes from outside, warm ones from inside.

A scenario makes its sources and settings below a directory of its own and returns figures by line and version.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.meter import whole
from tests.bench.overhead import sources
from tests.bench.overhead.versions import BEFORE, Version

Figures = dict[str, Any]
# by line of the result, then by the version's name
Found = dict[str, dict[str, Figures]]


@dataclass(frozen=True)
class Sizes:
    """How much is measured; ``types_before`` and ``runs_before`` are the most that 0.1.0 is measured with."""

    rounds: int = 3
    exports: int = 10
    types: tuple[int, ...] = (200, 500, 1000)
    types_before: int = 200
    batches: int = 10_000
    runs: int = 500
    runs_before: int = 20


QUICK = Sizes(rounds=1, exports=5, types=(20,), types_before=20, batches=500, runs=30, runs_before=5)


def _slug(version: Version) -> str:
    return f"v{version.name.replace('.', '')}"


def _inside(version: Version, name: str, root: Path, log: Path, **arguments: Any) -> Figures:
    command = version.inside(name, str(root), json.dumps(arguments))
    with log.open("a") as errors:
        done = subprocess.run(
            command,
            cwd=version.home,
            env=version.environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    if done.returncode:
        raise SystemExit(f"{name} of {version.name} failed; see {log}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _cold(version: Version, log: Path, *arguments: str) -> Figures:
    with log.open("a") as errors:
        found = whole(
            version.cli(*arguments),
            cwd=version.home,
            env=version.environment,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
    if found["code"]:
        raise SystemExit(f"{' '.join(arguments)} of {version.name} failed; see {log}")
    return {name: found[name] for name in ("cpu", "wall")}


def _median(runs: list[Figures]) -> Figures:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def _colds(
    versions: list[Version], configs: dict[str, Path], log: Path, sizes: Sizes, command: str
) -> dict[str, Figures]:
    """Medians of cold processes, the versions alternate; the first round compiles modules and fills caches, and does not count."""
    runs: dict[str, list[Figures]] = {version.name: [] for version in versions}
    for number in range(sizes.rounds + 1):
        for version in versions:
            found = _cold(version, log, command, "-c", str(configs[version.name]))
            if number:
                runs[version.name].append(found)
    return {name: _median(each) for name, each in runs.items()}


def cold(versions: list[Version], root: Path, sizes: Sizes) -> Found:
    """An export that finds nothing to do, and `status`: four datasets, one batch each, a process for each command."""
    log = root / "log"
    _inside(versions[-1], "make", root, log)
    configs = {each.name: sources.write_datasets(root, _slug(each)) for each in versions}
    for version in versions:
        _inside(version, "deliver", root, log, config=configs[version.name].name)
    return {
        "nothing to do, cold": _colds(versions, configs, log, sizes, "export"),
        "status, cold": _colds(versions, configs, log, sizes, "status"),
    }


def batch(versions: list[Version], root: Path, sizes: Sizes) -> Found:
    """A warm batch of four datasets with 1,000 new rows each, beside four plain appends of these rows; ten in a row."""
    found: Found = {}
    for version in versions:
        runs = _rows(version, root, sizes.exports, list(sources.DATASETS))
        warm = _median([{"cpu": run["cpu"], "wall": run["wall"]} for run in runs[2:]])
        plain = _median([{"cpu": run["append_cpu"], "wall": run["append_wall"]} for run in runs[2:]])
        found.setdefault("four plain appends, warm", {})[version.name] = plain
        found.setdefault("a batch of four datasets, warm", {})[version.name] = warm
        for number in (1, 5, 10):
            if number <= len(runs):
                run = runs[number - 1]
                line = found.setdefault(f"the same, export {number} of a process", {})
                line[version.name] = {"cpu": run["cpu"], "wall": run["wall"]}
    return found


def _rows(version: Version, root: Path, count: int, datasets: list[str]) -> list[Figures]:
    """Exports in a row in one process, over tables of its own."""
    place = root / _slug(version)
    place.mkdir(parents=True)
    log = root / "log"
    _inside(version, "make", place, log)
    config = sources.write_datasets(place, "batches")
    found = _inside(version, "batches", place, log, config=config.name, count=count, datasets=datasets)
    shutil.rmtree(place, ignore_errors=True)  # a JVM that outlives its driver removes files meanwhile
    return list(found["runs"])


def tables(versions: list[Version], root: Path, sizes: Sizes) -> Found:
    """A day of many event types, 1,000 events each, out of a table each."""
    return _day(versions, root, sizes, apart=True)


def types(versions: list[Version], root: Path, sizes: Sizes) -> Found:
    """A day of many event types, 1,000 events each, out of one table."""
    return _day(versions, root, sizes, apart=False)


def _day(versions: list[Version], root: Path, sizes: Sizes, *, apart: bool) -> Found:
    log, found = root / "log", Found()
    for size in sizes.types:
        place = root / str(size)
        place.mkdir(parents=True)
        _inside(versions[-1], "make", place, log, types=size)
        line = found.setdefault(f"{size} event types, {'a table each' if apart else 'one table'}", {})
        for version in versions:
            if version.name != BEFORE or size <= sizes.types_before:
                config = sources.write_events(place, _slug(version), size, apart=apart)
                line[version.name] = _inside(version, "deliver", place, log, config=config.name)
        shutil.rmtree(place, ignore_errors=True)  # a JVM that outlives its driver removes files meanwhile
    return found


def ledger(versions: list[Version], root: Path, sizes: Sizes) -> Found:
    """`status` on a large ledger, in a process of its own. The first of the versions writes the ledger, all read it."""
    log = root / "log"
    _inside(versions[0], "make", root, log)
    config = sources.write_datasets(root, "large")
    _inside(versions[0], "ledger", root, log, config=config.name, count=sizes.batches // 3)
    configs = {version.name: config for version in versions}
    return {f"status on {sizes.batches:,} batches, cold": _colds(versions, configs, log, sizes, "status")}


def runs(versions: list[Version], root: Path, sizes: Sizes) -> Found:
    """Many exports in a row in one process, 1,000 new rows of each of four datasets: does one get slower, does memory grow?"""
    found: Found = {}
    for version in versions:
        count = min(sizes.runs, sizes.runs_before) if version.name == BEFORE else sizes.runs
        each = _rows(version, root, count, list(sources.DATASETS))
        found.setdefault("runs in a row: those up to the 5th", {})[version.name] = _around(each, 4)
        for number in sorted({min(50, count), min(100, count), count // 2, count}):
            found.setdefault(f"the same: up to the {number}th", {})[version.name] = _around(each, number - 1)
    return found


def _around(runs: list[Figures], last: int) -> Figures:
    """The median of the three runs that end here, with the memory as it was seen last."""
    known = [run for run in runs[: last + 1] if "heap" in run][-1]
    some = [{"cpu": run["cpu"], "wall": run["wall"]} for run in runs[max(0, last - 2) : last + 1]]
    return _median(some) | {name: known[name] for name in ("heap", "python", "threads", "java_threads")}


SCENARIOS: dict[str, Callable[[list[Version], Path, Sizes], Found]] = {
    each.__name__: each for each in (cold, batch, tables, types, ledger, runs)
}


def measure(name: str, versions: list[Version], root: Path, sizes: Sizes) -> Found:
    """Runs one scenario in an empty directory, which is gone afterwards; of a failure its log stays."""
    place = root / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    found = SCENARIOS[name](versions, place, sizes)
    shutil.rmtree(place, ignore_errors=True)  # a JVM that outlives its driver removes files meanwhile
    return found
