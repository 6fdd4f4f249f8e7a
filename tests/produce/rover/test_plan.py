"""What is due, and what a batch pins: pure values in, pure values out. And the ledger's fold into dataset_states."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rover_spark.config.settings import Settings, parse
from rover_spark.contract.manifests import Previous
from rover_spark.contract.rover import DATASETS
from rover_spark.delta.anchor import check_anchor
from rover_spark.errors import ConfigError, SourceGap
from rover_spark.model.dataset_state import (
    ABANDONED_AFTER,
    RERUN,
    BatchRecord,
    DatasetState,
    State,
    Transition,
    fold,
)
from rover_spark.model.plan import Manifests, Phase
from rover_spark.model.table import HistoryRow, TableState
from rover_spark.produce.port import decode
from rover_spark.produce.rover.plan import BatchPlan, Files, Source, Step, Text, remedy_of
from rover_spark.produce.rover.steps import (
    Layout,
    first_step,
    next_step,
    plan_batch,
    reader_doubt,
    refuse_changed,
    source_of,
)
from tests.plans import batch_plan

HOUR = 3_600_000
SOURCE = Source("/t", {"roverID": "id"}, ("roverID", "updatedAt"), None, {}, "suppress")
PLAN = batch_plan()
SETTINGS = parse(
    {
        "name": "acme",
        "destination": "file:///b",
        "ledger": "/l",
        "files": {
            "target_records": 100,
            "max_bytes": 9_999,
            "max_record_bytes": 999,
            "compression_level": 2,
        },
        "datasets": {
            "fan_profiles": {
                "table": "/t",
                "columns": {"roverID": "rover_id"},
                "where": "alive",
                "extra": {"zeta": "z", "alpha": "a"},
                "deletes": "tombstone",
            },
            "fan_track_events": {"table": "/e", "natural_key": ["eventID", "timestamp"]},
        },
    }
)


def a_plan(
    phase: Phase = "snapshot", to: int = 7, *, dataset: str = "fan_profiles", **changes: object
) -> BatchPlan:
    plan = replace(
        PLAN, phase=phase, to_version=to, commits=(HistoryRow(to, 1000 * to, "WRITE"),), dataset=dataset
    )
    return replace(plan, **changes)  # type: ignore[arg-type]


def a_table(first: int, last: int, table_id: str = "table-1") -> TableState:
    return TableState(table_id, tuple(HistoryRow(v, 1000 * v, "WRITE") for v in range(first, last + 1)), {})


# -- a plan as a value ---------------------------------------------------------------------------------------

texts = st.text(max_size=8)
numbers = st.integers(-(2**53), 2**53)
plans = st.builds(
    BatchPlan,
    export=texts,
    dataset=st.sampled_from(sorted(DATASETS)),
    epoch=numbers,
    seq=numbers,
    phase=st.sampled_from(["snapshot", "changes", "enable", "lost"]),
    instant=numbers,
    from_version=st.none() | numbers,
    to_version=numbers,
    table_id=texts,
    commits=st.lists(st.builds(HistoryRow, numbers, numbers, texts), max_size=3).map(tuple),
    source=st.builds(
        Source,
        table=texts,
        columns=st.dictionaries(texts, texts, max_size=3),
        natural_key=st.lists(texts, max_size=3).map(tuple),
        where=st.none() | texts,
        extra=st.dictionaries(texts, texts, max_size=3),
        deletes=texts,
        identifiers=st.dictionaries(texts, texts, max_size=3),
    ),
    files=st.builds(Files, numbers, numbers, numbers, numbers),
    destination=texts,
    source_rows=numbers,
    inserts_only=st.booleans(),
    floors=st.booleans(),
    aborted=st.lists(numbers, max_size=3).map(tuple),
    versions=st.dictionaries(texts, texts, max_size=3),
)


@pytest.mark.law(3)
@given(plans)
def test_a_plan_survives_the_ledger(plan: BatchPlan) -> None:
    text = plan.to_json()
    assert decode(text) == plan
    assert "\n" not in text
    assert decode(text).to_json() == text


def test_additional_fields_keep_their_order_in_the_ledger() -> None:
    # records emit them in this order: a redelivery from the ledger's plan must give the same bytes
    source = replace(SOURCE, extra={"zeta": "z", "alpha": "a", "mid": "m"})
    assert list(decode(a_plan(source=source).to_json()).source.extra) == ["zeta", "alpha", "mid"]


def test_a_plan_is_plain_json_with_every_field_in_it() -> None:
    written = json.loads(PLAN.to_json())
    assert {*written, "text", "manifests"} == {
        "contract",
        "format",
        *(field.name for field in fields(BatchPlan)),
    }
    assert written["commits"] == [{"version": 7, "timestamp": 1_795_256_000_000, "operation": "WRITE"}]


def test_a_plan_without_identifiers_is_written_as_before_there_were_any() -> None:
    """Stored plans lack the setting, and a version that does not know it still reads what needs none."""
    written = json.loads(PLAN.to_json())
    assert list(written["source"]) == ["table", "columns", "natural_key", "where", "extra", "deletes"]
    assert decode(json.dumps(written)).source.identifiers == {}
    wide = replace(PLAN, source=replace(SOURCE, identifiers={"e": "email", "a": "b"}))
    assert list(json.loads(wide.to_json())["source"]["identifiers"]) == ["e", "a"]


def test_a_plan_whose_chunks_are_data_files_is_refused_by_versions_that_do_not_know_it() -> None:
    by_hash = json.loads(PLAN.to_json())
    assert by_hash["format"] == 1 and "layout" not in by_hash["files"]
    files = replace(PLAN, files=replace(PLAN.files, layout="files", why="two files", max_records=7))
    written = json.loads(files.to_json())
    assert written["format"] == 2 and written["files"]["layout"] == "files"
    assert decode(files.to_json()) == files
    assert (files.arrangement, PLAN.arrangement) == ("files, spark: two files", "")


def test_a_plan_that_mends_text_is_refused_by_versions_that_do_not_know_it() -> None:
    """One that keeps everything is written as before, and what was stored before keeps everything."""
    kept = json.loads(PLAN.to_json())
    assert kept["format"] == 1 and "text" not in kept
    assert decode(json.dumps(kept)).text == Text()
    for some in ({"duplicate_keys": "last"}, {"nul": "replace"}, {"big_integers": "string"}):
        plan = a_plan(text=Text(**some))
        written = json.loads(plan.to_json())
        assert written["format"] == 3
        assert written["text"] == {**dict.fromkeys(("duplicate_keys", "nul", "big_integers"), "keep"), **some}
        assert decode(plan.to_json()) == plan != PLAN


def test_a_plan_says_how_many_records_it_mended() -> None:
    assert PLAN.remarks({"delivered": 7, "replaced": 1}) == []
    assert PLAN.remarks({"nul": 1, "big_integers": 2000, "duplicate_keys": 3}) == [
        "in 3 records a name that stood twice has its last value",
        "in 1 record U+FFFD stands for NUL",
        "in 2,000 records integers beyond 2^53 - 1 are strings",
    ]


@pytest.mark.parametrize("previous", [None, Previous("manifests/one.json", "0" * 64)])
def test_a_plan_with_a_completion_manifest_is_refused_by_versions_that_do_not_know_it(
    previous: Previous | None,
) -> None:
    assert "manifests" not in json.loads(PLAN.to_json())
    announced = replace(PLAN, manifests=Manifests("s3://b/announced", ("symlink",), previous))
    assert json.loads(announced.to_json())["format"] == 3
    assert decode(announced.to_json()) == announced


def test_a_plan_names_its_batch_its_anchor_and_its_instant() -> None:
    plan = replace(PLAN, epoch=2, seq=11, commits=(HistoryRow(6, 1, "A"), HistoryRow(7, 2, "B")))
    assert plan.batch == "fan_profiles.2.11"
    assert plan.anchor == HistoryRow(7, 2, "B")
    assert plan.emitted_at == datetime(2026, 11, 21, 10, 15, 0, 123_000, timezone.utc)
    assert plan.contract == "rover" and plan.definition is DATASETS["fan_profiles"]


@given(st.integers(0, 253_402_300_799_999))
def test_the_instant_is_exact_to_the_millisecond(instant: int) -> None:
    moment = replace(PLAN, instant=instant).emitted_at - datetime(1970, 1, 1, tzinfo=timezone.utc)
    assert (moment.days * 86_400 + moment.seconds) * 1_000_000 + moment.microseconds == instant * 1000


# -- what today's settings ask for ---------------------------------------------------------------------------


def test_the_source_has_an_expression_for_each_field_defaults_filled_in() -> None:
    assert source_of(SETTINGS, "fan_profiles") == Source(
        table="/t",
        columns={"roverID": "rover_id", "traits": "`traits`", "updatedAt": "`updatedAt`"},
        natural_key=("roverID", "updatedAt"),
        where="alive",
        extra={"zeta": "z", "alpha": "a"},
        deletes="tombstone",
    )
    events = source_of(SETTINGS, "fan_track_events")
    assert events.natural_key == ("eventID", "timestamp")
    assert list(events.columns) == [field.name for field in DATASETS["fan_track_events"].fields]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"table": "/other"}, ["table"]),
        ({"columns": {**SOURCE.columns, "traits": "other"}}, ["columns.traits"]),
        ({"identifiers": {"email": "email"}}, ["identifiers"]),
        ({"natural_key": ("roverID",)}, ["natural_key"]),
        ({"where": "x > 1"}, ["where"]),
        ({"where": "x > 1", "table": "/other"}, ["table", "where"]),
        ({"natural_key": ("roverID", "tier"), "extra": {"tier": "other"}}, ["natural_key", "extra"]),
    ],
)
def test_a_changed_source_is_refused_until_a_rerun_confirms_it(
    changed: dict[str, object], named: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        refuse_changed("fan_profiles", replace(SOURCE, **changed), DatasetState(last=PLAN))  # type: ignore[arg-type]
    assert caught.value.code == "source_changed"
    told = caught.value.message.split(":")[0]
    assert told == ", ".join(f"datasets.fan_profiles.{name}" for name in named)
    assert "rerun" in caught.value.remedy
    assert "--accept-gap" not in caught.value.remedy


@pytest.mark.parametrize("changed", [{}, {"extra": {"tier": "tier"}}, {"deletes": "tombstone"}], ids=str)
def test_additional_fields_and_tombstones_may_change_at_any_time(changed: dict[str, object]) -> None:
    refuse_changed("fan_profiles", replace(SOURCE, **changed), DatasetState(last=PLAN))  # type: ignore[arg-type]


def test_events_are_confirmed_by_a_rerun_that_accepts_the_gap() -> None:
    last = a_plan("enable", dataset="fan_track_events")
    with pytest.raises(ConfigError) as caught:
        refuse_changed("fan_track_events", replace(SOURCE, where="x"), DatasetState(last=last))
    assert caught.value.remedy.endswith("rerun -c FILE --dataset fan_track_events --accept-gap")


def hold(dataset: str, last: BatchPlan, state: TableState) -> None:
    check_anchor(dataset, last.source.table, last.anchor, state, remedy_of(dataset))


# -- the anchor ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "state",
    [a_table(0, 7), a_table(7, 7), a_table(3, 12), a_table(0, 9, table_id="replaced")],
    ids=["newest", "only", "in the middle", "CREATE OR REPLACE: the same row, a new table id"],
)
def test_the_same_commit_at_the_delivered_version_goes_on(state: TableState) -> None:
    hold("fan_profiles", a_plan(to=7), state)


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (a_table(0, 6), "newest version is 6"),
        (a_table(8, 12), "does not reach back"),
        (
            replace(a_table(0, 9), rows=(HistoryRow(7, 7001, "WRITE"), HistoryRow(9, 9, "WRITE"))),
            "another commit",
        ),
        (
            replace(a_table(0, 9), rows=(HistoryRow(7, 7000, "MERGE"), HistoryRow(9, 9, "WRITE"))),
            "another commit",
        ),
    ],
    ids=["table made anew", "log cleaned", "other time", "other operation"],
)
def test_a_missing_or_different_commit_is_a_gap(state: TableState, why: str) -> None:
    with pytest.raises(SourceGap) as caught:
        hold("fan_profiles", a_plan(to=7), state)
    assert why in caught.value.message
    assert "after version 7 of /t" in caught.value.message
    assert caught.value.code == "source_gap"
    assert caught.value.remedy.startswith("rover-spark rerun -c FILE --dataset fan_profiles, ")


def test_a_gap_of_events_is_mended_by_accepting_it() -> None:
    with pytest.raises(SourceGap) as caught:
        hold("fan_track_events", a_plan("changes", 7, dataset="fan_track_events"), a_table(0, 3))
    assert "--dataset fan_track_events --accept-gap" in caught.value.remedy


# -- the first step ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dataset", "start", "rows", "step"),
    [
        ("fan_profiles", "enable", (0, 7), Step("snapshot", 1, None, 7)),
        ("fan_identity_graph", "enable", (3, 3), Step("snapshot", 1, None, 3)),
        ("fan_track_events", "enable", (0, 7), Step("enable", 1, None, 7)),
        ("fan_track_events", 7, (7, 7), Step("enable", 1, None, 7)),
        ("fan_track_events", 3, (3, 7), Step("changes", 1, 4, 7)),
        ("fan_track_events", 6, (6, 7), Step("changes", 1, 7, 7)),
        ("fan_track_events", 0, (0, 7), Step("changes", 1, 1, 7)),
        ("fan_track_events", "earliest", (0, 7), Step("changes", 1, 0, 7)),
        ("fan_track_events", "earliest", (4, 7), Step("changes", 1, 4, 7)),
        ("fan_track_events", "earliest", (0, 0), Step("changes", 1, 0, 0)),
    ],
)
def test_how_a_dataset_begins(dataset: str, start: str | int, rows: tuple[int, int], step: Step) -> None:
    assert first_step(DATASETS[dataset], start, a_table(*rows)) == step


def test_events_cannot_start_at_a_version_to_come() -> None:
    with pytest.raises(ConfigError, match=r"datasets\.fan_track_events\.start: version 8 .* newest is 7"):
        first_step(DATASETS["fan_track_events"], 8, a_table(0, 7))


# -- the next step -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dataset_state", "outstanding", "latest", "step"),
    [
        # changes, or nothing
        (DatasetState(last=a_plan(to=7)), 7, 7, None),
        (DatasetState(last=a_plan(to=7)), 8, 8, Step("changes", 1, 8, 8)),
        (DatasetState(last=a_plan("changes", 9, epoch=3)), 12, 12, Step("changes", 3, 10, 12)),
        (
            DatasetState(last=a_plan("enable", 9, dataset="fan_track_events")),
            10,
            10,
            Step("changes", 1, 10, 10),
        ),
        # a rerun: the outstanding changes first, under the old epoch, then the snapshot under the next one
        (DatasetState(last=a_plan(to=7), rerun=True), 9, 9, Step("changes", 1, 8, 9)),
        (DatasetState(last=a_plan("changes", 9), rerun=True), 9, 9, Step("snapshot", 2, None, 9)),
        (DatasetState(last=a_plan("changes", 9), rerun=True), 9, 30, Step("snapshot", 2, None, 30)),
        (DatasetState(last=a_plan("changes", 9, epoch=4), rerun=True), 9, 9, Step("snapshot", 5, None, 9)),
        # a rerun over a gap: the range is lost, then the snapshot
        (DatasetState(last=a_plan("changes", 9), rerun=True), None, 30, Step("lost", 1, 10, 30)),
        (
            DatasetState(last=a_plan("lost", 30), rerun=True, settled=True),
            None,
            30,
            Step("snapshot", 2, None, 30),
        ),
        (
            DatasetState(last=a_plan("lost", 30), rerun=True, settled=True),
            31,
            31,
            Step("snapshot", 2, None, 31),
        ),
        # events have no snapshot: a rerun gives up what is outstanding, and they stay at their epoch
        (
            DatasetState(last=a_plan("changes", 9, dataset="fan_track_events"), rerun=True),
            12,
            12,
            Step("lost", 1, 10, 12),
        ),
        (
            DatasetState(last=a_plan("changes", 9, dataset="fan_track_events"), rerun=True),
            None,
            12,
            Step("lost", 1, 10, 12),
        ),
    ],
)
def test_what_is_due_after_the_last_batch(
    dataset_state: DatasetState, outstanding: int | None, latest: int, step: Step | None
) -> None:
    assert next_step(dataset_state, outstanding, latest) == step


def test_a_dataset_without_a_last_batch_has_no_next_step() -> None:
    with pytest.raises(ValueError, match="first_step"):
        next_step(DatasetState(), 7, 7)


def test_a_rerun_ends() -> None:
    """Following the steps from a rerun request gives changes, one snapshot, then nothing more."""
    dataset_state, phases = DatasetState(seq=1, last=a_plan(to=7), rerun=True), []
    while step := next_step(dataset_state, 9, 9):
        phases.append((step.phase, step.epoch))
        plan = a_plan(step.phase, step.to_version, epoch=step.epoch, seq=dataset_state.seq + 1)
        dataset_state = dataset_state.after(plan)
        assert len(phases) < 5
    assert phases == [("changes", 1), ("snapshot", 2)]


# -- the dataset state after a batch ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dataset_state", "plan", "rerun", "settled"),
    [
        (DatasetState(), a_plan("snapshot"), False, False),
        (DatasetState(), a_plan("changes"), False, False),
        (DatasetState(rerun=True), a_plan("changes"), True, False),
        (DatasetState(rerun=True), a_plan("snapshot"), False, False),
        (DatasetState(rerun=True), a_plan("lost"), True, True),
        (DatasetState(rerun=True, settled=True), a_plan("snapshot"), False, False),
        (DatasetState(), a_plan("lost"), False, False),
        (DatasetState(rerun=True), a_plan("lost", dataset="fan_track_events"), False, False),
        (DatasetState(rerun=True), a_plan("changes", dataset="fan_track_events"), True, False),
        (DatasetState(), a_plan("enable", dataset="fan_track_events"), False, False),
    ],
)
def test_only_a_snapshot_or_for_events_a_loss_fulfils_a_rerun(
    dataset_state: DatasetState, plan: BatchPlan, rerun: bool, settled: bool
) -> None:
    after = dataset_state.after(plan)
    assert (after.rerun, after.settled) == (rerun, settled)


def test_after_a_batch_its_plan_is_the_last_one_and_none_is_open() -> None:
    plan = a_plan("changes", 9, seq=5, instant=100)
    dataset_state = DatasetState(
        transition=12, seq=4, instant=90, last=PLAN, open=plan, open_state="STAGED", aborted=(3,), floors=True
    )
    assert dataset_state.after(plan) == DatasetState(
        transition=12, seq=5, instant=100, last=plan, aborted=(3,), floors=True
    )


def test_the_instant_of_a_head_never_goes_back() -> None:
    assert DatasetState(instant=500).after(a_plan(instant=100)).instant == 500


@pytest.mark.parametrize(
    ("state", "age", "abandoned"),
    [
        ("PLANNED", 0, False),
        ("PLANNED", HOUR, False),
        ("PLANNED", HOUR + 1, True),
        ("PLANNED", -HOUR, False),
        ("STAGED", 100 * HOUR, False),
        (None, 100 * HOUR, False),
    ],
)
def test_only_a_plan_older_than_an_hour_that_was_never_staged_is_abandoned(
    state: State | None, age: int, abandoned: bool
) -> None:
    dataset_state = DatasetState(open=PLAN if state else None, open_state=state)
    assert dataset_state.is_abandoned(PLAN.instant + age) is abandoned
    assert ABANDONED_AFTER.total_seconds() * 1000 == HOUR


# -- pinning a step ------------------------------------------------------------------------------------------


def pinned(
    step: Step,
    *,
    dataset_state: DatasetState | None = None,
    now: int = 5_000,
    records: int = 1,
    settings: Settings = SETTINGS,
) -> BatchPlan:
    return plan_batch(
        step,
        settings,
        "fan_profiles",
        dataset_state or DatasetState(),
        SOURCE,
        a_table(0, 12),
        now=now,
        source_rows=77,
        records=records,
        inserts_only=True,
        layout=Layout(),
    )


@pytest.mark.parametrize(
    ("now", "previous", "instant"),
    [(5_000, 0, 5_000), (5_000, 4_999, 5_000), (5_000, 5_000, 5_001), (5_000, 9_000, 9_001)],
)
def test_the_instant_is_now_or_a_millisecond_after_the_previous_one(
    now: int, previous: int, instant: int
) -> None:
    assert (
        pinned(Step("snapshot", 1, None, 7), dataset_state=DatasetState(instant=previous), now=now).instant
        == instant
    )


@pytest.mark.parametrize(
    ("seq", "aborted", "doubt"), [(9, (), False), (9, (9,), True), (28, (9,), True), (29, (3, 9), False)]
)
def test_after_a_batch_that_was_aborted_spark_reads_for_a_while(
    seq: int, aborted: tuple[int, ...], doubt: bool
) -> None:
    assert (reader_doubt(DatasetState(seq=seq, aborted=aborted)) is not None) == doubt


@pytest.mark.parametrize(
    ("records", "chunks"),
    [(0, 1), (1, 1), (99, 1), (100, 1), (101, 2), (200, 2), (201, 3), (10_000_000, 100_000)],
)
def test_the_number_of_chunks_follows_from_the_records(records: int, chunks: int) -> None:
    assert pinned(Step("snapshot", 1, None, 7), records=records).files == Files(chunks, 9_999, 999, 2)


@pytest.mark.parametrize(
    ("step", "versions"),
    [
        (Step("snapshot", 1, None, 7), [7]),
        (Step("enable", 1, None, 7), [7]),
        (Step("changes", 1, 5, 7), [5, 6, 7]),
        (Step("changes", 1, 7, 7), [7]),
        (Step("changes", 1, 0, 12), list(range(13))),
        (Step("lost", 1, 5, 7), [7]),
    ],
)
def test_the_commits_of_the_range_are_pinned_and_the_last_is_the_anchor(
    step: Step, versions: list[int]
) -> None:
    plan = pinned(step)
    assert [row.version for row in plan.commits] == versions
    assert plan.anchor == HistoryRow(step.to_version, 1000 * step.to_version, "WRITE")
    assert (plan.phase, plan.epoch, plan.from_version, plan.to_version) == (
        step.phase,
        step.epoch,
        step.from_version,
        step.to_version,
    )


def test_a_plan_takes_the_next_number_and_everything_else_that_could_vary() -> None:
    dataset_state = DatasetState(seq=4, aborted=(2, 3), floors=True)
    plan = pinned(Step("changes", 2, 8, 9), dataset_state=dataset_state)
    assert plan.batch == "fan_profiles.2.5"
    assert (plan.aborted, plan.floors) == ((2, 3), True)
    assert (plan.export, plan.destination, plan.table_id) == ("acme", "file:///b", "table-1")
    assert (plan.source, plan.source_rows, plan.inserts_only) == (SOURCE, 77, True)


# -- the fold of the ledger ----------------------------------------------------------------------------------


class Story:
    """Transitions of one dataset in order, written as a ledger would."""

    def __init__(self, dataset: str = "fan_profiles") -> None:
        self.dataset = dataset
        self.rows: list[Transition] = []

    def add(self, state: State, plan: BatchPlan, *, floors: int = 0, known: bool = True) -> Story:
        record = BatchRecord(
            plan.batch,
            plan.dataset,
            plan.epoch,
            plan.seq,
            plan.phase,
            state,
            plan.instant,
            {},
            floors,
            plan=plan if known else None,
        )
        return self._append(state, record)

    def rerun(self) -> Story:
        asked = BatchRecord("", self.dataset, 0, 0, "", RERUN, 0, {})  # type: ignore[arg-type]
        return self._append(RERUN, asked)

    def _append(self, state: str, record: BatchRecord) -> Story:
        self.rows.append(Transition(self.dataset, len(self.rows) + 1, state, record))
        return self

    @property
    def dataset_state(self) -> DatasetState:
        return fold(self.rows)[self.dataset]


def delivered(story: Story, plan: BatchPlan, *, floors: int = 0, known: bool = True) -> Story:
    story.add("PLANNED", plan, known=known)
    story.add("STAGED", plan, floors=floors, known=known)
    return story.add("COMMITTED", plan, floors=floors, known=known)


FIRST = a_plan("snapshot", 7, seq=1, instant=100)
SECOND = a_plan("changes", 9, seq=2, instant=200)
THIRD = a_plan("changes", 11, seq=3, instant=300)


def test_an_empty_ledger_has_no_dataset_states() -> None:
    assert fold([]) == {}


@pytest.mark.parametrize(
    ("story", "dataset_state"),
    [
        (
            Story().add("PLANNED", FIRST),
            DatasetState(transition=1, seq=1, instant=100, open=FIRST, open_state="PLANNED"),
        ),
        (
            Story().add("PLANNED", FIRST).add("STAGED", FIRST),
            DatasetState(transition=2, seq=1, instant=100, open=FIRST, open_state="STAGED"),
        ),
        (delivered(Story(), FIRST), DatasetState(transition=3, seq=1, instant=100, last=FIRST)),
        (
            Story().add("PLANNED", FIRST).add("ABORTED", FIRST),
            DatasetState(transition=2, seq=1, instant=100, aborted=(1,)),
        ),
        (
            delivered(Story(), FIRST).add("PLANNED", SECOND).add("ABORTED", SECOND),
            DatasetState(transition=5, seq=2, instant=200, last=FIRST, aborted=(2,)),
        ),
        (
            delivered(Story(), FIRST).add("PLANNED", SECOND).add("STAGED", SECOND),
            DatasetState(transition=5, seq=2, instant=200, last=FIRST, open=SECOND, open_state="STAGED"),
        ),
        (
            delivered(delivered(Story(), FIRST), SECOND),
            DatasetState(transition=6, seq=2, instant=200, last=SECOND),
        ),
        (
            delivered(delivered(Story(), FIRST).add("PLANNED", SECOND).add("ABORTED", SECOND), THIRD),
            DatasetState(transition=8, seq=3, instant=300, last=THIRD, aborted=(2,)),
        ),
        (
            delivered(Story(), FIRST).rerun().add("LOST", a_plan("lost", 9, seq=2, instant=200)),
            DatasetState(
                transition=5,
                seq=2,
                instant=200,
                last=a_plan("lost", 9, seq=2, instant=200),
                rerun=True,
                settled=True,
            ),
        ),
    ],
    ids=[
        "planned",
        "staged",
        "committed",
        "aborted",
        "abort keeps last",
        "open",
        "two",
        "after an abort",
        "lost",
    ],
)
def test_heads_follow_the_transitions(story: Story, dataset_state: DatasetState) -> None:
    assert story.dataset_state == dataset_state


def test_the_fold_and_the_running_export_see_the_same_head() -> None:
    """`after`, applied while a run goes on, and the fold of what was written agree."""
    dataset_state = DatasetState().after(FIRST).after(SECOND).after(THIRD)
    folded = delivered(delivered(delivered(Story(), FIRST), SECOND), THIRD).dataset_state
    assert folded == replace(dataset_state, transition=9)


@pytest.mark.parametrize("again", [FIRST, SECOND], ids=["an old batch", "the last batch"])
@pytest.mark.parametrize("rerun", [False, True])
@pytest.mark.parametrize("is_open", [False, True])
def test_a_redelivery_does_not_move_the_head(again: BatchPlan, rerun: bool, is_open: bool) -> None:
    story = delivered(delivered(Story(), FIRST), SECOND)
    if rerun:
        story.rerun()
    if is_open:
        story.add("PLANNED", THIRD)
    before = story.dataset_state
    assert story.add("COMMITTED", again).dataset_state == replace(before, transition=before.transition + 1)


def test_floors_are_told_once_a_delivered_batch_left_some() -> None:
    assert not delivered(Story(), FIRST, floors=0).dataset_state.floors
    assert delivered(Story(), FIRST, floors=2).dataset_state.floors
    assert delivered(delivered(Story(), FIRST, floors=2), SECOND, floors=0).dataset_state.floors
    # those of an aborted batch do not count
    assert not Story().add("PLANNED", FIRST).add("ABORTED", FIRST, floors=2).dataset_state.floors


def test_a_rerun_is_cleared_by_the_snapshot_only() -> None:
    story = delivered(Story(), FIRST).rerun()
    assert (story.dataset_state.rerun, story.dataset_state.settled) == (True, False)
    delivered(story, SECOND)
    assert story.dataset_state.rerun
    story.add("PLANNED", THIRD).add("ABORTED", THIRD)
    assert story.dataset_state.rerun
    snapshot = a_plan("snapshot", 11, seq=4, epoch=2, instant=400)
    story.add("PLANNED", snapshot)
    assert story.dataset_state.rerun
    story.add("STAGED", snapshot).add("COMMITTED", snapshot)
    assert (story.dataset_state.rerun, story.dataset_state.last) == (False, snapshot)


def test_asking_again_for_a_rerun_unsettles_it() -> None:
    story = delivered(Story(), FIRST).rerun().add("LOST", a_plan("lost", 9, seq=2))
    assert story.dataset_state.settled
    assert not story.rerun().dataset_state.settled


def test_a_rerun_of_events_is_fulfilled_by_the_loss() -> None:
    enabled = a_plan("enable", 7, dataset="fan_track_events", seq=1)
    lost = a_plan("lost", 9, dataset="fan_track_events", seq=2)
    story = Story("fan_track_events").add("COMMITTED", enabled).rerun()
    assert story.dataset_state.rerun
    story.add("LOST", lost)
    assert (story.dataset_state.rerun, story.dataset_state.settled, story.dataset_state.last) == (
        False,
        False,
        lost,
    )


def test_datasets_do_not_touch_each_other() -> None:
    events = a_plan("enable", 3, dataset="fan_track_events", seq=1, instant=50)
    rows = [*delivered(Story(), FIRST).rows, *Story("fan_track_events").add("COMMITTED", events).rerun().rows]
    dataset_states = fold(rows)
    assert dataset_states["fan_profiles"] == DatasetState(transition=3, seq=1, instant=100, last=FIRST)
    assert dataset_states["fan_track_events"].rerun
    assert not dataset_states["fan_profiles"].rerun


def test_old_batches_need_no_plans() -> None:
    """A ledger reads the plans of the last few batches only; the numbers go on all the same."""
    story = delivered(delivered(Story(), FIRST, known=False, floors=1), SECOND)
    assert story.dataset_state == DatasetState(transition=6, seq=2, instant=200, last=SECOND, floors=True)
