"""Apache's own reader of Avro files, as a program: what it says of a file."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from tests.servers import program


def ask(spark: SparkSession, tool: str, path: Path) -> str:
    """The answer of getschema, count or tojson; run by the Java that runs Spark."""
    java = spark.sql("SELECT reflect('java.lang.System', 'getProperty', 'java.home')").collect()[0][0]
    command = [f"{java}/bin/java", "-jar", str(program("avro-tools.jar")), tool, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def events(spark: SparkSession, path: Path) -> list[dict[str, Any]]:
    """A file's records; a value of a union stands in its JSON under the name of its type."""
    found = [json.loads(line) for line in ask(spark, "tojson", path).splitlines()]
    return [{name: _plain(value) for name, value in each.items()} for each in found]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        (kind, inner) = next(iter(value.items()))
        return {key: _plain(each) for key, each in inner.items()} if kind == "map" else inner
    return value
