"""Which file system Spark takes a path without scheme for: HDFS on a cluster, DBFS on Databricks, else this machine's own."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

from rover_spark.delta.session import Session

_ENVIRON = os.environ  # noqa: TID251 - Hadoop and Spark find their configuration by variables only
_PLACES = ("HADOOP_CONF_DIR", "YARN_CONF_DIR", "HADOOP_HOME", "SPARK_CONF_DIR", "SPARK_HOME")
_NAMES = {"fs.defaultFS", "fs.default.name"}
_OPTION = re.compile(r"^\s*spark\.hadoop\.fs\.default(?:FS|\.name)[\s=]+(\S+)", re.MULTILINE)


def on_databricks() -> bool:
    """Whether this process runs on a cluster of Databricks."""
    return "DATABRICKS_RUNTIME_VERSION" in _ENVIRON


def default_file_system(session: Session | None = None) -> str:
    """Returns its name where it is another than this machine's, else an empty text.

    A Spark session that exists is asked; else the configuration files that one would read.
    """
    if on_databricks():
        return "DBFS"
    if session is not None and session.started:
        try:
            found = session.spark._jsc.hadoopConfiguration().get("fs.defaultFS")
        except Exception:  # noqa: BLE001 - a session of Spark Connect has no _jsc
            return "a file system that a shared session does not name"
        return _foreign(str(found or ""))
    return _configured(tuple(_ENVIRON.get(name, "") for name in _PLACES))


@lru_cache(maxsize=4)
def _configured(places: tuple[str, ...]) -> str:
    hadoop, yarn, home, spark, spark_home = places
    directories = [hadoop, yarn, home and f"{home}/etc/hadoop", spark, spark_home and f"{spark_home}/conf"]
    for directory in filter(None, (*directories, "/etc/hadoop/conf")):
        at = Path(directory)
        for found in (_in_core_site(at / "core-site.xml"), _in_defaults(at / "spark-defaults.conf")):
            if _foreign(found):
                return _foreign(found)
    return ""


def _in_core_site(file: Path) -> str:
    try:
        tree = ElementTree.parse(file)
    except (OSError, ElementTree.ParseError):
        return ""
    pairs = {
        each.findtext("name", "").strip(): each.findtext("value", "").strip()
        for each in tree.iter("property")
    }
    return next((value for name, value in pairs.items() if name in _NAMES), "")


def _in_defaults(file: Path) -> str:
    try:
        found = _OPTION.search(file.read_text("utf-8", "replace"))
    except OSError:
        return ""
    return found[1] if found else ""


def _foreign(address: str) -> str:
    scheme = address.partition(":")[0]
    return "" if scheme in {"", "file"} else scheme
