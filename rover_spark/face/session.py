"""A SparkSession with Delta, for jobs, notebooks and tests.

Promises: takes the session that exists (Databricks, a notebook); keeps what spark-submit or spark-defaults.conf set,
and adds only what is missing: Delta, UTC, the Delta and Avro jars. Spark logs nothing unless asked.
Refuses, with a ConfigError: no Java 17 or 21, no pyspark, a Spark without Delta.

Only `running` imports this, and users do; everything else takes the session as an argument.
"""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from rover_spark.errors import ConfigError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

EXTENSION = "io.delta.sql.DeltaSparkSessionExtension"
CATALOG = "org.apache.spark.sql.delta.catalog.DeltaCatalog"

# Spark's minor version -> Delta and Avro, each pair is tested: the newest of each do not fit together
JARS = {
    "4.1": ("io.delta:delta-spark_4.1_2.13:4.4.0", "org.apache.spark:spark-avro_2.13:4.1.1"),
    "3.5": ("io.delta:delta-spark_2.12:3.3.2", "org.apache.spark:spark-avro_2.12:3.5.7"),
}
# Spark bundles these itself, or tables by path never need them: 10 MB to fetch instead of 87
EXCLUDES = (
    "org.apache.hadoop:hadoop-client-api,org.apache.hadoop:hadoop-client-runtime,"
    "org.apache.parquet:parquet-hadoop,org.apache.parquet:parquet-column,"
    "com.fasterxml.jackson.core:jackson-databind,org.slf4j:slf4j-api,org.apache.logging.log4j:log4j-core,"
    "io.unitycatalog:unitycatalog-client,io.unitycatalog:unitycatalog-hadoop,"
    "io.delta:delta-kernel-api,io.delta:delta-kernel-defaults,io.delta:delta-kernel-unitycatalog"
)
# names of settings whose values Spark keeps out of its UI and event logs: Spark's own list lacks the SDKs' variables
SECRETS = "(?i)secret|password|token|access[._]?key|account[._]?key|storage[._]?key|connection[._]?string"
_ENVIRON = os.environ  # noqa: TID251 - Spark takes Java, Python and its home from variables only


def build_session(
    app_name: str = "rover_spark", *, verbose: bool = False, conf: Mapping[str, str] | None = None
) -> SparkSession:
    """The session that exists, else a new one with Delta; its time zone is UTC in both cases.

    `conf` is for a new one and wins over spark-submit and spark-defaults.conf. With `verbose` Spark logs at INFO;
    without it a JVM started here writes nothing to the terminal, and a submitted one what its log4j settings say.
    Raises ConfigError where there is no pyspark, pyarrow or pandas, no Java 17 or 21, no Delta.
    """
    require_pyspark()
    from pyspark import SparkContext
    from pyspark.sql import SparkSession
    from pyspark.sql.utils import is_remote

    _silence(verbose)
    remote = is_remote() or "SPARK_REMOTE" in _ENVIRON
    if remote or SparkContext._active_spark_context is not None:
        session = SparkSession.getActiveSession() or SparkSession.builder.getOrCreate()  # noqa: TID251
        session.conf.set("spark.sql.session.timeZone", "UTC")
        _assert_delta(session)
        return session
    submitted = "PYSPARK_GATEWAY_PORT" in _ENVIRON
    at_launch = dict(conf or {})
    if not submitted:
        at_launch = {"spark.app.name": app_name, **_missing_jars(at_launch), **at_launch}
        _ENVIRON.setdefault("PYSPARK_PYTHON", sys.executable)
    _start_jvm(at_launch, verbose)
    context = SparkContext.getOrCreate(_completed(at_launch, verbose, submitted))
    server = getattr(context, "_accumulatorServer", None)
    if server is not None and not verbose:
        # pyspark prints a stack trace when the JVM dies; the command reports that itself
        server.handle_error = lambda *_: None
    session = SparkSession.builder.getOrCreate()  # noqa: TID251
    if submitted:
        _assert_delta(session)
    return session


def is_given() -> bool:
    """Whether spark-submit or a cluster runs this program. A resource manager fails one that never starts Spark's context."""
    return "PYSPARK_GATEWAY_PORT" in _ENVIRON or "SPARK_REMOTE" in _ENVIRON


def require_pyspark() -> None:
    """Raises ConfigError where a package is missing that Spark and its tasks need; loads none of them."""
    for name in ("pandas", "py4j", "pyarrow", "pyspark"):
        if find_spec(name) is None:
            raise ConfigError(
                f"Spark cannot be loaded: there is no module named {name}.",
                code="no_spark",
                remedy="Install rover_spark[spark], or rover_spark[arrow] where the cluster brings Spark.",
            )


def jars_for(spark_version: str) -> tuple[str, str]:
    """Maven coordinates of Delta and Avro for this Spark; ConfigError for one that was never tried."""
    minor = ".".join(spark_version.split(".")[:2])
    if minor not in JARS:
        raise ConfigError(
            f"No Delta is known for Spark {spark_version}.",
            code="spark_version",
            remedy=f"Use Spark {' or '.join(JARS)}, or bring the jars: --packages, or Spark's jars directory.",
        )
    return JARS[minor]


def _spark_home() -> Path:
    import pyspark

    return Path(_ENVIRON.get("SPARK_HOME") or Path(pyspark.__file__).parent)


def _missing_jars(conf: Mapping[str, str]) -> dict[str, str]:
    """Settings that fetch what Spark's own jars directory does not hold; none after `make setup`."""
    import pyspark

    named = conf.get("spark.jars.packages", "") + _ENVIRON.get("PYSPARK_SUBMIT_ARGS", "")
    if "delta-spark" in named or any((_spark_home() / "jars").glob("*delta-spark*.jar")):
        return {}
    packages = ",".join(filter(None, (conf.get("spark.jars.packages"), *jars_for(pyspark.__version__))))
    return {"spark.jars.packages": packages, "spark.jars.excludes": EXCLUDES}


def _start_jvm(conf: Mapping[str, str], verbose: bool) -> None:
    """Starts the JVM (under spark-submit: connects to it) and keeps what it writes, unless `verbose`."""
    from py4j.protocol import Py4JError
    from pyspark import SparkConf, SparkContext
    from pyspark.errors import PySparkRuntimeError
    from pyspark.java_gateway import launch_gateway

    if SparkContext._gateway is not None:  # a session was stopped before: its JVM still runs
        return
    with tempfile.TemporaryFile() as log:
        # standard output never: it belongs to --json
        streams: dict[str, Any] = {"stdout": 2, "stderr": 2} if verbose else {"stdout": log, "stderr": log}
        # A process group of its own: a signal that a terminal, `timeout` or a scheduler sends to the driver's group reaches
        # the driver only, which says what is true. The JVM ends with the driver, when its standard input is closed.
        streams["start_new_session"] = True
        try:
            launch: Any = launch_gateway  # not annotated in pyspark
            gateway = launch(SparkConf(loadDefaults=False).setAll(list(conf.items())), streams)
        except PySparkRuntimeError as failed:
            raise _not_started(log) from failed
    if getattr(gateway, "proc", None) is not None:
        signals = gateway.jvm.sun.misc
        with suppress(Py4JError):  # with -Xrs the JVM leaves its signals alone
            # systemd sends SIGTERM to every process
            signals.Signal.handle(signals.Signal("TERM"), signals.SignalHandler.SIG_IGN)
    SparkContext._ensure_initialized(gateway=gateway)


def end_jvm(seconds: float = 5.0) -> None:
    """Ends the JVM that this process started, if it did, and waits for it; then nothing writes any more."""
    pyspark = sys.modules.get("pyspark")
    process = getattr(getattr(pyspark and pyspark.SparkContext, "_gateway", None), "proc", None)
    if process is None:
        return
    with suppress(OSError):
        process.stdin.close()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()


def _silence(verbose: bool) -> None:
    """Turns off what Spark 4 logs from Python for each error of a query, as JSON with a stack trace; `verbose` keeps it."""
    try:
        from pyspark.logger import PySparkLogger
    except ImportError:  # Spark 3.5 has none
        return
    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger", "pyspark.sql.connect.logging"):
        PySparkLogger.getLogger(name).setLevel(logging.WARNING if verbose else logging.CRITICAL + 1)


def _completed(conf: Mapping[str, str], verbose: bool, submitted: bool) -> Any:
    """The settings that Spark starts with: those given, and what rover_spark needs beyond them. Replaces none that was set."""
    from pyspark import SparkConf

    complete = SparkConf().setAll(list(conf.items()))
    extensions = [name for name in (complete.get("spark.sql.extensions") or "").split(",") if name]
    if EXTENSION not in extensions:
        complete.set("spark.sql.extensions", ",".join([*extensions, EXTENSION]))
    complete.set("spark.sql.session.timeZone", "UTC")
    complete.setIfMissing("spark.sql.catalog.spark_catalog", CATALOG)
    complete.setIfMissing("spark.redaction.regex", SECRETS)
    complete.setIfMissing("spark.ui.showConsoleProgress", "false")
    # a batch of four datasets runs some 150 compiled classes; Spark's default of 100 compiles most of them anew in each batch
    complete.setIfMissing("spark.sql.codegen.cache.maxEntries", "1000")
    if verbose:
        complete.setIfMissing("spark.log.level", "INFO")
    if not submitted:
        complete.setIfMissing("spark.log.level", "ERROR")
        complete.setIfMissing("spark.ui.enabled", "false")
        complete.setIfMissing(
            "spark.sql.ui.explainMode", "simple"
        )  # long plans cost time to write, and there is no UI to show them
        # Delta's default of 50 tasks for the first read of a table's log costs 10 s on two cores
        complete.setIfMissing("spark.databricks.delta.snapshotPartitions", "2")
        # Spark 4 calls the JVM five times more for each operator of a column, to name its line in an error
        complete.setIfMissing("spark.python.sql.dataFrameDebugging.enabled", "false")
    return complete


def _not_started(log: IO[bytes]) -> ConfigError:
    """An error made of the last lines that the JVM wrote; no stack trace."""
    log.seek(0)
    lines = [line.strip() for line in log.read().decode("utf-8", "replace").splitlines() if line.strip()]
    noise = re.compile(
        r"at |WARNING|::|.*bad array subscript"
    )  # the last: spark-class itself, when java failed
    said = [re.sub(r"^\S+: line \d+: ", "", line) for line in lines if not noise.match(line)]
    words = " / ".join(said[-3:]).rstrip(".") or "it wrote nothing; run again with -v"
    if "unresolved dependency" in words:
        return ConfigError(
            f"Spark could not fetch the Delta and Avro jars: {words}.",
            code="jars_not_found",
            remedy="Look at the network and proxy, or run `make setup` where there is one: it keeps the jars.",
        )
    return ConfigError(
        f"Spark's Java process did not start: {words}.",
        code="java_not_started",
        remedy="Spark needs Java 17 or 21: `make setup` brings one; elsewhere install it and set JAVA_HOME.",
    )


def _assert_delta(session: SparkSession) -> None:
    """Reads a Delta table that does not exist: only a Spark without Delta fails with these words."""
    try:
        session.read.format("delta").load("file:/nonexistent/rover_spark").schema  # noqa: B018 - schema is the action
    except Exception as failed:  # noqa: BLE001 - vendors differ, and any other failure comes from Delta itself
        absent = ("DATA_SOURCE_NOT_FOUND", "Failed to find", "DELTA_CONFIGURE_SPARK")
        if not any(word in str(failed) for word in absent):
            return
        raise ConfigError(
            "This Spark session cannot read Delta tables: Delta's jars or its settings are missing.",
            code="no_delta",
            remedy="Start it with conf/spark-defaults.conf and `--packages` for Delta and Avro.",
        ) from None
