"""A schema under its id, as the ledger registers it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RegisteredSchema:
    """A schema under its id; ``changes`` against the one before, ``batch`` the first that used it."""

    id: int
    event_type: str
    text: str
    fingerprint: str
    changes: tuple[str, ...]
    batch: str
