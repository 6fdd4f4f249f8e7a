"""What every batch pins, whatever its contract: values that can be printed, stored and compared. Pure: no clock, no store.

A plan holds all that could vary below it, so a retry an hour later, or a redelivery a month later, makes the same bytes.
Each contract has a plan of its own in its folder of ``produce``; the rest of the package knows only what this module defines.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

from rover_spark.contract.manifests import Previous
from rover_spark.model.schema import RegisteredSchema

Phase = Literal["snapshot", "changes", "enable", "lost"]


@dataclass(frozen=True)
class Manifests:
    """Where a batch's completion manifest is published, and in which other forms; ``previous`` is the one of the stream before it."""

    place: str
    formats: tuple[str, ...]
    previous: Previous | None

    @classmethod
    def at(cls, place: str | None, formats: Sequence[str], previous: Previous | None) -> Manifests | None:
        """None where no manifest is asked for."""
        return None if place is None else cls(place, tuple(formats), previous)

    @classmethod
    def of(cls, tree: Mapping[str, Any] | None) -> Manifests | None:
        """What a stored plan holds; None in one that publishes no manifest, such as those of version 0.4.0 and before."""
        if tree is None:
            return None
        previous = tree["previous"]
        return cls(tree["place"], tuple(tree["formats"]), Previous(**previous) if previous else None)


@dataclass(frozen=True)
class Plan:
    """What a batch of any contract pins. ``instant`` is ms since 1970.

    ``dataset`` is the stream that the ledger counts batches of. ``source_rows`` is the number of rows the source gave
    when the batch was planned, after ``where``: as many must arrive when it is staged. ``versions`` are set as the ledger
    records the plan: only then Spark is sure to run. ``manifests`` is None where no completion manifest is published.
    """

    contract: ClassVar[str]
    newest_format: ClassVar[int] = (
        3  # of the stored text: 2 where a chunk is a data file, 3 with a completion manifest or mended text
    )

    export: str
    dataset: str
    epoch: int
    seq: int
    phase: Phase
    instant: int
    destination: str
    source_rows: int
    versions: dict[str, str] = field(default_factory=dict, kw_only=True)
    manifests: Manifests | None = field(default=None, kw_only=True)

    @property
    def batch(self) -> str:
        """The batch's name, never used twice."""
        return f"{self.dataset}.{self.epoch}.{self.seq}"

    @property
    def has_snapshot(self) -> bool:
        """Whether a rerun begins with a snapshot."""
        return False

    @property
    def registers(self) -> tuple[RegisteredSchema, ...]:
        """The schemas that the ledger registers with the plan."""
        return ()

    @property
    def format(self) -> int:
        """The format of the stored text without ``manifests``: the oldest one that says all of the plan."""
        return 1

    @property
    def arrangement(self) -> str:
        """What a chunk is and who reads it, with the reason, in a few words; empty where the plan reads no rows."""
        return ""

    @property
    def chunks(self) -> int:
        """How many groups of rows are cut into files, each by itself."""
        raise NotImplementedError

    @property
    def lost(self) -> str:
        """What a plan of phase ``lost`` gives up, for the ledger and the operator."""
        raise NotImplementedError

    @property
    def span(self) -> str:
        """The versions that it delivers, in a word for a table's cell."""
        raise NotImplementedError

    def document(self) -> dict[str, Any]:
        """The versions that it delivers, as ``--json`` prints them with the batch."""
        return {"from_version": None, "to_version": None}

    def remarks(self, counts: Mapping[str, int]) -> list[str]:
        """What an operator should notice of delivered records, from the batch's counts."""
        return []

    def to_json(self) -> str:
        """The plan as one line of JSON; ``produce.port.decode`` gives an equal plan back."""
        # keys stay in their order: additional fields are emitted in it
        tree = {"contract": self.contract, "format": 3 if self.manifests else self.format, **self._tree()}
        if self.manifests is None:  # earlier versions read the plans that do without
            del tree["manifests"]
        return json.dumps(tree, separators=(",", ":"))

    def _tree(self) -> dict[str, Any]:
        return asdict(self)
