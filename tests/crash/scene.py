"""What the tests of this folder share: copies of one table, a run in a process of its own, what stands in its bucket."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.e2e.world import fingerprint
from tests.store.buckets import Bucket

# of an integration's bucket receivers read all: a prefix leaves a place beside it for what is staged
BELOW = {"rover": "", "currents": "/acme"}


def copy_tables(undisturbed: Path, root: Path) -> None:
    """The same commits with the same timestamps: a plan pins them. And what is agreed about the export."""
    shutil.copytree(undisturbed / "pristine", root / "tables", copy_function=shutil.copy2)
    if (agreed := undisturbed / "agreed.json").exists():
        shutil.copy2(agreed, root)


def run_child(root: Path, point: str, conf: dict[str, str]) -> int:
    """One export as a process that is killed at ``point``; its return code."""
    command = [
        sys.executable,
        "-m",
        "tests.crash.child",
        str(root),
        point,
        *(f"{k}={v}" for k, v in conf.items()),
    ]
    return subprocess.run(command, timeout=300, cwd=Path(__file__).parents[2]).returncode


def blows_of(root: Path) -> list[dict[str, Any]]:
    """What the workers saw when they were struck."""
    return [json.loads(path.read_text()) for path in sorted((root / "trouble").glob("[!.]*"))]


def parted(bucket: Path) -> tuple[dict[str, str], dict[str, str]]:
    """What a receiver sees, and what lies beside it in staging."""
    found = fingerprint(bucket)
    visible = {key: digest for key, digest in found.items() if key.startswith("exports/")}
    return visible, {key: digest for key, digest in found.items() if key not in visible}


def destined(bucket: Bucket, root: Path, **access: Any) -> None:
    """The export of this root delivers there from now on."""
    agreed = json.loads((root / "agreed.json").read_text())
    store = {**bucket.access.model_dump(exclude_defaults=True), **access}
    (root / "agreed.json").write_text(
        json.dumps({**agreed, "destination": bucket.url + BELOW[agreed["contract"]], "store": store})
    )
