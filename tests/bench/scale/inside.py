"""What is measured in one process: `python -m tests.bench.scale.inside driver|plan|job ROOT`. The last line that it prints is JSON."""

from __future__ import annotations

import base64
import hashlib
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rover_spark import build_session
from rover_spark.config.settings import Settings, parse
from rover_spark.contract.keys import file_token, rover_key
from rover_spark.deliver.batch import GROUP
from rover_spark.deliver.publish import publish
from rover_spark.delta.session import Session
from rover_spark.face import commands
from rover_spark.face.commands.opened import ledger_of, store_of, unopened
from rover_spark.model.dataset_state import DatasetState
from rover_spark.model.file import StagedFile
from rover_spark.produce.port import producer
from rover_spark.produce.rover.plan import BatchPlan, batch_plan
from tests.bench.contenders import Job
from tests.bench.contenders.ours import NOW, conf

DATASET = "fan_profiles"
_DATA = b"\x1f\x8b"  # what each staged file holds: nobody reads it


def settings_of(root: Path, **files: int) -> Settings:
    """An export of the table into memory."""
    return parse(
        {
            "name": "scale",
            "destination": "memory://scale/acme",
            "ledger": str(root / "control"),
            "files": {"reader": "spark", **files},
            "datasets": {DATASET: {"table": str(root / "table")}},
        }
    )


def staged(plan: BatchPlan) -> list[StagedFile]:
    """What tasks hand over: one file of each chunk."""
    digest, reference = hashlib.sha256(_DATA).hexdigest(), base64.b64encode(_DATA).decode()
    found = []
    for chunk in range(plan.chunks):
        token = file_token(plan.export, plan.epoch, plan.dataset, plan.batch, chunk, 0)
        key = rover_key("acme", plan.dataset, plan.emitted_at, token)
        found.append(StagedFile(key, 1, len(_DATA), digest, 1, digest, chunk, 0, reference))
    return found


def driver(root: Path) -> dict[str, Any]:
    """Every step of the driver that grows with the number of chunks: seconds, CPU seconds, and memory in use at its end."""

    def no_spark() -> Any:
        raise AssertionError("a step of the driver started Spark")

    session, settings, steps = Session(no_spark), settings_of(root), dict[str, Any]()

    def step(name: str, act: Callable[[], Any]) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        made = act()
        used = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # so far; the kernel says KB
        steps[name] = {**used, "memory": most}
        return made

    ledger = unopened(session, settings)
    ledger.open(create=True)
    state, instant = DatasetState(), int(NOW.timestamp() * 1000)
    making = producer(session, settings, ledger, instant)
    plan = batch_plan(step("plan", lambda: making.next_plan(DATASET, state)))
    state = step("record the plan", lambda: ledger.record(state, plan, "PLANNED"))
    files = step("manifest", lambda: staged(plan))
    counts = {"read": plan.source_rows, "delivered": plan.source_rows}
    state = step(
        "record the manifest", lambda: ledger.record(state, plan, "STAGED", counts=counts, files=files)
    )
    step("publish", lambda: publish(store_of(settings), files))

    def note() -> None:
        for start in range(0, len(files), GROUP):
            ledger.record_published(state, plan, files[start : start + GROUP])

    step("record what is published, as for a role that may not look", note)
    state = step("record the end", lambda: ledger.record(state, plan, "COMMITTED", counts=counts))
    (again,) = step("read it back", lambda: ledger_of(session, settings).batches(plan.batch))
    assert len(again.files) == plan.chunks
    step("dataset states", lambda: ledger_of(session, settings).dataset_states())
    return steps


def plan(root: Path) -> dict[str, Any]:
    """What the command `plan` does, Spark included, which says what type each field has."""
    spark = build_session("scale", conf=conf(Job("texts", 0, root / "table", root / "out", "1g")))
    result = commands.plan(spark, settings_of(root), now=NOW)
    assert all(each.arrangement.startswith("files") for each in result.planned.values()), result
    return {}


def job(root: Path) -> dict[str, Any]:
    """A whole export, each of whose chunks is one row; Spark reads it, so that every chunk is a task of its own."""
    job_of = Job("texts", 0, root / "table", root / "out", "2g")
    spark = build_session("scale", conf=conf(job_of))
    result = commands.export(spark, settings_of(root, target_records=1), now=NOW)
    (batch,) = result.batches
    assert batch.plan is not None and batch.plan.arrangement.startswith("files"), result
    return {}


if __name__ == "__main__":
    print(json.dumps({"driver": driver, "plan": plan, "job": job}[sys.argv[1]](Path(sys.argv[2]))))
