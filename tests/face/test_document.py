"""The JSON document of every command, byte for byte: others read it, so a change of it is a change of a promise."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from rover_spark.audit.preflight import Finding
from rover_spark.audit.status import DatasetStatus
from rover_spark.audit.verify import Verified
from rover_spark.errors import Problem
from rover_spark.face.commands import _status_document
from rover_spark.face.result import Result
from rover_spark.model.file import StagedFile
from rover_spark.model.head import BatchRecord
from rover_spark.model.schema import RegisteredSchema
from rover_spark.produce.currents.schemas import documents
from tests.deliver.test_adoption import plan_of
from tests.deliver.test_task import a_plan

GOLDEN = json.loads((Path(__file__).parent / "documents.json").read_text(encoding="utf-8"))
FILE = StagedFile("exports/d/f.ndjson.gz", 10, 1_000, "ab", 2_000, "cd", 3, 1, "tmp/ref")
COMMITTED = BatchRecord.of(a_plan(), "COMMITTED", {"read": 12, "delivered": 10, "no_change": 2}, (FILE,))
EVENTS = BatchRecord.of(plan_of("a.B", "c.D"), "STAGED", {"read": 0})
OLD = BatchRecord("d.1.1", "d", 1, 1, "snapshot", "COMMITTED", 1_790_000_000_302, {}, note="redelivered")
PROBLEM = Problem("source_gap", "rover-spark says: -c FILE é", "rover-spark rerun -c FILE --dataset d")
STANDING = DatasetStatus("d", "changes", 1, 3, 7, 4, 90.4, 6.25, "d.1.1", 1_790_000_000_302, False)
NEVER = DatasetStatus("e", "not enabled", 0, None, 7, None, None, None, None, None, True, PROBLEM, PROBLEM)
FINDINGS = (
    Finding("d", "fields", "ok", "found -c FILE"),
    Finding("d", "stage", "failed", "x", "see -c FILE"),
)
SCHEMA = RegisteredSchema(
    1, "a.B", '{"type":"record","name":"B","fields":[]}', "ff", ("the first",), "events.1.1"
)
SET_ASIDE = {
    "dataset": "d",
    "batch": "d.1.1",
    "source_version": 3,
    "reason": "x",
    "row": '{"note":"-c FILE"}',
}
REASON = {"dataset": "d", "reason": "x", "rows": 21}
PLANNED = {
    each.batch: {"source_rows": each.plan.source_rows, "chunks": each.plan.chunks}
    for each in (COMMITTED, EVENTS)
    if each.plan
}
VERIFIED = {
    name: each for name, each in asdict(Verified(2, 12, 3_000, 1, (PROBLEM,))).items() if name != "problems"
}
RESULTS = {
    "export": Result("export", "done", True, (COMMITTED, EVENTS, OLD), (PROBLEM,)),
    "export, nothing": Result("export", "nothing to do"),
    "export, failed": Result("export", "failed", ok=False, problems=(PROBLEM,)),
    "plan": Result("plan", "done", True, (COMMITTED, EVENTS), (), {"planned": PLANNED, "accepted": {"d": ["traits"]}}),
    "plan, nothing": Result("plan", "nothing to do", more={"planned": {}, "accepted": {}}),
    "rerun": Result("rerun", "requested", more={"dataset": "d"}),
    "accept": Result("accept", "accepted", more={"dataset": "d", "columns": ["traits", "x"]}),
    "redeliver": Result("redeliver", "done", True, (OLD,)),
    "status": Result("status", "done", True, (OLD,), (PROBLEM,), {"datasets": [{**_status_document(STANDING), "quarantined": 21}, {**_status_document(NEVER), "quarantined": 0}]}),
    "quarantine": Result("quarantine", "done", more={"quarantine": {"place": "/l_quarantine", "total": 21, "reasons": [REASON], "rows": [SET_ASIDE]}}),
    "quarantine, nothing": Result("quarantine", "nothing to do", more={"quarantine": {"place": "/l_quarantine", "total": 0, "reasons": [], "rows": []}}),
    "schemas": Result("schemas", "done", more={"schemas": documents([SCHEMA])}),
    "schemas, nothing": Result("schemas", "nothing to do", more={"schemas": []}),
    "schemas, published": Result("schemas", "done", more={"schemas": documents([SCHEMA]), "place": "file:///b/schemas.acme", "published": ["a/1.avsc", "a/CHANGELOG.md"]}),
    "verify": Result("verify", "failed", False, problems=(PROBLEM,), more={"verified": VERIFIED}),
    "check": Result("check", "failed", False, problems=(PROBLEM,), more={"checks": [asdict(each) for each in FINDINGS]}),
    "sweep": Result("sweep", "done", more={"removed": ["a", "b"], "left": "what is left"}),
    "sweep, nothing": Result("sweep", "nothing to do", more={"removed": [], "left": ""}),
    "demo": Result("demo", "done", True, (OLD,), (), {"verified": VERIFIED, "currents": VERIFIED, "directory": "demo", "config": "/demo/acme.toml"}),
}  # fmt: skip


@pytest.mark.parametrize("name", RESULTS)
def test_a_document_is_the_one_that_it_always_was(name: str) -> None:
    assert json.dumps(RESULTS[name].document()) == json.dumps(GOLDEN[name])


@pytest.mark.parametrize("name", RESULTS)
def test_only_what_this_program_says_itself_names_the_file(name: str) -> None:
    named = RESULTS[name].naming("my files/acme.toml").document()
    assert json.dumps(named) == json.dumps(GOLDEN[f"{name}, of a file"])
