"""Which files in a bucket a ledger should know: told from the keys alone, and without looking further than it must."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from rover_spark.config.settings import Settings, parse
from rover_spark.contract.avro import parse as parse_schema
from rover_spark.contract.currents import Integration, currents_key
from rover_spark.contract.keys import file_token, rover_key
from rover_spark.deliver.adoption import Adoption
from rover_spark.errors import ConfigError
from rover_spark.model.dataset_state import DatasetState
from rover_spark.model.table import HistoryRow
from rover_spark.produce import port
from rover_spark.produce.currents import producer as currents
from rover_spark.produce.currents.plan import EventPlan, EventSource, Slice
from rover_spark.produce.currents.steps import registered
from rover_spark.produce.port import Earlier
from rover_spark.produce.rover import keys as rover_keys
from rover_spark.store import ObjectInfo
from rover_spark.store.memory import MemoryStore
from tests.plans import EU, event_plan

HOUR = datetime(2026, 11, 21, 10, tzinfo=timezone.utc)
PROFILES = "fan_profiles"
BASE = {"name": "acme", "destination": "memory://bucket/pre", "ledger": "/data/control/acme"}
ROVER = parse({**BASE, "datasets": {PROFILES: {"table": "/t/p"}, "fan_identity_graph": {"table": "/t/i"}}})
CURRENTS = parse(
    {
        **BASE,
        "contract": "currents",
        "currents": vars(EU),
        "events": {name: {"table": "/t/e"} for name in ("a.B", "c.D")},
    }
)


def plan_of(*event_types: str) -> EventPlan:
    """A batch that these event types took part in."""
    source, commits = EventSource("/t", None, {}, (), False), (HistoryRow(0, 0, "WRITE"),)
    slices = tuple(Slice(each, source, None, 0, "t", commits, 1, 15_000, ()) for each in event_types)
    return event_plan(phase="enable", destination=BASE["destination"], slices=slices)


class Bucket(MemoryStore):
    """Keys without bytes, that counts how many of them were listed, and where."""

    def __init__(self, *keys: str, can_read: bool = True) -> None:
        super().__init__("bucket/pre")
        self.keys, self.listed, self.asked = keys, 0, list[str]()
        self.can_read = can_read  # type: ignore[misc]

    def listing(self, prefix: str) -> Iterator[ObjectInfo]:
        self.asked.append(prefix)
        for key in self.keys:
            if key.startswith(prefix):
                self.listed += 1
                yield ObjectInfo(key, 1)


def file(
    seq: int = 1, *, epoch: int = 1, chunk: int = 0, part: int = 0, name: str = "acme", prefix: str = "pre"
) -> str:
    batch = f"{PROFILES}.{epoch}.{seq}"
    token = file_token(name, epoch, PROFILES, batch, chunk, part)
    return rover_key(prefix, PROFILES, HOUR + timedelta(seconds=seq), token)


def event(event_type: str = "a.B", place: Integration = EU, prefix: str = "pre") -> str:
    return currents_key(prefix, place, event_type, HOUR, 1, 0, 0)


def found(
    bucket: Bucket,
    settings: Settings = ROVER,
    dataset: str = PROFILES,
    dataset_state: DatasetState | None = None,
) -> Any:
    adoption = Adoption(bucket, settings, port.owner(settings), adopt=True)
    adoption.look(dataset, dataset_state or DatasetState())
    return adoption.adopted[0] if adoption.adopted else None


OTHERS = (
    *(file(seq, name="acme-eu") for seq in range(1, 20)),  # another export
    file(1, prefix="other/pre"),
    file(1).replace("exports", "export"),
    "pre/exports/fan_profiles/stray.txt",
    "pre/exports/fan_profiles/date=2026-11-21/hour=10/9-9.ndjson.gz",
)


@pytest.mark.parametrize(
    ("key", "batch"),
    [
        (file(1), "fan_profiles.1.1"),
        (file(1, chunk=3), "fan_profiles.1.1"),  # of many small files the first may have none
        (file(7), "fan_profiles.1.7"),  # those before it went by a lifecycle rule
        (file(9, epoch=3), "fan_profiles.3.9"),
        (
            file(700, epoch=5),
            "fan_profiles.5.700",
        ),  # a receiver that empties what it loaded asks for many reruns
        (file(17_280), "fan_profiles.1.17280"),  # two months of an export every five minutes
    ],
)
def test_a_file_is_this_exports_own_where_its_token_says_so(key: str, batch: str) -> None:
    assert found(Bucket(*OTHERS, key)) == Earlier(PROFILES, key, batch)


def test_what_others_deliver_into_the_same_folder_is_no_reason_to_refuse() -> None:
    assert found(Bucket(*OTHERS)) is None


def test_another_datasets_files_are_none_of_it() -> None:
    bucket = Bucket(file(1))
    assert found(bucket, dataset="fan_identity_graph") is None
    assert bucket.asked == ["pre/exports/fan_identity_graph/"]


def test_where_the_ledger_has_a_batch_or_the_role_may_not_list_nothing_is_looked_at() -> None:
    plan = plan_of()
    for dataset_state in (DatasetState(last=plan), DatasetState(open=plan, open_state="PLANNED")):
        assert found(bucket := Bucket(file(1)), dataset_state=dataset_state) is None
        assert not bucket.asked
    assert found(bucket := Bucket(file(1), can_read=False)) is None
    assert not bucket.asked
    assert found(Bucket(file(1)), dataset_state=DatasetState(seq=1, aborted=(1,))), (
        "a batch that was aborted delivered nothing"
    )


def test_the_look_ends_at_the_first_file_that_it_knows_and_at_a_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bucket = Bucket(*(file(seq) for seq in range(1, 500)))
    assert found(bucket).batch == "fan_profiles.1.1"
    assert bucket.listed == 1
    monkeypatch.setattr(rover_keys, "LOOKED_AT", 30)
    bucket = Bucket(*(file(seq, name="acme-eu") for seq in range(1, 500)), file(1))
    assert found(bucket) is None
    assert bucket.listed == 30


@pytest.mark.parametrize(
    ("key", "own"),
    [
        (event(), True),
        (event("e.F"), True),  # an event type of another day
        (event(place=replace(EU, zone="us")), False),
        (event(place=replace(EU, integration_id="65f1c2d3x")), False),
        (event(prefix="other"), False),
        (f"pre/{EU.name}/event_type=a.B/notes.txt", False),
    ],
)
def test_an_integrations_files_are_told_by_their_keys(key: str, own: bool) -> None:
    assert found(Bucket(key), CURRENTS, "events") == (Earlier("events", key) if own else None)


def test_of_an_integration_that_began_only_new_event_types_are_looked_at() -> None:
    last = plan_of("a.B")
    bucket = Bucket(event("a.B"), event("c.D"))
    about = 'events."c.D"'
    assert found(bucket, CURRENTS, "events", DatasetState(last=last)) == Earlier(about, event("c.D"))
    assert bucket.asked == [f"pre/{EU.name}/event_type=c.D/"]
    assert found(Bucket(event("a.B")), CURRENTS, "events", DatasetState(last=last)) is None
    assert found(bucket, CURRENTS, "events", DatasetState(last=plan_of("a.B", "c.D"))) is None


def test_what_is_found_is_refused_until_it_is_adopted_and_then_told() -> None:
    refusing, adopting = (
        Adoption(Bucket(file(3)), ROVER, port.owner(ROVER), adopt) for adopt in (False, True)
    )
    with pytest.raises(ConfigError) as caught:
        refusing.look(PROFILES, DatasetState())
    told = caught.value
    assert (told.code, told.exit_code) == ("ledger_unaware", 2)
    assert "/data/control/acme knows no batch of fan_profiles" in told.message and file(3) in told.message
    assert "fan_profiles.1.3" in told.message and "--adopt-empty-ledger" in told.remedy
    adopting.look(PROFILES, DatasetState())
    adopting.look("fan_identity_graph", DatasetState())
    (notice,) = adopting.notices
    assert notice.code == "ledger_adopted" and file(3) in notice.message
    assert "empty fan_profiles" in notice.remedy


def test_an_integration_that_is_adopted_goes_on_above_all_that_stands_there() -> None:
    keys = (
        currents_key("pre", EU, "a.B", HOUR, 2, 0, 500),
        currents_key("pre", EU, "a.B", HOUR, 7, 0, 90),
        currents_key("pre", EU, "a.B", HOUR, 2, 2, 0),
        currents_key("pre", EU, "e.F", HOUR, 3, 0, 0),
        currents_key("pre", replace(EU, zone="us"), "a.B", HOUR, 99, 0, 10**9),
        f"pre/{EU.name}/notes.txt",
    )
    with pytest.raises(ConfigError) as caught:
        Adoption(Bucket(*keys), CURRENTS, port.owner(CURRENTS)).look("events", DatasetState())
    assert caught.value.code == "ledger_unaware" and "--adopt-empty-ledger" in caught.value.remedy
    adopting = Adoption(Bucket(*keys), CURRENTS, port.owner(CURRENTS), adopt=True)
    nothing: Any = None
    producer = currents.producer(nothing, CURRENTS, nothing, 0, asked=False)
    adopting.look("events", DatasetState(), producer)
    assert producer.taken.schema_id == 7
    # a file holds 100,000 events at the most, and its name does not tell how many
    assert producer.taken.offsets("a.B") == (100_500, 0, 100_000)
    assert producer.taken.offsets("e.F") == (100_000,) and producer.taken.offsets("c.D") == ()
    (notice,) = adopting.notices
    assert notice.code == "ledger_adopted" and "offsets and schema ids go on above" in notice.message


def test_an_adopted_integrations_first_schemas_take_the_next_ids() -> None:
    text = (
        '{"type":"record","name":"B","fields":[{"name":"id","type":"string"},{"name":"time","type":"int"}]}'
    )
    first = parse_schema(text)
    ids, new = registered({"a.B": first}, [], "events.1.1", allow_breaking=False, taken=7)
    assert ids == {"a.B": 8}
    later = {"a.B": first, "c.D": parse_schema(text.replace('"B"', '"D"'))}
    assert registered(later, new, "events.1.2", allow_breaking=False, taken=0)[0] == {"a.B": 8, "c.D": 9}
    assert registered(later, new, "events.1.2", allow_breaking=False, taken=30)[0] == {"a.B": 8, "c.D": 31}
