"""Event types whose chunks are data files: which they are, how many rows the log counts, and where each file's events go.

Pinned commits always added the same files in the same order: the plan keeps the rule, the log has the list. The partition of
a file is its place in the list, modulo the number of partitions. Pure; the files were read from the log before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from rover_spark.delta.added_files import AddedFiles
from rover_spark.delta.logged import large_enough, rows_in
from rover_spark.delta.used_columns import used
from rover_spark.errors import ReaderRefused
from rover_spark.produce.currents.plan import EventPlan, Slice
from rover_spark.produce.currents.scan import Scan, scan_of
from rover_spark.produce.currents.steps import Counted, threshold


def of_data_files(
    slices: Sequence[Slice],
    files: Mapping[Scan, AddedFiles],
    *,
    by_ids: Mapping[str, str],
    listed: Mapping[str, bool],
    backlog_events: int,
) -> tuple[Slice, ...]:
    """The slices with their layouts. ``files`` are those that commits added, of each scan that reads files.

    ``by_ids`` says of event types why their events are shuffled whatever their files are, ``listed`` of each table whether
    its log is read without Spark.
    """
    served = Counter(scan_of(one) for one in slices if one.from_version is not None)

    def laid(one: Slice) -> Slice:
        if one.from_version is None:
            return replace(one, data_files=0, why="")
        scan = scan_of(one)
        added = files.get(scan)
        why = by_ids.get(one.event_type) or _obstacle(one, added, alone=served[scan] == 1)
        if not why and not listed[one.source.table]:
            why = "Spark reads the log of the table"
        if why or added is None:
            return replace(one, why=why)
        rows = rows_in(added.files)
        if rows is None:
            return replace(one, why="the log does not count the rows of each data file")
        enough, why = large_enough(added.files, rows, threshold(rows, backlog_events))
        return replace(one, data_files=len(added.files) if enough else one.data_files, why=why)

    return tuple(laid(one) for one in slices)


def _obstacle(one: Slice, added: AddedFiles | None, *, alone: bool) -> str:
    """Why no data file of the slice can be a chunk, or an empty text."""
    if added is None or not added.whole or not added.files:
        return "read by its change data feed" if added is None else "no rows were added"
    if not alone:
        return "one read serves several event types"
    return "an expression reads the whole row" if used(one.source.expressions).all else ""


def counted_files(number: int, one: Slice, added: AddedFiles | None, partitions: int) -> list[Counted] | None:
    """The rows of slice ``number`` as the log counts them, before a filter; None where rows must be counted.

    Of ``partitions`` only one holds events that are shuffled. A catalog may show fewer rows of a table than its log has.
    """
    shuffled = not one.data_files
    if added is None or "/" not in one.source.table or rows_in(added.files) is None:
        return None
    if shuffled and (one.source.where is not None or partitions > 1):
        return None
    found: Counter[tuple[int, int]] = Counter()
    for place, hour, rows in _each(one, added):
        found[hour, place % partitions] += rows
    return [(number, "insert", hour, partition, rows) for (hour, partition), rows in found.items()]


def places(plan: EventPlan, number: int, added: AddedFiles | None) -> list[tuple[int, int]]:
    """Of each data file of a slice its group, and how many rows of the group the files before it have.

    Raises:
        ReaderRefused: the files cannot be read by themselves any more, or the log counts other rows than when the batch was
            planned.
    """
    one = plan.slices[number]
    groups = {(each.hour, each.partition): n for n, each in enumerate(plan.groups) if each.slice == number}
    if added is not None and added.whole and len(added.files) == one.data_files:
        found, before = list[tuple[int, int]](), Counter[int]()
        for place, hour, rows in _each(one, added):
            group = groups.get((hour, place % plan.partitions), -1)
            found.append((group, before[group]))
            before[group] += rows
        if before == {group: plan.groups[group].rows for group in groups.values()}:
            return found
    raise ReaderRefused(
        f"{plan.batch}: the data files of {one.source.table} cannot be read one by one as they were when it was planned",
        code="files_changed",
        remedy="A batch that is not STAGED is planned anew by the next export. A redelivery needs the table's log as it was "
        "when the batch was planned.",
    )


def filterable(plan: EventPlan) -> int:
    """How many rows of a plan the log counted before a filter: those of data files that are chunks."""
    raw = {n for n, one in enumerate(plan.slices) if one.data_files and one.source.where is not None}
    return sum(group.rows for group in plan.groups if group.slice in raw)


def _each(one: Slice, added: AddedFiles) -> Iterable[tuple[int, int, int]]:
    """Of each file its place, its queue hour and its rows."""
    hours = one.hour_of
    return ((place, hours[file.version], file.records or 0) for place, file in enumerate(added.files))
