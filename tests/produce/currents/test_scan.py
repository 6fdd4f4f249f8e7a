"""Which event types one read of a table serves."""

from __future__ import annotations

import json
from dataclasses import replace

from rover_spark.contract.avro import canonical, parse
from rover_spark.model.table import HistoryRow
from rover_spark.produce.currents.plan import EventSource, Slice
from rover_spark.produce.currents.scan import Scan, described, scan_groups

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
    assert (first.scan, second.scan) == (Scan("/t", 2, 4, True), Scan("/t", 2, 5, True))


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


def test_a_message_names_three_reads_and_counts_the_others() -> None:
    slices = [replace(ONE, source=replace(SOURCE, table=f"/t{n}")) for n in range(5)]
    assert described(slices[:1] * 2) == "versions 2 to 4 of /t0"
    assert (
        described(slices) == ", ".join(f"versions 2 to 4 of /t{n}" for n in range(3)) + " and 2 more tables"
    )
