"""What several commands take on the command line: their shared options, and instants and ages as they are written."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from rover_spark.errors import ConfigError

Config = Annotated[
    Path,
    typer.Option(
        "--config",
        "-c",
        envvar="ROVER_SPARK_CONFIG",
        help="The TOML configuration file.",
        show_default=False,
    ),
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document on standard output, the rest on standard error."),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show Spark's own log and every step.")]
Now = Annotated[
    str | None,
    typer.Option(
        "--now", metavar="ISO", help="The instant of this run, with a time zone, not before the last batch's."
    ),
]
Datasets = Annotated[
    list[str] | None, typer.Option("--dataset", metavar="NAME", help="Only this dataset; may repeat.")
]
Manifests = Annotated[
    str | None,
    typer.Option(
        "--manifests",
        metavar="URL",
        help="Where completion manifests are, if neither below URL nor beside it.",
    ),
]


def config_file(says: str, envvar: str | None = None) -> Any:
    """The option ``-c`` of a command that works without a configuration; ``says`` is what the command takes from one."""
    return typer.Option("--config", "-c", metavar="FILE", envvar=envvar, help=says)


def instant(text: str, option: str = "--now") -> datetime:
    """An instant with a time zone. Raises ConfigError that names the option for anything else."""
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        what = "is not an instant" if found is None else "has no time zone"
        raise ConfigError(
            f"{option} {text}: {what}", code="now_invalid", remedy="Write it as 2026-11-21T10:15:00Z."
        )
    return found


def beginning(option: str, text: str, now: datetime) -> datetime:
    """The instant from which on something counts: an age before ``now``, or an instant. Raises ConfigError."""
    return now - age(option, text) if re.fullmatch(r"\d+[dhms]", text) else instant(text, option)


def age(option: str, text: str) -> timedelta:
    """An age as ``7d``, ``12h``, ``30m`` or ``90s``. Raises ConfigError that names the option."""
    found = re.fullmatch(r"(\d{1,5})([dhms])", text)
    if found is None:
        raise ConfigError(
            f"{option} {text}: not an age", code="age_invalid", remedy="Write it as 7d, 12h or 30m."
        )
    unit = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}[found[2]]
    return timedelta(**{unit: int(found[1])})
