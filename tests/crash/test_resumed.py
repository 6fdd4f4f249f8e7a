"""A large batch whose run dies while it stages: the next run stages only what the journal does not hold (laws 2, 4, 6, 7, 9)."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import SparkSession

from rover_spark.deliver import journal as room
from rover_spark.delta.session import Session
from rover_spark.demo import SESSION
from rover_spark.face import commands
from rover_spark.ledger.table import Ledger
from rover_spark.model.manifest import Manifest
from rover_spark.produce.port import decode
from tests import NATIVE
from tests.crash.child import JOURNALED, LINES, NOW, settings_of
from tests.crash.scene import copy_tables, require_ended, run_child, seen_by_receivers
from tests.e2e.world import uuid
from tests.effects import Fault, Killed, effects

CHUNKS, ROWS, BAD = 12, 40, 5
SCHEMA = pa.schema(
    [("rover_id", "string"), ("kind", "string"), ("value", "string"), ("at", pa.timestamp("us", "UTC"))]
)
pytestmark = [
    pytest.mark.law(4),
    pytest.mark.law(7),
    pytest.mark.skipif(not NATIVE, reason="Spark lists no data files"),
]


@pytest.fixture(scope="module")
def whole(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The undisturbed run over a table of twelve data files; one row of the sixth cannot be delivered."""
    root = tmp_path_factory.mktemp("files")
    (root / "agreed.json").write_text(json.dumps({"contract": "files"}))
    for chunk in range(CHUNKS):
        rows = [
            (uuid(chunk * ROWS + row), "email", f"{chunk}-{row}@x", NOW - timedelta(hours=row))
            for row in range(ROWS)
        ]
        if chunk == BAD:
            rows[0] = ("nobody", *rows[0][1:])
        write_deltalake(
            str(root / "tables" / "ids"),
            pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], SCHEMA),
            mode="append",
            configuration={"delta.enableChangeDataFeed": "true"},
        )
    shutil.copytree(root / "tables", root / "pristine")
    result = commands.export(spark, settings_of(root), now=NOW)
    assert result.ok and result.batches[0].counts["quarantined"] == 1
    return root


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    copy_tables(whole, tmp_path)
    return tmp_path


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The journal is written as soon as a task has ended, and where an error ends the run."""
    monkeypatch.setattr(room, "EVERY", 0.001)
    yield


def ledger_of(spark: SparkSession, root: Path) -> Ledger:
    settings = settings_of(root)
    ledger = Ledger(Session.of(spark), settings.ledger, "acme", decode, settings.tables)
    ledger.open(create=False)
    return ledger


def journal_of(spark: SparkSession, root: Path) -> dict[int, Manifest]:
    ledger = ledger_of(spark, root)
    (state,) = ledger.dataset_states().values()
    assert state.open is not None and state.open_state == "PLANNED"
    versions = [json.loads(row["note"])["versions"] for row in ledger._rows(("note",), "journal")]
    assert all(each == versions[0] for each in versions)
    return ledger.journal(state.open, versions[0]) if versions else {}


def references(chunks: dict[int, Manifest]) -> set[str]:
    return {file.staged for chunk in chunks.values() for file in chunk.files}


def staged_files(root: Path) -> set[str]:
    return {
        str(path) for path in (root / "bucket" / "_rover_staging").rglob("*.ndjson.gz*") if path.is_file()
    }


def quarantined(root: Path) -> list[tuple[str, str]]:
    rows = DeltaTable(f"{settings_of(root).ledger}_quarantine").to_pyarrow_table().to_pylist()
    return [(row["batch"], row["reason"]) for row in rows]


def died_after_staging(spark: SparkSession, root: Path) -> dict[int, Manifest]:
    """A run that ends once all is staged, and before it says so; what its journal holds."""
    with pytest.raises(Killed), effects(Fault("staging", "after")):
        commands.export(spark, settings_of(root), now=NOW)
    return journal_of(spark, root)


def require_only_the_rest(spark: SparkSession, whole: Path, root: Path, *, strays: bool) -> set[int]:
    """The next run ends as the undisturbed one did; the chunks that it staged."""
    before = journal_of(spark, root)
    with effects() as seen:
        require_ended(spark, whole, root, "PLANNED", strays=strays)
    staged = {file.chunk for manifest in seen.gave["staging"] for file in manifest.files}
    assert staged == set(range(CHUNKS)) - before.keys()
    assert quarantined(root) == quarantined(whole), "the quarantine is written once, and whole"
    return staged


@pytest.mark.law(2)
def test_a_run_that_is_killed_at_a_third_leaves_two_thirds_to_the_next_one(
    spark: SparkSession, whole: Path, root: Path
) -> None:
    assert run_child(root, JOURNALED, {**SESSION, "spark.master": "local[1]"}) == -signal.SIGKILL
    assert not seen_by_receivers(root)
    held = journal_of(spark, root)
    assert len(held) >= LINES
    one = Path(min(staged_files(root)))
    shutil.copy2(
        one, one.with_name(f"{one.name}0")
    )  # as a task leaves it that ended when nobody wrote it down
    staged = require_only_the_rest(spark, whole, root, strays=True)
    assert len(staged) <= CHUNKS - LINES


@pytest.mark.law(9)
@pytest.mark.usefixtures("at_once")
def test_where_all_was_staged_nothing_is_staged_again_and_the_quarantine_is_written(
    spark: SparkSession, whole: Path, root: Path
) -> None:
    assert died_after_staging(spark, root).keys() == set(range(CHUNKS))
    assert require_only_the_rest(spark, whole, root, strays=False) == set()


@pytest.mark.usefixtures("at_once")
def test_staged_bytes_that_are_gone_meanwhile_are_staged_again(
    spark: SparkSession, whole: Path, root: Path
) -> None:
    held = died_after_staging(spark, root)
    gone = {number: held[number] for number in (2, 7)}
    names = {Path(each).name for each in references(gone)}
    for path in staged_files(root):
        if Path(path).name in names:
            Path(path).unlink()
    with effects() as seen:
        require_ended(spark, whole, root, "PLANNED", strays=False)
    assert {file.chunk for manifest in seen.gave["staging"] for file in manifest.files} == {2, 7}


@pytest.mark.usefixtures("at_once")
def test_sweep_keeps_what_the_next_run_goes_on_from(spark: SparkSession, whole: Path, root: Path) -> None:
    died_after_staging(spark, root)
    later = datetime.now(timezone.utc) + timedelta(hours=1)
    assert not commands.sweep(spark, settings_of(root), older_than=timedelta(0), now=later).removed
    require_only_the_rest(spark, whole, root, strays=False)


@pytest.mark.full
@pytest.mark.usefixtures("at_once")
def test_what_an_aborted_batch_staged_is_removed(spark: SparkSession, whole: Path, root: Path) -> None:
    died_after_staging(spark, root)
    with effects() as seen:
        assert commands.export(spark, settings_of(root), now=NOW + timedelta(hours=2)).ok
    assert "ledger ABORTED" in seen.names()
    assert sum(len(manifest.files) for manifest in seen.gave["staging"]) == CHUNKS, "another plan, other keys"
    assert staged_files(root) == set(), "the journal names them, however young they are"
    assert commands.verify(spark, settings_of(root)).ok


@pytest.mark.law(6)
@pytest.mark.usefixtures("at_once")
def test_the_loser_of_a_race_leaves_what_the_winner_took_from_its_journal(
    spark: SparkSession, whole: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rover_spark.ledger.table.leased", lambda *_: nullcontext())
    held: list[dict[int, Manifest]] = []

    def other_driver() -> None:
        """Finds the batch PLANNED, goes on from the journal, and dies once its own manifest is durable."""
        held.append(journal_of(spark, root))
        with pytest.raises(Killed), effects(Fault("store publish")):
            commands.export(spark, settings_of(root), now=NOW)

    record = Ledger.record

    def second(self: Ledger, *args: Any, **named: Any) -> Any:
        if args[2] == "STAGED" and not held:
            other_driver()
        return record(self, *args, **named)

    monkeypatch.setattr(Ledger, "record", second)
    with effects() as seen:
        require_ended(spark, whole, root, "PLANNED", strays=False)
    assert held[0], "the other driver found something to go on from"
    assert sum(len(manifest.files) for manifest in seen.gave["staging"]) <= 2 * CHUNKS - len(held[0])
