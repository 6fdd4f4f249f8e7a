"""Progress on a terminal: several datasets at once, one line for one thing, and nothing left behind."""

from __future__ import annotations

import io
import logging
import re
import time
from typing import Any

import pytest
from rich.console import Console

from rover_spark.deliver.progress import Done
from rover_spark.face.console.progress import TerminalProgress
from rover_spark.face.console.streams import ErrorLines


def _terminal(width: int = 160) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=True, width=width, color_system=None), out


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
    assert "quarantined" not in shown, "a count of 0 is not shown"


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
