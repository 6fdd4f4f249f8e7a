"""Schemas beside the data: what receivers find, on each kind of store and with the least rights."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from rover_spark.contract.currents import Integration
from rover_spark.eventplan import RegisteredSchema
from rover_spark.registry import folder, put_beside
from rover_spark.store import open_store
from tests.store.buckets import SERVERS

PLACE = Integration("prod-01", "S3", "65f1c2d3", "eu")
FIRST = '{"type":"record","name":"Purchase","fields":[{"name":"id","type":"string"}]}'
SECOND = FIRST.replace("]}", ',{"name":"n","type":["null","long"],"default":null}]}')
HISTORY = (
    RegisteredSchema(1, "users.behaviors.Purchase", FIRST, "f1", (), "events.1.1"),
    RegisteredSchema(2, "users.messages.email.Open", FIRST, "f1", (), "events.1.1"),
    RegisteredSchema(3, "users.behaviors.Purchase", SECOND, "f2", ("n was added",), "events.1.4"),
)


@pytest.mark.parametrize("can_read", [True, False])
@pytest.mark.parametrize("server", SERVERS)
def test_schemas_lie_beside_the_events_and_never_among_them(
    request: pytest.FixtureRequest, server: str, can_read: bool
) -> None:
    bucket = SERVERS[server](request.getfixturevalue(server))
    access = bucket.access.model_copy(update={"can_read": can_read})
    store = open_store(f"{bucket.url}/acme", "acme", access)
    keys = put_beside(store, PLACE.name, HISTORY[:2])
    assert sorted(bucket.objects()) == sorted(keys)
    keys = put_beside(store, PLACE.name, HISTORY)
    found = bucket.objects()
    assert sorted(found) == sorted(keys) and len(found) == 4 and bucket.staged() == 0
    receives = f"acme/{PLACE.name}"
    assert not any(key.startswith(receives) for key in found), "not even by a prefix without a slash"
    root = f"acme/{folder(PLACE.name)}"
    assert json.loads(found[f"{root}/users.behaviors.Purchase/3.avsc"]) == json.loads(SECOND)
    log = found[f"{root}/CHANGELOG.md"].decode()
    assert log.index("## 3: `users.behaviors.Purchase`") < log.index("n was added") < log.index("## 2: ")
    # somebody's damage is mended by putting them again
    put_beside(store, PLACE.name, [replace(HISTORY[0], text=SECOND)])
    put_beside(store, PLACE.name, HISTORY)
    assert bucket.objects() == found
