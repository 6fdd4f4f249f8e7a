"""How a table by path is reached without Spark, and where it is left to Spark. Nothing here asks a server for credentials."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from rover_spark.config.access import TableAccess
from rover_spark.delta import credentials, default_fs, storage
from rover_spark.delta.session import Session
from rover_spark.delta.storage import NotNative, Reached, reached
from tests.servers import ENVIRONMENT

pytest.importorskip("deltalake")
pytest.importorskip("obstore")
ODD = ["plain", "with space", "#1", "ünï/日本", "a:b", "plus+and&", "tilde~x", "quo'te", "back`tick", "{a}"]


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    credentials._boto_session.cache_clear()
    storage.unmet.cache_clear()
    credentials._missing.clear()
    default_fs._configured.cache_clear()
    for name in ("DATABRICKS_RUNTIME_VERSION", "HADOOP_CONF_DIR", "SPARK_CONF_DIR"):
        monkeypatch.delenv(name, raising=False)


def _why(table: str, access: TableAccess | None = None) -> str:
    with pytest.raises(NotNative) as refused:
        reached(table, access or TableAccess(engine="auto"))
    return str(refused.value)


@pytest.mark.parametrize("name", ODD)
def test_a_local_table_is_where_its_path_says(tmp_path: Path, name: str) -> None:
    import obstore
    import pyarrow as pa
    from deltalake import write_deltalake

    for table in (str(tmp_path / name), f"file://{tmp_path / name}", f"file:{tmp_path / name}/"):
        place = reached(table, TableAccess(engine="auto"))
        assert (place.url, place.is_local, dict(place.options)) == (str(tmp_path / name), True, {})
    write_deltalake(place.url, pa.table({"x": [1]}))
    listed = {each["path"] for page in obstore.list(place.objects(), "_delta_log") for each in page}
    assert (tmp_path / name / "_delta_log").is_dir() and "_delta_log/00000000000000000000.json" in listed


@pytest.mark.parametrize("name", [*ODD[:2], "ünï/日本", "a:b"])
def test_a_table_in_a_bucket_is_where_its_url_says(s3: str, name: str) -> None:
    import boto3
    import obstore
    import pyarrow as pa
    from deltalake import DeltaTable, write_deltalake

    client = boto3.client("s3", endpoint_url=s3)
    if name == "plain":
        client.create_bucket(Bucket="tables")
    place = reached(f"s3a://tables/{name}", TableAccess(engine="auto", endpoint=s3))
    write_deltalake(place.url, pa.table({"x": [1]}), storage_options=dict(place.options))
    assert DeltaTable(place.url, storage_options=dict(place.options)).version() == 0
    first = "_delta_log/00000000000000000000.json"
    assert first in {each["path"] for page in obstore.list(place.objects()) for each in page}
    client.head_object(Bucket="tables", Key=f"{name}/{first}")


def test_spark_serves_what_these_libraries_cannot_reach() -> None:
    assert _why("/data/x", TableAccess(engine="spark")) == 'tables.engine is "spark"'
    assert "catalog" in _why("main.crm.fans")
    assert "'%'" in _why("/data/100%") and "'%'" in _why("s3://b/a%20b") and "'['" in _why("/data/[x]")
    assert "'#'" in _why("s3://b/a#b"), "an URL ends there"
    assert "hdfs://" in _why("hdfs://name/x")


def test_a_package_that_is_missing_or_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "version", lambda name: {"deltalake": "1.5.9"}.get(name, "99.0"))
    assert _why("/data/x") == "deltalake 1.5.9 is older than 1.6: pip install 'rover_spark[native]'"
    storage.unmet.cache_clear()

    def version(name: str) -> str:
        raise storage.PackageNotFoundError(name)

    monkeypatch.setattr(storage, "version", version)
    assert "deltalake is not installed" in _why("/data/x")


def test_no_secret_is_shown_and_none_stands_in_the_url() -> None:
    place = reached("s3://bucket/x", TableAccess(engine="auto"))
    assert place.options["aws_secret_access_key"] == ENVIRONMENT["AWS_SECRET_ACCESS_KEY"]
    assert ENVIRONMENT["AWS_SECRET_ACCESS_KEY"] not in repr(place) + str(place) + f"{[place]}"
    assert ENVIRONMENT["AWS_ACCESS_KEY_ID"] not in repr(place)
    assert repr(place) == repr(Reached("s3://bucket/x"))


def test_credentials_are_asked_for_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = iter(["one", "two"])

    class Renewed:
        def get_frozen_credentials(self) -> object:
            from botocore.credentials import ReadOnlyCredentials

            return ReadOnlyCredentials("key", next(calls), "token", None)

    monkeypatch.setattr(credentials._boto_session(None), "get_credentials", Renewed)
    found = [reached("s3://bucket/x", TableAccess(engine="auto")).options for _ in range(2)]
    assert [each["aws_secret_access_key"] for each in found] == ["one", "two"]
    assert found[0]["aws_session_token"] == "token"


@pytest.mark.parametrize("table", ["s3://bucket/x", "gs://bucket/x", "abfss://c@a.dfs.core.windows.net/x"])
def test_without_credentials_spark_serves_and_nothing_waits(
    monkeypatch: pytest.MonkeyPatch, table: str, tmp_path: Path
) -> None:
    for name in [
        each for each in os.environ if each.startswith(("AWS_ACCESS", "AWS_SECRET", "AZURE_", "GOOGLE_"))
    ]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    begun = time.monotonic()
    for _ in range(20):
        assert _why(table)
    assert time.monotonic() - begun < 5


def test_a_path_without_scheme_is_left_to_spark_where_it_lies_in_another_file_system(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Such a path is of HDFS on a cluster and of DBFS on Databricks. A ledger must not begin anew on the driver's disk."""
    monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path))
    property_ = "<property><name>fs.defaultFS</name><value> {} </value></property>"
    file = tmp_path / "core-site.xml"
    file.write_text(f"<configuration>{property_.format('hdfs://name:8020')}</configuration>")
    assert "hdfs" in _why("/data/x")
    assert reached("file:///data/x", TableAccess(engine="auto")).url == "/data/x"
    default_fs._configured.cache_clear()
    file.write_text(f"<configuration>{property_.format('file:///')}</configuration>")
    assert reached("/data/x", TableAccess(engine="auto")).url == "/data/x"
    default_fs._configured.cache_clear()
    (tmp_path / "spark-defaults.conf").write_text(
        "spark.master yarn\nspark.hadoop.fs.defaultFS   hdfs://name/\n"
    )
    assert "hdfs" in _why("/data/x")
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "16.4")
    assert "DBFS" in _why("/mnt/data/x")


def test_a_session_that_exists_is_asked_which_file_system_it_takes(spark: object) -> None:
    assert reached("/data/x", TableAccess(engine="auto"), Session.of(spark)).url == "/data/x"  # type: ignore[arg-type]
