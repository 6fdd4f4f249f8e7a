"""The preflight: what stands in the way of delivery is named, and receivers see nothing of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from pyspark.sql import SparkSession
from rich.console import Console
from typer.testing import CliRunner

from rover_spark.audit.found import Finding
from rover_spark.cli import app
from rover_spark.delta import storage
from rover_spark.delta.credentials import ChainFailed
from rover_spark.delta.storage import unmet
from rover_spark.face import commands
from rover_spark.face.console.results import show
from rover_spark.face.results import CheckResult
from tests import NATIVE
from tests.e2e.world import NOON, World, row
from tests.proxy import Proxy, least_rights
from tests.store import buckets
from tests.store.buckets import Bucket

FIRST = row(1, "email", "a@example.com", "2026-11-20 10:00:00")


@pytest.fixture(scope="module")
def table(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One table that is only looked at."""
    world = World(spark, tmp_path_factory.mktemp("table"))
    world.identities(FIRST)
    return world.datasets


@pytest.fixture
def acme(world: World, table: dict[str, Any]) -> World:
    """A ledger and a bucket of its own over that table."""
    world.datasets = deepcopy(table)
    return world


@pytest.fixture
def mine(world: World) -> World:
    """And a table of its own."""
    world.identities(FIRST)
    return world


def check(world: World, **options: Any) -> CheckResult:
    return commands.check(world.spark, world.settings, **options)


def states(result: CheckResult) -> dict[tuple[str, str], str]:
    return {(each.about, each.tried): each.state for each in result.checks}


def found(result: CheckResult, tried: str) -> Finding:
    (one,) = (each for each in result.checks if each.tried == tried)
    return one


def test_nothing_stands_in_the_way_and_nothing_is_left_for_receivers(
    mine: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = check(mine)
    assert result.ok and not result.problems
    assert set(states(result)) == {
        ("ledger", "read it"),
        ("tables", "logs without Spark"),
        ("ledger", "write beside it"),
        ("ledger", "files that it should know"),
        ("fan_identity_graph", "table, feed, columns"),
        ("fan_identity_graph", "fields"),
        ("fan_identity_graph", "first rows"),
        ("fan_identity_graph", "retention"),
        ("destination", "stage"),
        ("destination", "abort"),
        ("destination", "stage a manifest"),
        ("destination", "stage in a task"),
        ("destination", "publish, read, list"),
        ("clock", "against the destination's"),
        ("clock", "time zone"),
    }
    assert set(states(result).values()) == {"ok"}
    assert list(mine.fingerprint()) == ["_rover_staging/acme/probe"]
    assert not list((mine.root / "control").glob("*")), "no ledger was made, and nothing is left beside it"
    assert check(mine).ok, "a second check finds the same"
    mine.delivered()
    assert found(check(mine), "read it").found == "1 batch"
    monkeypatch.setattr("rover_spark.face.session.build_session", lambda **_: mine.spark)
    done = CliRunner().invoke(app, ["check", "-c", str(mine.config()), "--json"])
    document = json.loads(done.stdout)
    assert (done.exit_code, document["command"], document["result"]) == (0, "check", "done")
    assert document["checks"][0]["state"] == "ok"


@pytest.mark.skipif(not NATIVE, reason="Spark reads logs and ledger")
def test_who_reads_the_logs_is_said(mine: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        found(check(mine), "logs without Spark").found
        == "deltalake is installed: it reads the logs of tables by path"
    )
    mine.options["tables"] = {"engine": "spark"}
    assert 'tables.engine is "spark"' in found(check(mine), "logs without Spark").found
    del mine.options["tables"]
    monkeypatch.setattr("rover_spark.delta.storage.version", lambda name: "1.5.9")
    unmet.cache_clear()
    try:
        result = check(mine)
        assert result.ok, "Spark reads them"
        one = found(result, "logs without Spark")
        assert (one.state, one.found) == ("warning", "Spark reads them: deltalake 1.5.9 is older than 1.6")
        assert "rover_spark[native]" in one.remedy
        assert mine.delivered().batches
    finally:
        unmet.cache_clear()


@pytest.mark.parametrize(
    ("statement", "tried", "state", "words"),
    [
        ("ALTER TABLE {t} UNSET TBLPROPERTIES (delta.enableChangeDataFeed)", "table, feed, columns", "failed", "feed"),
        ("ALTER TABLE {t} SET TBLPROPERTIES (delta.deletedFileRetentionDuration = 'interval 30 hours')", "retention", "warning", "1.25 days"),
        ("DROP TABLE {t}", "table, feed, columns", "failed", "no Delta table"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_delivered_is_named(
    mine: World, statement: str, tried: str, state: str, words: str
) -> None:
    mine.sql(statement, t="ids")
    if state == "failed" and "DROP" in statement:
        mine.datasets["fan_identity_graph"]["table"] += "_gone"
    result = check(mine)
    one = found(result, tried)
    assert (one.state, result.ok) == (state, state != "failed")
    assert words in one.found and one.remedy
    assert states(result)["destination", "stage"] == "ok", "the rest is tried all the same"


def test_a_column_that_is_not_there_is_named(acme: World) -> None:
    columns = {**acme.datasets["fan_identity_graph"]["columns"], "updatedAt": "changed_at"}
    acme.datasets["fan_identity_graph"]["columns"] = columns
    result = check(acme)
    assert not result.ok and "changed_at" in result.problems[0].message


def test_a_ledger_that_cannot_be_written_is_named(acme: World) -> None:
    (acme.root / "file").write_text("no directory")
    acme.options["ledger"] = str(acme.root / "file" / "acme")
    result = check(acme)
    assert not result.ok and found(result, "write beside it").state == "failed"


@pytest.mark.parametrize(
    ("name", "value", "warned"),
    [
        ("spark.app.name", "any", True),
        ("spark.delta.logStore.s3a.impl", "io.delta.storage.S3DynamoDBLogStore", False),
        ("spark.databricks.clusterUsageTags.clusterId", "1121-120000-abcdefgh", False),
    ],
)
def test_a_log_store_that_takes_commits_of_one_driver_only_is_named(
    acme: World, name: str, value: str, warned: bool
) -> None:
    acme.options["ledger"], acme.options["tables"] = "s3a://nowhere/acme", {"engine": "spark"}
    before = acme.spark.conf.get(name, None)
    acme.spark.conf.set(name, value)
    try:
        result = check(acme)
    finally:
        acme.spark.conf.unset(name) if before is None else acme.spark.conf.set(name, before)
    seen = states(result)
    assert seen.get(("ledger", "log store")) == ("warning" if warned else None)
    assert seen["ledger", "write beside it"] == "failed", "Spark has no code for s3a:// here"
    assert "hadoop-aws" in found(result, "read it").remedy
    assert seen["destination", "stage"] == "ok", "one failure does not hide the rest"


def test_a_ledger_that_is_refused_is_not_tried_by_spark(acme: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("deltalake")

    def refused(*_: object) -> None:
        raise ChainFailed("the SDK's chain gives no credentials for S3: AccessDenied")

    monkeypatch.setattr(storage, "of_aws", refused)
    acme.options["ledger"] = "s3a://nowhere/acme"
    result = check(acme)
    one, seen = found(result, "read it"), states(result)
    assert "AccessDenied" in one.found and "Let this role read it" in one.remedy
    assert not {("ledger", "write beside it"), ("ledger", "log store")} & seen.keys()
    assert seen["destination", "stage"] == "ok", "one failure does not hide the rest"


def test_clocks_that_are_apart_are_named(acme: World) -> None:
    result = check(acme, now=NOON)  # the table's commits are of today
    one = found(result, "against fan_identity_graph")
    assert one.state == "warning" and "ahead of this machine's clock" in one.found


def test_a_directory_that_cannot_be_written_is_named(acme: World) -> None:
    (acme.root / "bucket").write_text("no directory")
    result = check(acme)
    assert not result.ok and states(result)["destination", "stage"] == "failed"
    console = Console(record=True, width=160, file=(acme.root / "screen").open("w"))
    show(console, result)
    said = console.export_text()
    assert "delivery would fail" in said and "→ Check the destination's rights" in said


def test_the_least_rights_are_tried_and_no_more(acme: World, s3: str) -> None:
    bucket = buckets.s3(s3)
    with Proxy(s3, least_rights) as proxy:
        acme.options = {"destination": bucket.url, "store": {"endpoint": proxy.endpoint}}
        result = check(acme)
        assert result.ok and set(states(result).values()) == {"ok"}
        assert set(proxy.seen) == {"CreateMultipartUpload", "UploadPart", "AbortMultipartUpload"}
        assert (bucket.objects(), bucket.staged()) == ({}, 0)
        proxy.decide = lambda name, n: "refuse" if name == "AbortMultipartUpload" else None
        result = check(acme)
        assert result.ok and found(result, "abort").state == "warning"
        proxy.decide = lambda name, n: "refuse" if name == "UploadPart" else None
        result = check(acme)
        assert not result.ok and "s3:PutObject" in result.problems[0].remedy
        acme.options["store"]["can_read"] = True
        proxy.decide = lambda name, n: "refuse" if name == "HeadObject" else None
        result = check(acme)
        assert "store.can_read = false" in found(result, "publish, read, list").remedy


@pytest.mark.parametrize("make", [buckets.s3, buckets.gcs, buckets.azure], ids=["s3", "gs", "az"])
def test_a_bucket_is_tried_by_the_driver_and_by_a_task(
    acme: World, make: Callable[[str], Bucket], request: pytest.FixtureRequest
) -> None:
    name = {buckets.s3: "s3", buckets.gcs: "gcs"}.get(make, "azure")
    bucket = make(request.getfixturevalue(name))
    acme.options = {"destination": bucket.url, "store": bucket.access.model_dump(exclude_unset=True)}
    result = check(acme)
    assert set(states(result).values()) == {"ok"}, result.checks
    assert found(result, "against the destination's").found.endswith("UTC")
    assert bucket.objects() == {}, "what receivers read is untouched"
    acme.options["destination"] = bucket.url.replace("://b", "://x", 1)
    assert not check(acme).ok


@pytest.mark.parametrize(
    ("server", "store", "words"),
    [
        ("azure", {"tags": {"source": "acme"}}, "blobs/tags/write"),
        ("gcs", {}, "storage.objects.delete at the keys"),
        ("azure", {}, ""),
    ],
    ids=["tags", "overwriting", "nothing"],
)
def test_rights_that_only_a_publish_takes_are_warned_of(
    acme: World, server: str, store: dict[str, Any], words: str, request: pytest.FixtureRequest
) -> None:
    bucket = buckets.SERVERS[server](request.getfixturevalue(server))
    acme.options = {"destination": bucket.url, "store": {"endpoint": bucket.access.endpoint, **store}}
    result = check(acme)
    one = found(result, "publish, read, list")
    assert result.ok and one.found.startswith("not tried")
    assert one.state == ("warning" if words else "ok") and words in one.remedy
    assert bucket.objects() == {}
