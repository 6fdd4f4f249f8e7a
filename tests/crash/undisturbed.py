"""The run that nothing disturbed: what every disturbed one must give in the end. Made once, and only read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Undisturbed = Callable[[str], Path]


@pytest.fixture(scope="session")
def undisturbed(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """By contract: a table of 300 rows in five files, and what one run makes of it: five files, under rover one a task."""
    from rover_spark.face import commands
    from rover_spark.produce.rover.plan import BatchPlan
    from tests import NATIVE
    from tests.crash.child import NOW, ROVER, settings_of
    from tests.e2e.world import FEED, uuid

    def made(contract: str) -> Path:
        by_file = "layout" not in ROVER.get(contract, {"layout": ""})
        if by_file and not NATIVE:
            pytest.skip("Spark reads the log: data files cannot be listed")
        root = tmp_path_factory.mktemp(contract)
        (root / "agreed.json").write_text(json.dumps({"contract": contract}))
        table = f"delta.`{root}/tables/ids`"
        spark.sql(
            f"CREATE TABLE {table} (rover_id STRING, kind STRING, value STRING, at TIMESTAMP) USING delta {FEED}"
        )
        rover = f"concat(lpad(hex(id), 8, '0'), '{uuid(0)[8:]}')"
        spark.sql(
            f"INSERT INTO {table} SELECT {rover}, 'email', concat(id, '@x'), timestamp_seconds(id) FROM range(0, 300, 1, 5)"
        )
        shutil.copytree(root / "tables", root / "pristine")
        result = commands.export(spark, settings_of(root), now=NOW)
        assert result.ok
        plan = result.batches[0].plan
        if isinstance(plan, BatchPlan):
            reader = {"native": "native", "files": "arrow"}.get(contract, "spark")
            assert (plan.files.layout, plan.files.reader) == ("files" if by_file else "hash", reader)
        return root

    return cache(made)


@pytest.fixture(scope="session")
def below_a_prefix(
    spark: SparkSession, undisturbed: Undisturbed, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], dict[str, str]]:
    """By contract, what the run puts into a bucket: keys, which begin with the prefix, and hashes of the bytes."""
    from rover_spark.face import commands
    from tests.crash.child import NOW, settings_of
    from tests.crash.scene import BELOW, copy_tables
    from tests.e2e.world import fingerprint
    from tests.store.buckets import Bucket

    def made(contract: str) -> dict[str, str]:
        whole = undisturbed(contract)
        if contract not in BELOW:
            return fingerprint(whole / "bucket")
        root = tmp_path_factory.mktemp("below")
        copy_tables(whole, root)
        agreed = {"contract": contract, "destination": f"memory://{root.name}{BELOW[contract]}"}
        (root / "agreed.json").write_text(json.dumps(agreed))
        settings = settings_of(root)
        assert commands.export(spark, settings, now=NOW).ok
        return Bucket(settings.destination, settings.access, lose=lambda file: file).fingerprint()

    return cache(made)


@pytest.fixture
def whole(contract: str, undisturbed: Undisturbed) -> Path:
    """The undisturbed run of the contract that a test is about."""
    return undisturbed(contract)


@pytest.fixture
def delivered(contract: str, below_a_prefix: Callable[[str], dict[str, str]]) -> dict[str, str]:
    """What the undisturbed run of the contract that a test is about puts into a bucket."""
    return below_a_prefix(contract)
