"""Object-store servers on 127.0.0.1 for the tests: installed once into .servers/ by `make servers`, ended by process id."""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

HOME = Path(__file__).parents[1] / ".servers"
# no SDK may ever ask for credentials outside this machine
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = base64.b64encode(b"the key of an emulator on loopback").decode()
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "rover",
    "AWS_SECRET_ACCESS_KEY": "not-a-secret-on-loopback",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "GCE_METADATA_HOST": "127.0.0.1:9",
    "AZURE_STORAGE_KEY": AZURE_KEY,
}


def program(name: str) -> Path:
    """An installed server; where it is missing a loud skip, and a failure in CI."""
    found = HOME / name
    if not found.exists():
        missing = f"{found.name} is not installed (make servers): that store was not tested"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], port: int, log: Path, env: dict[str, str] | None = None) -> Iterator[None]:
    """The server, from the moment it takes connections."""
    with log.open("wb") as out:
        server = subprocess.Popen(
            command,
            env={**os.environ, **(env or {})},
            cwd=log.parent,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        end = time.monotonic() + 60
        while not _answers(port):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < end, f"{command[0]} does not listen: {log.read_text()}"
            time.sleep(0.05)
        yield
    finally:
        os.killpg(server.pid, signal.SIGKILL)  # some are a script that starts the server
        server.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def azure_server(home: Path) -> Iterator[str]:
    """The endpoint of an Azure Blob server."""
    port = free_port()
    command = [
        str(program("node_modules/.bin/azurite-blob")),
        "--blobHost",
        "127.0.0.1",
        "--blobPort",
        str(port),
    ]
    command += ["--inMemoryPersistence", "--silent", "--skipApiVersionCheck", "--disableTelemetry"]
    account = {"AZURITE_ACCOUNTS": f"{AZURE_ACCOUNT}:{AZURE_KEY}"}
    with running(command, port, home / "server.log", account):
        yield f"http://127.0.0.1:{port}/{AZURE_ACCOUNT}"


@contextmanager
def gcs_server(home: Path) -> Iterator[str]:
    """The endpoint of a Google Cloud Storage server."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        str(program("bin/fake-gcs-server")),
        "-scheme",
        "http",
        "-host",
        "127.0.0.1",
        "-port",
        str(port),
    ]
    command += ["-external-url", url, "-public-host", f"127.0.0.1:{port}", "-backend", "memory"]
    with running(command, port, home / "server.log"):
        yield url


@contextmanager
def s3_server(home: Path) -> Iterator[str]:
    """The endpoint of an S3 server whose objects live below ``home``."""
    port = free_port()
    (home / "objects").mkdir(parents=True)
    (home / "beside").mkdir()
    binary = str(program("bin/versitygw"))
    command = [binary, "--port", f"127.0.0.1:{port}", "--quiet", "posix"]
    command += ["--sidecar", str(home / "beside"), str(home / "objects")]
    keys = {
        "ROOT_ACCESS_KEY": ENVIRONMENT["AWS_ACCESS_KEY_ID"],
        "ROOT_SECRET_KEY": ENVIRONMENT["AWS_SECRET_ACCESS_KEY"],
    }
    with running(command, port, home / "server.log", keys):
        yield f"http://127.0.0.1:{port}"
