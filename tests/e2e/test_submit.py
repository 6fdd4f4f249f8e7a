"""The jobs as a cluster runs them: `spark-submit jobs/export.py -c FILE`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rover_spark.face import commands
from tests import receiver
from tests.e2e.world import World, row

REPO = Path(__file__).parents[2]


@pytest.mark.full  # the cluster's test submits this job too
def test_spark_submit_runs_the_export_job(world: World) -> None:
    world.identities(row(1, "email", "a", "2026-11-01 10:00:00"))
    config = world.config()
    submit = Path(sys.executable).parent / "spark-submit"
    command = [
        submit,
        "--master",
        "local[2]",
        REPO / "jobs" / "export.py",
        "-c",
        config,
        "--now",
        "2026-11-21T10:15:00Z",
    ]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300, cwd=REPO)
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(done.stdout.strip().splitlines()[-1])
    assert document["result"] == "done" and document["batches"][0]["counts"]["delivered"] == 1
    assert receiver.keys(world.bucket) == [document["batches"][0]["files"][0]["key"]]
    assert commands.verify(world.spark, world.settings).ok
