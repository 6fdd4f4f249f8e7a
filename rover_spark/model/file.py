"""One file of a batch, as a value: its object key, its counts and hashes, and where its bytes lie staged."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StagedFile:
    """One file of a batch: its key, its counts and hashes (``raw`` before compression), and where it lies staged."""

    key: str
    records: int
    bytes: int
    sha256: str
    raw_bytes: int
    raw_sha256: str
    chunk: int
    part: int
    staged: str
