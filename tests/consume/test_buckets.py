"""A bucket of each kind, held against the contract as a directory is."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from rover_spark.consume.conform.run import conform
from rover_spark.consume.place import Place, open_place
from rover_spark.store import open_store, staged_whole
from tests.consume.written import AT, currents_bucket, key, rover_bucket
from tests.store.buckets import SERVERS

NOW = AT + timedelta(days=1)


FULL = [pytest.param(name, marks=pytest.mark.full) for name in ("gcs", "azure")]


@pytest.fixture(params=["s3", *FULL])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """One export of each contract below a prefix, with a breach."""
    made = SERVERS[request.param](request.getfixturevalue(request.param))
    store = open_store(f"{made.url}/some/acme", "acme", made.access)
    currents_bucket(rover_bucket(tmp_path))
    (tmp_path / key("fan_profiles")).write_bytes(b"no gzip")
    for path in sorted(tmp_path.rglob("*.*")):
        if path.is_file():
            name = f"some/acme/{path.relative_to(tmp_path).as_posix()}"
            store.publish(staged_whole(store.stage(name, "b.1.1", "one"), name, path.read_bytes()))
    return open_place(f"{made.url}/some/acme", made.access)


def test_a_bucket_of_each_kind_is_held_against_the_contract(place: Place) -> None:
    found = conform(place, now=NOW)
    assert [(each.dataset, each.files) for each in found.datasets][:2] == [
        ("fan_identity_graph", 2),
        ("fan_profile_merges", 2),
    ]
    assert sum(each.records for each in found.datasets) == 330
    assert [(each.code, each.example.key) for each in found.breaches] == [
        ("not_gzip", f"some/acme/{key('fan_profiles')}")
    ]
    late = conform(place, now=NOW, since=AT + timedelta(hours=1))
    assert late.breaches == ()
    assert [each.files for each in late.datasets] == [1, 1, 1, 1]
