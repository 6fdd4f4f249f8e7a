"""What of a dataset's settings may change without a snapshot, and for how long a confirmation counts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from rover_spark.contract.rover import DATASETS
from rover_spark.errors import ConfigError, SourceChanged
from rover_spark.model.dataset_state import (
    ACCEPTED,
    RERUN,
    Accepted,
    BatchRecord,
    DatasetState,
    Transition,
    fold,
)
from rover_spark.produce.rover.plan import Source
from rover_spark.produce.rover.steps import accepted_columns, accepting, agreed, refuse_changed
from tests.produce.rover.test_plan import a_plan


def source(dataset: str, **fields: Any) -> Source:
    contract = DATASETS[dataset]
    columns = {field.name: field.name for field in contract.fields} | fields.pop("columns", {})
    whole = Source("/t", columns, contract.natural_key, None, {"tier": "tier"}, "suppress")
    return replace(whole, **fields)


# dataset, what the settings say now → the columns accepted, or what of it only a rerun confirms
CASES: list[tuple[str, dict[str, Any], list[str] | str]] = [
    ("fan_profiles", {"columns": {"traits": "struct(a, b)"}}, ["traits"]),
    ("fan_profiles", {"columns": {"traits": "t2"}, "extra": {"new": "x"}, "deletes": "tombstone"}, ["traits"]),
    ("fan_profiles", {"columns": {"roverID": "id"}}, "datasets.fan_profiles.columns.roverID: decides"),
    ("fan_profiles", {"columns": {"updatedAt": "at", "traits": "t"}}, "datasets.fan_profiles.columns.updatedAt: decides"),
    ("fan_profiles", {"columns": {"updatedAt": "at"}, "natural_key": ("roverID",)}, "datasets.fan_profiles.natural_key, datasets.fan_profiles.columns.updatedAt:"),
    ("fan_profiles", {"columns": {"traits": "t"}, "table": "/u"}, "datasets.fan_profiles.table: decides"),
    ("fan_profiles", {"columns": {"traits": "t"}, "where": "a"}, "datasets.fan_profiles.where: decides"),
    ("fan_profiles", {"columns": {"traits": "t"}, "natural_key": ("roverID",)}, "datasets.fan_profiles.natural_key: decides"),
    ("fan_profiles", {}, "fan_profiles: its settings do not differ"),
    ("fan_profiles", {"extra": {"new": "x"}}, "fan_profiles: its settings do not differ"),
    ("fan_identity_graph", {"columns": {"identifierType": "k"}}, "datasets.fan_identity_graph.columns.identifierType:"),
    ("fan_identity_graph", {"columns": {"identifier": "k"}}, "datasets.fan_identity_graph.columns.identifier:"),
    ("fan_identity_graph", {"identifiers": {"email": "email"}}, "datasets.fan_identity_graph.identifiers:"),
    ("fan_profile_merges", {"columns": {"mergedRoverID": "k"}}, "datasets.fan_profile_merges.columns.mergedRoverID:"),
    ("fan_profile_merges", {"columns": {"occurredAt": "k"}}, "datasets.fan_profile_merges.columns.occurredAt:"),
    ("fan_track_events", {"columns": {"name": "n", "device": "d", "attributes": "a"}}, ["name", "attributes", "device"]),
    ("fan_track_events", {"columns": {"timestamp": "to_timestamp(at)"}}, ["timestamp"]),
    ("fan_track_events", {"columns": {"eventID": "e"}}, "datasets.fan_track_events.columns.eventID:"),
]  # fmt: skip


def test_only_columns_outside_of_key_id_and_order_are_accepted() -> None:
    for dataset, fields, expected in CASES:
        wanted, last = (
            source(dataset, **fields),
            a_plan("changes", 9, dataset=dataset, source=source(dataset)),
        )
        dataset_state = DatasetState(seq=4, last=last)
        if isinstance(expected, list):
            assert accepting(dataset, wanted, dataset_state) == expected
            with pytest.raises(SourceChanged) as changed:
                refuse_changed(dataset, wanted, dataset_state)
            assert f"rover-spark accept -c FILE --dataset {dataset}" in changed.value.remedy
            assert "rover-spark rerun" in changed.value.remedy
            confirmed = replace(dataset_state, accepted=Accepted(wanted.columns, 4))
            refuse_changed(dataset, wanted, confirmed)
            assert accepted_columns(confirmed) == expected
            again = replace(wanted, columns={**wanted.columns, expected[0]: "other"})
            with pytest.raises(SourceChanged, match="what was accepted after batch"):
                refuse_changed(dataset, again, confirmed)
            assert accepting(dataset, again, confirmed) == expected[:1]
            with pytest.raises(ConfigError, match="a rerun was asked for"):
                accepting(dataset, wanted, replace(dataset_state, rerun=True))
            continue
        with pytest.raises(ConfigError) as caught:
            accepting(dataset, wanted, dataset_state)
        assert caught.value.code == "accept_refused" and caught.value.message.startswith(expected), fields
        assert caught.value.remedy
        if "decides" in caught.value.message:
            with pytest.raises(SourceChanged) as changed:
                refuse_changed(dataset, wanted, dataset_state)
            assert "accept" not in changed.value.remedy.replace("--accept-gap", "")
    with pytest.raises(ConfigError, match="never delivered"):
        accepting("fan_profiles", source("fan_profiles"), DatasetState())


OLD, NEW = source("fan_profiles"), source("fan_profiles", columns={"traits": "struct(a, b)"})
PLANS = {seq: a_plan("changes", seq + 6, seq=seq, source=OLD if seq < 3 else NEW) for seq in (1, 2, 3, 4)}


def told(*story: tuple[str, int]) -> DatasetState:
    """The dataset state of a ledger with these transitions: (state, batch number); an ACCEPTED one after that batch."""
    rows = []
    for number, (state, seq) in enumerate(story, 1):
        if seq and state != ACCEPTED:
            record = BatchRecord.of(PLANS[seq], state, {})  # type: ignore[arg-type]
        else:
            note = Accepted(NEW.columns, seq).to_json() if state == ACCEPTED else None
            record = BatchRecord("", "fan_profiles", 0, 0, "", state, 0, {}, note=note)  # type: ignore[arg-type]
        rows.append(Transition("fan_profiles", number, state, record))
    return fold(rows)["fan_profiles"]


DELIVERED = (("PLANNED", 1), ("STAGED", 1), ("COMMITTED", 1))


def test_a_confirmation_counts_until_a_batch_was_delivered_with_it() -> None:
    accepted = told(*DELIVERED, (ACCEPTED, 1))
    assert accepted.accepted == Accepted(NEW.columns, 1) and agreed(accepted).columns == NEW.columns
    assert (accepted.transition, accepted.last, accepted.seq) == (4, PLANS[1], 1)
    # batch 2 was planned before, with the old columns: it does not use the confirmation up
    open_ = told(*DELIVERED, ("PLANNED", 2), (ACCEPTED, 2), ("STAGED", 2), ("COMMITTED", 2))
    assert open_.accepted and agreed(open_) == NEW
    planned = told(*DELIVERED, (ACCEPTED, 2), ("PLANNED", 3))
    assert planned.accepted and planned.open == PLANS[3]
    aborted = told(*DELIVERED, (ACCEPTED, 2), ("PLANNED", 3), ("ABORTED", 3))
    assert aborted.accepted
    done = told(*DELIVERED, (ACCEPTED, 2), ("PLANNED", 3), ("STAGED", 3), ("COMMITTED", 3))
    assert done.accepted is None and agreed(done) == NEW and accepted_columns(done) == []
    assert replace(planned.after(PLANS[3]), transition=done.transition) == done, (
        "a running export sees the same"
    )
    again = told(*DELIVERED, (ACCEPTED, 1), ("COMMITTED", 1))
    assert again.accepted, "a redelivery of an older batch changes nothing"
    rerun = told(*DELIVERED, (ACCEPTED, 1), (RERUN, 0))
    assert rerun.rerun and agreed(rerun).columns == NEW.columns


def test_a_version_that_does_not_know_the_transition_passes_over_it() -> None:
    """Rolled back, it still counts the transition, and refuses the changed columns as before."""
    rows = [("SOMETHING_NEWER", 0)]
    dataset_state = told(*DELIVERED, *rows)
    assert dataset_state == replace(told(*DELIVERED), transition=4)
    tree = json.loads(Accepted(NEW.columns, 7).to_json())
    assert tree == {"columns": dict(NEW.columns), "after": 7}
    assert Accepted.from_json(json.dumps({**tree, "by": "somebody"})) == Accepted(NEW.columns, 7)


def test_a_head_without_plans_keeps_to_the_same_rule() -> None:
    old = BatchRecord.of(PLANS[3], "COMMITTED", {})
    bare = replace(old, plan=None)
    note = BatchRecord(
        "", "fan_profiles", 0, 0, "", "PLANNED", 0, {}, note=Accepted(NEW.columns, 2).to_json()
    )
    rows = [Transition("fan_profiles", 1, ACCEPTED, note), Transition("fan_profiles", 2, "COMMITTED", bare)]
    assert fold(rows)["fan_profiles"].accepted is None
