"""A standalone cluster of real processes that runs the built wheel: the bucket is that of a local run (laws 2, 4).

A master and two workers of one core each, on loopback. The workers have an address each: Spark starts the second copy of
a slow task only on another host than the first, so neither `local[N]` nor `local-cluster[…]` ever starts one.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from rover_spark.config.settings import Settings, load
from rover_spark.face import commands
from tests.crash.scene import blows_of, copy_tables, parted
from tests.e2e.world import FEED, fingerprint, uuid

HERE = Path(__file__).parent
REPO = HERE.parents[1]
BIN = Path(sys.executable).parent
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=timezone.utc)
MASTER, WORKERS = "127.0.0.1", ("127.0.0.1", "127.0.0.2")
BOSS = f"Master-{MASTER}"
Process = subprocess.Popen[bytes]
Begin = Callable[..., Process]
SMALL = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # six JVMs share two cores
CONF = {
    "spark.driver.host": MASTER,
    "spark.driver.memory": "1g",
    "spark.driver.extraJavaOptions": SMALL,
    "spark.executor.memory": "600m",
    "spark.executor.extraJavaOptions": SMALL,
    # the first task waits for both executors, and no task waits for one of them
    "spark.cores.max": "2",
    "spark.scheduler.minRegisteredResourcesRatio": "1.0",
    "spark.locality.wait": "0s",
    # a machine that is busy with something else loses no executor
    "spark.network.timeout": "600s",
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.python.daemon.module": "troubled",
    "spark.executorEnv.PYTHONPATH": str(HERE),
}
# `make setup` lets Spark tell errors only; what the daemons tell is evidence here
LOGGING = """
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %p %c{1}: %m%n%ex
"""


@dataclass
class Cluster:
    """The daemons that run, the interpreter and the package that their jobs get."""

    home: Path
    python: Path
    package: Path
    url: str = ""
    daemons: dict[str, Process] = field(default_factory=dict)

    def start(self, kind: str, host: str, *arguments: str) -> None:
        """Starts the Master or a Worker."""
        log4j = self.home / "log4j2.properties"
        log4j.write_text(LOGGING)
        command = [f"{BIN}/spark-class", f"org.apache.spark.deploy.{kind.lower()}.{kind}", "--host", host]
        environment = {
            "SPARK_LOCAL_IP": host,
            "SPARK_DAEMON_MEMORY": "256m",
            "SPARK_DAEMON_JAVA_OPTS": f"{SMALL} -Dspark.worker.timeout=600 -Dlog4j2.configurationFile={log4j}",
        }
        log = self.home / f"{kind}-{host}.log"
        self.daemons[f"{kind}-{host}"] = _started(
            [*command, "--port", "0", "--webui-port", "0", *arguments], environment, self.home, log, log
        )

    def log(self, daemon: str = BOSS) -> str:
        return (self.home / f"{daemon}.log").read_text()

    def executors(self, host: str) -> list[int]:
        """The process ids of the executors of one of our workers."""
        worker, found = self.daemons[f"Worker-{host}"].pid, []
        for status in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                parent = int(status.read_text().rpartition(")")[2].split()[1])
                started = (status.parent / "cmdline").read_bytes()
                if parent == worker and b"CoarseGrainedExecutorBackend" in started:
                    found.append(int(status.parent.name))
        return found

    def submit(self, root: Path, conf: dict[str, str], **trouble: object) -> Process:
        """Begins one export: the package, jobs/export.py, and nothing else of this tree."""
        told = {"TROUBLE_ROOT": root, **trouble}
        settings = {**CONF, **conf, **{f"spark.executorEnv.{name}": told[name] for name in told}}
        options = [part for name, value in settings.items() for part in ("--conf", f"{name}={value}")]
        spark = [f"{BIN}/spark-submit", "--master", self.url, "--py-files", self.package, *options]
        job = [REPO / "jobs" / "export.py", "-c", root / "acme.toml", "--now", NOW.isoformat()]
        environment = {"SPARK_LOCAL_IP": MASTER, "PYSPARK_PYTHON": str(self.python)}
        (nowhere := root / "nowhere").mkdir()
        return _started([*map(str, [*spark, *job])], environment, nowhere, root / "out", root / "err")


def _started(command: list[str], env: dict[str, str], cwd: Path, out: Path, err: Path) -> Process:
    with out.open("ab") as stdout, err.open("ab") as stderr:
        return subprocess.Popen(
            command,
            env={**_clean(), **env},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            # PR_SET_PDEATHSIG: no finaliser runs where the tests themselves are killed
            preexec_fn=partial(ctypes.CDLL(None).prctl, 1, signal.SIGKILL),  # noqa: PLW1509 - one call
        )


def _clean() -> dict[str, str]:
    """The environment without what the tests' own session has set, and without a cluster that this machine may know."""
    strangers = ("SPARK_", "PYSPARK_", "PYTHON", "ROVER_SPARK")
    return {name: value for name, value in os.environ.items() if not name.startswith(strangers)}


def _stop(process: Process) -> None:
    # its group: a worker's executors, a driver's JVM
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _until(what: str, found: Callable[[], Any], alive: Process, seconds: float = 240) -> Any:
    end = time.monotonic() + seconds
    while not (value := found()):
        assert alive.poll() is None, f"{alive.args} ended with {alive.returncode} before there was {what}"
        assert time.monotonic() < end, f"in {seconds:.0f} s there was not {what}"
        time.sleep(0.05)
    return value


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if not (BIN / "spark-class").exists():
        missing = f"{BIN / 'spark-class'} is missing: no cluster was tested"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    home = tmp_path_factory.mktemp("cluster")
    build = [sys.executable, "-m", "pip", "--quiet", "wheel", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "-w", home, REPO], check=True, timeout=120)
    (wheel,) = home.glob("rover_spark-*.whl")
    # Spark hands a .whl to the executors but, outside YARN, puts only .zip, .egg and .jar on their path
    cluster = Cluster(home, home / "python", wheel.rename(home / "rover_spark.zip"))
    # without its .pth files, so without the editable install, the interpreter has all but the package
    packages = os.pathsep.join(dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib")))
    script = f'#!/bin/sh\nPYTHONPATH="$PYTHONPATH:{packages}" exec "{sys.executable}" -S "$@"\n'
    cluster.python.write_text(script)
    cluster.python.chmod(0o755)
    imports = [cluster.python, "-c", "import pyspark, rover_spark"]
    bare = subprocess.run(imports, env=_clean(), cwd=home, capture_output=True)
    assert b"No module named 'rover_spark'" in bare.stderr, "without the wheel there is no package"
    try:
        cluster.start("Master", MASTER)
        master = cluster.daemons[BOSS]
        cluster.url = _until("a master", lambda: re.search(r"spark://[\d.]+:\d+", cluster.log()), master)[0]
        for host in WORKERS:
            size = ["--cores", "1", "--memory", "1g", "--work-dir", str(home / host)]
            cluster.start("Worker", host, *size, cluster.url)
        _until("a second worker", lambda: cluster.log().count("Registering worker") == 2, master)
        yield cluster
    finally:
        for daemon in cluster.daemons.values():
            _stop(daemon)


def _laid_out(undisturbed: Path, root: Path, layout: str) -> Settings:
    """The same tables with the same timestamps below another root, and the configuration of their export."""
    copy_tables(undisturbed, root)
    (root / "acme.toml").write_text(f"""
name = "acme"
destination = "file://{root}/bucket"
ledger = "{root}/control/acme"
files = {{ target_records = 500, layout = "{layout}" }}
[datasets.fan_identity_graph]
table = "{root}/tables/ids"
columns = {{ roverID = "rover_id", identifierType = "kind", identifier = "value", updatedAt = "at" }}
""")
    return load(root / "acme.toml", {})


@pytest.fixture(scope="module", params=["auto", pytest.param("hash", marks=pytest.mark.full)])
def layout(request: pytest.FixtureRequest) -> str:
    """Files of data files, or of hashed ids."""
    return str(request.param)


@pytest.fixture(scope="module")
def undisturbed(layout: str, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 6,000 rows in twelve files, and the bucket that a local run makes of it: twelve files, one a task."""
    root = tmp_path_factory.mktemp("undisturbed")
    table, rover = f"delta.`{root}/pristine/ids`", f"concat(lpad(hex(id), 8, '0'), '{uuid(0)[8:]}')"
    columns = "rover_id STRING, kind STRING, value STRING, at TIMESTAMP"
    spark.sql(f"CREATE TABLE {table} ({columns}) USING delta {FEED}")
    rows = f"SELECT {rover}, 'email', concat(id, '@x'), timestamp_seconds(id) FROM range(0, 6000, 1, 12)"
    spark.sql(f"INSERT INTO {table} {rows}")
    assert commands.export(spark, _laid_out(root, root, layout), now=NOW).ok
    assert len(fingerprint(root / "bucket")) == 12 + 1, "and the manifest"
    return root


@pytest.fixture
def run(layout: str, cluster: Cluster, undisturbed: Path, tmp_path: Path) -> Iterator[Begin]:
    """Begins an export of the same tables over the cluster; stops it at the end of the test, whatever became of it."""
    begun = []

    def begin(conf: dict[str, str] | None = None, **trouble: object) -> Process:
        begun.append(cluster.submit(tmp_path, conf or {}, **trouble))
        return begun[-1]

    _laid_out(undisturbed, tmp_path, layout)
    yield begin
    for process in begun:
        _stop(process)


def _assert_done(run: Process, root: Path) -> None:
    code, out = run.wait(timeout=400), (root / "out").read_text()
    assert code == 0, out + (root / "err").read_text()[-3000:]
    document = json.loads(out.strip().splitlines()[-1])
    assert [batch["state"] for batch in document["batches"]] == ["COMMITTED"]


def _assert_same_after_sweep(spark: SparkSession, undisturbed: Path, root: Path) -> None:
    """What receivers see is the undisturbed bucket at once; what died in staging is there until it is swept."""
    visible, strays = parted(root / "bucket")
    assert visible == fingerprint(undisturbed / "bucket")
    assert strays and {Path(name).stem.partition("-")[2] for name in strays} <= {
        Path(key).name for key in visible
    }
    commands.sweep(spark, load(root / "acme.toml", {}), older_than=timedelta())
    assert fingerprint(root / "bucket") == fingerprint(undisturbed / "bucket")


@pytest.mark.law(4)
@pytest.mark.full
def test_a_cluster_that_has_only_the_wheel_delivers_what_a_local_run_delivers(
    cluster: Cluster, undisturbed: Path, tmp_path: Path, run: Begin
) -> None:
    _assert_done(run(TROUBLE="slow", TROUBLE_ATTEMPTS=99), tmp_path)
    assert fingerprint(tmp_path / "bucket") == fingerprint(undisturbed / "bucket")
    blows = blows_of(tmp_path)
    assert len(blows) == 12 and not any(blow["visible"] for blow in blows)
    assert all("/rover_spark.zip/rover_spark/" in blow["package"] for blow in blows)
    assert {Path(blow["directory"]).parents[1] for blow in blows} == {cluster.home / host for host in WORKERS}


@pytest.mark.full
@pytest.mark.law(2)
@pytest.mark.law(4)
def test_an_executor_that_is_killed_while_it_stages_changes_nothing_in_the_bucket(
    spark: SparkSession, cluster: Cluster, undisturbed: Path, tmp_path: Path, run: Begin
) -> None:
    export = run(TROUBLE="held", TROUBLE_ATTEMPTS=99)
    _until(
        "a task on each worker", lambda: len({blow["directory"] for blow in blows_of(tmp_path)}) > 1, export
    )
    (victim,) = cluster.executors(WORKERS[1])
    os.kill(victim, signal.SIGKILL)
    _until("a lost executor", lambda: "exitStatus 137" in cluster.log(f"Worker-{WORKERS[1]}"), export)
    _until("its removal", lambda: "because it is EXITED" in cluster.log(), export)
    assert not parted(tmp_path / "bucket")[0], "it was lost before anything was visible"
    (tmp_path / "go").touch()
    _assert_done(export, tmp_path)
    _assert_same_after_sweep(spark, undisturbed, tmp_path)


@pytest.mark.law(4)
@pytest.mark.law(6)
@pytest.mark.full
def test_the_second_copy_of_a_slow_task_delivers_and_the_slow_one_changes_nothing(
    spark: SparkSession, undisturbed: Path, tmp_path: Path, run: Begin
) -> None:
    (events := tmp_path / "events").mkdir()
    conf = {"spark.speculation": "true", "spark.speculation.interval": "100ms"}
    conf |= {"spark.speculation.quantile": "0.5", "spark.speculation.multiplier": "2"}
    conf |= {"spark.eventLog.enabled": "true", "spark.eventLog.dir": events.as_uri()}
    conf |= {"spark.eventLog.compress": "false", "spark.eventLog.rolling.enabled": "false"}
    conf |= {
        "spark.executorEnv.AZURE_STORAGE_KEY": "not-for-logs",
        "spark.executorEnv.AWS_ACCESS_KEY_ID": "nor-this",
    }
    _assert_done(run(conf, TROUBLE="held", TROUBLE_PARTITION=2, TROUBLE_ATTEMPTS=1), tmp_path)
    assert len(blows_of(tmp_path)) == 1
    lines = [line for log in events.glob("app-*") for line in log.read_text().splitlines()]
    assert not [line for line in lines if "not-for-logs" in line or "nor-this" in line]
    ends = [json.loads(line) for line in lines if '"Event":"SparkListenerTaskEnd"' in line]
    copies = [end for end in ends if end["Task Info"]["Speculative"]]
    assert ("Success", 2) in [(end["Task End Reason"]["Reason"], end["Task Info"]["Index"]) for end in copies]
    _assert_same_after_sweep(spark, undisturbed, tmp_path)
