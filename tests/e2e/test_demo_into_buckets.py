"""The demo by its command line, into each kind of bucket; where the server stands, only the environment says."""

from __future__ import annotations

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
    command = [str(Path(sys.executable).parent / "rover-spark"), "demo", "--fans", "60"]
    done = subprocess.run(
        [*command, "--destination", f"{bucket.url}/acme"],
        env={**os.environ, **TOLD[server](place)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    keys = bucket.objects()
    rover = [key for key in keys if key.startswith("acme/exports/")]
    events = [key for key in keys if key.startswith("acme/currents/acme/dataexport.")]
    assert (len(rover) > 5, len(events)) == (True, 16)
    beside = {key.removeprefix("acme/").partition("/")[0] for key in {*keys} - {*rover} - {*events}}
    assert beside <= {"manifests", "_rover_staging"}, beside
    assert f"{len(rover) + len(events)} files, " in done.stdout and "as the ledgers say" in done.stdout
    # each tree goes on below the prefix that its title names
    assert f"{bucket.url}/acme/\n└── exports/" in done.stdout
    tree = done.stdout.partition(f"{bucket.url}/acme/currents/acme/\n└── dataexport.")[2]
    assert tree.partition("\n\n")[0].count("── event_type=users.") == 8
    assert "One fan across the datasets: " in done.stdout
    *_, redeliver, last = done.stdout.splitlines()
    assert " redeliver -c rover_demo/acme.toml --batch fan_" in redeliver and last == "done"
    assert not (tmp_path / "rover_demo" / "bucket").exists()
