"""Law 4: repeatable.

The same plan gives the same keys, the same records in the same order and the same bytes, whatever the number of cores,
partitions, batch sizes, adaptive execution, retries or speculation. Staging again a batch that was staged before must
reproduce each file's sha256 of the uncompressed bytes, or it stops before publishing.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from rover_spark.face import commands
from tests.crash.child import NOW, settings_of
from tests.crash.scene import EACH, copy_tables, run_child
from tests.e2e.world import fingerprint

VARIED = {  # the compiler on, one core, AQE on: everything that must not matter
    "spark.master": "local[1]",
    "spark.sql.shuffle.partitions": "37",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "777",
    "spark.databricks.delta.snapshotPartitions": "1",
}
TWO_CORES = {
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.shuffle.partitions": "3",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "50000",
}


@pytest.mark.law(4)
@pytest.mark.parametrize("contract", EACH)
def test_bytes_are_the_same_on_one_core_and_two_with_other_partitions_and_batches(
    spark: SparkSession, whole: Path, tmp_path: Path, contract: str
) -> None:
    copy_tables(whole, tmp_path)
    assert run_child(tmp_path, "never", VARIED) == 0
    assert fingerprint(tmp_path / "bucket") == fingerprint(whole / "bucket")
    root = tmp_path / "two cores"
    copy_tables(whole, root)
    before = {name: spark.conf.get(name) for name in TWO_CORES}
    for name, value in TWO_CORES.items():
        spark.conf.set(name, value)
    try:
        assert commands.export(spark, settings_of(root), now=NOW).ok
    finally:
        for name, value in before.items():
            spark.conf.set(name, value or "")
    assert fingerprint(root / "bucket") == fingerprint(whole / "bucket")
