"""`make bench-scale` takes a run through every step of the driver, without Spark, and its tables are what they say."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from tests.bench.scale.__main__ import BYTES, ROWS, measured
from tests.bench.scale.inside import driver
from tests.bench.scale.tables import write_log, write_small_files
from tests.documents import scaled


def test_the_driver_goes_from_the_log_to_the_ledger_and_starts_no_spark(tmp_path: Path) -> None:
    write_log(tmp_path / "table", 300, ROWS, BYTES)
    steps = driver(tmp_path)
    assert next(iter(steps)) == "plan" and [*steps][-1:] == ["dataset states"]
    assert all(figures["memory"] > 0 and figures["wall"] >= 0 for figures in steps.values())


def test_small_files_are_one_row_each_under_the_names_of_the_log(tmp_path: Path) -> None:
    import deltalake

    write_small_files(tmp_path / "table", 5)
    table = deltalake.DeltaTable(str(tmp_path / "table"))
    assert len(table.file_uris()) == 5
    assert [pq.read_metadata(path.removeprefix("file://")).num_rows for path in table.file_uris()] == [1] * 5


def test_a_measured_process_becomes_a_table_of_the_documents(tmp_path: Path) -> None:
    by_size = {}
    for files in (10, 20):
        write_log(tmp_path / str(files) / "table", files, ROWS, BYTES)
        by_size[str(files)] = measured("driver", tmp_path / str(files))
    text = scaled.made({"chunks": by_size, "plans": {}, "tasks": by_size})
    assert "| CPU of the driver | 10 chunks | 20 chunks | a further 1,000 |" in text
    assert "| plan |" in text and "a further 1,000 |" in text
