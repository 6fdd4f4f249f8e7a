"""Law 6: exclusive.

A key is published for the first time once, and we never replace its payload by another one. A foreign object at a key is
left alone where `store.can_read` is set; without it, it is not noticed. Two drivers that race for one batch do no harm: one
plans, the other follows or is refused. `redeliver` replaces on purpose: a damaged object is to be healed.
"""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from rover_spark.errors import DatasetBusy
from rover_spark.face import commands
from rover_spark.ledger.lease import leased, locked
from tests.crash.child import settings_of
from tests.crash.scene import copy_tables, destined
from tests.e2e.world import fingerprint
from tests.store.buckets import SERVERS, Bucket

pytestmark = pytest.mark.law(6)

ROUNDS = 1000
PROCESSES = 4
DRIVERS = ("one", "two")


def _rounds() -> list[Any]:
    """How often which contract at which server; CI has the first."""
    rest = [(contract, server, 4) for server in ("gcs", "azure") for contract in ("rover", "currents")]
    rest += [("currents", "s3", 2), ("rover", "s3", 10), ("currents", "s3", 10)]
    few = [("rover", "s3", 1)]
    return [*few, *(pytest.param(*each, marks=pytest.mark.full) for each in rest)]


def _drive(worlds: list[Path]) -> None:
    """Two drivers deliver in each world, both at the same instant."""
    drivers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.crash.driver", mine, other, *map(str, worlds)],
            cwd=Path(__file__).parents[2],
        )
        for mine, other in (DRIVERS, DRIVERS[::-1])
    ]
    try:
        assert [driver.wait(timeout=1200) for driver in drivers] == [0, 0]
    finally:
        for driver in drivers:
            driver.kill()


@pytest.mark.parametrize(("contract", "server", "rounds"), _rounds())
def test_two_drivers_started_together_give_one_result_each_time(
    spark: SparkSession,
    whole: Path,
    delivered: dict[str, str],
    tmp_path: Path,
    request: pytest.FixtureRequest,
    contract: str,
    server: str,
    rounds: int,
) -> None:
    endpoint = request.getfixturevalue(server)
    worlds = [tmp_path / str(n) for n in range(rounds)]
    buckets: dict[int, Bucket] = {}
    for number, root in enumerate(worlds):
        copy_tables(whole, root)
        if number % 4 >= 2:  # half of them into a bucket, with and without the right to read
            buckets[number] = SERVERS[server](endpoint)
            destined(buckets[number], root, can_read=number % 4 == 2)
    _drive(worlds)
    for number, root in enumerate(worlds):
        reports = [json.loads((root / f"{name}.json").read_text()) for name in DRIVERS]
        if number in buckets:
            assert buckets[number].fingerprint() == delivered, (number, reports)
        else:
            assert fingerprint(root / "bucket") == fingerprint(whole / "bucket"), (number, reports)
        assert [each["result"] for each in reports].count("done") >= 1, (number, reports)
        assert {code for each in reports for code in each["codes"]} <= {"dataset_busy"}, (number, reports)
        assert commands.export(spark, settings_of(root)).result == "nothing to do"
        if number % 4 != 3:  # there nobody may read
            assert commands.verify(spark, settings_of(root)).ok


@pytest.mark.parametrize(
    ("contract", "rounds"), [("rover", 1), pytest.param("rover", 10, marks=pytest.mark.full)]
)
def test_two_drivers_on_a_ledger_in_a_bucket_give_one_result_each_time(
    spark: SparkSession, whole: Path, tmp_path: Path, s3: str, contract: str, rounds: int
) -> None:
    """There is no lock: of two commits of one transition the server takes the first, by the condition of the put."""
    pytest.importorskip("deltalake")
    import boto3

    bucket = f"control-{rounds}"
    boto3.client("s3", endpoint_url=s3).create_bucket(Bucket=bucket)
    worlds = [tmp_path / str(n) for n in range(rounds)]
    for number, root in enumerate(worlds):
        copy_tables(whole, root)
        agreed = json.loads((root / "agreed.json").read_text())
        place = {"ledger": f"s3://{bucket}/{number}/acme", "tables": {"engine": "auto", "endpoint": s3}}
        (root / "agreed.json").write_text(json.dumps({**agreed, **place}))
    _drive(worlds)
    for number, root in enumerate(worlds):
        reports = [json.loads((root / f"{name}.json").read_text()) for name in DRIVERS]
        assert fingerprint(root / "bucket") == fingerprint(whole / "bucket"), (number, reports)
        assert [each["result"] for each in reports].count("done") >= 1, (number, reports)
        assert not [code for each in reports for code in each["codes"]], (number, reports)
        settings = settings_of(root)
        shown = commands.status(spark, settings)
        assert [each.state for each in shown.batches] == ["COMMITTED"], (
            "one of them planned, and both followed"
        )
        assert (
            commands.export(spark, settings).result == "nothing to do" and commands.verify(spark, settings).ok
        )


def _claim(path: Path, barrier: Barrier, name: str) -> None:
    """At the same instant as the others: whoever comes first in a round leaves its name."""
    for number in range(ROUNDS):
        taken = path / str(number)
        barrier.wait(60)
        with locked(path / "ledger.lock"):
            if not taken.exists():
                taken.write_text(name)
                with (path / f"{name}.won").open("a") as won:
                    won.write(f"{number}\n")


def test_one_of_four_aligned_processes_wins_a_claim_a_thousand_times(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(PROCESSES)
    claimants = [context.Process(target=_claim, args=(tmp_path, barrier, str(n))) for n in range(PROCESSES)]
    for each in claimants:
        each.start()
    for each in claimants:
        each.join(120)
    assert [each.exitcode for each in claimants] == [0] * PROCESSES
    won = [line for path in tmp_path.glob("*.won") for line in path.read_text().splitlines()]
    assert sorted(map(int, won)) == list(range(ROUNDS)), "each round has one winner, and no round has two"


def test_a_lease_is_refused_while_it_is_held_and_free_again_after(tmp_path: Path) -> None:
    path = tmp_path / "acme.lock"
    with (
        leased(path, "fan_profiles"),
        pytest.raises(DatasetBusy, match="another run"),
        leased(path, "fan_profiles"),
    ):
        pass
    with leased(path, "fan_profiles"):
        pass
