"""A bucket of each kind is loaded as a directory is: both contracts, manifests beside and below, once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from rover_spark.config.settings import parse
from rover_spark.face.receivers.load import load
from tests.consume.ddl.export import BEGIN
from tests.consume.load.arrivals import TABLES, story
from tests.consume.load.loading import DUCKDB, differences
from tests.store.buckets import SERVERS, put

LATE = BEGIN + timedelta(days=10)
FULL = [pytest.param(name, marks=pytest.mark.full) for name in SERVERS if name != "s3"]
ANNOUNCED = 9  # a story in which every stream but one has manifests


@pytest.mark.parametrize("server", ["s3", *FULL])
def test_a_bucket_of_each_kind_is_loaded_once(
    server: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    bucket = SERVERS[server](request.getfixturevalue(server))
    told, into = story(ANNOUNCED, "some/acme"), tmp_path / "crm.duckdb"
    for key, data in told.place.items():
        put(bucket, f"some/{key}", data)
    settings = parse(
        {
            "name": "acme",
            "destination": f"{bucket.url}/some/acme",
            "ledger": "/data/control",
            "store": bucket.access.model_dump(exclude_defaults=True),
            "datasets": {"fan_profiles": {"table": "/data/tables/fan_profiles"}},
        }
    )
    found = load(settings=settings, into=into, now=LATE)
    assert (found.ok, found.manifests, found.waiting, found.unnamed) == (True, len(told.batches), 0, 0)
    assert differences(DUCKDB, into, told.export) == []
    for name in TABLES.values():
        assert {each for (each,) in DUCKDB.ask(into, f"SELECT id FROM {name}_raw")} == told.ids(f"{name}_raw")
    assert load(settings=settings, into=into, now=LATE).result == "nothing to do"

    key = next(each for each in told.place if each.endswith(".gz"))
    put(bucket, f"some/{key}", told.place[key][:-5])
    assert load(settings=settings, into=into, now=LATE).quarantined == 1
    put(bucket, f"some/{key}", told.place[key])
    healed = load(settings=settings, into=into, now=LATE)
    assert [(each.objects, each.new, each.damaged) for each in healed.datasets] == [(1, 0, 0)]
