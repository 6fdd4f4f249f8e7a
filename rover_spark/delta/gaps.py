"""Finds commits that make a version range a gap: after them the change data feed returns earlier rows differently.

Reads the log, no row. Each commit is compared with the delivered version, one by one: a column that was dropped and
added again in between is a gap, too. What Delta's feed refuses by itself is an error of the read (``engine_errors``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rover_spark.delta.causes import cause_of
from rover_spark.delta.engine_errors import ENGINE_ERRORS, text_of
from rover_spark.delta.log.chosen import Logs
from rover_spark.delta.log.values import Change, Place, after_change
from rover_spark.delta.names import span
from rover_spark.delta.shape import Shape, difference
from rover_spark.delta.used_columns import Used
from rover_spark.errors import SourceGap

_VECTORS = "deletionVectors"
# failures that do not mean a catalog denied the log: reading rows would hit them too
_NOT_THE_LOGS = {"passes", "full", "no_file_system"}


@dataclass(frozen=True)
class Range:
    """Commits of a table after version ``since``, up to and with ``last``; ``used`` is what the expressions read.

    ``location`` is where its files lie. Without ``by_feed`` the files that each commit added are read, not the feed.
    Where nothing was ``delivered`` before, version ``since`` need not be known any more. ``read_by`` is set where the range
    was read before and is read again: only the table at that version counts then, not what lies between.
    """

    table: str
    location: str
    since: int
    last: int
    used: Used
    by_feed: bool = True
    delivered: bool = True
    read_by: int | None = None

    @property
    def end(self) -> int:
        """The last commit whose log is read."""
        return self.last if self.read_by is None else max(self.last, self.read_by)


def refuse(about: str, one: Range, found: str | None, remedy: str) -> None:
    """Raises SourceGap where something was found; ``about`` says whose range it is."""
    if found is not None:
        raise SourceGap(
            f"{about}: {span(one.table, one.since + 1, one.last)} cannot be delivered: {found}. "
            f"The ledger stays at version {one.since}",
            code="source_gap",
            remedy=remedy,
        )


def found_in(logs: Logs, ranges: Sequence[Range]) -> list[str | None]:
    """For each range the first thing that makes it a gap, for messages, or None."""
    places = [Place(one.table, one.location, one.since + 1, one.end) for one in ranges]
    try:
        changes = logs.changes(places)
    except ENGINE_ERRORS as error:
        if cause_of(text_of(error)).kind in _NOT_THE_LOGS:
            raise
        if len(ranges) > 1:
            return [found for one in ranges for found in found_in(logs, [one])]
        # a catalog may deny access to the log; if commits were cleaned away, reading the feed reports it
        return [_ends(logs, ranges[0])]
    return [_found(logs, *each) for each in zip(ranges, changes, strict=True)]


def _ends(logs: Logs, one: Range) -> str | None:
    """The same from the range's first and last version alone, by the columns of their rows."""
    if one.since < 0:
        return None
    try:
        before, after = (_seen(logs, one.table, version) for version in (one.since, one.end))
    except ENGINE_ERRORS as error:
        if cause_of(text_of(error)).kind not in {"stays", "refused"}:
            raise
        return None  # reading the feed fails on these itself
    return difference(before, after, one.used, by_feed=False)


def _seen(logs: Logs, table: str, version: int) -> Shape:
    return Shape(logs.of(table).schema_at(version), partitions=None)


def _found(logs: Logs, one: Range, changes: list[Change]) -> str | None:
    log = logs.of(one.table)
    base, known = None, False
    shape: Shape | None = None
    for change in changes:
        if change.bare and one.by_feed and change.version <= one.last:
            return (
                f"version {change.version} removed a file without extended file metadata in the log, so the change data "
                "feed cannot be read"
            )
        if change.metadata is None and change.features is None:
            continue
        if not known:
            base = log.shape_at(one.since) if one.since >= 0 else None
            if base is None and one.delivered:  # Spark may know it from elsewhere; else nobody can compare
                base = _seen(logs, one.table, one.since)
            shape, known = base, True
        shape = after_change(shape, change)
        if base is None:  # the range begins where the log does
            base = shape if shape.schema["fields"] else None
            continue
        why = None if one.read_by is not None else difference(base, shape, one.used, by_feed=one.by_feed)
        if why is not None:
            return f"in version {change.version} {why}"
    if one.read_by is not None and base is not None and shape is not None:
        why = difference(
            base, shape, one.used, by_feed=False
        )  # the feed may be off by now: it was read before
        if why is not None:
            return f"by version {one.end} {why}"
    unvectored = shape is not None and shape.features is not None and _VECTORS not in shape.features
    if unvectored and one.by_feed and any(change.features is not None for change in changes):
        first = log.vectors(one.since + 1, one.last)
        if first is not None:
            return f"version {first} removed rows by a deletion vector, a feature that was dropped after it"
    return None
