"""A run in a process of its own that kills itself with SIGKILL at a point of the story.

python -m tests.crash.child ROOT POINT CONF…    POINT: one of POINTS, or never
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

from rover_spark import commands, deliver
from rover_spark.ledger import Ledger
from rover_spark.session import build_session
from rover_spark.settings import parse
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
FILES = 5
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=timezone.utc)


def settings_of(root: Path) -> Any:
    """The export that child and test agree on; ``root/destination.json`` may name another destination than a directory."""
    elsewhere = root / "destination.json"
    destination = json.loads(elsewhere.read_text()) if elsewhere.exists() else {}
    return parse(
        {
            "name": "acme",
            "destination": f"file://{root}/bucket",
            **destination,
            "ledger": f"{root}/control/acme",
            "files": {"target_records": 60},
            "datasets": {
                "fan_identity_graph": {
                    "table": f"{root}/tables/ids",
                    "columns": {
                        "roverID": "rover_id",
                        "identifierType": "kind",
                        "identifier": "value",
                        "updatedAt": "at",
                    },
                }
            },
        }
    )


def _die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_when_half_is_staged(root: Path) -> None:
    """Looks into the staging area until half of the files lie there."""
    settings, staging = settings_of(root), root / "bucket" / "_rover_staging"
    local = settings.destination.startswith("file:")
    while (
        sum(1 for path in staging.rglob("*.gz.*")) if local else staged(settings.destination, settings.store)
    ) < FILES // 2:
        pass
    _die()


def main(root: Path, point: str, conf: dict[str, str]) -> int:
    """Runs one export; dies at the point."""
    store = type(open_store(settings_of(root).destination, "acme"))
    record, publish, stage = Ledger.record, store.publish, deliver.stage
    published = 0

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
        if point == "half published" and published == FILES // 2:
            _die()

    def staging(*args: Any) -> Any:
        if point == "half staged":
            Thread(target=_die_when_half_is_staged, args=(root,), daemon=True).start()
        return stage(*args)

    Ledger.record, store.publish, deliver.stage = recording, publishing, staging  # type: ignore[method-assign, assignment]
    result = commands.export(build_session("child", conf=conf), settings_of(root), now=NOW)
    return 0 if result.ok else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], dict(each.split("=", 1) for each in sys.argv[3:])))
