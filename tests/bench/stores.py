"""Buckets: how fast many files become visible beside what the server can do at all, and the memory of one large file.

python -m tests.bench.stores [--files 10000] [--megabytes 2000] [--only s3]

The servers are those of the tests, on this machine: their rate is a bound, no cloud's. "bare" sends the same number of
the server's smallest writes from as many threads as `publish` uses, with nothing around them.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from rover_spark.config.access import Access
from rover_spark.deliver.publish import AT_ONCE, publish
from rover_spark.encode.ndjson import NdjsonFile
from rover_spark.model.file import StagedFile
from rover_spark.store import Store, open_store
from tests import servers
from tests.store.buckets import SERVERS, put

STARTED = {"s3": servers.s3_server, "gcs": servers.gcs_server, "azure": servers.azure_server}
DATA = os.urandom(200)
DIGEST = hashlib.sha256(DATA).hexdigest()


def staged(store: Store, number: int) -> StagedFile:
    """A small file."""
    key = f"acme/exports/fan_profiles/date=2026-11-21/hour=10/{number:08d}.ndjson.gz"
    staging = store.stage(key, "fan_profiles.1.1", str(number))
    staging.write(DATA)
    return StagedFile(key, 1, len(DATA), DIGEST, len(DATA), DIGEST, number, 0, staging.finish())


def rate(act: Callable[[Any], object], items: Iterable[Any]) -> float:
    """Items a second, from as many threads as `publish` uses."""
    items, begun = list(items), time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(act, items))
    return len(items) / (time.monotonic() - begun)


def measure(name: str, endpoint: str, files: int, megabytes: int) -> tuple[str, ...]:
    """One row of the table."""
    bucket = SERVERS[name](endpoint)
    store = open_store(f"{bucket.url}/acme", "acme", bucket.access.model_copy(update={"can_read": False}))
    bare = rate(lambda number: put(bucket, f"bare/{number}", DATA), range(files))
    begun = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        made = list(pool.map(lambda number: staged(store, number), range(files)))
    stage = files / (time.monotonic() - begun)
    begun = time.monotonic()
    publish(store, made)
    visible = files / (time.monotonic() - begun)
    command = [sys.executable, "-m", "tests.bench.stores", "--large", f"{bucket.url}/acme"]
    command += [bucket.access.model_dump_json(), "--megabytes", str(megabytes)]
    peak, sent = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    rates = (f"{each:,.0f}/s" for each in (bare, stage, visible))
    return (name, f"{files:,}", *rates, f"{visible / bare:.2f}", f"{int(sent):,} MB", f"{int(peak)} MB")


def large(url: str, access: str, megabytes: int) -> None:
    """Stages one file in this process; prints its peak memory and what was sent, in MB."""
    store = open_store(url, "acme", Access.model_validate_json(access))
    staging = store.stage("acme/exports/large.ndjson.gz", "fan_profiles.1.1", "large")
    file = NdjsonFile(staging.write, 1)
    for _ in range(megabytes):
        file.append(memoryview(os.urandom(500_000).hex().encode()))
    file.close()
    reference = staging.finish()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000
    store.abort([reference])
    sys.stdout.write(f"{peak} {file.bytes // 10**6}\n")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="make bench-stores ARGS=…", description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--megabytes", type=int, default=2_000, help="of one large file, before compression")
    parser.add_argument("--only", choices=SERVERS, action="append")
    parser.add_argument("--large", nargs=2, metavar=("URL", "ACCESS"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.large:
        return large(*chosen.large, chosen.megabytes)
    os.environ.update(servers.ENVIRONMENT)
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("", "files", "bare", "staged", "published", "ratio", "large file", "memory"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    with tempfile.TemporaryDirectory() as home:
        for name in chosen.only or SERVERS:
            (place := Path(home, name)).mkdir()
            with STARTED[name](place) as endpoint:
                table.add_row(*measure(name, endpoint, chosen.files, chosen.megabytes))
    table.caption = f"{AT_ONCE} threads; ratio: published to bare; large file: its size when compressed"
    Console().print(table)


if __name__ == "__main__":
    main()
