"""Settings of an integration, and what of its events is due: pure."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from rover_spark.config.settings import parse
from rover_spark.contract import avro
from rover_spark.errors import ConfigError, RunError, SourceGap
from rover_spark.model.schema import RegisteredSchema
from rover_spark.model.table import HistoryRow, TableState
from rover_spark.produce.currents import steps
from rover_spark.produce.currents.plan import HOUR_MS, EventSource, Group, Slice
from rover_spark.produce.currents.steps import kept, laid_out, place
from rover_spark.produce.port import decode
from tests.plans import event_plan

PLACE = {"cluster": "prod-01", "connection": "S3", "integration_id": "65f1c2d3", "zone": "eu"}
CUSTOM = "users.behaviors.CustomEvent"


def tree(**changes: Any) -> dict[str, Any]:
    base = {
        "name": "acme",
        "contract": "currents",
        "destination": "file:///data/bucket/acme",
        "ledger": "/data/control/acme",
        "currents": PLACE,
        "events": {CUSTOM: {"table": "/data/tables/events"}},
    }
    return {**base, **changes}


def test_an_integration_is_staged_beside_its_prefix_and_delivered_as_one() -> None:
    settings = parse(tree())
    assert (
        settings.delivers == ("events",) and settings.receives == "dataexport.prod-01.S3.integration.65f1c2d3"
    )
    assert settings.access.staging == "file:///data/bucket" and settings.store.staging is None
    assert parse(tree(destination="s3://bucket")).access.staging is None, "an open upload is in no listing"
    away = parse(tree(destination="gs://bucket/a/b", store={"staging": "gs://bucket/staging"}))
    assert away.access.staging == "gs://bucket/staging"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"currents": None}, "the contract needs cluster"),
        ({"events": {}}, "events: there is none"),
        ({"currents": {**PLACE, "connection": "FTP"}}, "currents.connection"),
        ({"currents": {**PLACE, "zone": "a/b"}}, "zone cannot hold '/'"),
        ({"currents": {**PLACE, "partitions": 0}}, "currents.partitions"),
        ({"events": {"a/b": {"table": "/t"}}}, "event type cannot hold '/'"),
        ({"events": {"a..b": {"table": "/t"}}}, "'..'"),
        ({"events": {"a\nb": {"table": "/t"}}}, "control characters"),
        ({"events": {"a.B": {"table": "/t"}, "a.b": {"table": "/t"}}}, "differ by case alone"),
        ({"events": {CUSTOM: {"table": "/t", "columns": {"time": "now()"}}}}, "gives another value at each run"),
        ({"events": {CUSTOM: {"table": "/t", "columns": {"id": "x"}, "natural_key": ["y"]}}}, "not from both"),
        ({"datasets": {"fan_profiles": {"table": "/t"}}}, "contract"),
        ({"text": {"nul": "replace"}}, 'text: belongs to contract = "rover"'),
        ({"text": {}}, 'text: belongs to contract = "rover"'),
        ({"contract": "rover", "currents": None}, "events: belong to"),
        ({"destination": "gs://bucket"}, "destination: receivers read all below it"),
        ({"destination": "gs://bucket/x", "store": {"staging": "gs://other/x"}}, "store.staging: must lie"),
        ({"destination": "gs://bucket/x", "store": {"staging": "gs://bucket/x"}}, "store.staging: lies inside"),
        ({"store": {"staging": "file:///data/bucket/acme/s"}}, "store.staging: lies inside"),
        ({"destination": "s3://bucket/x", "store": {"staging": "gs://bucket/x"}}, "store.staging"),
    ],
)  # fmt: skip
def test_a_bad_integration_is_refused_by_its_key(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse({name: value for name, value in tree(**changes).items() if value is not None})
    assert words in caught.value.message


SOURCE = EventSource("/t", None, {"id": "id", "time": "at"}, (), False)
STATE = TableState("table", tuple(HistoryRow(n, n * HOUR_MS, "WRITE") for n in range(6)), {})


def delivered(version: int, **fields: Any) -> Slice:
    commits = tuple(row for row in STATE.rows if row.version == version)
    return Slice(
        **{**vars(Slice(CUSTOM, SOURCE, None, version, "table", commits, 1, 15_000, (7,))), **fields}
    )


def test_a_type_begins_where_start_says_and_goes_on_where_it_stood() -> None:
    ways = [place(CUSTOM, SOURCE, start, None, STATE) for start in ("enable", "earliest", 2)]
    assert [(each.from_version, each.to_version, len(each.commits)) for each in ways] == [
        (None, 5, 1),
        (0, 5, 6),
        (3, 5, 3),
    ]
    on = place(CUSTOM, SOURCE, "enable", delivered(3), STATE)
    assert (on.from_version, on.to_version, on.offsets, on.hours) == (4, 5, (7,), (4 * HOUR_MS, 5 * HOUR_MS))
    assert place(CUSTOM, SOURCE, "enable", delivered(5), STATE).from_version is None


@pytest.mark.parametrize(
    ("kind", "source", "start", "last", "state"),
    [
        (ConfigError, SOURCE, 9, None, STATE),
        (ConfigError, replace(SOURCE, table="/other"), "enable", delivered(3), STATE),
        (ConfigError, replace(SOURCE, where="x"), "enable", delivered(3), STATE),
        (SourceGap, SOURCE, "enable", delivered(3, commits=(HistoryRow(3, 1, "WRITE"),)), STATE),
        (SourceGap, SOURCE, 1, None, replace(STATE, rows=STATE.rows[4:])),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_refused(
    kind: type[Exception], source: EventSource, start: str | int, last: Slice | None, state: TableState
) -> None:
    with pytest.raises(kind):
        place(CUSTOM, source, start, last, state)


def schema(*fields: str, name: str = "Event") -> str:
    told = [{"name": "id", "type": "string"}, {"name": "time", "type": "int"}]
    told += [{"name": field, "type": ["null", "string"], "default": None} for field in fields]
    return json.dumps({"type": "record", "name": name, "fields": told})


def registered(
    texts: dict[str, str], *args: Any, **more: Any
) -> tuple[dict[str, int], tuple[RegisteredSchema, ...]]:
    """What becomes of schemas as a file or the columns spell them."""
    return steps.registered({name: avro.parse(text) for name, text in texts.items()}, *args, **more)


def test_schema_ids_are_one_sequence_in_byte_order_and_stay_while_nothing_changes() -> None:
    ids, new = registered(
        {"b": schema(), "a": schema(), "B": schema()}, [], "events.1.1", allow_breaking=False
    )
    assert ids == {"B": 1, "a": 2, "b": 3} and [each.batch for each in new] == ["events.1.1"] * 3
    texts = {"a": schema("more"), "b": schema().replace('"Event"', '"Event", "doc": "told better"')}
    ids, again = registered(texts, new, "events.1.2", allow_breaking=False)
    assert ids == {"a": 4, "b": 3} and len(again) == 1 and "more" in again[0].changes[0]
    # back to what it was: another id, and only when it is allowed
    back = {"a": schema()}
    with pytest.raises(RunError, match="more"):
        registered(back, [*new, *again], "events.1.3", allow_breaking=False)
    assert registered(back, [*new, *again], "events.1.3", allow_breaking=True)[0] == {"a": 5}


def test_what_an_aborted_batch_registered_binds_nobody() -> None:
    _, new = registered({"a": schema()}, [], "events.1.1", allow_breaking=False)
    _, dropped = registered({"a": schema("more")}, new, "events.1.2", allow_breaking=False)
    known, aborted = [*new, *dropped], {"events.1.2"}
    ids, none = registered({"a": schema()}, known, "events.1.3", aborted, allow_breaking=False)
    assert ids == {"a": 1} and none == (), "back to what readers know"
    ids, (mended,) = registered({"a": schema("other")}, known, "events.1.3", aborted, allow_breaking=False)
    assert ids == {"a": 3} and len(mended.changes) == 1 and "other" in mended.changes[0], "its id stays taken"


def test_groups_take_offsets_that_rise_and_a_backlog_makes_larger_files() -> None:
    slices = (delivered(3, from_version=2), delivered(3, event_type="other", from_version=2, offsets=()))
    rows = [
        (0, "insert", 20, 1, 5),
        (0, "insert", 10, 0, 3),
        (0, "insert", 10, 1, 4),
        (1, "insert", 10, 0, 150_001),
    ]
    moved, groups = laid_out(slices, rows, 2, 150_000)
    assert groups == (
        Group(0, 10, 0, 3, 7),
        Group(0, 10, 1, 4, 0),
        Group(0, 20, 1, 5, 4),
        Group(1, 10, 0, 150_001, 0),
    )
    assert [each.offsets for each in moved] == [(10, 9), (150_001, 0)]
    assert [each.per_file for each in moved] == [15_000, 100_000]
    with pytest.raises(RunError, match="changed or removed"):
        laid_out(slices, [(0, "delete", 10, 0, 1)], 2, 150_000)
    ignoring = (replace(slices[0], source=replace(SOURCE, ignores_changes=True)), slices[1])
    assert laid_out(ignoring, [(0, "delete", 10, 0, 1)], 2, 150_000)[1] == ()


@pytest.mark.law(3)
def test_a_plan_is_the_same_after_the_ledger_and_keeps_types_that_nobody_names_any_more() -> None:
    new = RegisteredSchema(1, CUSTOM, schema(), "f" * 64, ("said",), "events.1.1")
    one = delivered(3, from_version=2)
    groups = (Group(0, 10, 0, 12, 0),)
    plan = event_plan(source_rows=12, codec="deflate", slices=(one,), groups=groups, schemas=(new,))
    assert decode(plan.to_json()) == plan and plan.batch == "events.1.1" and plan.delivering == (0,)
    day = tuple(HistoryRow(version, 1_795_000_000_000 + version, "WRITE") for version in range(1440))
    many = replace(plan, slices=tuple(replace(one, event_type=f"t{n}", commits=day) for n in range(200)))
    assert decode(many.to_json()) == many
    assert len(many.to_json()) < 300_000, "the commits that event types share are written once"
    (place_kept,) = kept(plan, ["another"])
    assert (place_kept.from_version, place_kept.anchor, place_kept.offsets) == (None, one.anchor, (7,))
    assert kept(plan, [CUSTOM]) == () == kept(None, [])


def test_neighbouring_groups_share_a_task_until_they_are_many_rows_or_many_files() -> None:
    def bins(*rows: int) -> tuple[int, ...]:
        groups = tuple(Group(0, n, 0, count, 0) for n, count in enumerate(rows))
        return event_plan(groups=groups).bins

    assert bins(60_000, 40_000, 1, 200_000, 1) == (0, 0, 1, 2, 3)
    assert bins(*[1] * 130) == (*[0] * 64, *[1] * 64, 2, 2)
