"""Which event types one read of a table serves."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from rover_spark.contract.avro import canonical, parse
from rover_spark.model.table import HistoryRow
from rover_spark.produce.currents import scan
from rover_spark.produce.currents.plan import HOUR_MS, EventSource, Slice
from rover_spark.produce.currents.scan import Scan, described, scan_groups, scan_of

SOURCE = EventSource("/t", "kind = 'a'", {"id": "event_id", "time": "at"}, (), ignores_changes=False)
ONE = Slice("a", SOURCE, 2, 4, "t1", (HistoryRow(4, 1_000, "WRITE"),), 1, 15_000, ())


def schema(*names: str, of: str = "Event", space: str = "") -> str:
    fields = [{"name": "id", "type": "string"}, {"name": "time", "type": "int"}]
    fields += [{"name": name, "type": "string"} for name in names]
    return canonical(parse(json.dumps({"type": "record", "name": of, "namespace": space, "fields": fields})))


def test_types_that_differ_in_their_filter_are_read_together_in_the_order_of_the_plan() -> None:
    other = replace(ONE, event_type="b", source=replace(SOURCE, where=None), schema_id=2)
    third = replace(ONE, event_type="c", offsets=(7,), per_file=100_000)
    first, second = scan_groups([(0, ONE), (3, replace(other, to_version=5)), (5, third), (6, other)])
    assert first.numbers == (0, 5, 6) and first.slices == (ONE, third, other) and first.leader is ONE
    assert second.numbers == (3,)
    assert (first.scans, second.scans) == ((Scan("/t", 2, 4, True),), (Scan("/t", 2, 5, True),))
    assert first.filters == ("kind = 'a'", "kind = 'a'", None) and first.tables == (ONE,)


def test_other_tables_versions_ways_columns_or_ids_are_read_by_themselves() -> None:
    others = [
        replace(ONE, source=replace(SOURCE, table="/u")),
        replace(ONE, from_version=3),
        replace(ONE, by_feed=False),
        replace(ONE, source=replace(SOURCE, columns={"time": "at", "id": "event_id"})),
        replace(ONE, source=replace(SOURCE, natural_key=("n",))),
    ]
    assert len(scan_groups(enumerate([ONE, *others]))) == 6


def test_schemas_of_other_fields_are_encoded_by_themselves_and_names_of_the_event_decide_nothing() -> None:
    slices = [replace(ONE, event_type=name) for name in ("a", "b", "c")]
    schemas = {
        "a": schema("who"),
        "b": schema("who", of="Other", space="com.acme"),
        "c": schema("who", "what"),
    }
    assert [group.numbers for group in scan_groups(enumerate(slices), schemas)] == [(0, 1), (2,)]


def of_table(table: str, event_type: str, **changes: Any) -> Slice:
    commits = (HistoryRow(3, HOUR_MS, "WRITE"), HistoryRow(4, 2 * HOUR_MS, "WRITE"))
    source = replace(SOURCE, table=table, **changes)
    return replace(ONE, event_type=event_type, source=source, from_version=3, commits=commits, by_feed=False)


def test_tables_whose_files_are_alike_are_read_together_where_their_filters_are_the_same() -> None:
    other = (HistoryRow(4, 5 * HOUR_MS, "WRITE"),)
    slices = [
        of_table("/t", "a"),
        of_table("/u", "b"),
        of_table("/v", "c"),
        of_table("/u", "d", where=None),
        of_table("/t", "e", where=None),
        replace(of_table("/w", "f"), from_version=4, commits=other),
        replace(of_table("/x", "g"), by_feed=True),
        of_table("/y", "h", where=None),
        replace(of_table("/z", "i", where=None), from_version=4, commits=other),
        of_table("/all", "j", where=None, columns={**SOURCE.columns, "row": "to_json(struct(*))"}),
    ]
    alike = {scan_of(one): "kind" for one in slices if one.source.table not in {"/x", "/w"}}
    found = scan_groups(enumerate(slices), alike=alike)
    assert [group.numbers for group in found] == [(0, 4, 1, 3), (2,), (5,), (6,), (7, 8), (9,)]
    first, *_, last, _ = found
    assert [scan.table for scan in first.scans] == ["/t", "/u"] and len(first.filters) == 2
    assert [one.event_type for one in first.tables] == ["a", "b"]
    assert last.hours == (HOUR_MS, 2 * HOUR_MS, 5 * HOUR_MS)


def test_no_more_tables_are_read_together_than_one_plan_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    slices = [of_table(f"/t{n}", f"e{n}") for n in range(7)]
    alike = {scan_of(one): "kind" for one in slices}
    monkeypatch.setattr(scan, "TABLES", 3)
    assert [len(each.slices) for each in scan_groups(enumerate(slices), alike=alike)] == [3, 3, 1]
    monkeypatch.setattr(scan, "ENTRIES", 4)
    found = scan_groups(enumerate(slices), alike=alike)
    assert [each.numbers for each in found] == [(0, 1), (2, 3), (4, 5), (6,)], "two hours of each"


def test_a_message_names_three_reads_and_counts_the_others() -> None:
    slices = [replace(ONE, source=replace(SOURCE, table=f"/t{n}")) for n in range(5)]
    assert described(slices[:1] * 2) == "versions 2 to 4 of /t0"
    assert (
        described(slices) == ", ".join(f"versions 2 to 4 of /t{n}" for n in range(3)) + " and 2 more tables"
    )
