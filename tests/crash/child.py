"""A run in a process of its own that kills itself with SIGKILL at a point of the story.

python -m tests.crash.child ROOT POINT CONF…    POINT: one of POINTS, one of the groups, or never
"""

from __future__ import annotations

import json
import os
import signal
import sys
from datetime import datetime, timezone
from pathlib import Path
from threading import Thread
from typing import Any

from rover_spark.config.settings import parse
from rover_spark.deliver import batch
from rover_spark.deliver import staging as room
from rover_spark.face import commands
from rover_spark.face.session import build_session
from rover_spark.ledger.table import Ledger
from rover_spark.store import open_store
from tests.store.buckets import staged

# "before STAGED": all staged, and no manifest; "before COMMITTED": all published, and nobody has noted it
POINTS = (
    "before PLANNED",
    "PLANNED",
    "half staged",
    "before STAGED",
    "STAGED",
    "half published",
    "before COMMITTED",
    "COMMITTED",
)
# and with a role that may put only, in groups of so many files: between two of them, or inside the second one
GROUP_NOTED, GROUP_HALF, GROUP = "group noted", "group half published", 2
FILES = 5
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=timezone.utc)


def settings_of(root: Path) -> Any:
    """The export that child and test agree on; ``root/agreed.json`` may name the other contract, or a bucket."""
    file = root / "agreed.json"
    agreed = json.loads(file.read_text()) if file.exists() else {}
    table = f"{root}/tables/ids"
    contract = events_of(table) if agreed.get("contract") == "currents" else {"datasets": _datasets(table)}
    base = {"name": "acme", "destination": f"file://{root}/bucket", "ledger": f"{root}/control/acme"}
    return parse({**base, "files": {"target_records": 60}, **contract, **agreed})


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
        "datasets": {},
        "currents": currents,
        "events": {"users.behaviors.CustomEvent": custom},
    }


def _die(*_: object) -> None:
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


def main(root: Path, point: str, conf: dict[str, str]) -> int:
    """Runs one export; dies at the point."""
    settings = settings_of(root)
    store = type(open_store(settings.destination, "acme", settings.access))
    record, publish, stage, note = Ledger.record, store.publish, room.stage, Ledger.record_published
    published = 0
    if point in {GROUP_NOTED, GROUP_HALF}:
        batch.GROUP = GROUP

    def recording(self: Ledger, head: Any, plan: Any, state: Any, **facts: Any) -> Any:
        if point == f"before {state}":
            _die()
        after = record(self, head, plan, state, **facts)
        if point == state:
            _die()
        return after

    def publishing(self: Any, file: Any) -> None:
        nonlocal published
        publish(self, file)
        published += 1
        if (point, published) in {("half published", FILES // 2), (GROUP_HALF, GROUP + 1)}:
            _die()

    def noting(*args: Any) -> None:
        note(*args)
        if point == GROUP_NOTED:
            _die()

    def staging(*args: Any) -> Any:
        if point == "half staged":
            Thread(target=_die_when_half_is_staged, args=(root,), daemon=True).start()
        return stage(*args)

    Ledger.record, store.publish, room.stage = recording, publishing, staging  # type: ignore[method-assign, assignment]
    Ledger.record_published = noting  # type: ignore[method-assign]
    result = commands.export(build_session("child", conf=conf), settings, now=NOW)
    return 0 if result.ok else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], dict(each.split("=", 1) for each in sys.argv[3:])))
