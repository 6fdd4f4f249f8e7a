"""What an audit finds, as values: a dataset's status, a try of `check`, what `verify` read. Loads no Spark."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from rover_spark.errors import Problem

_EXPORT_AGAIN = re.compile(r"\b([Rr])un (?:export|it) again(?:: [^.;]*)?")

State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class DatasetStatus:
    """One dataset. ``lag`` counts undelivered versions; ``oldest_minutes`` is the age of the oldest of them.

    Both ages are None where nothing is undelivered. ``days_left`` counts from the oldest undelivered commit to the day
    VACUUM or log clean-up may take it. ``waits`` says what must be confirmed before it is delivered again.
    ``quarantined`` is its number of rows in the quarantine.
    """

    dataset: str
    phase: str
    epoch: int
    delivered_version: int | None
    latest_version: int | None
    lag: int | None
    oldest_minutes: float | None
    days_left: float | None
    last_batch: str | None
    last_instant: int | None
    rerun_requested: bool
    problem: Problem | None = None
    waits: Problem | None = None
    quarantined: int = 0


@dataclass(frozen=True)
class Finding:
    """One try: at what, what was tried, how it ended. Only ``failed`` means that delivery would fail."""

    about: str
    tried: str
    state: State
    found: str
    remedy: str = ""

    @classmethod
    def failed(cls, about: str, tried: str, problem: Problem) -> Finding:
        """A try that ended with an error. Its remedy names check in place of export: nobody may have run an export yet."""
        remedy = _EXPORT_AGAIN.sub(r"\1un check again", problem.remedy)
        return cls(about, tried, "failed", problem.message, remedy)

    @classmethod
    def skewed(cls, about: str, whose: str, seconds: float) -> Finding:
        """A clock that is so many seconds ahead of this machine's, or behind it."""
        where = "ahead of" if seconds > 0 else "behind"
        found = f"{whose} is {abs(seconds):,.0f} s {where} this machine's clock"
        remedy = "Set this machine's clock: keys carry it."
        return cls("clock", f"against {about}", "warning", found, remedy)


@dataclass(frozen=True)
class Verified:
    """How much was read, and what was found wrong; ``elsewhere`` files went to an earlier destination."""

    files: int
    records: int
    bytes: int
    elsewhere: int
    problems: tuple[Problem, ...]
