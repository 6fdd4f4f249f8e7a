"""Rounds of contenders, each in a fresh process, one after the other: a machine's noise hits all of them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from typing import Any

from tests.bench import agree, sources
from tests.bench.contenders import KINDS, Contender, Job
from tests.bench.meter import whole

Figures = dict[str, Any]
# by contender, then by size: what each round gave
Runs = dict[str, dict[int, list[Figures]]]
Tell = Callable[[str], object]


class Failed(Exception):
    """A contender ended with an error, or wrote something else than it should; the message says which."""


@dataclass(frozen=True)
class Plan:
    """What is measured: each contender ``rounds`` times at each size. ``warm``: the second time of two in one process."""

    kind: str
    contenders: tuple[Contender, ...]
    sizes: tuple[int, ...]
    rounds: int
    warm: bool
    memory: str  # of the JVM's heap
    root: Path


def measured(plan: Plan, tell: Tell) -> tuple[Runs, dict[str, str]]:
    """The figures of each contender that wrote what it should, and why the others have none."""
    kind = KINDS[plan.kind]
    runs: Runs = {each.name: {} for each in plan.contenders}
    failed: dict[str, str] = {}
    for size in plan.sizes:
        tell(f"{plan.kind}: a table of {size:,} rows")
        make_table(plan.root, kind.table, size)
    for number in range(plan.rounds):
        for size in plan.sizes:
            job = _job(plan, size)
            # events are decoded at the smallest size only: that takes longer than most contenders
            sampled = kind.one_of == 1 and (kind.suffix != ".avro" or size == min(plan.sizes))
            should = agree.expected(kind.table, job.sources) if sampled else {}
            for each in plan.contenders:
                if each.name in failed or (each.largest and size > each.largest):
                    continue
                tell(f"{plan.kind}, {size:,} rows, round {number + 1} of {plan.rounds}: {each.name}")
                try:
                    figures = one(each, job, should, warm=plan.warm)
                except Failed as error:
                    failed[each.name] = str(error)
                else:
                    runs[each.name].setdefault(size, []).append(figures)
    return {name: by_size for name, by_size in runs.items() if by_size and name not in failed}, failed


def make_table(root: Path, table: str, rows: int) -> None:
    """Writes a table in a process of its own, unless it is there."""
    if not sources.table_of(root, table, rows).exists():
        command = [sys.executable, "-m", "tests.bench.sources", str(root), table, str(rows)]
        subprocess.run(command, check=True)


def _job(plan: Plan, size: int) -> Job:
    table = sources.table_of(plan.root, KINDS[plan.kind].table, size)
    return Job(plan.kind, size, table, plan.root / "work" / "out", plan.memory)


def one(contender: Contender, job: Job, should: dict[str, agree.Record], *, warm: bool = False) -> Figures:
    """One contender once: what it cost and what it wrote, which is removed.

    ``cpu`` and ``wall`` are those of the whole process, or of its work alone where it is warm.

    Raises:
        Failed: it ended with an error, or wrote something else.
    """
    kind, work = KINDS[job.kind], job.out.parent
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    command = [sys.executable, "-m", "tests.bench.contenders", contender.name]
    command += [json.dumps(asdict(job), default=str), "2" if warm else "1"]
    cost = ran(command, work / "log")
    inside = cost.pop("out")
    found = agree.written(job.data, kind.suffix, sampled=bool(should))
    shutil.rmtree(work, ignore_errors=True)
    if wrong := agree.differences(ceil(job.rows / kind.one_of), should, found):
        raise Failed("; ".join(wrong))
    sizes = {name: getattr(found, name) for name in ("files", "bytes", "raw_bytes", "records")}
    return {**cost, **(inside if warm or not kind.starts else {"shuffled": inside["shuffled"]}), **sizes}


def ran(command: Sequence[str], log: Path, **options: Any) -> Figures:
    """What a process cost; ``out`` is the JSON that it printed last, ``log`` takes what it wrote beside it.

    Raises:
        Failed: it ended with an error, of which the message has the last line.
    """
    with log.open("w+") as errors:
        cost = whole(command, stdout=subprocess.PIPE, stderr=errors, text=True, **options)
        errors.seek(0)
        said = errors.read().strip().splitlines()
    if cost.pop("code"):
        raise Failed(said[-1] if said else "it ended without a word")
    return {**cost, "out": json.loads(cost["out"].splitlines()[-1])}
