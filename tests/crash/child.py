"""A run in a process of its own that kills itself with SIGKILL at a point of the story.

python -m tests.crash.child ROOT POINT CONF…    POINT: one of POINTS or of IN_A_PROCESS, or never
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from threading import Thread
from typing import Any

from rover_spark.config.settings import parse
from rover_spark.deliver import batch, journal
from rover_spark.face import commands
from rover_spark.face.session import build_session
from rover_spark.store import open_store
from tests.effects import Fault, effects
from tests.store.buckets import staged

FILES = 5
GROUP_NOTED, GROUP_HALF, GROUP = "group noted", "group half published", 2
# where a run ends in this process or dies in one of its own
POINTS = {
    "before PLANNED": Fault("ledger PLANNED"),
    "PLANNED": Fault("ledger PLANNED", "after"),
    "before STAGED": Fault("ledger STAGED"),
    "STAGED": Fault("ledger STAGED", "after"),
    "half published": Fault("store publish", number=FILES // 2 + 1, times=FILES),
    "before the manifest": Fault("store publish", number=FILES + 1),
    "before COMMITTED": Fault("ledger COMMITTED"),
    "COMMITTED": Fault("ledger COMMITTED", "after"),
}
# what receivers see of a run that ended there, at the least; the manifest of the batch comes after its files
VISIBLE = {
    "half published": FILES // 2,
    "before the manifest": FILES,
    "before COMMITTED": FILES + 1,
    "COMMITTED": FILES + 1,
}
# and where only a process can die: files that are on their way die with it. The last two are with a role that may put
# only, in groups of so many files: between two of them, or inside the second one
IN_A_PROCESS = ("half staged", "half published", GROUP_NOTED, GROUP_HALF)
# where chunks are data files: once its journal has been written so many times, which it is then as soon as a task ends
JOURNALED, LINES, NEVER = "journaled", 4, 3600.0
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=timezone.utc)
# what a scene is about, beside "currents": the contract rover by hashed ids, or by data files with a reader of theirs
ROVER = {"rover": {"layout": "hash"}, "files": {"reader": "arrow"}, "native": {}}


def settings_of(root: Path) -> Any:
    """The export that child and test agree on; ``root/agreed.json`` may name another contract, or a bucket."""
    file = root / "agreed.json"
    agreed = json.loads(file.read_text()) if file.exists() else {}
    table, contract = f"{root}/tables/ids", agreed.pop("contract", "rover")
    delivers = events_of(table) if contract == "currents" else {"datasets": _datasets(table)}
    files = {"target_records": 60, **ROVER.get(contract, {}), **agreed.pop("files", {})}
    base = {"name": "acme", "destination": f"file://{root}/bucket", "ledger": f"{root}/control/acme"}
    return parse({**base, "files": files, **delivers, **agreed})


def _datasets(table: str) -> dict[str, Any]:
    columns = {"roverID": "rover_id", "identifierType": "kind", "identifier": "value", "updatedAt": "at"}
    return {"fan_identity_graph": {"table": table, "columns": columns}}


def events_of(table: str, partitions: int = FILES) -> dict[str, Any]:
    """The same rows as events of one type, and as many files: a shard each."""
    place = {"cluster": "prod-01", "connection": "S3", "integration_id": "65f1c2d3", "zone": "eu"}
    columns = {"id": "rover_id", "time": "at", "kind": "kind", "value": "value"}
    custom = {"table": table, "columns": columns, "start": "earliest"}
    currents = {**place, "partitions": partitions}
    return {
        "contract": "currents",
        "manifests": {"enabled": True},
        "datasets": {},
        "currents": currents,
        "events": {"users.behaviors.CustomEvent": custom},
    }


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_when_half_is_staged(root: Path) -> None:
    """Looks into the staging area until half of the files lie there."""
    settings = settings_of(root)
    local = settings.destination.startswith("file:")
    staging = Path(
        (settings.access.staging or settings.destination).removeprefix("file://"), "_rover_staging"
    )
    while (
        sum(1 for path in staging.rglob("*.*") if path.is_file())
        if local
        else staged(settings.destination, settings.store)
    ) < FILES // 2:
        pass
    _die()


def _fault(root: Path, point: str) -> Fault:
    if point == "half staged":
        watcher = Thread(target=_die_when_half_is_staged, args=(root,), daemon=True)
        return Fault("staging", error=watcher.start)
    if point == GROUP_NOTED:
        return Fault("ledger published", "after", error=_die)
    if point == JOURNALED:
        return Fault("ledger journal", "after", number=LINES, error=_die)
    if point in {"half published", GROUP_HALF}:
        arrived = FILES // 2 if point == "half published" else GROUP + 1
        return Fault("store publish", "after", number=arrived, error=_die)
    return replace(POINTS[point], error=_die)


def main(root: Path, point: str, conf: dict[str, str]) -> int:
    """Runs one export; dies at the point."""
    settings = settings_of(root)
    store = type(open_store(settings.destination, "acme", settings.access))
    if point in {GROUP_NOTED, GROUP_HALF}:
        batch.GROUP = GROUP
    journal.EVERY = 0.001 if point == JOURNALED else NEVER
    faults = [] if point == "never" else [_fault(root, point)]
    with effects(*faults, store=store):
        result = commands.export(build_session("child", conf=conf), settings, now=NOW)
    return 0 if result.ok else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], dict(each.split("=", 1) for each in sys.argv[3:])))
