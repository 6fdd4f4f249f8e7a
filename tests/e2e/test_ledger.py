"""The ledger by itself, by either engine: one winner per transition, dataset states that survive long histories."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import pytest
from pyspark.sql import SparkSession

from rover_spark.config.access import TableAccess
from rover_spark.delta.engine_errors import engine
from rover_spark.delta.session import Session
from rover_spark.errors import ConfigError, LedgerConflict, RunError
from rover_spark.ledger.table import Ledger
from rover_spark.model.dataset_state import DatasetState
from rover_spark.model.file import StagedFile
from rover_spark.produce.port import decode
from tests.produce.cases import snapshot_plan

Engine = Literal["auto", "spark"]
Open = Callable[[Path], Ledger]


def no_spark() -> SparkSession:
    raise AssertionError("the ledger asked for Spark")


def ledger_at(root: Path, spark: SparkSession, engine: Engine) -> Ledger:
    """The ledger of an export, made where there is none; by "auto" without Spark."""
    native = engine == "auto" and find_spec("deltalake") is not None
    session = Session(no_spark) if native else Session.of(spark)
    ledger = Ledger(session, str(root / "ledger"), "acme", decode, TableAccess(engine=engine))
    ledger.open(create=True)
    return ledger


@pytest.fixture(params=["auto", "spark"])
def opened(request: pytest.FixtureRequest, spark: SparkSession) -> Open:
    """Opens the ledger below a directory, by one engine."""
    return lambda root: ledger_at(root, spark, request.param)


@pytest.mark.law(6)
def test_of_two_drivers_at_one_transition_one_wins_and_the_other_gets_a_conflict(
    opened: Open, tmp_path: Path
) -> None:
    first, second = opened(tmp_path), opened(tmp_path)
    plan = snapshot_plan("fan_profiles", seq=1)
    dataset_state = first.record(DatasetState(), plan, "PLANNED")
    with pytest.raises(LedgerConflict):
        second.record(DatasetState(), plan, "PLANNED")
    assert (dataset_state.transition, second.dataset_states()["fan_profiles"].transition) == (1, 1)
    assert second.dataset_states()["fan_profiles"].open == plan, (
        "the loser reads the winner's plan and follows"
    )
    second.record(DatasetState(), replace(plan, dataset="fan_profile_merges"), "PLANNED")
    assert set(first.dataset_states()) == {"fan_profiles", "fan_profile_merges"}, (
        "datasets do not hold each other back"
    )


@pytest.mark.law(7)
def test_what_is_published_is_noted_beside_the_transitions_and_an_older_version_passes_over_it(
    spark: SparkSession, opened: Open, tmp_path: Path
) -> None:
    ledger, other = opened(tmp_path), opened(tmp_path)
    plan = snapshot_plan("fan_profiles", seq=1)
    files = [StagedFile(f"k{n}", 1, 2, f"sha{n}", 3, f"raw{n}", n, 0, f"staged{n}") for n in range(4)]
    dataset_state = ledger.record(
        ledger.record(DatasetState(), plan, "PLANNED"), plan, "STAGED", counts={}, files=files
    )
    before = ledger.dataset_states()
    ledger.record_published(dataset_state, plan, files[:2])
    other.record_published(dataset_state, plan, files[1:3])
    (record,) = ledger.batches(plan.batch)
    assert record.published == {"k0", "k1", "k2"} and record.files == tuple(files)
    assert ledger.batches() == [record]
    assert ledger.dataset_states() == before, "no transition is taken"

    # the other driver stages two of them again, and one gets other bytes than those that are published
    anew = [replace(files[0], sha256="other"), replace(files[1], staged="anew"), *files[2:]]
    dataset_state = other.record(dataset_state, plan, "STAGED", counts={}, files=anew)
    (record,) = ledger.batches(plan.batch)
    assert record.published == {"k1", "k2"} and record.files == tuple(anew)

    # what version 0.1.0 asks for: dataset states, and batches with their files
    rows = spark.read.format("delta").load(str(tmp_path / "ledger"))
    known = {row["kind"] for row in rows.where("kind = 'batch' OR batch IS NOT NULL").collect()}
    assert known == {"batch", "file"} and rows.where("kind = 'published'").count() == 2
    ledger.record(dataset_state, plan, "COMMITTED", counts={})
    assert ledger.dataset_states()["fan_profiles"].last == plan


def test_a_head_remembers_its_last_delivery_behind_any_number_of_aborted_batches(
    opened: Open, tmp_path: Path
) -> None:
    ledger = opened(tmp_path)
    plan = snapshot_plan("fan_profiles", seq=1)
    rows, number = [], 0
    for seq, states in [
        (1, ("PLANNED", "STAGED", "COMMITTED")),
        *((n, ("PLANNED", "ABORTED")) for n in range(2, 30)),
    ]:
        made = replace(plan, seq=seq)
        for state in states:
            number += 1
            row = {
                "kind": "batch",
                "export": "acme",
                "dataset": "fan_profiles",
                "transition": number,
                "state": state,
            }
            row |= {"batch": made.batch, "epoch": 1, "seq": seq, "phase": "snapshot", "instant": seq}
            rows.append({**row, "plan": made.to_json() if state == "PLANNED" else None})
    ledger._append("fan_profiles", number, rows)
    dataset_state = ledger.dataset_states()["fan_profiles"]
    assert (
        dataset_state.last == plan
        and dataset_state.open is None
        and dataset_state.seq == 29
        and len(dataset_state.aborted) == 28
    )


def test_of_a_long_history_only_what_still_counts_is_read(opened: Open, tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    plan = snapshot_plan("fan_profiles", seq=1)
    rows: list[dict[str, object]] = []

    def add(seq: int, state: str, /, **facts: object) -> None:
        made = replace(plan, seq=seq, instant=seq, phase="snapshot" if seq in {1, 40} else "changes")
        row = {
            "kind": "batch",
            "export": "acme",
            "dataset": "fan_profiles",
            "transition": len(rows) + 1,
            "state": state,
        }
        row |= {"batch": made.batch, "epoch": 1, "seq": seq, "phase": made.phase, "instant": seq}
        rows.append({**row, "plan": made.to_json() if state == "PLANNED" else None, **facts})

    for seq in range(1, 301):
        add(seq, "PLANNED")
        if seq == 7:
            add(seq, "ABORTED")
            continue
        add(seq, "STAGED")
        add(seq, "COMMITTED", counts=json.dumps({"delivered": 1, "floors": 1 if seq == 9 else 0}))
        if seq == 39:
            add(seq, "RERUN", batch=None, seq=None, phase=None)
    for _ in range(20):  # an old batch is healed again and again
        add(3, "COMMITTED")
    ledger._append("fan_profiles", len(rows), rows)
    told = ledger.transitions()
    assert len(told) < 40, "whatever the length"
    dataset_state = ledger.dataset_states(told)["fan_profiles"]
    assert dataset_state.last is not None and (
        dataset_state.last.seq,
        dataset_state.seq,
        dataset_state.transition,
    ) == (300, 300, len(rows))
    assert (dataset_state.aborted, dataset_state.floors, dataset_state.rerun, dataset_state.open) == (
        (7,),
        True,
        False,
        None,
    )
    assert {each.record.batch for each in told} >= {f"fan_profiles.1.{n}" for n in range(296, 301)}


def test_a_table_that_is_no_ledger_is_left_alone(spark: SparkSession, opened: Open, tmp_path: Path) -> None:
    spark.range(1).write.format("delta").save(str(tmp_path / "ledger"))
    with pytest.raises(ConfigError, match="not a ledger"):
        opened(tmp_path)


def _facts(spark: SparkSession, place: Path) -> dict[str, object]:
    """All that Spark says of a table, but for its name, times and files."""
    (detail,) = spark.sql(f"DESCRIBE DETAIL delta.`{place}`").collect()
    schema = spark.read.format("delta").load(str(place)).schema
    names = ("partitionColumns", "minReaderVersion", "minWriterVersion", "tableFeatures")
    return {
        **{name: detail[name] for name in names},
        "properties": detail["properties"],
        "schema": schema.jsonValue(),
    }


@pytest.mark.law(6)
def test_both_engines_write_one_ledger_in_turn_and_read_the_same_of_it(
    spark: SparkSession, tmp_path: Path
) -> None:
    """Whichever made it. Each takes the next transition after the other, and neither takes the other's."""
    pytest.importorskip("deltalake")
    plan = snapshot_plan("fan_profiles", seq=1)
    files = [StagedFile(f"k{n}", 1, 2, f"sha{n}", 3, f"raw{n}", n, 0, f"staged{n}") for n in range(3)]
    facts = []
    turns: tuple[tuple[Engine, Engine], ...] = (("auto", "spark"), ("spark", "auto"))
    for maker, other in turns:
        root = tmp_path / f"made by {maker}"
        one, two = ledger_at(root, spark, maker), ledger_at(root, spark, other)
        assert one._lock == two._lock == root / "ledger.lock"
        state = one.record(DatasetState(), plan, "PLANNED")
        with pytest.raises(LedgerConflict):
            two.record(DatasetState(), plan, "PLANNED")
        state = two.record(state, plan, "STAGED", counts={"read": 3}, files=files, floors=1)
        one.record_published(state, plan, files[:1])
        two.record_published(state, plan, files[1:2])
        with pytest.raises(LedgerConflict):
            one.record(replace(state, transition=1), plan, "ABORTED")
        one._open_storage.compact()
        state = one.record(state, plan, "COMMITTED", counts={"read": 3, "quarantined": 1})
        state = two.request_rerun(state, "fan_profiles")
        two._open_storage.compact()
        one.accept(state, "fan_profiles", {"a": "b'c"})
        for read in ("transitions", "batches", "quarantined", "schemas", "instants", "superseded"):
            assert getattr(one, read)() == getattr(two, read)(), read
        assert one.batches(plan.batch) == two.batches(plan.batch)
        (record,) = one.batches()
        assert (record.files, record.published, record.floors) == (tuple(files), {"k0", "k1"}, 1)
        facts.append(_facts(spark, root / "ledger"))
        kinds = spark.sql(f"SELECT kind, count(*) FROM delta.`{root}/ledger` GROUP BY ALL").collect()
        assert dict(kinds) == {"batch": 5, "file": 3, "published": 2}  # type: ignore[arg-type]
    assert facts[0] == facts[1], "no reader can see who made it"


def test_what_deltalake_must_not_write_spark_goes_on_with(spark: SparkSession, tmp_path: Path) -> None:
    """A feature of the table that only Spark knows. What nobody can read is one clear error."""
    pytest.importorskip("deltalake")
    plan, place = snapshot_plan("fan_profiles", seq=1), tmp_path / "ledger"
    state = ledger_at(tmp_path, spark, "auto").record(DatasetState(), plan, "PLANNED")
    spark.sql(f"ALTER TABLE delta.`{place}` SET TBLPROPERTIES (delta.enableInCommitTimestamps = true)")
    ledger = Ledger(Session.of(spark), str(place), "acme", decode, TableAccess(engine="auto"))
    ledger.open(create=True)
    state = ledger.record(state, plan, "ABORTED")
    assert ledger.storage is not None and ledger.storage.place is None
    assert [each.state for each in ledger.transitions()] == ["PLANNED", "ABORTED"]

    for log in (place / "_delta_log").glob("0*.json"):
        log.write_text("{")
    ledger = Ledger(Session.of(spark), str(place), "acme", decode, TableAccess(engine="auto"))
    with pytest.raises(RunError) as failure, engine("status"):
        ledger.open(create=True)
        ledger.transitions()
    assert failure.value.code == "spark_failed" and "\n" not in failure.value.message


def test_spark_reads_a_log_of_ours_that_was_checkpointed_and_cleaned(
    spark: SparkSession, tmp_path: Path
) -> None:
    deltalake = pytest.importorskip("deltalake")
    plan, place = snapshot_plan("fan_profiles", seq=1), tmp_path / "ledger"
    ledger, state = ledger_at(tmp_path, spark, "auto"), DatasetState()
    for _ in range(60):  # more than delta.checkpointInterval
        state = ledger.record(state, plan, "PLANNED")
    logs = place / "_delta_log"
    assert list(logs.glob("*.checkpoint.parquet"))
    month = 32 * 86_400
    for log in logs.glob("0*.json"):
        os.utime(log, (log.stat().st_mtime - month,) * 2)
    deltalake.DeltaTable(str(place)).cleanup_metadata()
    assert not (logs / f"{0:020}.json").exists()
    engines: tuple[Engine, ...] = ("spark", "auto")
    for engine_of in engines:
        again = ledger_at(tmp_path, spark, engine_of)
        assert len(again.transitions()) == state.transition
        with pytest.raises(LedgerConflict):
            again.record(DatasetState(), plan, "PLANNED")
        state = again.record(state, plan, "ABORTED")
