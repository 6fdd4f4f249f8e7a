"""The manifest of a batch, or of a part of it: its staged files, what became of its rows, and the marks of its records."""

from __future__ import annotations

from dataclasses import dataclass, field

from rover_spark.model.dataset_state import FLOORS
from rover_spark.model.file import StagedFile

# every row of a source is one of these; BEFORE is the preimage row of an update
OUTCOMES = ("delivered", "no_change", "superseded", "suppressed", "conflict", "quarantined")
BEFORE = "before"


@dataclass(frozen=True)
class Manifest:
    """``files`` of a whole batch are in order of (chunk, part); ``rows`` counts by outcome.

    ``marks`` holds what a contract counts besides, by the names of its own; only ``floors`` means something here.
    """

    files: tuple[StagedFile, ...] = ()
    rows: dict[str, int] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """The counts of the contract: read = delivered + the others (law 9), then the marks that are not nought."""
        counts = {outcome: self.rows.get(outcome, 0) for outcome in OUTCOMES}
        marks = {name: count for name, count in self.marks.items() if count and name != FLOORS}
        return {"read": sum(counts.values()), **counts, **marks}

    @property
    def floors(self) -> int:
        """How many rows leave a floor."""
        return self.marks.get(FLOORS, 0)

    def count(self, name: str) -> int:
        """How many rows have this outcome or mark."""
        return self.rows.get(name, 0) + self.marks.get(name, 0)
