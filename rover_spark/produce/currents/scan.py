"""Which event types one read of a table serves: slices that differ in no more than their event type and filter. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rover_spark.contract.avro import registered_tree
from rover_spark.delta.names import span
from rover_spark.produce.currents.plan import Slice


@dataclass(frozen=True)
class Scan:
    """What is read of a table: versions first..last, from the change data feed or from the files that commits added."""

    table: str
    first: int | None
    last: int
    by_feed: bool


@dataclass(frozen=True)
class ScanGroup:
    """Slices that one read serves, with their ``numbers`` in the plan. A row's place in them is its route."""

    numbers: tuple[int, ...]
    slices: tuple[Slice, ...]

    @property
    def leader(self) -> Slice:
        """The first slice: in all but event type and filter it speaks for the others."""
        return self.slices[0]

    @property
    def scan(self) -> Scan:
        """What the group reads."""
        return scan_of(self.leader)


def scan_of(one: Slice) -> Scan:
    """What a slice reads."""
    return Scan(one.source.table, one.from_version, one.to_version, one.by_feed)


def scan_groups(
    slices: Iterable[tuple[int, Slice]], schemas: Mapping[str, str] | None = None
) -> list[ScanGroup]:
    """The groups of these numbered slices, in the order of their first ones.

    Slices of a group read the same rows and make the same columns and natural key of them; where ``schemas`` are given, by
    event type, the same fields of an event as well.
    """
    found: dict[object, list[tuple[int, Slice]]] = {}
    for number, one in slices:
        fields = registered_tree(schemas[one.event_type]).fields if schemas else ()
        columns = tuple(one.source.columns.items())
        found.setdefault((scan_of(one), columns, one.source.natural_key, fields), []).append((number, one))
    return [
        ScanGroup(tuple(number for number, _ in each), tuple(one for _, one in each))
        for each in found.values()
    ]


def described(slices: Iterable[Slice]) -> str:
    """The versions and tables that are read, for messages: the first three."""
    reads = sorted({(one.source.table, one.from_version or 0, one.to_version) for one in slices})
    more = f" and {len(reads) - 3} more tables" if len(reads) > 3 else ""
    return ", ".join(span(*each) for each in reads[:3]) + more
