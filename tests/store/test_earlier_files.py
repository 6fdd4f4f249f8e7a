"""What an earlier ledger delivered is found in real buckets by listing them, and only where they may be listed."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from rover_spark.config.settings import Settings, parse
from rover_spark.contract.keys import file_token, rover_key
from rover_spark.deliver.adoption import Adoption
from rover_spark.model.dataset_state import DatasetState
from rover_spark.produce import port
from rover_spark.produce.port import Earlier
from rover_spark.store import Store, open_store
from tests.store.buckets import SERVERS, put

HOUR = datetime(2026, 11, 21, 10, tzinfo=timezone.utc)
FULL = {"gcs", "azure"}


def key(prefix: str, name: str, seq: int) -> str:
    token = file_token(name, 1, "fan_profiles", f"fan_profiles.1.{seq}", 0, 0)
    return rover_key(prefix, "fan_profiles", HOUR, token)


def earlier(store: Store, settings: Settings, dataset: str, dataset_state: DatasetState) -> Earlier | None:
    adoption = Adoption(store, settings, port.owner(settings), adopt=True)
    adoption.look(dataset, dataset_state)
    return adoption.adopted[0] if adoption.adopted else None


def test_in_a_directory(tmp_path: Path) -> None:
    settings = parse(tree(f"file://{tmp_path}/bucket"))
    store = open_store(settings.destination, "acme", settings.access)
    assert earlier(store, settings, "fan_profiles", DatasetState()) is None, "there is no directory yet"
    for name in ("acme-eu", "acme"):
        path = tmp_path / "bucket" / key("", name, 4)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        found = earlier(store, settings, "fan_profiles", DatasetState())
        assert (found.batch if found else None) == {"acme-eu": None, "acme": "fan_profiles.1.4"}[name]


@pytest.mark.parametrize(
    "server", [pytest.param(each, marks=pytest.mark.full if each in FULL else ()) for each in SERVERS]
)
def test_in_a_bucket(server: str, request: pytest.FixtureRequest) -> None:
    bucket = SERVERS[server](request.getfixturevalue(server))
    settings = parse({**tree(f"{bucket.url}/pre"), "store": bucket.access.model_dump(exclude_defaults=True)})
    store = open_store(settings.destination, "acme", settings.access)
    assert earlier(store, settings, "fan_profiles", DatasetState()) is None
    for seq in range(12):
        put(bucket, key("pre", "acme-eu", seq), b"x")
    put(bucket, key("pre/fix", "acme", 1), b"x")
    assert earlier(store, settings, "fan_profiles", DatasetState()) is None
    put(bucket, key("pre", "acme", 4), b"x")
    found = earlier(store, settings, "fan_profiles", DatasetState())
    assert found is not None and found.batch == "fan_profiles.1.4"
    least = settings.model_copy(update={"store": settings.store.model_copy(update={"can_read": False})})
    blind = open_store(settings.destination, "acme", least.access)
    assert earlier(blind, least, "fan_profiles", DatasetState()) is None, "nobody may look"


def tree(destination: str) -> dict[str, object]:
    datasets = {"fan_profiles": {"table": "/t/p"}}
    return {"name": "acme", "destination": destination, "ledger": "/data/control/acme", "datasets": datasets}
