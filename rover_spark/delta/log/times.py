"""A commit's time as DESCRIBE HISTORY gives it: its file's modification time made monotonic, or its in-commit timestamp. Pure.

Source: Delta transaction log protocol, "In-Commit Timestamps"; Delta's ``DeltaHistoryManager``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

# Commits that the first listing of a history holds, and commits before the one that is asked for: Delta adjusts commit
# timestamps that do not increase, starting at the first commit listed.
LISTED = 96
BEFORE = 32
_ENABLED = "delta.enableInCommitTimestamps"
_SINCE = "delta.inCommitTimestampEnablementVersion"


def first_in_commit(properties: Mapping[str, str]) -> int | None:
    """The first version whose time is its in-commit timestamp; None where no version has one."""
    if properties.get(_ENABLED, "").lower() != "true":
        return None
    return int(properties.get(_SINCE, 0))


def rising(written: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Times (ms) by version; ``written`` are versions with modification times, in ascending order.

    A time that is not later than the one before becomes that one plus 1 ms, as Delta does it.
    """
    times: dict[int, int] = {}
    last: int | None = None
    for version, at in written:
        last = at if last is None or at > last else last + 1
        times[version] = last
    return times


def begins(versions: list[int], reach: int | None) -> int:
    """Where the listing of a history begins that has to reach ``reach`` (None: the newest version).

    ``versions`` are those whose commit files exist, ascending. The newest 96 are listed; where they do not reach, all from
    95 before ``reach``.
    """
    newest = versions[-1]
    start = max(newest - LISTED + 1, 0)
    if reach is None:
        return start
    oldest = next(version for version in versions if version >= start)
    return start if oldest <= max(reach, 0) else max(reach - LISTED + 1, 0)
