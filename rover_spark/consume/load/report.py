"""What a run of the loader did, as values. Loads nothing: results hold it where DuckDB is missing, too."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LoadedDataset:
    """What was loaded of a dataset or an event type.

    ``new`` counts records whose id was not there, ``repeated`` the others. ``bad_lines`` and ``damaged`` objects are in the
    quarantine. ``gone`` counts objects that disappeared after they were listed.
    """

    dataset: str
    objects: int
    new: int
    repeated: int
    bad_lines: int
    damaged: int
    gone: int


@dataclass(frozen=True)
class Unread:
    """An object that could not be read, and why; the next run tries it again."""

    key: str
    reason: str


@dataclass(frozen=True)
class Loaded:
    """A whole run. ``batches`` are complete and loaded by their manifests; ``waiting`` ones are not complete.

    ``unnamed`` counts files that wait for a manifest, ``manifests_refused`` manifests that cannot be read, ``strays`` objects among the files that have no key of the
    contract.
    """

    datasets: tuple[LoadedDataset, ...]
    batches: int
    waiting: int
    unnamed: int
    manifests_refused: int
    strays: int
    unread: tuple[Unread, ...]

    @property
    def quarantined(self) -> int:
        """How many lines, objects and manifests went into the quarantine."""
        return self.manifests_refused + sum(each.bad_lines + each.damaged for each in self.datasets)
