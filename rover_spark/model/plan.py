"""What would be exported, as values that can be printed, stored and compared. Pure: no clock, no Spark, no store.

A BatchPlan pins all that could vary below it, so a retry an hour later, or a redelivery a month later, makes the same
bytes. ``heads`` says where a dataset stands, ``steps`` what is due from there.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Literal

from rover_spark.contract.rover import DATASETS, SPREAD, Dataset

Phase = Literal["snapshot", "changes", "enable", "lost"]


@dataclass(frozen=True)
class HistoryRow:
    """One commit of a source table: its version, its timestamp in ms since 1970, and the operation."""

    version: int
    timestamp: int
    operation: str


@dataclass(frozen=True)
class TableState:
    """A source as it stands: table id, history rows in ascending order, the latest last, its properties, size and place."""

    table_id: str
    rows: tuple[HistoryRow, ...]
    properties: dict[str, str]
    bytes: int = 0
    location: str = ""

    @property
    def latest(self) -> HistoryRow:
        """The newest commit."""
        return self.rows[-1]

    def row(self, version: int) -> HistoryRow | None:
        """The commit of that version, or None where the history does not reach it."""
        return next((row for row in self.rows if row.version == version), None)

    @property
    def keeps_feed(self) -> bool:
        """Whether the table keeps a change data feed."""
        return self.properties.get("delta.enableChangeDataFeed", "").lower() == "true"

    def read_by(self, version: int) -> int:
        """The version by whose columns and features the feed reads a range that ends at ``version``.

        Delta takes the newest one, but of a table with column mapping the range's own last one.
        """
        mapped = self.properties.get("delta.columnMapping.mode", "none").lower() != "none"
        return version if mapped else self.latest.version

    def holds(self, commits: tuple[HistoryRow, ...]) -> bool:
        """Whether each of these commits is still in the history."""
        return set(commits) <= set(self.rows)


@dataclass(frozen=True)
class Source:
    """Which rows a dataset is made of: table, one SQL expression a field, filter, id, additional fields.

    ``identifiers`` (name = SQL expression) make of each row of the table one row for each that is not null.
    """

    table: str
    columns: dict[str, str]
    natural_key: tuple[str, ...]
    where: str | None
    extra: dict[str, str]
    deletes: str
    identifiers: dict[str, str] = field(default_factory=dict)

    @property
    def expressions(self) -> tuple[str, ...]:
        """Every SQL text that reads a column of the table."""
        texts = (*self.columns.values(), *self.extra.values(), *self.identifiers.values())
        return texts if self.where is None else (*texts, self.where)

    def differences(self, other: Source) -> list[str]:
        """Names of the settings that change which rows, ids or values a change stream would give."""
        changed = [
            n
            for n in ("table", "natural_key", "where", "identifiers")
            if getattr(self, n) != getattr(other, n)
        ]
        made = SPREAD if "identifiers" in changed else ()  # these columns follow from them
        changed += [
            f"columns.{n}"
            for n in {**other.columns, **self.columns}
            if self.columns.get(n) != other.columns.get(n) and n not in made
        ]
        keyed = any(self.extra.get(n) != other.extra.get(n) for n in self.natural_key)
        return [*changed, "extra"] if keyed else changed


@dataclass(frozen=True)
class Files:
    """The chunk rule: ``pmod(hash(id), chunks)``, and where a file inside a chunk ends."""

    chunks: int
    max_bytes: int
    max_record_bytes: int
    compression_level: int


@dataclass(frozen=True)
class Step:
    """A delivery that is due, before anything is counted or pinned. Versions are inclusive."""

    phase: Phase
    epoch: int
    from_version: int | None
    to_version: int


@dataclass(frozen=True)
class Plan:
    """What a batch of either contract pins. ``instant`` is ms since 1970.

    ``source_rows`` is the number of rows the source gave when the batch was planned, after ``where``: as many must
    arrive when it is staged.
    """

    export: str
    dataset: str
    epoch: int
    seq: int
    phase: Phase
    instant: int
    destination: str
    source_rows: int
    versions: dict[str, str]

    @property
    def batch(self) -> str:
        """The batch's name, never used twice."""
        return f"{self.dataset}.{self.epoch}.{self.seq}"

    @property
    def has_snapshot(self) -> bool:
        """Whether a rerun begins with a snapshot."""
        return False

    @property
    def chunks(self) -> int:
        """How many groups of rows are cut into files, each by itself."""
        raise NotImplementedError

    @property
    def lost(self) -> str:
        """What a plan of phase ``lost`` gives up, for the ledger and the operator."""
        raise NotImplementedError

    def to_json(self) -> str:
        """The plan as one line of JSON; ``from_json`` gives an equal plan back."""
        # keys stay in their order: additional fields are emitted in it
        return json.dumps(self._tree(), separators=(",", ":"))

    def _tree(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class BatchPlan(Plan):
    """A batch of one dataset of the Rover contract; ``commits`` are the pinned source commits.

    ``inserts_only`` says that no row of the range was updated or deleted; ``floors`` that earlier batches left floors,
    all but those of the ``aborted`` ones.
    """

    from_version: int | None
    to_version: int
    table_id: str
    commits: tuple[HistoryRow, ...]
    source: Source
    files: Files
    inserts_only: bool
    floors: bool
    aborted: tuple[int, ...]

    @property
    def has_snapshot(self) -> bool:
        """As the dataset's contract says."""
        return self.contract.snapshot

    @property
    def chunks(self) -> int:
        """As the chunk rule says."""
        return self.files.chunks

    @property
    def lost(self) -> str:
        """The versions, and what receivers must do."""
        what = f"changes after version {(self.from_version or 0) - 1} of {self.source.table} are lost"
        if self.contract.snapshot:
            follows = f"a snapshot under epoch {self.epoch + 1} follows"
            return f"{what}: receivers must truncate {self.dataset}, {follows}"
        return f"{what}, as the operator accepted; delivery goes on after version {self.to_version}"

    @property
    def contract(self) -> Dataset:
        """The dataset's contract."""
        return DATASETS[self.dataset]

    @property
    def anchor(self) -> HistoryRow:
        """The history row of the last version delivered."""
        return self.commits[-1]

    def _tree(self) -> dict[str, Any]:
        tree = super()._tree()
        if not self.source.identifiers:  # versions before this setting read the plans that do without
            del tree["source"]["identifiers"]
        return tree

    @property
    def emitted_at(self) -> datetime:
        """The instant as a UTC datetime."""
        return datetime.fromtimestamp(self.instant // 1000, timezone.utc) + timedelta(
            milliseconds=self.instant % 1000
        )

    @classmethod
    def from_tree(cls, tree: dict[str, Any]) -> BatchPlan:
        """The plan that ``to_json`` wrote, from the parsed text."""
        tree["commits"] = tuple(HistoryRow(**row) for row in tree["commits"])
        tree["source"] = Source(**{**tree["source"], "natural_key": tuple(tree["source"]["natural_key"])})
        tree["files"] = Files(**tree["files"])
        tree["aborted"] = tuple(tree["aborted"])
        return cls(**tree)


def rerun_remedy(dataset: str) -> str:
    """What an operator does about a gap."""
    flag = "" if dataset in DATASETS and DATASETS[dataset].snapshot else " --accept-gap"
    return f"rover-spark rerun -c FILE --dataset {dataset}{flag}, then export: the ledger notes what was given up."
