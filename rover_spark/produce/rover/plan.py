"""What a batch of one Rover dataset pins: versions, commits, expressions, the chunk rule. Pure: no clock, no Spark, no store.

``steps`` says what is due; a BatchPlan pins it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, ClassVar, Literal, cast

from rover_spark.contract.rover import CONTRACT, DATASETS, SPREAD, Dataset
from rover_spark.delta.anchor import rerun_remedy
from rover_spark.model.plan import Manifests, Phase, Plan
from rover_spark.model.table import HistoryRow
from rover_spark.model.wording import counted


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
    """The chunk rule, and where a file inside a chunk ends.

    ``layout`` hash: chunk ``pmod(hash(id), chunks)``. ``layout`` files: chunk n is the data file at place n, by path at the
    version of a snapshot, in the order of the log among those that commits added. ``reader``: a task reads them and makes
    the records (native), Spark reads them and a task makes the records (arrow), Spark does both (spark). ``why`` is the reason
    for both. There a file ends after ``max_records``, too. ``raw_rows``: the plan counted rows before the filter.
    """

    chunks: int
    max_bytes: int
    max_record_bytes: int
    compression_level: int
    layout: Literal["hash", "files"] = "hash"
    reader: Literal["spark", "arrow", "native"] = "spark"
    why: str = ""
    max_records: int = 0
    raw_rows: bool = False


@dataclass(frozen=True)
class Text:
    """What becomes of text that breaks some loads; the settings of the same names explain the values."""

    duplicate_keys: Literal["keep", "last"] = "keep"
    nul: Literal["keep", "replace"] = "keep"
    big_integers: Literal["keep", "string"] = "keep"

    @property
    def mends(self) -> bool:
        """Whether anything is mended."""
        return self != Text()

    @property
    def last(self) -> bool:
        """Whether of a name that stands twice in an object the last member is delivered."""
        return self.duplicate_keys == "last"


@dataclass(frozen=True)
class Step:
    """A delivery that is due, before anything is counted or pinned. Versions are inclusive."""

    phase: Phase
    epoch: int
    from_version: int | None
    to_version: int


@dataclass(frozen=True)
class BatchPlan(Plan):
    """A batch of one dataset of the Rover contract; ``commits`` are the pinned source commits.

    ``inserts_only`` says that no row of the range was updated or deleted; ``floors`` that earlier batches left floors,
    all but those of the ``aborted`` ones.
    """

    contract: ClassVar[str] = CONTRACT

    from_version: int | None
    to_version: int
    table_id: str
    commits: tuple[HistoryRow, ...]
    source: Source
    files: Files
    inserts_only: bool
    floors: bool
    aborted: tuple[int, ...]
    text: Text = Text()

    @property
    def has_snapshot(self) -> bool:
        """True if the contract lets the dataset begin with a snapshot."""
        return self.definition.snapshot

    @property
    def chunks(self) -> int:
        """Returns the number of chunks that the chunk rule gives."""
        return self.files.chunks

    @property
    def lost(self) -> str:
        """Says which versions are lost, and what receivers must do."""
        what = f"changes after version {(self.from_version or 0) - 1} of {self.source.table} are lost"
        if self.definition.snapshot:
            follows = f"a snapshot under epoch {self.epoch + 1} follows"
            return f"{what}: receivers must truncate {self.dataset}, {follows}"
        return f"{what}, as the operator accepted; delivery goes on after version {self.to_version}"

    @property
    def definition(self) -> Dataset:
        """What the contract says of the dataset."""
        return DATASETS[self.dataset]

    @property
    def stand_alone(self) -> bool:
        """Whether each row is a create, whatever other rows say."""
        return self.phase == "snapshot" or (self.inserts_only and self.definition.append_only)

    @property
    def anchor(self) -> HistoryRow:
        """The history row of the last version delivered."""
        return self.commits[-1]

    def _tree(self) -> dict[str, Any]:
        tree = super()._tree()
        # earlier versions read the plans that do without what they do not know
        if not self.source.identifiers:
            del tree["source"]["identifiers"]
        if self.files.layout == "hash":
            for name in ("layout", "reader", "why", "max_records", "raw_rows"):
                del tree["files"][name]
        if not self.text.mends:
            del tree["text"]
        return tree

    @property
    def format(self) -> int:
        """Returns 2 where a chunk is a data file, 3 where text is mended."""
        return 3 if self.text.mends else 2 if self.files.layout == "files" else 1

    @property
    def arrangement(self) -> str:
        """Returns the layout, the reader of data files, and the reason."""
        if self.phase in {"enable", "lost"} or not self.files.why:
            return ""
        kind = self.files.layout if self.files.layout == "hash" else f"files, {self.files.reader}"
        return f"{kind}: {self.files.why}"

    @property
    def emitted_at(self) -> datetime:
        """The instant as a UTC datetime."""
        return datetime.fromtimestamp(self.instant // 1000, timezone.utc) + timedelta(
            milliseconds=self.instant % 1000
        )

    @property
    def span(self) -> str:
        """Returns the versions that the plan reads, as text: ``7`` or ``3-7``."""
        first, last = self.from_version, self.to_version
        return f"{last}" if first in {None, last} else f"{first}-{last}"

    def remarks(self, counts: Mapping[str, int]) -> list[str]:
        """Records in which text was mended."""
        what = {
            "duplicate_keys": "a name that stood twice has its last value",
            "nul": "U+FFFD stands for NUL",
            "big_integers": "integers beyond 2^53 - 1 are strings",
        }
        return [
            f"in {counted(counts[name], 'record')} {text}" for name, text in what.items() if counts.get(name)
        ]

    def document(self) -> dict[str, Any]:
        """Returns the versions that the plan reads, for JSON documents."""
        return {"from_version": self.from_version, "to_version": self.to_version}


def decode(tree: dict[str, Any]) -> BatchPlan:
    """The plan that ``to_json`` wrote, from the parsed text without contract and format."""
    source = {**tree["source"], "natural_key": tuple(tree["source"]["natural_key"])}
    values = {
        "commits": tuple(HistoryRow(**row) for row in tree["commits"]),
        "source": Source(**source),
        "files": Files(**tree["files"]),
        "text": Text(**tree.get("text", {})),
        "aborted": tuple(tree["aborted"]),
        "manifests": Manifests.of(tree.get("manifests")),
    }
    return BatchPlan(**{**tree, **values})


def remedy_of(dataset: str) -> str:
    """What an operator does about a gap of the dataset."""
    return rerun_remedy(dataset, accept_gap=not DATASETS[dataset].snapshot)


def batch_plan(plan: Plan) -> BatchPlan:
    """The plan as one of this contract: a dataset's stream has no other."""
    assert plan.contract == CONTRACT
    return cast(BatchPlan, plan)
