"""What a person sees: progress of several datasets at once, tables at every width, the tree, hostile names."""

from __future__ import annotations

import io
import logging
import re
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from rover_spark.deliver.progress import Done
from rover_spark.demo.next import next_commands, program_name
from rover_spark.demo.tree import bucket_tree
from rover_spark.errors import Problem
from rover_spark.face.console import hanging, plain, problems
from rover_spark.face.console.grid import Column, grid
from rover_spark.face.console.progress import TerminalProgress
from rover_spark.face.console.results import show
from rover_spark.face.console.streams import ErrorLines
from rover_spark.face.result import Result
from rover_spark.model.file import StagedFile
from rover_spark.model.head import BatchRecord
from rover_spark.model.wording import counted, duration, size
from tests.deliver.test_adoption import plan_of


def _terminal(width: int = 160) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=True, width=width, color_system=None), out


def _shown(result: Result, width: int, *, terminal: bool = True) -> str:
    out = io.StringIO()
    show(Console(file=out, force_terminal=terminal, width=width, color_system=None), result)
    return out.getvalue()


def _file(key: str = "k", records: int = 10, octets: int = 1_000) -> StagedFile:
    return StagedFile(key, records, octets, "", 0, "", 0, 0, "")


# -- progress ------------------------------------------------------------------------------------------------


def test_datasets_staged_side_by_side_share_one_display() -> None:
    console, out = _terminal()
    progress = TerminalProgress(console)
    with progress.watch("staging fan_profiles.1.1", 100, lambda: Done(40, 1, 5_000)):
        with progress.watch("staging fan_track_events.1.1", 10, lambda: Done(10, 2, 900)):
            time.sleep(0.7)
            progress.step(
                "staged", batch="fan_track_events.1.1", rows=10, files=2, delivered=10, quarantined=0
            )
        progress.step("committed", batch="fan_profiles.1.1", files=1, delivered=100)
    with progress.watch("publishing fan_profiles.1.2", 5, Done, "records"):
        pass
    shown = out.getvalue()
    for words in (
        "staging fan_profiles.1.1",
        "staging fan_track_events.1.1",
        "40 of 100 rows",
        "1 file  5.0 kB  80/s  1 s left",
        "10 rows: 10 records in 2 files",
        "100 records in 1 file",
    ):
        assert words in shown, words
    assert "quarantined" not in shown, "what is nought is not told"


def test_a_step_that_needs_two_lines_goes_on_below_its_own_words() -> None:
    console, out = _terminal(80)
    TerminalProgress(console).step(
        "staged", batch="fan_profiles.1.2", rows=567, read=332, files=1, delivered=315, suppressed=17
    )
    first, second = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue()).splitlines()
    assert first.startswith("  staged    fan_profiles.1.2  567 rows") and len(first) <= 80
    assert second.startswith(" " * 12) and not second.startswith(" " * 13)


def test_the_bar_moves_while_no_file_is_whole_yet_and_never_past_its_end() -> None:
    console, out = _terminal(80)
    rows = iter([0, 30, 70, 120])  # the last: Spark ran a task again
    with TerminalProgress(console).watch("staging d.1.1", 100, lambda: Done(next(rows, 120))):
        time.sleep(2.2)
    shown = out.getvalue()
    first, _, later = shown.partition("30 of")
    assert "reading d.1.1" in first and "100 rows" in first and "reading" not in later
    assert [words in shown for words in ("30 of 100 rows", "70 of 100 rows", "100 of 100 rows")] == [True] * 3
    assert "120 of" not in shown and "files" not in shown


@pytest.mark.parametrize(
    ("width", "more"), [(80, ""), (120, "  6,000,000/s"), (150, "  12 files  9.0 GB  6,000,000/s  1 s left")]
)
def test_what_is_drawn_fits_the_terminal_whole(width: int, more: str) -> None:
    console, out = _terminal(width)
    with TerminalProgress(console).watch(
        "staging fan_identity_graph.1.12", 9_000_000, lambda: Done(3_000_000, 12, 9 * 10**9)
    ):
        time.sleep(0.8)
    assert (
        "staging fan_identity_graph.1.12 " in out.getvalue()
        and f"3,000,000 of 9,000,000 rows{more}" in out.getvalue()
    )
    assert "…" not in out.getvalue()


def test_there_is_a_word_at_once_and_the_inner_one_takes_the_place_of_the_outer() -> None:
    console, out = _terminal(80)
    progress = TerminalProgress(console)
    with progress.doing("looking at tables"):
        time.sleep(0.3)
        assert "looking at tables" in out.getvalue()
        with progress.doing("counting fan_profiles"):
            begin = len(out.getvalue())
            time.sleep(0.3)
            inner = out.getvalue()[begin:]
            assert "counting fan_profiles" in inner
            assert "looking" not in inner[inner.index("counting") :], "one line for one thing"
        with progress.quiet():
            begin = len(out.getvalue())
            time.sleep(0.3)
            assert out.getvalue()[begin:] == "", "nothing is drawn where others write"
    left = out.getvalue().rpartition("looking at tables")[2]
    assert "\x1b[2K" in left and "\n" not in left, "and nothing is left of it"


def test_a_line_on_standard_error_stands_above_what_is_drawn() -> None:
    handler = ErrorLines()  # as the program has it before anything is drawn
    console, out = _terminal(80)
    with TerminalProgress(console).doing("starting Spark"):
        handler.emit(logging.makeLogRecord({"msg": "trying again in 5 s"}))
        time.sleep(0.2)
    assert "trying again in 5 s\n" in out.getvalue()


@pytest.mark.parametrize(
    ("event", "fields", "line"),
    [
        ("planned", {"rows": 2064, "chunks": 1}, "planned   d.1.1  2,064 rows"),
        ("planned", {"rows": 1, "chunks": 1}, "planned   d.1.1  1 row"),
        (
            "staged",
            {"rows": 432, "files": 1, "read": 332, "delivered": 315, "no_change": 0, "suppressed": 17},
            "staged    d.1.1  432 rows: 315 records in 1 file, 17 suppressed, 100 before-images",
        ),
        (
            "staged",
            {"rows": 9, "files": 1, "read": 9, "delivered": 9, "late": 2, "max_lateness_s": 5400},
            "staged    d.1.1  9 rows: 9 records in 1 file",
        ),
        (
            "staged",
            {"rows": 1, "files": 0, "read": 1, "quarantined": 1},
            "staged    d.1.1  1 row: 0 records, 1 quarantined",
        ),
        ("committed", {"files": 2, "read": 9, "delivered": 9}, "committed d.1.1  9 records in 2 files"),
        ("committed", {"files": 0, "read": 0, "delivered": 0}, "committed d.1.1  no file"),
        (
            "aborted",
            {"why": "planned more than an hour ago"},
            "aborted   d.1.1  planned more than an hour ago",
        ),
    ],
)
def test_steps_use_one_word_for_one_thing(event: str, fields: dict[str, Any], line: str) -> None:
    console, out = _terminal()
    TerminalProgress(console).step(event, batch="d.1.1", **fields)
    assert out.getvalue().strip() == line


# -- tables --------------------------------------------------------------------------------------------------

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


def _standing(name: str, **more: Any) -> dict[str, Any]:
    return {
        "dataset": name,
        "phase": "changes",
        "epoch": 1,
        "delivered_version": 123_456,
        "latest_version": 123_460,
        "lag": 4,
        "oldest_minutes": 90.4,
        "days_left": 6.25,
        "last_instant": "2026-11-22T02:18:35.302Z",
        "rerun_requested": False,
        "waits": None,
        "quarantined": 1_234,
        **more,
    }


CHECK = {
    "about": "fan_profiles",
    "tried": "table, feed, columns",
    "state": "failed",
    "found": "x " * 90,
    "remedy": "y " * 60,
}
SCHEMA = {
    "id": 1,
    "event_type": "users.messages.pushnotification.Influenced_open",
    "schema": {"fields": [1]},
    "first_batch": "events.1.1",
    "changes": ["field device was added"],
}
SET_ASIDE = {
    "dataset": "fan_profiles",
    "batch": "fan_profiles.1.2",
    "source_version": 3,
    "reason": "updatedAt_missing",
    "row": '{"roverID":"' + "\x1b[31m[red]é" * 40,
}
RESULTS = {
    "export": Result("export", "done", batches=_batches()),
    "status": Result("status", "done", more={"datasets": [_standing("fan_identity_graph"), _standing("d", oldest_minutes=None, lag=None, days_left=None, last_instant=None, rerun_requested=True)]}),
    "status of events": Result("status", "done", more={"datasets": [_standing(SCHEMA["event_type"])]}),  # type: ignore[arg-type]
    "check": Result("check", "failed", ok=False, more={"checks": [CHECK]}),
    "schemas": Result("schemas", "done", more={"schemas": [SCHEMA]}),
    "quarantine": Result("quarantine", "done", more={"quarantine": {"place": "/ledger_quarantine", "total": 21, "reasons": [{"dataset": "fan_profiles", "reason": "updatedAt_missing", "rows": 21}], "rows": [SET_ASIDE]}}),
}  # fmt: skip
WHOLE = {
    "export": (LONG, "12,000,000", "345,000", "678", "871.0 MB", "snapshot STAGED"),
    "status": ("fan_identity_graph", "90 min", "1,234", "rerun asked for: it comes"),
    "status of events": (str(SCHEMA["event_type"]), "90 min", "1,234"),
    "check": ("failed   fan_profiles, table, feed, columns: x x", "\n         → y y"),
    "schemas": (str(SCHEMA["event_type"]), "events.1.1", "field device was added"),
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
    row = SET_ASIDE["row"]
    assert plain(row).plain in _shown(RESULTS["quarantine"], 80, terminal=False)
    assert "…" in _shown(RESULTS["quarantine"], 80)
    empty = {"place": "x", "total": 0, "reasons": [], "rows": []}
    assert (
        _shown(Result("quarantine", "nothing to do", more={"quarantine": empty}), 80)
        == "no rows in quarantine\n"
    )


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
    shown = _shown(Result("export", "done", batches=(batch,)), 200)
    assert "2 events came more than an hour after their time, at most 1 h 30 min" in shown
    assert "1 time zone not in the IANA database delivered as null" in shown


def test_a_problem_is_broken_between_words_on_a_terminal_and_not_at_all_elsewhere() -> None:
    words = " ".join(f"word{n:02}" for n in range(40))
    found = (
        Problem("some_code", words, f"Then {words}"),
        Problem("b", "c", f"rover-spark rerun -c FILE {words}"),
    )
    for terminal in (True, False):
        out = io.StringIO()
        problems(Console(file=out, force_terminal=terminal, width=80, color_system=None), found)
        lines = out.getvalue().splitlines()
        assert lines[-1] == f"  → rover-spark rerun -c FILE {words}", "a command is in one piece"
        assert " ".join(" ".join(lines[:-2]).split()) == f"some_code: {words} → Then {words}"
        assert (max(map(len, lines[:-1])) <= 80, len(lines) > 4) == (terminal, terminal)


# -- words ---------------------------------------------------------------------------------------------------


def test_a_name_from_outside_is_text_and_nothing_else() -> None:
    console, out = _terminal()
    console.print(plain("[red]a[/red]\x1b[31m\nb\u202e"))
    assert out.getvalue() == "[red]a[/red]\\x1b[31m\\nb\\u202e\n"


def test_the_tree_counts_every_folder_and_cuts_long_ones() -> None:
    files = tuple(_file(f"exports/d/date=x/hour=0{n % 2}/f{n}.gz") for n in range(20))
    record = BatchRecord("d.1.1", "d", 1, 1, "snapshot", "COMMITTED", 0, {}, files=files)
    console, out = _terminal()
    console.print(bucket_tree("bucket/", [record]))
    shown = out.getvalue()
    assert "exports/d/date=x/  200 records, 20.0 kB" in shown, "folders with one folder inside are one line"
    assert "hour=00/  100 records, 10.0 kB" in shown
    assert shown.count("… 4 more files") == 2 and shown.count("f0.gz") == 1


def test_the_tree_of_a_bucket_begins_below_the_prefix_that_its_title_names() -> None:
    key = "acme/currents/acme/dataexport.prod-01.S3.integration.1/event_type={}/date=x/1/eu/f.avro"
    files = tuple(_file(key.format(name)) for name in ("a.b.Purchase", "a.b.Click"))
    record = BatchRecord("events.1.1", "events", 1, 1, "changes", "COMMITTED", 0, {}, files=files)
    console, out = _terminal(80)
    console.print(
        bucket_tree("s3://b/acme/currents/acme/", [record], 80, depth=2, prefix="acme/currents/acme")
    )
    title, folder, *types = out.getvalue().splitlines()
    assert (
        title == "s3://b/acme/currents/acme/" and "── dataexport.prod-01.S3.integration.1/  20 rec" in folder
    )
    assert ["event_type=a.b.Click/" in types[0], "event_type=a.b.Purchase/" in types[1], len(types)] == [
        True,
        True,
        2,
    ]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize(
    "bucket", [Path("rover_demo/bucket"), Path("/a/very/long/place/of/mine/" * 3 + "it's"), None]
)
def test_what_to_try_next_can_be_pasted(width: int, bucket: Path | None) -> None:
    batch = BatchRecord(
        "fan_profiles.1.2", "fan_profiles", 1, 2, "changes", "COMMITTED", 0, {}, files=(_file(),)
    )
    config = str(bucket.parent / "acme.toml") if bucket else "x y/acme.toml"
    head, *lines = next_commands(".venv/bin/rover-spark", config, [batch], bucket, width).plain.split("\n")
    assert head == "Try next:" and all(line.strip() for line in lines)
    assert all(
        cell_len(line) <= max(width, cell_len(config) + 20, cell_len(str(bucket)) + 50) for line in lines
    )
    commands = [shlex.split(each) for each in "\n".join(lines).replace("\\\n", " ").split("\n")]
    assert [each[:2] for each in commands[:4]] == [
        [".venv/bin/rover-spark", name] for name in ("status", "verify", "schemas", "redeliver")
    ]
    assert commands[0][2:] == ["-c", config] and commands[3][-1] == "fan_profiles.1.2"
    if bucket:
        assert commands[4] == ["gzip", "-dc", f"{bucket}/exports/fan_profiles/*/*/*.gz", "|", "head", "-3"]
    assert len(commands) == (5 if bucket else 4)


def test_the_program_is_named_as_it_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "rover-spark"
    program.parent.mkdir()
    program.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    assert program_name(str(program)) == program_name("bin/rover-spark") == "bin/rover-spark"
    monkeypatch.setenv("PATH", str(program.parent))
    assert program_name(str(program)) == program_name("/some/python/-c") == "rover-spark"
    monkeypatch.setenv("PATH", "/nowhere")
    (tmp_path / "else where").mkdir()
    monkeypatch.chdir(tmp_path / "else where")
    assert program_name(str(program)) == str(program)
    monkeypatch.chdir(tmp_path / "bin")
    assert program_name(str(program)) == "./rover-spark"


def test_sizes_are_for_people() -> None:
    assert [size(n) for n in (0, 999, 1_000, 1_500_000, 2e12)] == ["0 B", "999 B", "1.0 kB", "1.5 MB", "2000.0 GB"]  # fmt: skip


def test_counts_and_durations_are_for_people() -> None:
    assert [counted(n, "file") for n in (0, 1, 2, 2_000)] == ["0 files", "1 file", "2 files", "2,000 files"]
    assert counted(2, "batch", "batches") == "2 batches"
    found = [duration(s) for s in (-1, 0, 59.4, 60, 90, 3_599, 3_600, 5_400, 86_400, 273_700)]
    assert found == ["0 s", "0 s", "59 s", "1 min", "1 min 30 s", "59 min 59 s", "1 h", "1 h 30 min", "1 d", "3 d 4 h"]  # fmt: skip


@pytest.mark.parametrize("width", [80, 120])
def test_a_key_longer_than_a_line_goes_on_in_the_next_and_nothing_comes_between(width: int) -> None:
    key = "exports/fan_profiles/date=2026-11-28/hour=17/" + "0123456789abcdef" * 14
    lines = [line.plain for line in hanging(Text(f"store_refused: cannot stage {key}: no room"), width)]
    assert all(len(line) <= width for line in lines) and len(lines) > 2
    assert key in "".join(line.strip() for line in lines)
