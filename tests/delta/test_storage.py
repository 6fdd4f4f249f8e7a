"""How a table by path is reached without Spark, and where it is left to Spark. Nothing here asks a server for credentials."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from rover_spark.config.access import TableAccess
from rover_spark.config.expressions import place_of, scheme_of
from rover_spark.delta import credentials, default_fs, storage
from rover_spark.delta.session import Session
from rover_spark.delta.storage import NotNative, Reached, reached
from rover_spark.ledger.lease import lock_beside
from tests.servers import ENVIRONMENT

pytest.importorskip("deltalake")
pytest.importorskip("obstore")
ENDPOINTS = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"]
ODD = ["plain", "with space", "#1", "ünï/日本", "a:b", "plus+and&", "tilde~x", "quo'te", "back`tick", "{a}"]


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    credentials._sessions.clear()
    storage.unmet.cache_clear()
    credentials._missing.clear()
    default_fs._configured.cache_clear()
    for name in ("DATABRICKS_RUNTIME_VERSION", "HADOOP_CONF_DIR", "SPARK_CONF_DIR", *ENDPOINTS):
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


@pytest.mark.parametrize("table", ["hdfs:/control/acme", "dbfs:/x", "s3a:/x", "s3:///x", "gs:/x", "FILE:/x"])
def test_a_scheme_with_one_slash_is_no_path_of_this_machine(table: str) -> None:
    """A ledger there would look absent, and a new one would begin on the driver's disk."""
    scheme = table.partition(":")[0]
    assert scheme in _why(table)
    assert scheme_of(table) == scheme and place_of(table) == table and lock_beside(table) is None
    assert reached("/data/a://b", TableAccess(engine="auto")).url == "/data/a://b", "it has no scheme"
    assert place_of("file:/data//x") == place_of("file:///data/x") == place_of("/data/x") == "/data/x"


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

    monkeypatch.setattr(credentials._boto_session(None)[1], "get_credentials", Renewed)
    found = [reached("s3://bucket/x", TableAccess(engine="auto")).options for _ in range(2)]
    assert [each["aws_secret_access_key"] for each in found] == ["one", "two"]
    assert found[0]["aws_session_token"] == "token"


ONE, TWO, OURS, THEIRS = "http://one:1", "http://two:2", "http://ours:3", "http://profile:4"
PROFILE = f"[profile p]\nendpoint_url = {THEIRS}\n"
SERVICES = f"{PROFILE}services = s\n[services s]\ns3 =\n  endpoint_url = {TWO}\n"


@pytest.mark.parametrize(
    ("config", "environ", "expected"),
    [
        ("[profile p]\n", {}, None),
        (PROFILE, {}, THEIRS),
        (SERVICES, {}, TWO),
        (SERVICES, {"AWS_ENDPOINT_URL": ONE}, ONE),
        (PROFILE, {"AWS_ENDPOINT_URL": TWO, "AWS_ENDPOINT_URL_S3": ONE}, ONE),
        (f"{SERVICES}\n[profile q]\n", {"AWS_ENDPOINT_URL": ""}, TWO),
        (SERVICES, {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, None),
        (f"{PROFILE}ignore_configured_endpoint_urls = true\n", {}, None),
    ],
)
def test_the_endpoint_is_the_one_that_the_sdk_takes(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    config: str,
    environ: dict[str, str],
    expected: str | None,
) -> None:
    import boto3

    (tmp_path / "config").write_text(config)
    keys = "aws_access_key_id = key\naws_secret_access_key = not-one\n"
    (tmp_path / "keys").write_text(f"[p]\n{keys}")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "keys"))
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    options = reached("s3://bucket/x", TableAccess(profile="p")).options
    assert options.get("aws_endpoint_url") == expected
    assert (options.get("allow_http") == "true") == bool(expected)
    client = boto3.Session(profile_name="p").client("s3").meta.endpoint_url
    assert client == (expected or "https://s3.amazonaws.com"), "as boto3 has it"
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    named = reached("s3://bucket/x", TableAccess(profile="p", endpoint=OURS)).options
    assert named["aws_endpoint_url"] == OURS, "the settings go first"


@pytest.mark.parametrize(
    ("endpoint", "environ"),
    [
        (OURS, {"AWS_ENDPOINT_URL_S3": ONE}),
        (None, {"AWS_ENDPOINT_URL": ONE, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}),
        (None, {"AWS_ENDPOINT": ONE}),
    ],
)
def test_a_server_that_only_deltalake_would_take_is_refused(
    monkeypatch: pytest.MonkeyPatch, endpoint: str | None, environ: dict[str, str]
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(NotNative, match="names another server") as refused:
        reached("s3://bucket/x", TableAccess(endpoint=endpoint))
    assert refused.value.failed and ONE not in str(refused.value)


def test_rotated_keys_are_read_again_and_a_role_keeps_its_session(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from botocore.credentials import RefreshableCredentials

    def rotated(secret: str) -> None:
        (tmp_path / "keys").write_text(
            f"[default]\naws_access_key_id = key\naws_secret_access_key = {secret}\n"
        )

    def found() -> str:
        return reached("s3://bucket/x", TableAccess()).options["aws_secret_access_key"]

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "keys"))
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    rotated("first")
    assert found() == "first"
    rotated("second")
    now += 59
    assert found() == "first", "the chain is not asked at every commit"
    now += 2
    assert found() == "second"
    far = datetime.now(timezone.utc) + timedelta(hours=1)
    role = RefreshableCredentials("key", "of a role", "token", far, dict, "assume-role")
    monkeypatch.setattr(credentials._boto_session(None)[1], "get_credentials", lambda: role)
    now += 3600
    assert found() == "of a role"


def test_a_chain_that_fails_is_not_one_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import ClientError

    def refused() -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "arn of somebody"}}, "AssumeRole")

    monkeypatch.setattr(credentials._boto_session(None)[1], "get_credentials", refused)
    with pytest.raises(NotNative, match=r"gives no credentials for S3: AccessDenied$") as failure:
        reached("s3://bucket/x", TableAccess())
    assert failure.value.failed
    with pytest.raises(NotNative, match="ProfileNotFound") as failure:
        reached("s3://bucket/x", TableAccess(profile="nobody"))
    assert failure.value.failed


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
