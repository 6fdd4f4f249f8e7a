"""What the log says of the rows and files of a range of commits, so that nobody has to read them to know. Pure.

Source: Delta transaction log protocol, "Add File and Remove File", "Add CDC File".
"""

from __future__ import annotations

from collections.abc import Iterable

from rover_spark.delta.log.values import CommitFiles


def inserted(commits: Iterable[CommitFiles]) -> int | None:
    """How many rows these commits inserted; None where one of them also changed or removed rows, or the log lacks a count."""
    total = 0
    for commit in commits:
        for file in commit.added:
            if file.records is None:
                return None
            total += file.records
        if commit.removes:
            return None
    return total


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
