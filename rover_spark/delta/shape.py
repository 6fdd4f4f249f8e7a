"""A table's columns, partitions and features at a version, and which later change of them makes its feed a gap. Pure.

Delta's change data feed reads every file of a range by what the table says at the range's end. So a column that was
dropped, renamed, made again or retyped, one that became a partition or is none any more (files of writers other than
Spark 4's hold no such column), or deletion vectors that the table knows no longer, make rows of earlier files say
something else than they did, or nothing. What is only added changes none of them.
Source: Delta transaction log protocol, "Change Metadata", "Protocol Evolution", "Column Mapping", "Type Widening".
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import Any

from rover_spark.delta.used_columns import Path, Used, resolved

FEED = "delta.enableChangeDataFeed"
_WHOLE = {"byte": 1, "short": 2, "integer": 3, "long": 4}
_DECIMAL = re.compile(r"decimal\((\d+),\s*(-?\d+)\)")
# Features that decide nothing about how rows of a file are read: tried out, or of writers only.
_NOT_READ = {
    "appendOnly", "invariants", "checkConstraints", "generatedColumns", "identityColumns", "allowColumnDefaults",
    "changeDataFeed", "v2Checkpoint", "vacuumProtocolCheck", "rowTracking", "domainMetadata", "clustering",
    "checkpointProtection", "inCommitTimestamp", "columnMapping", "typeWidening", "typeWidening-preview",
    "deletionVectors", "icebergCompatV1", "icebergCompatV2", "icebergCompatV3", "icebergWriterCompatV1",
    "coordinatedCommits", "coordinatedCommits-preview", "catalogManaged", "catalogOwned-preview", "timestampNtz",
}  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """A table at one version; ``partitions`` and ``features`` are None where nothing is known of them."""

    schema: dict[str, Any]
    partitions: tuple[str, ...] | None = ()
    properties: dict[str, str] = field(default_factory=dict)
    features: frozenset[str] | None = None

    @property
    def keeps_feed(self) -> bool:
        """Whether commits of this version keep a change data feed."""
        return self.properties.get(FEED, "").lower() == "true"

    def with_metadata(self, schema: str, partitions: list[str] | None, properties: dict[str, str]) -> Shape:
        """This table after a commit that sets them."""
        return replace(
            self, schema=json.loads(schema), partitions=tuple(partitions or ()), properties=dict(properties)
        )


def difference(before: Shape, after: Shape, used: Used, *, by_feed: bool) -> str | None:
    """Why the feed up to ``after`` would give other values than ``before`` did for the same rows, or None.

    ``used`` is what the expressions read.
    """
    if by_feed and before.keeps_feed and not after.keeps_feed:
        return "the change data feed was turned off"
    columns = {each["name"].casefold(): each for each in after.schema["fields"]}
    for path in sorted(resolved(used, before.schema)):
        found = _lost(_narrowed(before.schema, path), after.schema, (), columns)
        if found is not None:
            return found
        if before.partitions is None or after.partitions is None:
            continue
        was, is_one = (_among(path[0], each) for each in (before.partitions, after.partitions))
        if was != is_one:
            became = "became a partition" if is_one else "is no partition any more"
            return f"column {path[0]} {became}: of rows from before, the feed no longer has it"
    if before.features is not None and after.features is not None:
        dropped = sorted(before.features - after.features - _NOT_READ)
        if dropped:
            return f"the table feature {', '.join(dropped)} was dropped"
    return None


def _among(name: str, names: tuple[str, ...]) -> bool:
    return name.casefold() in {each.casefold() for each in names}


def _narrowed(schema: dict[str, Any], path: Path) -> dict[str, Any]:
    """The struct with the fields of a path only: what lies below its end is kept whole."""
    if not path:
        return schema
    for each in schema["fields"]:
        if each["name"] == path[0]:
            return {"type": "struct", "fields": [{**each, "type": _through(each["type"], path[1:])}]}
    return schema


def _through(dtype: Any, path: Path) -> Any:
    if not path or not isinstance(dtype, dict):
        return dtype
    if dtype["type"] == "array":
        return {**dtype, "elementType": _through(dtype["elementType"], path)}
    return _narrowed(dtype, path)


def _lost(
    before: dict[str, Any], after: dict[str, Any], above: Path, columns: dict[str, Any] | None = None
) -> str | None:
    """The first field of a struct that is missing or different in another struct, for messages; None where all are there."""
    # a column is found by its name in any case, a field's own case is delivered
    there = columns if columns is not None else {each["name"]: each for each in after["fields"]}
    for each in before["fields"]:
        name = ".".join((*above, each["name"]))
        what = "field" if above else "column"
        found = there.get(each["name"].casefold() if columns is not None else each["name"])
        mark, now = _mark(each), None if found is None else _mark(found)
        if found is None:
            renamed = [other["name"] for other in after["fields"] if mark and _mark(other) == mark]
            return f"{what} {name} was renamed to {renamed[0]}" if renamed else f"{what} {name} was dropped"
        if mark and now and mark != now:
            return f"{what} {name} was dropped and made again"
        other = _retyped(each["type"], found["type"], (*above, each["name"]))
        if other is not None:
            return other
    return None


def _mark(column: dict[str, Any]) -> str | None:
    """The name by which column mapping knows a field, whatever users call it."""
    mark = (column.get("metadata") or {}).get("delta.columnMapping.physicalName")
    return None if mark is None else str(mark)


def _retyped(before: Any, after: Any, path: Path) -> str | None:
    if isinstance(before, dict) and isinstance(after, dict) and before["type"] == after["type"]:
        kind = before["type"]
        if kind == "struct":
            return _lost(before, after, path)
        parts = {"array": ("elementType",), "map": ("keyType", "valueType")}.get(kind, ())
        for part in parts:
            found = _retyped(before[part], after[part], path)
            if found is not None:
                return found
        return None
    if before == after or _widened(before, after):
        return None
    what = "field" if len(path) > 1 else "column"
    return f"{what} {'.'.join(path)} was retyped from {_name(before)} to {_name(after)}"


def _widened(before: Any, after: Any) -> bool:
    """Whether every value of the one type is written by the other as it was before."""
    if not isinstance(before, str) or not isinstance(after, str):
        return False
    if before in _WHOLE and after in _WHOLE:
        return _WHOLE[before] <= _WHOLE[after]
    narrow, wide = _DECIMAL.fullmatch(before), _DECIMAL.fullmatch(after)
    if narrow and wide:
        return narrow[2] == wide[2] and int(narrow[1]) <= int(wide[1])
    return False


def _name(dtype: Any) -> str:
    return dtype if isinstance(dtype, str) else str(dtype["type"])
