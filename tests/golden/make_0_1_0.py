"""Writes ``0_1_0.tar.gz``: tables, ledgers and buckets as version 0.1.0 leaves them when it is killed between two steps.

The code of 0.1.0 itself must do it; a newer one would prove nothing:

    git worktree add --detach ../v010 f08ec4a
    PYTHONPATH=../v010 python tests/golden/make_0_1_0.py

Batches are COMMITTED under both contracts; one of each contract is open at PLANNED and one at STAGED. The archive also
holds what 0.1.0 delivers when it goes on from there. It names no directory of the machine that made it: the rows of the
ledgers stand as JSON with ``@ROOT@`` for the root, and ``fixture.restore`` puts them back wherever a test asks for them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import zlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from fixture import ARCHIVE, EXPORTS, FINISHED, archive, settings, write

COMMIT = "f08ec4a"
KILLED = FINISHED - timedelta(minutes=30)
FEED = "TBLPROPERTIES (delta.enableChangeDataFeed = true)"
CONF = {
    "spark.master": "local[2]",
    "spark.driver.memory": "1g",
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.sql.catalogImplementation": "in-memory",
}
# export, dataset, state at which 0.1.0 is killed
KILLS = (
    ("rover", "fan_profiles", "STAGED"),
    ("rover", "fan_identity_graph", "PLANNED"),
    ("planned", "events", "PLANNED"),
    ("staged", "events", "STAGED"),
)


def _session() -> Any:
    from rover_spark.session import build_session

    return build_session("0.1.0", conf=CONF)


def _run(spark: Any, root: Path, export: str, now: datetime, *datasets: str, **options: bool) -> Any:
    from rover_spark import commands, parse

    result = commands.export(spark, parse(settings(root, export, **options)), datasets=datasets, now=now)
    assert result.ok, result.problems
    return result


class _Tables:
    """The source tables; each statement is a commit."""

    def __init__(self, spark: Any, root: Path) -> None:
        self._spark, self._root = spark, root

    def sql(self, text: str) -> None:
        for name in ("profiles", "identities", "events"):
            text = text.replace(f"{{{name}}}", f"delta.`{self._root}/tables/{name}`")
        self._spark.sql(text)

    def create(self) -> None:
        fan = "rover_id STRING, traits MAP<STRING, STRING>, tier STRING, at TIMESTAMP"
        event = "event_id STRING, kind STRING, fan STRING, at TIMESTAMP, zone STRING, props MAP<STRING, STRING>, n BIGINT"
        self.sql(f"CREATE TABLE {{profiles}} ({fan}) USING delta {FEED}")
        self.sql(
            f"CREATE TABLE {{identities}} (rover_id STRING, kind STRING, value STRING, at TIMESTAMP) USING delta {FEED}"
        )
        self.sql(f"CREATE TABLE {{events}} ({event}) USING delta {FEED}")
        self.fans(0, 20)
        # one row that cannot be delivered: it goes to the quarantine, which stands beside the ledger
        self.sql(
            "INSERT INTO {profiles} VALUES ('no uuid', map('a', 'b'), NULL, TIMESTAMP '2026-11-01 00:00:00')"
        )
        self.events(0, 24)

    def fans(self, first: int, last: int) -> None:
        rover = "concat(lpad(hex(id), 8, '0'), '-0000-4000-8000-', lpad(hex(id), 12, '0'))"
        self.sql(
            f"INSERT INTO {{profiles}} SELECT {rover}, map('name', concat('Åse ', id), 'n', cast(id AS string)), "
            f"'gold', timestamp_seconds(1763700000 + id) FROM range({first}, {last}, 1, 1)"
        )
        self.sql(
            f"INSERT INTO {{identities}} SELECT {rover}, 'email', IF(id = 3, 'secret', concat('f', id, '@example.com')), "
            f"timestamp_seconds(1763700000 + id) FROM range({first}, {last}, 1, 1)"
        )

    def events(self, first: int, last: int) -> None:
        self.sql(
            "INSERT INTO {events} SELECT concat('e', id), IF(id % 3 = 0, 'purchase', 'custom'), concat('fan-', id % 7), "
            "timestamp_seconds(1763700000 + id), 'Europe/Oslo', map('k', cast(id AS string)), id * 100 "
            f"FROM range({first}, {last}, 1, 1)"
        )

    def change(self, turn: int) -> None:
        """Updates, deletes and adds rows: other ones each turn, and of those a turn before some again."""
        at = f"timestamp_seconds({1763800000 + 1000 * turn})"
        number = "conv(substr(rover_id, 1, 8), 16, 10)"
        values = {
            "profiles": f"traits = map('name', 'Ö', 'turn', '{turn}')",
            "identities": f"value = concat(value, '.{turn}')",
        }
        for name, value in values.items():
            self.sql(f"UPDATE {{{name}}} SET {value}, at = {at} WHERE {number} IN ({turn}, {turn + 1})")
            self.sql(f"DELETE FROM {{{name}}} WHERE {number} = {10 + turn}")
        if turn > 1:
            # what was deleted a turn before comes back with a time of its past: its floor raises it
            self.fans(9 + turn, 10 + turn)
        self.fans(17 + 3 * turn, 20 + 3 * turn)
        self.events(15 + 9 * turn, 24 + 9 * turn)


def _prepare(root: Path) -> None:
    """One batch of each stream COMMITTED, of the datasets another, and changes that no batch has."""
    spark = _session()
    tables = _Tables(spark, root)
    tables.create()
    for export in EXPORTS:
        _run(spark, root, export, KILLED - timedelta(hours=2), amount=export == "rover")
    tables.change(1)
    _run(spark, root, "rover", KILLED - timedelta(hours=1))
    tables.change(2)


def _die(root: Path, export: str, dataset: str, state: str) -> None:
    """Delivers, and kills this process as soon as the ledger holds the state."""
    from rover_spark.ledger import Ledger

    record = Ledger.record

    def recording(self: Any, dataset_state: Any, plan: Any, reached: Any, **facts: Any) -> Any:
        after = record(self, dataset_state, plan, reached, **facts)
        if reached == state:
            os.kill(os.getpid(), signal.SIGKILL)
        return after

    Ledger.record = recording  # type: ignore[method-assign]
    _run(_session(), root, export, KILLED, dataset)


def _finish(root: Path) -> None:
    """Commits to each table what no plan pins, archives all as it stands, and then goes on."""
    spark = _session()
    _Tables(spark, root).change(3)
    found, delivered = archive(root), {}
    for export in EXPORTS:
        delivered[export] = _run(spark, root, export, FINISHED).document()["batches"]
    write(ARCHIVE, root, found, {"zlib": zlib.ZLIB_RUNTIME_VERSION, "batches": delivered})


def _require_0_1_0() -> None:
    import rover_spark

    place = Path(str(rover_spark.__file__)).parent
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=place, capture_output=True, text=True).stdout
    if not commit.startswith(COMMIT):
        sys.exit(f"{place} is not at {COMMIT}, which is version 0.1.0")


def main() -> None:
    """Each step runs in a process of its own: four do not survive it."""
    _require_0_1_0()
    if len(sys.argv) > 1:
        root, step, *words = sys.argv[1:]
        {"prepare": _prepare, "die": _die, "finish": _finish}[step](Path(root), *words)
        return
    steps = [(0, "prepare"), *((-signal.SIGKILL, "die", *kill) for kill in KILLS), (0, "finish")]
    with tempfile.TemporaryDirectory() as root:
        for end, *words in steps:
            code = subprocess.run([sys.executable, __file__, root, *map(str, words)]).returncode
            if code != end:
                sys.exit(f"{words}: {code}, not {end}")


if __name__ == "__main__":
    main()
