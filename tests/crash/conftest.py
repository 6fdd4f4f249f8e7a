"""The run that nothing disturbed: what every disturbed one must give in the end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from rover_spark import commands
from tests.crash.child import NOW, settings_of
from tests.e2e.world import FEED, uuid


@pytest.fixture(scope="module")
def contract(request: pytest.FixtureRequest) -> str:
    """The contract that a test delivers under: rover, unless it names another."""
    return str(getattr(request, "param", "rover"))


@pytest.fixture(scope="module")
def undisturbed(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, contract: str) -> Path:
    """A table of 300 rows, and what one undisturbed run makes of it: five files, under rover one a task."""
    root = tmp_path_factory.mktemp("undisturbed")
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
