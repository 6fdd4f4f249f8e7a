"""The demo by its command line, into each kind of bucket; where the server stands, only the environment says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers import AZURE_ACCOUNT, AZURE_KEY
from tests.store.buckets import SERVERS

# how each SDK is told of a server by the environment alone
TOLD: dict[str, Callable[[str], dict[str, str]]] = {
    "s3": lambda endpoint: {"AWS_ENDPOINT_URL": endpoint},
    "gcs": lambda endpoint: {"STORAGE_EMULATOR_HOST": endpoint},
    "azure": lambda endpoint: {
        "AZURE_STORAGE_CONNECTION_STRING": f"AccountName={AZURE_ACCOUNT};AccountKey={AZURE_KEY};BlobEndpoint={endpoint};"
    },
}


@pytest.mark.full
@pytest.mark.parametrize("server", SERVERS)
def test_the_demo_delivers_into_a_bucket_and_verifies_it(
    server: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    place = request.getfixturevalue(server)
    bucket = SERVERS[server](place)
    command = [str(Path(sys.executable).parent / "rover-spark"), "demo", "--fans", "60", "--json"]
    done = subprocess.run(
        [*command, "--destination", f"{bucket.url}/acme"],
        env={**os.environ, **TOLD[server](place)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["problems"] == [] and told["verified"]["files"] > 5
    keys = [file["key"] for batch in told["batches"] for file in batch["files"]]
    rover = [key for key in keys if key.startswith("acme/exports/")]
    assert len(rover) == told["verified"]["files"]
    assert all(key.startswith("acme/currents/acme/dataexport.") for key in set(keys) - set(rover))
    assert len(keys) - len(rover) == told["currents"]["files"] == 16
    assert not (tmp_path / "rover_demo" / "bucket").exists()
