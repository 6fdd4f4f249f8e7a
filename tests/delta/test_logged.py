"""What the log says of rows and files, without reading them."""

from __future__ import annotations

from rover_spark.delta.log.values import ChangeFile, CommitFiles, DataFile
from rover_spark.delta.logged import feed_reads, inserted


def added(records: int | None, *, version: int = 1) -> DataFile:
    return DataFile(f"{version}.parquet", version, 10, {}, records)


CHANGE = ChangeFile("_change_data/1.parquet", 1, 10, {})
CASES = {
    "nothing happened": ([CommitFiles(1)], 0, (0, 0)),
    "two appends": ([CommitFiles(1, (added(3), added(4))), CommitFiles(2, (added(5),))], 12, (3, 30)),
    "a file without a count": ([CommitFiles(1, (added(3), added(None)))], None, (2, 20)),
    "a file whose count is 0": ([CommitFiles(1, (added(3), added(0)))], None, (2, 20)),
    "an update with change files": (
        [CommitFiles(1, (added(3),), (CHANGE, CHANGE), removes=True)],
        None,
        (2, 20),
    ),
    "whole files removed": ([CommitFiles(1, (added(3),)), CommitFiles(2, (), (), removes=True)], None, None),
}


def test_rows_and_files_are_known_where_the_log_says_them() -> None:
    for name, (commits, rows, files) in CASES.items():
        assert (inserted(commits), feed_reads(commits)) == (rows, files), name
