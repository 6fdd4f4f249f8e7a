"""What a person sees: progress of several datasets at once, the tree, hostile names."""

from __future__ import annotations

import io
import time

from rich.console import Console

from rover_spark.console import plain, size
from rover_spark.console.progress import TerminalProgress
from rover_spark.demo.tree import bucket_tree
from rover_spark.heads import BatchRecord
from rover_spark.store import StagedFile


def _terminal() -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=True, width=160, color_system=None), out


def test_datasets_staged_side_by_side_share_one_display() -> None:
    console, out = _terminal()
    progress = TerminalProgress(console)
    with progress.watch("fan_profiles.1.1", 100, lambda: (1, 40, 5_000)):
        with progress.watch("fan_track_events.1.1", 10, lambda: (2, 10, 900)):
            time.sleep(0.7)
            progress.step("staged", batch="fan_track_events.1.1", files=2, quarantined=0)
        progress.step("committed", batch="fan_profiles.1.1", files=1)
    with progress.watch("fan_profiles.1.2", 5, lambda: (0, 0, 0)):
        pass
    shown = out.getvalue()
    for words in (
        "staging fan_profiles.1.1",
        "staging fan_track_events.1.1",
        "40/100",
        "1 files  5.0 kB",
        "committed",
    ):
        assert words in shown, words
    assert "quarantined" not in shown, "what is nought is not told"


def test_a_name_from_outside_is_text_and_nothing_else() -> None:
    console, out = _terminal()
    console.print(plain("[red]a[/red]\x1b[31m\nb\u202e"))
    assert out.getvalue() == "[red]a[/red]\\x1b[31m\\nb\\u202e\n"


def test_the_tree_counts_every_folder_and_cuts_long_ones() -> None:
    files = tuple(
        StagedFile(f"exports/d/date=x/hour=0{n % 2}/f{n}.gz", 10, 1_000, "", 0, "", n, 0, "")
        for n in range(20)
    )
    record = BatchRecord("d.1.1", "d", 1, 1, "snapshot", "COMMITTED", 0, {}, files=files)
    console, out = _terminal()
    console.print(bucket_tree("bucket/", [record]))
    shown = out.getvalue()
    assert "exports/  200 records, 20.0 kB" in shown and "hour=00/  100 records, 10.0 kB" in shown
    assert shown.count("… 4 more files") == 2 and shown.count("f0.gz") == 1


def test_sizes_are_for_people() -> None:
    assert [size(n) for n in (0, 999, 1_000, 1_500_000, 2e12)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "1.5 MB",
        "2000.0 GB",
    ]
