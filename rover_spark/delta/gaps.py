"""What a range of a table's commits did besides changing rows, and whether its feed still tells what was delivered before.

A look into the log, no row is read. The delivered version is what each commit is held against, one by one: what was
dropped and put back in between is a gap, too. What the feed itself refuses, it tells by an error (``source.reading``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import SparkSession

from rover_spark.delta import log as delta_log
from rover_spark.delta import source
from rover_spark.delta.causes import cause_of
from rover_spark.delta.log import Change, Place
from rover_spark.delta.shape import Shape, difference
from rover_spark.delta.used_columns import Used
from rover_spark.errors import SourceGap

_VECTORS = "deletionVectors"
# nothing that a catalog says of a log: whoever reads rows meets it as well
_NOT_THE_LOGS = {"passes", "full", "no_file_system"}


@dataclass(frozen=True)
class Range:
    """Commits of a table after version ``since``, up to and with ``last``; ``used`` is what the expressions read.

    ``location`` is where its files lie. Without ``by_feed`` the files that each commit added are read, not the feed.
    Where nothing was ``delivered`` before, version ``since`` need not be known any more. ``read_by`` stands where the range
    was told before and is to be told again: only the table at that version counts then, not what lies between.
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
        """The last commit that is looked at."""
        return self.last if self.read_by is None else max(self.last, self.read_by)


def refuse(about: str, one: Range, found: str | None, remedy: str) -> None:
    """Raises SourceGap where something was found; ``about`` says whose range it is."""
    if found is not None:
        raise SourceGap(
            f"{about}: {source.span(one.table, one.since + 1, one.last)} cannot be told: {found}. "
            f"The ledger stays at version {one.since}",
            code="source_gap",
            remedy=remedy,
        )


def found_in(spark: SparkSession, ranges: Sequence[Range]) -> list[str | None]:
    """Of each range the first thing that makes it a gap, for messages, or None. One job, and more only where it is asked."""
    places = [Place(one.location, one.since + 1, one.end) for one in ranges]
    try:
        told = delta_log.changes(spark, places)
    except source.ENGINE_ERRORS as error:
        if cause_of(source.text_of(error)).kind in _NOT_THE_LOGS:
            raise
        if len(ranges) > 1:
            return [found for one in ranges for found in found_in(spark, [one])]
        # a catalog may keep the log to itself; what was cleaned away, the feed tells
        return [_ends(spark, ranges[0])]
    return [_found(spark, *each) for each in zip(ranges, places, told, strict=True)]


def _ends(spark: SparkSession, one: Range) -> str | None:
    """The same of the range's two ends only, as Spark sees them."""
    if one.since < 0:
        return None
    try:
        before, after = (_seen(spark, one.table, version) for version in (one.since, one.end))
    except source.ENGINE_ERRORS as error:
        if cause_of(source.text_of(error)).kind not in {"stays", "refused"}:
            raise
        return None  # the feed tells these itself
    return difference(before, after, one.used, by_feed=False)


def _seen(spark: SparkSession, table: str, version: int) -> Shape:
    return Shape(json.loads(source.snapshot(spark, table, version).schema.json()), partitions=None)


def _found(spark: SparkSession, one: Range, place: Place, changes: list[Change]) -> str | None:
    base, known = None, False
    shape: Shape | None = None
    for change in changes:
        if change.bare and one.by_feed and change.version <= one.last:
            return f"version {change.version} took a file away, and its log tells too little of that file"
        if change.metadata is None and change.features is None:
            continue
        if not known:
            base = delta_log.shape_at(spark, one.location, one.since) if one.since >= 0 else None
            if base is None and one.delivered:  # Spark may know it from elsewhere; else nobody can compare
                base = _seen(spark, one.table, one.since)
            shape, known = base, True
        shape = delta_log.after_change(shape, change)
        if base is None:  # the range begins where the log does
            base = shape if shape.schema["fields"] else None
            continue
        why = None if one.read_by is not None else difference(base, shape, one.used, by_feed=one.by_feed)
        if why is not None:
            return f"in version {change.version} {why}"
    if one.read_by is not None and base is not None and shape is not None:
        why = difference(base, shape, one.used, by_feed=False)  # a feed that is off by now has told it once
        if why is not None:
            return f"by version {one.end} {why}"
    unvectored = shape is not None and shape.features is not None and _VECTORS not in shape.features
    if unvectored and one.by_feed and any(change.features is not None for change in changes):
        first = delta_log.vectors(spark, Place(place.root, place.first, one.last))
        if first is not None:
            return f"version {first} removed rows by a deletion vector, a feature that was dropped after it"
    return None
