"""The run that nothing disturbed: what every disturbed one must give in the end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from rover_spark.face import commands
from tests.crash.child import NOW, settings_of
from tests.crash.scene import BELOW, copy_tables
from tests.e2e.world import FEED, fingerprint, uuid
from tests.store.buckets import Bucket


def _delivered(spark: SparkSession, root: Path, contract: str) -> Path:
    """A table of 300 rows, and what one undisturbed run makes of it: five files, under rover one a task."""
    (root / "agreed.json").write_text(json.dumps({"contract": contract}))
    table = f"delta.`{root}/tables/ids`"
    spark.sql(
        f"CREATE TABLE {table} (rover_id STRING, kind STRING, value STRING, at TIMESTAMP) USING delta {FEED}"
    )
    rover = f"concat(lpad(hex(id), 8, '0'), '{uuid(0)[8:]}')"
    spark.sql(
        f"INSERT INTO {table} SELECT {rover}, 'email', concat(id, '@x'), timestamp_seconds(id) FROM range(300)"
    )
    shutil.copytree(root / "tables", root / "pristine")
    assert commands.export(spark, settings_of(root), now=NOW).ok
    return root


@pytest.fixture(scope="module")
def undisturbed(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Under the contract rover."""
    return _delivered(spark, tmp_path_factory.mktemp("undisturbed"), "rover")


@pytest.fixture(scope="module")
def streamed(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Under the contract currents."""
    return _delivered(spark, tmp_path_factory.mktemp("streamed"), "currents")


@pytest.fixture
def whole(contract: str, request: pytest.FixtureRequest) -> Path:
    """The undisturbed run of the contract that a test is about."""
    found: Path = request.getfixturevalue({"rover": "undisturbed", "currents": "streamed"}[contract])
    return found


@pytest.fixture
def delivered(
    spark: SparkSession, whole: Path, contract: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """What the undisturbed run puts into a bucket: keys, which begin with the prefix, and hashes of the bytes."""
    if not BELOW[contract]:
        return fingerprint(whole / "bucket")
    root = tmp_path_factory.mktemp("delivered")
    copy_tables(whole, root)
    agreed = {"contract": contract, "destination": f"memory://{root.name}{BELOW[contract]}"}
    (root / "agreed.json").write_text(json.dumps(agreed))
    settings = settings_of(root)
    assert commands.export(spark, settings, now=NOW).ok
    return Bucket(settings.destination, settings.access, lose=lambda file: file).fingerprint()
