"""Schemas beside the data: what receivers find, on each kind of store and without the right to read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from rover_spark.contract.currents import Integration
from rover_spark.deliver import pages
from rover_spark.errors import ConfigError
from rover_spark.model.dataset_state import BatchRecord
from rover_spark.model.schema import RegisteredSchema
from rover_spark.produce.currents.plan import EventSource, Slice
from rover_spark.produce.currents.schemas import EventSchemaPages, beside
from rover_spark.store import Store, open_store
from tests.plans import event_plan
from tests.store.buckets import SERVERS

PLACE = Integration("prod-01", "S3", "65f1c2d3", "eu")
SOURCE = EventSource("/t", None, {}, (), False)
FIRST = '{"type":"record","name":"Purchase","fields":[{"name":"id","type":"string"}]}'
SECOND = FIRST.replace("]}", ',{"name":"n","type":["null","long"],"default":null}]}')
HISTORY = (
    RegisteredSchema(1, "users.behaviors.Purchase", FIRST, "f1", (), "events.1.1"),
    RegisteredSchema(2, "users.messages.email.Open", FIRST, "f1", (), "events.1.1"),
    RegisteredSchema(3, "users.behaviors.Purchase", SECOND, "f2", ("n was added",), "events.1.4"),
)


def put(store: Store, schemas: Sequence[RegisteredSchema]) -> list[str]:
    """All of them, as delivered batches use them."""
    slices = tuple(Slice(each.event_type, SOURCE, 1, 1, "t", (), each.id, 15_000, ()) for each in schemas)
    plan = event_plan(integration=PLACE, slices=slices)
    made = EventSchemaPages("", PLACE.name).pages(
        store.prefix, schemas, [BatchRecord.of(plan, "COMMITTED", {})]
    )
    return pages.put(store, made)


@pytest.mark.parametrize("can_read", [True, False])
@pytest.mark.parametrize("server", SERVERS)
def test_schemas_lie_beside_the_events_and_never_among_them(
    request: pytest.FixtureRequest, server: str, can_read: bool
) -> None:
    bucket = SERVERS[server](request.getfixturevalue(server))
    access = bucket.access.model_copy(update={"can_read": can_read})
    store = open_store(beside(f"{bucket.url}/all/acme"), "acme", access)
    keys = put(store, HISTORY[:2])
    assert sorted(bucket.objects()) == sorted(keys)
    keys = put(store, HISTORY)
    found = bucket.objects()
    assert sorted(found) == sorted(keys) and len(found) == 4 and bucket.staged() == 0
    assert not any(key.startswith("all/acme") for key in found), "receivers search all keys that begin so"
    root = f"all/schemas.acme/{PLACE.name}"
    assert json.loads(found[f"{root}/users.behaviors.Purchase/3.avsc"]) == json.loads(SECOND)
    log = found[f"{root}/CHANGELOG.md"].decode()
    assert log.index("## 3: `users.behaviors.Purchase`") < log.index("n was added") < log.index("## 2: ")
    # somebody's damage is mended by putting them again
    put(store, [replace(HISTORY[0], text=SECOND)])
    put(store, HISTORY)
    assert bucket.objects() == found


@pytest.mark.parametrize(
    ("destination", "place"),
    [
        ("s3://bucket/acme", "s3://bucket/schemas.acme"),
        ("gs://bucket/a/b", "gs://bucket/a/schemas.b"),
        ("file:///data/acme", "file:///data/schemas.acme"),
        ("file:///acme", "file:///schemas.acme"),
        ("s3://bucket/sch", "s3://bucket/avsc.sch"),  # receivers search all that begins with it
        ("s3://bucket/a", "s3://bucket/schemas.a"),
        ("s3://bucket", None),
        ("az://container", None),
    ],
)
def test_a_whole_bucket_has_no_place_beside_it(destination: str, place: str | None) -> None:
    if place is None:
        with pytest.raises(ConfigError, match="whole bucket"):
            beside(destination)
    else:
        assert beside(destination) == place
