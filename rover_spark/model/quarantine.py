"""Rows that could not be delivered, as the ledger's side table keeps them. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class QuarantinedRow:
    """One row: where it came from, why it was quarantined, and its columns as JSON text."""

    dataset: str
    batch: str
    source_version: int
    reason: str
    row: str


@dataclass(frozen=True)
class QuarantineCount:
    """How many rows of a dataset, or event type, were quarantined for one reason."""

    dataset: str
    reason: str
    rows: int


@dataclass(frozen=True)
class Quarantine:
    """What of a quarantine was asked for: where it lies, the counts of all rows, and the newest of them."""

    place: str
    total: int
    reasons: tuple[QuarantineCount, ...]
    rows: tuple[QuarantinedRow, ...]
