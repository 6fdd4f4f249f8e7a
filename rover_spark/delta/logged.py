"""What the log says of the rows and files of a range of commits, so that nobody has to read them to know. Pure.

Source: Delta transaction log protocol, "Add File and Remove File", "Add CDC File".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rover_spark.delta.log.values import CommitFiles, DataFile
from rover_spark.model.wording import counted

_ENOUGH = 3  # data files are chunks where they hold a third of what a file aims at, on average


def rows_by_version(files: Iterable[DataFile]) -> dict[int, int] | None:
    """How many rows these files brought, by version; None where the log lacks the count of one of them.

    A count of 0 counts as a missing one: no statistic alone may keep a file from being read.
    """
    found: Counter[int] = Counter()
    for file in files:
        if file.records is None or file.records <= 0:
            return None
        found[file.version] += file.records
    return found


def rows_in(files: Iterable[DataFile] | None) -> int | None:
    """How many rows these files hold together; None as for ``rows_by_version``, or where nobody knows the files."""
    rows = None if files is None else rows_by_version(files)
    return None if rows is None else sum(rows.values())


def inserted(commits: Sequence[CommitFiles]) -> int | None:
    """How many rows these commits inserted; None where one of them also changed or removed rows, or the log lacks a count."""
    if any(commit.removes for commit in commits):
        return None
    return rows_in(file for commit in commits for file in commit.added)


def feed_reads(commits: Iterable[CommitFiles]) -> tuple[int, int] | None:
    """How many files the change data feed of these commits reads, and their bytes; None where some were removed by a commit.

    Of a commit with change files the feed reads nothing else.
    """
    files, size = 0, 0
    for commit in commits:
        if commit.removes and not commit.changes:
            return None
        read = commit.changes or commit.added
        files, size = files + len(read), size + sum(each.size for each in read)
    return files, size


def large_enough(files: Sequence[DataFile], rows: int, aim: int) -> tuple[bool, str]:
    """Whether data files that hold so many rows may be chunks of a batch whose files aim at ``aim`` records; and why, for people."""
    mean = rows // max(1, len(files))
    described = f"{counted(len(files), 'data file')}, {mean:,} rows each on average"
    return (True, described) if mean * _ENOUGH >= aim else (False, f"{described}: too few")
