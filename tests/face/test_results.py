"""A result as a person reads it: tables at every width, in which no name, count or time is cut."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from rover_spark.audit.found import DatasetStatus, Finding
from rover_spark.face.console import plain
from rover_spark.face.console.grid import Column, grid
from rover_spark.face.console.results import show
from rover_spark.face.results import (
    CheckResult,
    ExportResult,
    QuarantineResult,
    Result,
    SchemasResult,
    StatusResult,
)
from rover_spark.model.dataset_state import BatchRecord
from rover_spark.model.file import StagedFile
from rover_spark.model.quarantine import Quarantine, QuarantineCount, QuarantinedRow
from rover_spark.model.schema import RegisteredSchema
from tests.deliver.test_adoption import plan_of


def _shown(result: Result, width: int, *, terminal: bool = True) -> str:
    out = io.StringIO()
    show(Console(file=out, force_terminal=terminal, width=width, color_system=None), result)
    return out.getvalue()


def _file(key: str = "k", records: int = 10, octets: int = 1_000) -> StagedFile:
    return StagedFile(key, records, octets, "", 0, "", 0, 0, "")


LONG = "fan_identity_graph.12.1234"
COUNTS = {"read": 12_345_678, "delivered": 12_000_000, "no_change": 345_000, "quarantined": 678}


def _batches() -> tuple[BatchRecord, ...]:
    files = (_file(octets=871_000_000),)
    return (
        BatchRecord(
            LONG,
            "fan_identity_graph",
            12,
            1234,
            "changes",
            "COMMITTED",
            1_790_000_000_000,
            COUNTS,
            files=files,
        ),
        BatchRecord(
            "d.1.1", "d", 1, 1, "snapshot", "STAGED", 0, {"suppressed": 5, "superseded": 5, "conflict": 5}
        ),
    )


STANDING = DatasetStatus(
    dataset="fan_identity_graph",
    phase="changes",
    epoch=1,
    delivered_version=123_456,
    latest_version=123_460,
    lag=4,
    oldest_minutes=90.4,
    days_left=6.25,
    last_batch=None,
    last_instant=1_795_313_915_302,
    rerun_requested=False,
    quarantined=1_234,
)
NEVER = replace(
    STANDING,
    dataset="d",
    oldest_minutes=None,
    lag=None,
    days_left=None,
    last_instant=None,
    rerun_requested=True,
)
EVENT_TYPE = "users.messages.pushnotification.Influenced_open"
SCHEMA = RegisteredSchema(1, EVENT_TYPE, '{"fields": [1]}', "", ("field device was added",), "events.1.1")
BROKEN = QuarantinedRow(
    "fan_profiles", "fan_profiles.1.2", 3, "updatedAt_missing", '{"roverID":"' + "\x1b[31m[red]é" * 40
)
REASONS = (QuarantineCount("fan_profiles", "updatedAt_missing", 21),)
RESULTS: dict[str, Result] = {
    "export": ExportResult(batches=_batches()),
    "status": StatusResult(datasets=(STANDING, NEVER)),
    "status of events": StatusResult(datasets=(replace(STANDING, dataset=EVENT_TYPE),)),
    "check": CheckResult(
        result="failed",
        ok=False,
        checks=(Finding("fan_profiles", "table, feed, columns", "failed", "x " * 90, "y " * 60),),
    ),
    "schemas": SchemasResult(schemas=(SCHEMA,)),
    "quarantine": QuarantineResult(quarantine=Quarantine("/ledger_quarantine", 21, REASONS, (BROKEN,))),
}
WHOLE = {
    "export": (LONG, "12,000,000", "345,000", "678", "871.0 MB", "snapshot STAGED"),
    "status": ("fan_identity_graph", "90 min", "1,234", "rerun asked for: it comes"),
    "status of events": (EVENT_TYPE, "90 min", "1,234"),
    "check": ("failed   fan_profiles, table, feed, columns: x x", "\n         → y y"),
    "schemas": (EVENT_TYPE, "events.1.1", "field device was added"),
    "quarantine": (
        "updatedAt_missing",
        "fan_profiles.1.2  version 3",
        "21 rows in quarantine, the newest 1 here; all of it in\n/ledger_quarantine\n",
    ),
}


@pytest.mark.parametrize("width", [80, 120, 200])
@pytest.mark.parametrize("name", RESULTS)
def test_names_counts_and_times_stay_whole_at_every_width(name: str, width: int) -> None:
    shown = _shown(RESULTS[name], width)
    assert max(cell_len(line) for line in shown.splitlines()) <= width
    for words in WHOLE[name]:
        assert words in shown, words
    assert "\x1b" not in shown


def test_a_wide_terminal_shows_what_a_narrow_one_leaves_out() -> None:
    assert "2026-11-22T02:18:35" in _shown(RESULTS["status"], 120)
    assert "2026-11-22T02:18:35" not in _shown(RESULTS["status"], 80)
    assert "12,345,678" in _shown(RESULTS["export"], 160), "what was read"


def test_a_quarantined_row_is_cut_on_a_terminal_and_whole_in_a_pipe() -> None:
    assert plain(BROKEN.row).plain in _shown(RESULTS["quarantine"], 80, terminal=False)
    assert "…" in _shown(RESULTS["quarantine"], 80)
    empty = QuarantineResult(result="nothing to do", quarantine=Quarantine("x", 0, (), ()))
    assert _shown(empty, 80) == "no rows in quarantine\n"


def _column(name: str, *cells: str, spare: int = 0) -> Column:
    return Column(name, cells, spare=spare)


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (20, ["name  count  when", "東京  1      noon"]),
        (16, ["name  when", "東京  noon"]),
        (9, ["name", "  when", "東京", "  noon"]),
    ],
)
def test_a_grid_leaves_out_then_stacks_and_never_cuts(width: int, lines: Sequence[str]) -> None:
    columns = [_column("name", "東京"), _column("count", "1", spare=1), _column("when", "noon")]
    assert grid(columns, width).plain.splitlines() == lines


def test_lateness_and_zones_are_said_as_what_they_are() -> None:
    counts = {"read": 9, "delivered": 9, "late": 2, "max_lateness_s": 5_400, "timezone_dropped": 1}
    batch = BatchRecord.of(plan_of("a.B"), "COMMITTED", counts)
    shown = _shown(ExportResult(batches=(batch,)), 200)
    assert "2 events came more than an hour after their time, at most 1 h 30 min" in shown
    assert "1 time zone not in the IANA database delivered as null" in shown
