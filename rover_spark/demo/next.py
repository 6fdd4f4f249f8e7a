"""What to try after the demo: commands that can be pasted unchanged."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from rich.text import Text

from rover_spark.face.console import plain
from rover_spark.model.dataset_state import BatchRecord

_NAME = "rover-spark"


def next_commands(
    program: str, config: str, delivered: Sequence[BatchRecord], bucket: Path | None, width: int
) -> Text:
    """A heading and one command a line. ``bucket`` is the directory that was delivered into, None for a real bucket.

    A command that is wider than ``width`` continues in the next line after a backslash.
    """
    changes = next((b for b in reversed(delivered) if b.phase == "changes" and b.files), None)
    events = str(Path(config).with_name("acme_events.toml"))
    commands = [
        [program, "status", f"-c {quote(config)}"],
        [program, "verify", f"-c {quote(config)}"],
        [program, "schemas", f"-c {quote(events)}", "--publish"],
    ]
    if changes is not None:
        commands.append([program, "redeliver", f"-c {quote(config)}", f"--batch {changes.batch}"])
        if bucket is not None:
            below = quote(shown_path(bucket / "exports" / changes.dataset))
            commands.append(["gzip -dc", f"{below}/*/*/*.gz", "| head -3"])
    lines = [
        Text("Try next:", "bold"),
        *(plain(line) for each in commands for line in pasteable(each, width)),
    ]
    return Text("\n").join(lines)


def pasteable(words: Sequence[str], width: int) -> list[str]:
    """A command as lines that fit the width, where its words do; pasted unchanged they are one command."""
    lines = [f"  {words[0]}"]
    for word in words[1:]:
        if len(lines[-1]) + len(word) + 3 > width:
            lines[-1] += " \\"
            lines.append(f"      {word}")
        else:
            lines[-1] += f" {word}"
    return lines


def program_name(argument: str) -> str:
    """What to type to call this program: its name where the PATH finds it, else its path."""
    path = Path(argument)
    if path.name != _NAME:  # called by Python itself, or by a test
        return _NAME
    found = shutil.which(_NAME)
    same = found is not None and path.exists() and Path(found).samefile(path)
    if same:
        return _NAME
    shown = shown_path(path)
    return quote(shown if "/" in shown else f"./{shown}")


def shown_path(path: Path) -> str:
    """A path relative to the current directory where it lies below, else the absolute path."""
    here = Path.cwd()
    absolute = path if path.is_absolute() else here / path
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else absolute)
