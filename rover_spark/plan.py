"""What would be exported, as values that can be printed, stored and compared. Pure: no clock, no Spark, no store.

A BatchPlan pins all that could vary below it, so a retry an hour later, or a redelivery a month later, makes the same
bytes. A Head is what a ledger says of one dataset; ``due`` and ``plan_batch`` turn heads into plans.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta, timezone
from math import ceil
from typing import Any, Literal

from rover_spark.contract.rover import DATASETS, Dataset
from rover_spark.errors import ConfigError, SourceGap
from rover_spark.settings import Settings

Phase = Literal["snapshot", "changes", "enable", "lost"]
State = Literal["PLANNED", "STAGED", "COMMITTED", "ABORTED", "LOST"]

ABANDONED_AFTER = timedelta(hours=1)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class HistoryRow:
    """One commit of a source table: its version, its timestamp in ms since 1970, and the operation."""

    version: int
    timestamp: int
    operation: str


@dataclass(frozen=True)
class TableState:
    """A source as it stands: table id, history rows in ascending order, the latest last, and its properties."""

    table_id: str
    rows: tuple[HistoryRow, ...]
    properties: dict[str, str]

    @property
    def latest(self) -> HistoryRow:
        """The newest commit."""
        return self.rows[-1]

    def row(self, version: int) -> HistoryRow | None:
        """The commit of that version, or None where the history does not reach it."""
        return next((row for row in self.rows if row.version == version), None)


@dataclass(frozen=True)
class Source:
    """Which rows a dataset is made of: table, one SQL expression a field, filter, id, additional fields."""

    table: str
    columns: dict[str, str]
    natural_key: tuple[str, ...]
    where: str | None
    extra: dict[str, str]
    deletes: str

    def differences(self, other: Source) -> list[str]:
        """Names of the settings that change which rows or ids a change stream would give."""
        return [
            n for n in ("table", "columns", "natural_key", "where") if getattr(self, n) != getattr(other, n)
        ]


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
class BatchPlan:
    """Everything a batch depends on. ``instant`` is ms since 1970; ``commits`` are the pinned source commits.

    ``source_rows`` is the number of rows the source gave when the batch was planned, after ``where``: as many must
    arrive when it is staged. ``inserts_only`` says that no row of the range was updated or deleted; ``floors`` that
    earlier batches left floors, all but those of the ``aborted`` ones.
    """

    export: str
    dataset: str
    epoch: int
    seq: int
    phase: Phase
    instant: int
    from_version: int | None
    to_version: int
    table_id: str
    commits: tuple[HistoryRow, ...]
    source: Source
    files: Files
    destination: str
    source_rows: int
    inserts_only: bool
    floors: bool
    aborted: tuple[int, ...]
    versions: dict[str, str]

    @property
    def batch(self) -> str:
        """The batch's name, never used twice."""
        return f"{self.dataset}.{self.epoch}.{self.seq}"

    @property
    def contract(self) -> Dataset:
        """The dataset's contract."""
        return DATASETS[self.dataset]

    @property
    def anchor(self) -> HistoryRow:
        """The history row of the last version delivered."""
        return self.commits[-1]

    @property
    def emitted_at(self) -> datetime:
        """The instant as a UTC datetime."""
        return datetime.fromtimestamp(self.instant // 1000, timezone.utc) + timedelta(
            milliseconds=self.instant % 1000
        )

    def to_json(self) -> str:
        """The plan as one line of JSON; ``from_json`` gives an equal plan back."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> BatchPlan:
        """The plan that ``to_json`` wrote."""
        tree: dict[str, Any] = json.loads(text)
        tree["commits"] = tuple(HistoryRow(**row) for row in tree["commits"])
        tree["source"] = Source(**{**tree["source"], "natural_key": tuple(tree["source"]["natural_key"])})
        tree["files"] = Files(**tree["files"])
        tree["aborted"] = tuple(tree["aborted"])
        return cls(**tree)


@dataclass(frozen=True)
class Head:
    """What the ledger says of one dataset.

    ``transition`` and ``seq`` are the last ones taken, ``instant`` the last one planned (ms). ``last`` is the plan
    whose versions count as delivered (or lost), ``open`` one that is PLANNED or STAGED. ``rerun`` holds while one
    has been asked for; ``settled`` once its outstanding changes were recorded LOST.
    """

    transition: int = 0
    seq: int = 0
    instant: int = 0
    last: BatchPlan | None = None
    open: BatchPlan | None = None
    open_state: State | None = None
    aborted: tuple[int, ...] = ()
    floors: bool = False
    rerun: bool = False
    settled: bool = False

    def after(self, plan: BatchPlan) -> Head:
        """The head once ``plan`` is COMMITTED (or LOST)."""
        lost = plan.phase == "lost"
        done = plan.phase == "snapshot" or (lost and not plan.contract.snapshot)
        return replace(
            self,
            seq=plan.seq,
            instant=max(self.instant, plan.instant),
            last=plan,
            open=None,
            open_state=None,
            rerun=self.rerun and not done,
            settled=self.rerun and lost and not done,
        )

    def is_abandoned(self, now: int) -> bool:
        """True where an open plan was never staged and is too old to land in the hour it names."""
        age = timedelta(milliseconds=now - self.open.instant) if self.open else timedelta()
        return self.open_state == "PLANNED" and age > ABANDONED_AFTER


def source_of(settings: Settings, dataset: str) -> Source:
    """The source that today's settings ask for, defaults filled in."""
    chosen, contract = settings.datasets[dataset], DATASETS[dataset]
    return Source(
        table=chosen.table,
        columns={field.name: chosen.columns.get(field.name, f"`{field.name}`") for field in contract.fields},
        natural_key=chosen.natural_key or contract.natural_key,
        where=chosen.where,
        extra=dict(chosen.extra),
        deletes=chosen.deletes,
    )


def refuse_changed(dataset: str, source: Source, last: BatchPlan) -> None:
    """Raises ConfigError where the settings ask for other rows or ids than the last batch delivered."""
    changed = source.differences(last.source)
    if changed:
        names = ", ".join(f"datasets.{dataset}.{name}" for name in changed)
        flag = "" if last.contract.snapshot else " --accept-gap"
        raise ConfigError(
            f"{names}: differs from what batch {last.batch} was delivered with; nothing was delivered",
            code="source_changed",
            remedy=f"Put it back, or confirm it: rover-spark rerun -c FILE --dataset {dataset}{flag}",
        )


def check_anchor(last: BatchPlan, state: TableState) -> None:
    """Raises SourceGap unless the table's history still holds the last delivered commit (law 5).

    A table made anew or copied from elsewhere has another commit at that version, or none: reading on would silently
    give the versions of another table.
    """
    found = state.row(last.to_version)
    if found == last.anchor:
        return
    if state.latest.version < last.to_version:
        what = f"the table's newest version is {state.latest.version}: it was removed and made anew, or restored by hand"
    elif found is None:
        what = "its history does not reach back to that version: the log was cleaned"
    else:
        what = "another commit stands at that version: the table was made anew, or copied from elsewhere"
    raise SourceGap(
        f"{last.dataset}: changes after version {last.to_version} of {last.source.table} cannot be told: {what}. "
        f"The ledger stays at version {last.to_version}",
        code="source_gap",
        remedy=rerun_remedy(last.dataset),
    )


def rerun_remedy(dataset: str) -> str:
    """What an operator does about a gap."""
    flag = "" if DATASETS[dataset].snapshot else " --accept-gap"
    return f"rover-spark rerun -c FILE --dataset {dataset}{flag}, then export: receivers get a note of what was lost."


def first_step(dataset: Dataset, start: str | int, state: TableState) -> Step:
    """The step that enables a dataset.

    ``state`` must reach back to the version that ``start`` names. Raises ConfigError where there is none such yet.
    """
    latest = state.latest.version
    if dataset.snapshot:
        return Step("snapshot", 1, None, latest)
    if start in {"enable", latest}:
        return Step("enable", 1, None, latest)
    first = state.rows[0].version if start == "earliest" else int(start) + 1
    if first > latest:
        raise ConfigError(
            f"datasets.{dataset.name}.start: version {start} is not there yet, the newest is {latest}",
            code="config_invalid",
            remedy="Name a version that exists, or leave start out.",
        )
    return Step("changes", 1, first, latest)


def next_step(head: Head, outstanding: int | None, latest: int) -> Step | None:
    """What is due after ``head.last``, or None.

    ``outstanding`` is the newest version of the table last delivered from, or None where its changes cannot be told
    any more; ``latest`` that of the table a snapshot would read (the same one, unless a rerun changes the table).
    """
    last = head.last
    if last is None:
        raise ValueError("a dataset is enabled by first_step")
    if head.rerun and not last.contract.snapshot:
        return Step("lost", last.epoch, last.to_version + 1, latest)
    if head.rerun and (head.settled or (outstanding is not None and outstanding <= last.to_version)):
        return Step("snapshot", last.epoch + 1, None, latest)
    if outstanding is None:
        return Step("lost", last.epoch, last.to_version + 1, latest)
    if outstanding > last.to_version:
        return Step("changes", last.epoch, last.to_version + 1, outstanding)
    return None


def plan_batch(
    step: Step,
    settings: Settings,
    dataset: str,
    head: Head,
    source: Source,
    state: TableState,
    *,
    now: int,
    source_rows: int,
    records: int,
    inserts_only: bool,
    versions: dict[str, str],
) -> BatchPlan:
    """Pins a step. ``records`` estimates how many will be delivered: the number of chunks follows from it."""
    first = step.to_version if step.phase != "changes" or step.from_version is None else step.from_version
    files = settings.files
    return BatchPlan(
        export=settings.name,
        dataset=dataset,
        epoch=step.epoch,
        seq=head.seq + 1,
        phase=step.phase,
        instant=max(now, head.instant + 1),
        from_version=step.from_version,
        to_version=step.to_version,
        table_id=state.table_id,
        commits=tuple(row for row in state.rows if first <= row.version <= step.to_version),
        source=source,
        files=Files(
            chunks=max(1, ceil(records / files.target_records)),
            max_bytes=files.max_bytes,
            max_record_bytes=files.max_record_bytes,
            compression_level=files.compression_level,
        ),
        destination=settings.destination,
        source_rows=source_rows,
        inserts_only=inserts_only,
        floors=head.floors,
        aborted=head.aborted,
        versions=versions,
    )
