"""What all of the terminal shares: problems with their remedies, names from outside, numbers for people."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.text import Text

from rover_spark.errors import Problem
from rover_spark.face.console import hanging, plain, problems
from rover_spark.model.wording import counted, duration, size


def _terminal(width: int = 160) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=True, width=width, color_system=None), out


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


def test_a_name_from_outside_is_text_and_nothing_else() -> None:
    console, out = _terminal()
    console.print(plain("[red]a[/red]\x1b[31m\nb\u202e"))
    assert out.getvalue() == "[red]a[/red]\\x1b[31m\\nb\\u202e\n"


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
