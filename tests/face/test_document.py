"""The JSON document of every command, byte for byte: others read it, so a change of it is a change of a promise."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from rover_spark.audit.found import DatasetStatus, Finding, Verified
from rover_spark.consume.conform.report import CODES, Breach, Example, HeldDataset
from rover_spark.consume.ddl.statement import Statement
from rover_spark.consume.load.report import LoadedDataset
from rover_spark.errors import Problem
from rover_spark.face.results import (
    AcceptResult,
    CheckResult,
    ConformResult,
    DdlResult,
    DemoResult,
    ExportResult,
    LoadResult,
    PlannedRows,
    PlanResult,
    QuarantineResult,
    RedeliverResult,
    RerunResult,
    SchemasResult,
    StatusResult,
    SweepResult,
    VerifyResult,
)
from rover_spark.model.dataset_state import BatchRecord
from rover_spark.model.file import StagedFile
from rover_spark.model.quarantine import Quarantine, QuarantineCount, QuarantinedRow
from rover_spark.model.schema import RegisteredSchema
from tests.deliver.test_adoption import plan_of
from tests.plans import batch_plan

GOLDEN = json.loads((Path(__file__).parent / "documents.json").read_text(encoding="utf-8"))
FILE = StagedFile("exports/d/f.ndjson.gz", 10, 1_000, "ab", 2_000, "cd", 3, 1, "tmp/ref")
PLAN = batch_plan(instant=1_795_256_100_123, to_version=7, source_rows=0)
EVENT_PLAN = replace(plan_of("a.B", "c.D"), instant=0, phase="enable")
COMMITTED = BatchRecord.of(PLAN, "COMMITTED", {"read": 12, "delivered": 10, "no_change": 2}, (FILE,))
EVENTS = BatchRecord.of(EVENT_PLAN, "STAGED", {"read": 0})
OLD = BatchRecord("d.1.1", "d", 1, 1, "snapshot", "COMMITTED", 1_790_000_000_302, {}, note="redelivered")
PROBLEM = Problem("source_gap", "rover-spark says: -c FILE é", "rover-spark rerun -c FILE --dataset d")
STANDING = DatasetStatus(
    "d", "changes", 1, 3, 7, 4, 90.4, 6.25, "d.1.1", 1_790_000_000_302, False, quarantined=21
)
NEVER = DatasetStatus("e", "not enabled", 0, None, 7, None, None, None, None, None, True, PROBLEM, PROBLEM)
FINDINGS = (
    Finding("d", "fields", "ok", "found -c FILE"),
    Finding("d", "stage", "failed", "x", "see -c FILE"),
)
SCHEMA = RegisteredSchema(
    1, "a.B", '{"type":"record","name":"B","fields":[]}', "ff", ("the first",), "events.1.1"
)
BROKEN = QuarantinedRow("d", "d.1.1", 3, "x", '{"note":"-c FILE"}')
FOUND = Quarantine("/l_quarantine", 21, (QuarantineCount("d", "x", 21),), (BROKEN,))
VERIFIED = Verified(2, 12, 3_000, 1, (PROBLEM,))
HOUR = datetime(2026, 11, 21, 4, tzinfo=timezone.utc)
HELD = HeldDataset("acme", "d", 2, 1, 30, 3, 1_000, 9_000, HOUR, HOUR, 1)
BREACH = Breach(
    "id_malformed", "acme", "d", CODES["id_malformed"], 1, Example("exports/d/f", 3, "has the id 'x'")
)
PAGES = ("a/1.avsc", "a/CHANGELOG.md")
PLANNED = {
    each.batch: PlannedRows(each.plan.source_rows, each.plan.chunks, each.plan.arrangement)
    for each in (COMMITTED, EVENTS)
    if each.plan
}
RESULTS = {
    "export": ExportResult(batches=(COMMITTED, EVENTS, OLD), problems=(PROBLEM,)),
    "export, nothing": ExportResult(result="nothing to do"),
    "export, failed": ExportResult(result="failed", ok=False, problems=(PROBLEM,)),
    "plan": PlanResult(batches=(COMMITTED, EVENTS), planned=PLANNED, accepted={"d": ["traits"]}),
    "plan, nothing": PlanResult(result="nothing to do", planned={}, accepted={}),
    "rerun": RerunResult(result="requested", dataset="d"),
    "accept": AcceptResult(result="accepted", dataset="d", columns=("traits", "x")),
    "redeliver": RedeliverResult(batches=(OLD,)),
    "status": StatusResult(batches=(OLD,), problems=(PROBLEM,), datasets=(STANDING, NEVER)),
    "quarantine": QuarantineResult(quarantine=FOUND),
    "quarantine, nothing": QuarantineResult(
        result="nothing to do", quarantine=Quarantine("/l_quarantine", 0, (), ())
    ),
    "schemas": SchemasResult(schemas=(SCHEMA,)),
    "schemas, nothing": SchemasResult(result="nothing to do", schemas=()),
    "schemas, published": SchemasResult(schemas=(SCHEMA,), place="file:///b/schemas.acme", published=PAGES),
    "verify": VerifyResult(result="failed", ok=False, problems=(PROBLEM,), verified=VERIFIED),
    "check": CheckResult(result="failed", ok=False, problems=(PROBLEM,), checks=FINDINGS),
    "ddl": DdlResult(engine="duckdb", statements=(Statement("d", "view", "SELECT 'é'\n", ("-c FILE",)),)),
    "sweep": SweepResult(removed=("a", "b"), left="what is left"),
    "sweep, nothing": SweepResult(result="nothing to do", removed=(), left=""),
    "conform": ConformResult(
        result="failed",
        ok=False,
        place="s3://b/acme",
        datasets=(HELD,),
        breaches=(BREACH,),
        manifests=1,
        others=2,
        notices=(BREACH,),
    ),
    "conform, nothing": ConformResult(
        result="nothing to do", place="b", datasets=(), breaches=(), manifests=0, others=0
    ),
    "load": LoadResult(
        problems=(PROBLEM,),
        engine="duckdb",
        into="crm.duckdb",
        place="s3://b/acme",
        datasets=(LoadedDataset("d", 3, 20, 2, 1, 1, 0),),
        manifests=1,
        waiting=1,
        unnamed=2,
        quarantined=2,
        strays=1,
    ),
    "demo": DemoResult(
        batches=(OLD,), verified=VERIFIED, currents=VERIFIED, directory="demo", config="/demo/acme.toml"
    ),
}


@pytest.mark.parametrize("name", RESULTS)
def test_a_document_is_the_one_that_it_always_was(name: str) -> None:
    assert json.dumps(RESULTS[name].document()) == json.dumps(GOLDEN[name])


@pytest.mark.parametrize("name", RESULTS)
def test_only_what_this_program_says_itself_names_the_file(name: str) -> None:
    named = RESULTS[name].naming("my files/acme.toml").document()
    assert json.dumps(named) == json.dumps(GOLDEN[f"{name}, of a file"])
