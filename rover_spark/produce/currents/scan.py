"""Which event types one read serves: slices that differ in no more than their event type, filter and table. Pure.

Tables are read together where files are read, no change data feed, and where their files have the same columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rover_spark.contract.avro import registered_tree
from rover_spark.delta.names import span
from rover_spark.delta.used_columns import used
from rover_spark.produce.currents.plan import Slice

# of tables that are read together: more of them, or more of their types' hours, would make a plan that Spark is slow to read
TABLES, ENTRIES = 250, 5_000


@dataclass(frozen=True)
class Scan:
    """What is read of a table: versions first..last, from the change data feed or from the files that commits added."""

    table: str
    first: int | None
    last: int
    by_feed: bool


@dataclass(frozen=True)
class ScanGroup:
    """Slices that one read serves, with their ``numbers`` in the plan. A row's place in them is its route.

    Slices of several tables are in the order of their tables, each of which has the same filters.
    """

    numbers: tuple[int, ...]
    slices: tuple[Slice, ...]

    @property
    def leader(self) -> Slice:
        """The first slice: in all but event type, filter and table it speaks for the others."""
        return self.slices[0]

    @property
    def scans(self) -> tuple[Scan, ...]:
        """What the group reads: the versions of a table, or of several tables at once."""
        return tuple(dict.fromkeys(scan_of(each) for each in self.slices))

    @property
    def tables(self) -> tuple[Slice, ...]:
        """The first slice of each table."""
        return self.slices[:: len(self.slices) // len(self.scans)]

    @property
    def filters(self) -> tuple[str | None, ...]:
        """The filters of each table's slices."""
        return tuple(each.source.where for each in self.slices[: len(self.slices) // len(self.scans)])

    @property
    def hours(self) -> tuple[int, ...]:
        """The queue hours of all commits (ms since 1970), ascending."""
        return tuple(sorted({hour for each in self.tables for hour in each.hours}))


def scan_of(one: Slice) -> Scan:
    """What a slice reads."""
    return Scan(one.source.table, one.from_version, one.to_version, one.by_feed)


def scan_groups(
    slices: Iterable[tuple[int, Slice]],
    schemas: Mapping[str, str] | None = None,
    alike: Mapping[Scan, object] | None = None,
) -> list[ScanGroup]:
    """The groups of these numbered slices, in the order of their first ones.

    Slices of a group make the same columns and natural key of their rows; where ``schemas`` are given, by event type, the
    same fields of an event as well. They are of one table, or of tables to which ``alike`` gives the same value.
    """
    found: dict[tuple[Scan, object, object, object], list[tuple[int, Slice]]] = {}
    for number, one in slices:
        fields = registered_tree(schemas[one.event_type]).fields if schemas else ()
        columns = tuple(one.source.columns.items())
        found.setdefault((scan_of(one), columns, one.source.natural_key, fields), []).append((number, one))
    together: dict[object, list[ScanGroup]] = {}
    for (scan, *same), each in found.items():
        group = ScanGroup(tuple(number for number, _ in each), tuple(one for _, one in each))
        # rows of several tables have one column more, which an expression over all columns would see
        alone = any(used(one.source.expressions).all for one in group.slices)
        kind = scan if alone else (alike or {}).get(scan, scan)
        together.setdefault((kind, *same, group.filters), []).append(group)
    return [_joined(some) for groups in together.values() for some in _limited(groups)]


def _limited(groups: Sequence[ScanGroup]) -> Iterator[list[ScanGroup]]:
    """The groups of tables that are alike, as many together as one plan takes."""
    some, routes, hours = list[ScanGroup](), 0, set[int]()
    for each in groups:
        routes, hours = routes + len(each.slices), hours.union(each.hours)
        if some and (len(some) == TABLES or routes * len(hours) > ENTRIES):
            yield some
            some, routes, hours = [], len(each.slices), set(each.hours)
        some.append(each)
    yield some


def _joined(groups: Sequence[ScanGroup]) -> ScanGroup:
    numbers = tuple(number for group in groups for number in group.numbers)
    return ScanGroup(numbers, tuple(one for group in groups for one in group.slices))


def described(slices: Iterable[Slice]) -> str:
    """The versions and tables that are read, for messages: the first three."""
    reads = sorted({(one.source.table, one.from_version or 0, one.to_version) for one in slices})
    more = f" and {len(reads) - 3} more tables" if len(reads) > 3 else ""
    return ", ".join(span(*each) for each in reads[:3]) + more
