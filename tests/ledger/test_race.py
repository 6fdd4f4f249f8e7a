"""Several processes commit each transition at the same instant, without any lock: one of them wins, whatever the store."""

from __future__ import annotations

import errno
import multiprocessing
from pathlib import Path

import pytest

from rover_spark.delta.native_errors import NativeFailed
from rover_spark.delta.storage import Reached
from rover_spark.errors import ConfigError
from rover_spark.ledger.rows import FORMAT_KEY
from rover_spark.ledger.storage.conditions import tried_beside
from tests.ledger.racing import LIMIT, race, storage_at
from tests.proxy import Unconditional

pytest.importorskip("deltalake")
DRIVERS = ("one", "two", "three")


def _raced(location: str, endpoint: str | None, rounds: int) -> None:
    storage = storage_at(location, endpoint)
    storage.create()
    spawned = multiprocessing.get_context("spawn")
    barrier, won = spawned.Barrier(len(DRIVERS)), spawned.Queue()
    drivers = [
        spawned.Process(target=race, args=(name, location, endpoint, rounds, barrier, won))
        for name in DRIVERS
    ]
    for driver in drivers:
        driver.start()
    wins = dict(won.get(timeout=LIMIT + rounds) for _ in drivers)
    for driver in drivers:
        driver.join(LIMIT)
        assert driver.exitcode == 0
    assert sorted(number for each in wins.values() for number in each) == list(range(1, rounds + 1))
    rows = storage.rows(("transition", "note"), "acme", ["batch"])
    held = {(row["note"], row["transition"]) for row in rows}
    assert len(rows) == rounds
    assert held == {(name, number) for name, each in wins.items() for number in each}, (
        "a driver that reported a win did win"
    )


@pytest.mark.law(6)
@pytest.mark.parametrize("rounds", [200, pytest.param(3000, marks=pytest.mark.full)])
def test_each_transition_has_one_winner_on_a_disk(tmp_path: Path, rounds: int) -> None:
    _raced(str(tmp_path / "ledger"), None, rounds)


@pytest.mark.law(6)
@pytest.mark.parametrize("rounds", [40, pytest.param(1000, marks=pytest.mark.full)])
def test_each_transition_has_one_winner_in_a_bucket(s3: str, rounds: int) -> None:
    import boto3

    boto3.client("s3", endpoint_url=s3).create_bucket(Bucket=f"race-{rounds}")
    _raced(f"s3://race-{rounds}/control/ledger", s3, rounds)


@pytest.mark.law(6)
def test_a_server_that_ignores_the_condition_of_a_put_gets_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)  # it checks no signature
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint, location = f"http://{host}:{port}", "s3://unconditional/control/ledger"
        client = boto3.client("s3", endpoint_url=endpoint)
        client.create_bucket(Bucket="unconditional")
        kept = storage_at(location, endpoint)
        kept.create()
        assert kept.take([{"kind": "batch", "export": "acme"}], "app", 1)

        def objects() -> dict[str, str]:
            return {
                each["Key"]: each["ETag"]
                for each in client.list_objects_v2(Bucket="unconditional")["Contents"]
            }

        first = objects()
        with Unconditional(endpoint) as proxy:
            ignoring = storage_at(location, proxy.endpoint)
            assert (ignoring.properties() or {})[FORMAT_KEY] == "1", "it may be read"
            for _ in range(2):
                with pytest.raises(ConfigError, match="ignores the condition") as refused:
                    ignoring.take([{"kind": "batch", "export": "acme"}], "app", 2)
            assert refused.value.code == "ledger_unconditional" and "catalog" in refused.value.remedy
            assert proxy.seen.count("PutObject") == 1, "it is asked once a process"
            assert not tried_beside(ignoring.place, 1000)
        assert tried_beside(kept.place, 1000)
        assert objects() == first, "no object is new, and none is another"
    finally:
        server.stop()


def test_the_place_of_a_ledger_is_tried_without_leaving_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Reached(str(tmp_path / "control" / "ledger"))
    assert tried_beside(place, 1 << 18)
    (tmp_path / "file").write_text("no directory")
    with pytest.raises(NativeFailed, match=r"Not a directory|File exists"):
        tried_beside(Reached(str(tmp_path / "file" / "ledger")), 1)

    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    with pytest.raises(NativeFailed, match="Operation not permitted"):
        tried_beside(place, 1)
    assert not list((tmp_path / "control").iterdir())
