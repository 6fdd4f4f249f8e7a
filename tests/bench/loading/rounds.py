"""Rounds of contenders, one after the other: each loads the first batch and then the further one, in a fresh process each.

Before that each loads a small export, which does not count: by then its modules are compiled and read from disk once.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench import report
from tests.bench.loading import agree
from tests.bench.loading.contenders import Contender, Job
from tests.bench.loading.export import BATCHES, DATASET, SECOND, Export, Facts, written
from tests.bench.rounds import Failed, Figures, Tell, ran

Runner = Callable[[Contender, Job, Path], Figures]


@dataclass(frozen=True)
class Plan:
    """What is measured: each contender ``rounds`` times over one export."""

    export: Export
    contenders: tuple[Contender, ...]
    rounds: int
    memory: str
    root: Path


def measured(plan: Plan, tell: Tell) -> dict[str, Any]:
    """The part of a report: for each contender the medians of each of its loads, or why there are none."""
    tell(
        f"{plan.export.kind}: an export of {plan.export.rows:,} records, and a further {plan.export.further:,}"
    )
    facts = written(plan.root / "export", plan.export)
    small = replace(plan, export=replace(plan.export, rows=100, further=20), root=plan.root / "small")
    small_facts = written(small.root / "export", small.export)
    run = partial(in_a_process, compiled=plan.root / "compiled")
    found: dict[str, list[list[Figures]]] = {each.name: [] for each in plan.contenders}
    failed: dict[str, str] = {}
    for number, (of, known) in enumerate([(small, small_facts[:1]), *[(plan, facts)] * plan.rounds]):
        for each in plan.contenders:
            if each.name in failed:
                continue
            tell(
                f"{plan.export.kind}, {f'round {number} of {plan.rounds}' if number else 'before'}: {each.name}"
            )
            try:
                figures = one(each, of, known, run)
                found[each.name] += [figures] if number else []
            except Failed as error:
                failed[each.name] = str(error)
    lines: dict[str, dict[str, Any]] = {}
    for each in plan.contenders:
        lines[each.name] = line = {"label": each.label}
        if each.name in failed:
            line["failed"] = failed[each.name]
        else:
            line["loads"] = [report.medians(list(runs)) for runs in zip(*found[each.name], strict=True)]
    return {
        **report.where(),
        "rounds": plan.rounds,
        "memory": plan.memory,
        "later": plan.export.later,
        "batches": [asdict(each) for each in facts],
        "contenders": lines,
    }


def in_a_process(contender: Contender, job: Job, log: Path, *, compiled: Path) -> Figures:
    """One load; ``compiled`` is where Python keeps modules. Raises Failed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(compiled)
    command = [sys.executable, "-m", "tests.bench.loading.inside", contender.name]
    cost = ran([*command, json.dumps(asdict(job), default=str)], log, env=environment)
    del cost["out"]
    return cost


def one(contender: Contender, plan: Plan, facts: Sequence[Facts], run: Runner) -> list[Figures]:
    """What each load of a contender cost, one for each of ``facts``; who keeps no table reads the first batch only.

    Raises:
        Failed: it ended with an error, or its table is not what it must be.
    """
    work = plan.root / "work"
    shutil.rmtree(work, ignore_errors=True)
    place, into = work / "bucket", work / "into"
    into.mkdir(parents=True)
    found = []
    for batch, fact in zip(BATCHES if contender.engine else BATCHES[:1], facts, strict=False):
        _arrive(plan.root / "export" / str(batch), place)
        found.append(run(contender, Job(place, _objects(place, batch), into, plan.memory), work / "log"))
        if contender.engine and (wrong := _wrong(contender, into, plan.export, fact)):
            raise Failed(f"load {batch}: {wrong}")
    shutil.rmtree(work, ignore_errors=True)
    return found


def _wrong(contender: Contender, into: Path, export: Export, fact: Facts) -> str:
    try:
        return "; ".join(agree.differences(contender, into, export, fact))
    except Exception as error:  # hours of others' figures are not lost for it
        return f"its table cannot be read: {error}"


def _arrive(batch: Path, place: Path) -> None:
    """The objects of a batch stand in the bucket, without a copy."""
    shutil.copytree(batch, place, copy_function=os.link, dirs_exist_ok=True)


def _objects(place: Path, batch: int) -> str:
    """A pattern of the objects of one batch."""
    hour = f"hour={SECOND:%H}" if batch == 2 else "hour=*"
    return f"{place}/exports/{DATASET}/date=*/{hour}/*.ndjson.gz"
