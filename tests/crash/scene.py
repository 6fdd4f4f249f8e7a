"""What the tests of this folder share: copies of one table, a run in a process of its own, what stands in its bucket."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from rover_spark.delta.session import Session
from rover_spark.face import commands
from rover_spark.ledger.table import Ledger
from rover_spark.produce.port import decode
from tests import NATIVE
from tests.crash.child import FILES, NOW, ROVER, VISIBLE, settings_of
from tests.e2e.world import fingerprint
from tests.store.buckets import Bucket

# of an integration's bucket receivers read all: a prefix leaves a place beside it for what is staged
BELOW = {"currents": "/acme"}
_FULL = pytest.mark.full
# what a law is shown for: each way in which files come about, and where the law depends on none of them, one of each contract
EACH = ["rover", pytest.param("files", marks=_FULL), "native", "currents"]
_ROVER = "native" if NATIVE else "rover"
ONE_EACH = [_ROVER, "currents", *(pytest.param(each, marks=_FULL) for each in ROVER if each != _ROVER)]


def copy_tables(undisturbed: Path, root: Path) -> None:
    """The same commits with the same timestamps: a plan pins them. And what is agreed about the export."""
    shutil.copytree(undisturbed / "pristine", root / "tables", copy_function=shutil.copy2)
    if (agreed := undisturbed / "agreed.json").exists():
        shutil.copy2(agreed, root)


def delivered_in(root: Path) -> dict[str, str]:
    """Key and hash of each file of the bucket, what is staged included, and of what lies beside it."""
    beside = fingerprint(root / "manifests.bucket")
    return {
        **fingerprint(root / "bucket"),
        **{f"manifests.bucket/{key}": each for key, each in beside.items()},
    }


def seen_by_receivers(root: Path) -> dict[str, str]:
    """Key and hash of each file that a receiver can see; what is staged is none of them."""
    found = delivered_in(root)
    return {key: digest for key, digest in found.items() if "_rover_staging/" not in key}


def require_visible(root: Path, point: str) -> None:
    """What receivers see where a run ended at that point: nothing before the manifest is durable."""
    visible, seen = VISIBLE.get(point, 0), seen_by_receivers(root)
    assert len(seen) >= visible, "what was published stays"
    assert bool(seen) == bool(visible), "nothing is visible before the manifest is durable"
    if visible >= FILES:
        announced = sum(1 for key in seen if "manifests" in key)
        assert len(seen) - announced == FILES and announced == visible - FILES, "the manifest comes last"


def require_ended(spark: SparkSession, whole: Path, root: Path, point: str, *, strays: bool) -> None:
    """A run ended at that point: the next one ends as if it had not, and leaves nothing but ``strays`` for ``sweep``."""
    settings = settings_of(root)
    result = commands.export(spark, settings, now=NOW)
    assert result.ok and [b.state for b in result.batches] == ["COMMITTED"] * (point != "COMMITTED")
    # what a try left that no manifest names is sweep's; a finished run leaves nothing itself
    swept = commands.sweep(spark, settings, older_than=timedelta(0), now=datetime.now(timezone.utc))
    assert bool(swept.removed) == strays
    assert delivered_in(root) == delivered_in(whole)
    assert _ledger(spark, root) == _ledger(spark, whole)
    assert commands.verify(spark, settings).ok
    assert commands.export(spark, settings, now=NOW).result == "nothing to do"


def _ledger(spark: SparkSession, root: Path) -> list[object]:
    """What the ledger says of each batch; where a try was staged is its own affair."""
    ledger = Ledger(Session.of(spark), settings_of(root).ledger, "acme", decode, settings_of(root).tables)
    ledger.open(create=False)
    return [
        (
            *(each.batch, each.state, each.counts, each.instant),
            [replace(file, staged="") for file in (*each.files, *each.completion)],
        )
        for each in ledger.batches()
    ]


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
    visible = {key: digest for key, digest in found.items() if key.startswith(("exports/", "manifests/"))}
    return visible, {key: digest for key, digest in found.items() if key not in visible}


def destined(bucket: Bucket, root: Path, **access: Any) -> None:
    """The export of this root delivers there from now on."""
    agreed = json.loads((root / "agreed.json").read_text())
    store = {**bucket.access.model_dump(exclude_defaults=True), **access}
    (root / "agreed.json").write_text(
        json.dumps({**agreed, "destination": bucket.url + BELOW.get(agreed["contract"], ""), "store": store})
    )
