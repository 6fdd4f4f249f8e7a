"""Plans the next batch of a dataset from its dataset state and its table. Counts rows, writes nothing.

The state of a table is read once a run, so a run ends even where a table never stops changing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, TypeVar

from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

from rover_spark.config.settings import Settings
from rover_spark.contract.rover import DATASETS
from rover_spark.delta import gaps, history, read
from rover_spark.delta.anchor import begin_later, check_anchor, confirm, reach
from rover_spark.delta.engine_errors import MEND, reading, second_look
from rover_spark.delta.frames import empty
from rover_spark.delta.log.values import DataFile
from rover_spark.delta.names import span
from rover_spark.delta.session import Session
from rover_spark.delta.storage import NotNative
from rover_spark.delta.tables import Tables
from rover_spark.delta.used_columns import used
from rover_spark.errors import ConfigError, RunError, SourceGap, SourceUnread
from rover_spark.ledger.side_tables import floors_before
from rover_spark.ledger.table import Ledger
from rover_spark.model.dataset_state import DatasetState
from rover_spark.model.plan import Plan
from rover_spark.model.table import HistoryRow, TableState
from rover_spark.produce.rover.counts import Counts
from rover_spark.produce.rover.data_files import handed_rows, native_rows
from rover_spark.produce.rover.fields import mapped
from rover_spark.produce.rover.identifiers import counting
from rover_spark.produce.rover.kept import Kept, kept
from rover_spark.produce.rover.plan import BatchPlan, Source, Step, batch_plan, remedy_of
from rover_spark.produce.rover.steps import (
    Layout,
    agreed,
    first_step,
    last_of,
    next_step,
    plan_batch,
    reader_doubt,
    refuse_changed,
    source_of,
)

T = TypeVar("T")


class Planner:
    """Plans one run at one instant (ms since 1970), ``asked`` for by the user or read from a clock."""

    def __init__(
        self, session: Session, settings: Settings, ledger: Ledger, now: int, *, asked: bool
    ) -> None:
        self._session = session
        self._settings = settings
        self._ledger = ledger
        self.now = now
        self._asked = asked
        self._kept: dict[str, Kept] = {}
        self._unread: dict[str, bool] = {}  # by dataset: whether its outstanding changes are given up
        self._refused: dict[str, str] = {}  # by dataset: why the native reader does not serve it
        self.refresh()

    def refresh(self) -> None:
        """Forgets what the tables looked like: another driver may have gone further than this run saw."""
        self._tables = Tables(self._session, self._settings.tables)
        self._counts = Counts(self._session, self._settings, self._tables)

    def table(self, dataset: str, table: str, since: int | HistoryRow | None) -> TableState:
        """The table's state as this run first saw it, its history back to ``since`` as far as it reaches."""
        return self._tables.state(f"datasets.{dataset}.table", table, since)

    def confirm(self, plan: Plan) -> None:
        """Raises SourceGap unless the table still holds the commits that the plan pinned, and their changes can be read."""
        plan = batch_plan(plan)
        state = self.table(plan.dataset, plan.source.table, plan.commits[0])
        confirm(plan.batch, plan.source.table, plan.commits, state, remedy_of(plan.dataset))
        if plan.phase == "changes" and plan.from_version is not None:
            since, by = plan.from_version - 1, state.read_by(plan.to_version)
            self._require_whole(
                plan.dataset, plan.source, since, state, plan.to_version, delivered=False, read_by=by
            )

    def refused(self, dataset: str, why: str) -> None:
        """Leaves the data files of the dataset to Spark's reader for the rest of this run."""
        self._refused[dataset] = why

    def unread(self, dataset: str, error: RunError) -> None:
        """Gives the changes up, so that a rerun goes on without them; after a failure of unknown cause only the second time."""
        self._unread[dataset] = isinstance(error, SourceGap) or dataset in self._unread

    def require_whole(self, dataset: str, last: BatchPlan, state: TableState) -> None:
        """Raises SourceGap where the log says that the change data feed after the last batch would not be whole."""
        if last.to_version < state.latest.version and state.row(last.to_version) == last.anchor:
            self._require_whole(dataset, source_of(self._settings, dataset), last.to_version, state)

    def _require_whole(
        self,
        dataset: str,
        wanted: Source,
        since: int,
        state: TableState,
        last: int | None = None,
        *,
        delivered: bool = True,
        read_by: int | None = None,
    ) -> None:
        to = state.latest.version if last is None else last
        read = used(wanted.expressions)
        one = gaps.Range(wanted.table, state.location, since, to, read, delivered=delivered, read_by=read_by)
        with reading(dataset, span(wanted.table, since + 1, to), remedy=remedy_of(dataset)):
            found = self._tables.gaps([one])
        gaps.refuse(dataset, one, found[0], remedy_of(dataset))

    def check(self, dataset: str, dataset_state: DatasetState) -> None:
        """Raises ConfigError for what must be mended before any row is read: settings, table, feed, columns, types."""
        wanted, last = source_of(self._settings, dataset), last_of(dataset_state)
        if last is not None and not dataset_state.rerun:
            refuse_changed(dataset, wanted, dataset_state)
        if self._asked and self.now < dataset_state.instant:
            raise ConfigError(
                f"the instant of this run lies before that of the last batch of {dataset}",
                code="now_too_early",
                remedy="Leave --now out, or name a later one.",
            )
        state = self.table(dataset, wanted.table, self._since(dataset, dataset_state))
        history.require_feed(f"datasets.{dataset}.table", wanted.table, state)
        if last is None:
            first_step(DATASETS[dataset], self._settings.datasets[dataset].start, state)
        if last is not None and not dataset_state.rerun and state.latest.version == last.to_version:
            return  # nothing will be read
        if last is not None and not dataset_state.rerun:
            self.require_whole(dataset, last, state)
            if wanted == last.source and self._tables.unaltered(wanted.table, last.to_version):
                return  # the same fields of the same columns as in the last batch
        self.fields(dataset)

    def fields(self, dataset: str) -> DataFrame:
        """The contract's fields of the table as it is now, as ``mapped`` gives them; nothing is read yet.

        Raises:
            ConfigError: an expression that cannot be evaluated, or whose type cannot serve.
        """
        wanted = source_of(self._settings, dataset)
        state = self.table(dataset, wanted.table, None)

        def made(rows: DataFrame) -> DataFrame:
            return mapped(counting(rows, dataset, wanted), DATASETS[dataset], wanted)

        return self._analysed(dataset, wanted.table, state.latest.version, made)

    def _analysed(self, dataset: str, table: str, version: int, make: Callable[[DataFrame], T]) -> T:
        """What ``make`` gives for the table's columns at a version; it runs no action.

        It gets a frame without rows: Delta would first read which files the version has. What fails there is made again of
        the table itself, whose rows have more columns than the log names (``_metadata``), and whose errors say more.
        """
        with reading(dataset, span(table, None, version), remedy=MEND):
            columns = StructType.fromJson(self._tables.logs.of(table).schema_at(version))
            try:
                return make(empty(self._session.spark, columns))
            except (ConfigError, NotNative):
                return make(read.snapshot(self._session.spark, table, version))

    def next_plan(self, dataset: str, dataset_state: DatasetState) -> BatchPlan | None:
        """The next batch that is due, or None.

        Raises:
            SourceGap: changes that cannot be read whole, unless a rerun was asked for: then the range is LOST.
            SourceChanged: another driver's batch, which this run follows, was made of something else.
        """
        self.release(dataset)  # what was planned before was staged by now, or never will be
        wanted = source_of(self._settings, dataset)
        state = self.table(dataset, wanted.table, self._since(dataset, dataset_state))
        last = last_of(dataset_state)
        if last is None:
            step = first_step(DATASETS[dataset], self._settings.datasets[dataset].start, state)
            try:
                if step.phase == "changes" and step.from_version is not None:
                    self._require_whole(dataset, wanted, step.from_version - 1, state, delivered=False)
                return self._pin(dataset, step, dataset_state, wanted, state)
            except SourceGap as gap:
                remedy = begin_later([f"datasets.{dataset}.start"])
                raise SourceGap(gap.message, code=gap.code, remedy=remedy) from gap
        if not dataset_state.rerun:
            refuse_changed(dataset, wanted, dataset_state)
            due = self._changes(dataset, dataset_state, wanted, state)
        elif self._unread.get(dataset):
            due = next_step(dataset_state, None, state.latest.version)
        else:
            try:
                # outstanding changes are read with the source settings last agreed: a rerun confirms the new settings
                # for the snapshot only
                due = second_look(lambda: self._changes(dataset, dataset_state, agreed(dataset_state), state))
            except (SourceGap, SourceUnread, ConfigError):
                due = next_step(dataset_state, None, state.latest.version)
        return self._pin(dataset, due, dataset_state, wanted, state) if isinstance(due, Step) else due

    def _changes(
        self, dataset: str, dataset_state: DatasetState, read: Source, state: TableState
    ) -> BatchPlan | Step | None:
        """The plan of the outstanding changes, or the step that is due instead of them."""
        last, before = last_of(dataset_state), self._outstanding(dataset, dataset_state)
        due = next_step(dataset_state, before.latest.version, state.latest.version)
        if last is None or due is None or due.phase != "changes":
            return due
        self._require_whole(dataset, read, last.to_version, before)
        return self._pin(dataset, due, dataset_state, read, before)

    def _since(self, dataset: str, dataset_state: DatasetState) -> int | HistoryRow | None:
        start = self._settings.datasets[dataset].start
        if (last := last_of(dataset_state)) is not None:
            return last.anchor
        return reach(start)

    def _outstanding(self, dataset: str, dataset_state: DatasetState) -> TableState:
        last = last_of(dataset_state)
        assert last is not None
        state = self.table(dataset, last.source.table, last.anchor)
        check_anchor(dataset, last.source.table, last.anchor, state, remedy_of(dataset))
        return state

    def floors(self, plan: BatchPlan) -> DataFrame | None:
        """The floors that count for a plan, or None where no batch before it left any."""
        return floors_before(self._session.spark, self._ledger, plan, plan.aborted) if plan.floors else None

    def _pin(
        self, dataset: str, step: Step, dataset_state: DatasetState, wanted: Source, state: TableState
    ) -> BatchPlan:
        found, layout = dict[str, int](), Layout()
        if step.phase not in {"enable", "lost"}:
            found, layout = self._counts.measured(dataset, step, dataset_state, wanted, state)
        changed = sum(rows for change, rows in found.items() if change != "update_preimage")
        plan = self._plan(step, dataset, dataset_state, wanted, state, found, changed, layout)
        repeats = "delete" in found or (wanted.identifiers and "update_preimage" in found)
        if repeats and plan.files.chunks > 1:
            # an overwrite or a RESTORE repeats most rows, an update of a wide row most identifiers: without a closer
            # look it would make a thousand tiny files
            what = span(wanted.table, step.from_version, step.to_version)
            pairs = min(found.get("delete", 0), found.get("insert", 0))
            rewritten = not wanted.identifiers and 4 * pairs >= plan.source_rows
            with reading(dataset, what, remedy=remedy_of(dataset)):
                feed = read.rows(self._session.spark, plan.source.table, plan.from_version, plan.to_version)
                rows = kept(feed, plan, self.floors(plan), rewritten=rewritten)
            plan = self._plan(step, dataset, dataset_state, wanted, state, found, rows.delivered, layout)
            self._kept[dataset] = replace(rows, plan=plan)
        if not layout.files:
            return plan
        return self._with_reader(plan, layout.files, reader_doubt(dataset_state))

    def _with_reader(self, plan: BatchPlan, files: Sequence[DataFile], doubt: str | None) -> BatchPlan:
        """The plan with the reader of its data files; where Spark takes part, with the reason: ``doubt`` is one."""
        asked, why = self._settings.files.reader, self._refused.get(plan.dataset, doubt)
        if asked == "spark":
            why = 'files.reader is "spark"'
        if why is not None:
            return _read_by("spark", plan, f"Spark reads them: {why}")
        try:
            if asked == "arrow":
                raise NotNative('files.reader is "arrow"')
            native_rows(self._tables, plan, files, self._settings.tables)
            return _read_by("native", plan)
        except NotNative as error:
            why = f"Spark reads them: {error}"
        try:
            self._analysed(
                plan.dataset, plan.source.table, plan.to_version, lambda rows: handed_rows(rows, plan)
            )
            return _read_by("arrow", plan, why)
        except NotNative as error:
            return _read_by("spark", plan, f"{why}; Spark makes the records: {error}")

    def kept(self, plan: BatchPlan) -> Kept | None:
        """The rows that this run decided when it planned a batch, or None."""
        found = self._kept.get(plan.dataset)
        return found if found is not None and found.serves(plan) else None

    def release(self, dataset: str) -> None:
        """Lets go of the rows that were decided when a batch was planned."""
        found = self._kept.pop(dataset, None)
        if found is not None:
            found.release()

    def _plan(
        self,
        step: Step,
        dataset: str,
        dataset_state: DatasetState,
        wanted: Source,
        state: TableState,
        found: dict[str, int],
        records: int,
        layout: Layout,
    ) -> BatchPlan:
        return plan_batch(
            step,
            self._settings,
            dataset,
            dataset_state,
            wanted,
            state,
            now=self.now,
            source_rows=sum(found.values()),
            records=records,
            inserts_only=set(found) <= {"insert"},
            layout=layout,
        )


def _read_by(reader: Literal["spark", "arrow", "native"], plan: BatchPlan, why: str = "") -> BatchPlan:
    whys = "; ".join(filter(None, (plan.files.why, why)))
    return replace(plan, files=replace(plan.files, reader=reader, why=whys))
