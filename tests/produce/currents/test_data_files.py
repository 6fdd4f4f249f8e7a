"""Which event types' data files are chunks, and where the events of each file go: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pytest

from rover_spark.contract.currents import parse_currents_key
from rover_spark.delta.added_files import AddedFiles
from rover_spark.delta.log.values import DataFile
from rover_spark.errors import ReaderRefused
from rover_spark.model.table import HistoryRow
from rover_spark.produce.currents.data_files import counted_files, filterable, of_data_files, places
from rover_spark.produce.currents.files import EventFiles
from rover_spark.produce.currents.hand_over import widened
from rover_spark.produce.currents.plan import HOUR_MS, EventPlan, EventSource, Slice
from rover_spark.produce.currents.scan import scan_of
from rover_spark.produce.currents.steps import laid_out
from rover_spark.produce.port import decode
from tests.plans import event_plan

COMMITS = (HistoryRow(3, 10 * HOUR_MS, "WRITE"), HistoryRow(4, 11 * HOUR_MS, "WRITE"))
SOURCE = EventSource("/t", "kind = 'a'", {"id": "event_id", "time": "at"}, (), ignores_changes=False)
ONE = Slice("a", SOURCE, 3, 4, "t1", COMMITS, 1, 15_000, (), by_feed=False)
ROWS = ((3, 6_000), (3, 5_000), (4, 4_000), (3, 7_000), (4, 9_000))


def added(rows: Sequence[tuple[int, int | None]] = ROWS) -> AddedFiles:
    files = tuple(DataFile(f"{n}.parquet", version, 1, {}, count) for n, (version, count) in enumerate(rows))
    return AddedFiles("/t", "file:/t", COMMITS, files, None, None)


def laid(one: Slice, files: AddedFiles | None, *more: Slice, by_ids: str = "", listed: bool = True) -> Slice:
    found = of_data_files(
        (one, *more),
        {} if files is None else {scan_of(one): files},
        by_ids={one.event_type: by_ids},
        listed={"/t": listed},
        backlog_events=150_000,
    )
    return found[0]


def test_large_data_files_of_one_event_type_are_chunks() -> None:
    one = laid(ONE, added())
    assert (one.layout, one.data_files) == ("files", 5)
    assert one.why == "5 data files, 6,200 rows each on average"


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (laid(ONE, added(), by_ids="dedupe"), "dedupe"),
        (laid(ONE, added(), replace(ONE, event_type="b")), "one read serves several event types"),
        (laid(ONE, None), "read by its change data feed"),
        (laid(ONE, added(), listed=False), "Spark reads the log of the table"),
        (laid(ONE, added(((3, 6_000), (4, None)))), "the log does not count the rows of each data file"),
        (laid(ONE, added(((3, 6_000), (4, 3_999)))), "2 data files, 4,999 rows each on average: too few"),
        (laid(ONE, added([(3, 33_000)] * 5)), "5 data files, 33,000 rows each on average: too few"),
        (laid(replace(ONE, source=replace(SOURCE, columns={"id": "x", "time": "at", "all": "to_json(struct(*))"})),
              added()), "an expression reads the whole row"),
        (laid(replace(ONE, from_version=None, data_files=7, why="before"), added()), ""),
    ],
)  # fmt: skip
def test_other_event_types_are_shuffled_and_say_why(found: Slice, why: str) -> None:
    assert (found.layout, found.data_files, found.why) == ("hash", 0, why)


def planned(partitions: int = 2) -> EventPlan:
    """Slice 0 is shuffled, slice 1 has the data files."""
    one, first = replace(laid(ONE, added()), offsets=(100,)), replace(ONE, event_type="b")
    counted = counted_files(1, one, added(), partitions)
    assert counted is not None
    slices, groups = laid_out(
        (first, one), [(0, "insert", 10 * HOUR_MS, 0, 3), *counted], partitions, 150_000
    )
    return event_plan(slices=slices, groups=groups, partitions=partitions, source_rows=31_003)


@pytest.mark.law(5)
def test_offsets_of_data_files_follow_from_the_rows_that_the_log_counts() -> None:
    plan = planned()
    found = places(plan, 1, added())
    # groups: the shuffled one, then hours 10 and 11 with partitions 0 and 1; files 0, 2, 4 are of partition 0
    assert found == [(1, 0), (2, 0), (3, 0), (2, 5_000), (3, 4_000)]
    assert [group.offset for group in plan.groups] == [0, 100, 0, 6_100]
    assert plan.slices[1].offsets == (19_100, 12_000)
    chunks = range(plan.first_chunk(1), plan.first_chunk(1) + 5)
    assert (plan.chunks, list(chunks)) == (6, [4, 5, 6, 7, 8])
    assert [plan.slice_of(chunk) for chunk in (0, *chunks)] == [0, 1, 1, 1, 1, 1]
    cutter = EventFiles(plan, {"a": "{}", "b": "{}"}, dict(zip(chunks, found, strict=True)))
    keys = [parse_currents_key("", cutter.begin(chunk, 0, 0)[0]) for chunk in chunks]
    taken = [(key.partition, key.offset, key.offset + ROWS[n][1]) for n, key in enumerate(keys) if key]
    assert sorted(taken) == [
        (0, 100, 6_100),
        (0, 6_100, 10_100),
        (0, 10_100, 19_100),
        (1, 0, 5_000),
        (1, 5_000, 12_000),
    ]


@pytest.mark.parametrize(
    "now",
    [
        None,
        added(ROWS[:4]),
        added(((3, 6_001), (3, 5_000), (4, 4_000), (3, 7_000), (4, 9_000))),
        replace(added(), obstacle="maps its columns to other names"),
    ],
)
def test_data_files_that_are_not_those_of_the_plan_are_refused(now: AddedFiles | None) -> None:
    with pytest.raises(ReaderRefused):
        places(planned(), 1, now)


def test_only_rows_of_data_files_were_counted_before_a_filter() -> None:
    plan = planned()
    assert filterable(plan) == 31_000 < plan.source_rows
    whole = replace(plan.slices[1], source=replace(SOURCE, where=None))
    assert filterable(replace(plan, slices=(plan.slices[0], whole))) == 0


def test_what_is_shuffled_is_counted_by_the_log_where_no_filter_and_no_id_decides() -> None:
    whole = replace(ONE, source=replace(SOURCE, where=None))
    assert counted_files(0, whole, added(), 1) == [
        (0, "insert", 10 * HOUR_MS, 0, 18_000),
        (0, "insert", 11 * HOUR_MS, 0, 13_000),
    ]
    assert counted_files(0, whole, added(), 2) is None and counted_files(0, ONE, added(), 1) is None


def test_a_plan_without_data_files_has_the_text_of_earlier_versions() -> None:
    plan = planned()
    assert decode(plan.to_json()) == plan and plan.format == 2
    assert plan.arrangement == "a: files: 5 data files, 6,200 rows each on average"
    shuffled = replace(plan, slices=tuple(replace(each, data_files=0) for each in plan.slices))
    assert shuffled.format == 1
    assert '"why"' not in shuffled.to_json() and '"data_files"' not in shuffled.to_json()
    assert decode(shuffled.to_json()).format == 1


def test_rows_come_out_of_their_narrow_form_as_they_were() -> None:
    batch = pa.RecordBatch.from_pydict(
        {
            "chunk": pa.array([4, 4, 5, 5], pa.int64()),
            "outcome": pa.array([None, "quarantined", None, None], pa.string()),
            "lateness": pa.array([None, None, 7200, None], pa.int64()),
            "flags": pa.array([None, None, 1, 3], pa.int8()),
            "id": pa.array(["a", None, "b", "c"], pa.string()),
            "line": pa.array([b"a", None, b"b", b"c"], pa.binary()),
        }
    )
    (rows,) = widened([batch])
    assert rows.to_pydict() == {
        "chunk": [4, 4, 5, 5],
        "outcome": ["delivered", "quarantined", "delivered", "delivered"],
        "late": [False, False, True, False],
        "lateness": [None, None, 7200, None],
        "invalid_timezone": [False, False, False, True],
        "mended": [False, False, True, True],
        "id": ["a", None, "b", "c"],
        "line": [b"a", None, b"b", b"c"],
    }
