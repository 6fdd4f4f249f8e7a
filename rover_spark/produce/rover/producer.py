"""The Rover contract behind the port: a Planner that also makes the rows of its plans and describes its tables."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from pyspark.sql import DataFrame

from rover_spark.config.settings import Settings
from rover_spark.contract.rover import DATASETS
from rover_spark.delta import read
from rover_spark.delta.anchor import check_anchor
from rover_spark.delta.engine_errors import MEND, reading
from rover_spark.delta.names import span
from rover_spark.delta.session import Session
from rover_spark.delta.storage import NotNative
from rover_spark.encode.ndjson import ENCODER
from rover_spark.errors import ConfigError
from rover_spark.ledger.side_tables import QUARANTINE
from rover_spark.ledger.table import Ledger
from rover_spark.model.dataset_state import FLOORS, DatasetState
from rover_spark.model.plan import Plan
from rover_spark.model.table import TableState
from rover_spark.produce.port import Beside, Part, Place, Rows, Tried, Work
from rover_spark.produce.rover.data_files import handed_rows, listed, native_rows, numbered_rows
from rover_spark.produce.rover.described import described
from rover_spark.produce.rover.fields import project
from rover_spark.produce.rover.files import RoverFiles
from rover_spark.produce.rover.identifiers import counting
from rover_spark.produce.rover.layout import arranged, in_file_order
from rover_spark.produce.rover.native import NativeReader
from rover_spark.produce.rover.plan import BatchPlan, Step, batch_plan, remedy_of
from rover_spark.produce.rover.planner import Planner
from rover_spark.produce.rover.records import floor_rows, set_aside, units
from rover_spark.produce.rover.steps import (
    Layout,
    accepted_columns,
    accepting,
    last_of,
    refuse_changed,
    source_of,
)
from rover_spark.produce.rover.text import with_mended_lines

_LOG = logging.getLogger("rover_spark")
_TASKS = 10_000  # at most: each costs the driver about a millisecond


def producer(session: Session, settings: Settings, ledger: Ledger, now: int, *, asked: bool) -> RoverProducer:
    """The producer of one run."""
    return RoverProducer(session, settings, ledger, now, asked=asked)


class RoverProducer(Planner):
    """One run: plans as the Planner does. Its streams are the datasets."""

    encoder = ENCODER

    @property
    def enough(self) -> int:
        """A file's worth of records."""
        return self._settings.files.target_records

    def keep_clear(self, keys: Iterable[str]) -> None:
        """Does nothing: a key holds its batch's instant and digest, so a new batch repeats no earlier key."""

    def work(self, plan: Plan, chunks: frozenset[int] | None = None) -> Work:
        """One part: a dataset is read at one version, or over one range; none where it has no rows."""
        plan = batch_plan(plan)
        by_file = plan.files.layout == "files" and plan.source_rows > 0

        def of_ids() -> Part:
            kept = self.kept(plan)
            if kept is not None:
                return made(kept.rows, settled=kept.settled)
            source = read.rows(self._session.spark, plan.source.table, plan.from_version, plan.to_version)
            in_one_task = self._counts.in_one_task(plan)
            rows = units(source, plan, self.floors(plan), in_one_task=in_one_task)
            return made(rows, in_one_task=in_one_task)

        def made(
            rows: DataFrame, *, in_one_task: bool = False, settled: Mapping[str, int] | None = None
        ) -> Part:
            return Part(
                arranged(rows, plan, in_one_task=in_one_task),
                (
                    Beside(QUARANTINE, "quarantined", lambda: set_aside(rows, plan)),
                    Beside(FLOORS, FLOORS, lambda: floor_rows(rows, plan)),
                ),
                settled=settled or {},
            )

        @contextmanager
        def read_whole() -> Iterator[None]:
            what = span(plan.source.table, plan.from_version, plan.to_version)
            remedy = MEND if plan.phase == "snapshot" else remedy_of(plan.dataset)
            try:
                with reading(plan.dataset, what, remedy=remedy):
                    yield
            finally:
                self.release(plan.dataset)

        native = None
        if by_file:
            with read_whole():
                native = self._native(plan)
        make = partial(self._by_file, plan, native) if by_file else of_ids
        parts = (lambda: with_mended_lines(make(), plan),) if plan.source_rows else ()
        at_most = plan.source_rows if by_file and plan.files.raw_rows else 0
        # a task that Spark gave a part of a file would stage a part of its chunk: exact counts tell
        resumable = by_file and (native is not None or not at_most)
        return Work(parts, RoverFiles(plan), read_whole, chunks, at_most=at_most, resumable=resumable)

    def _by_file(self, plan: BatchPlan, native: NativeReader | None) -> Part:
        """The part of a plan whose chunks are data files."""
        spark = self._session.spark

        def rows() -> DataFrame:
            return numbered_rows(spark, self._tables, plan)

        beside = (Beside(QUARANTINE, "quarantined", lambda: set_aside(units(rows(), plan, None), plan)),)
        if native is not None:
            numbers = spark.range(0, plan.chunks, 1, min(plan.chunks, _TASKS))
            return Part(numbers.withColumnRenamed("id", "chunk"), beside, native, by_id=False)
        numbered = rows()
        handed = self._handed_over(plan, numbered)
        frame, in_task = handed or (in_file_order(units(numbered, plan, None), plan), None)
        return Part(frame, beside, in_task, by_id=False, within=self._session.unsplit)

    def _native(self, plan: BatchPlan) -> NativeReader | None:
        """The reader that a plan asks for, None for Spark's: also where it cannot serve here, since both make the same bytes."""
        if self._asked_for(plan) != "native":
            return None
        try:
            return native_rows(self._tables, plan, listed(self._tables, plan), self._settings.tables)
        except NotNative as error:
            _LOG.warning("%s: Spark reads the data files: %s", plan.batch, error)
            return None

    def _handed_over(self, plan: BatchPlan, rows: DataFrame) -> tuple[DataFrame, Rows] | None:
        """The frame of which a task makes the records, and how; None where Spark makes them, as in ``_native``."""
        if self._asked_for(plan) == "spark":
            return None
        try:
            return handed_rows(rows, plan)
        except NotNative as error:
            _LOG.warning("%s: Spark makes the records: %s", plan.batch, error)
            return None

    def _asked_for(self, plan: BatchPlan) -> str:
        """Who reads: the plan's reader, or one that leaves more to Spark where the settings or a refusal say so."""
        order = ("spark", "arrow", "native")
        asked = "spark" if plan.dataset in self._refused else self._settings.files.reader
        return min(plan.files.reader, "native" if asked == "auto" else asked, key=order.index)

    # -- the state of its tables -------------------------------------------------------------------------------

    def places(self, stream: str, dataset_state: DatasetState) -> list[Place]:
        """The dataset's table; until a rerun, the one that was delivered from."""
        last = last_of(dataset_state)
        table = last.source.table if last else self._settings.datasets[stream].table
        return [Place(stream, table, last.to_version if last else None)]

    def state(self, place: Place) -> TableState:
        """The table as this run first saw it."""
        return self.table(place.name, place.table, None)

    def look(self, place: Place, dataset_state: DatasetState) -> TableState:
        """The table back to what was delivered, which must still be there."""
        last = last_of(dataset_state)
        state = self.table(place.name, place.table, last.anchor if last else None)
        if last is not None:
            check_anchor(place.name, last.source.table, last.anchor, state, remedy_of(place.name))
            if not dataset_state.rerun:
                self.require_whole(place.name, last, state)
        return state

    def agree(self, place: Place, dataset_state: DatasetState) -> None:
        """Holds today's settings against those of the last batch."""
        if last_of(dataset_state) is not None:
            refuse_changed(place.name, source_of(self._settings, place.name), dataset_state)

    def try_rows(self, place: Place, rows: int) -> Tried:
        """The first rows that count, each with why it could not be delivered."""
        dataset = place.name
        wanted = source_of(self._settings, dataset)
        fields = described(self.fields(dataset), DATASETS[dataset], wanted)
        state = self.table(dataset, wanted.table, None)
        step = Step("snapshot", 1, None, state.latest.version)
        plan = self._plan(step, dataset, DatasetState(), wanted, state, {}, 0, Layout())
        what = span(wanted.table, None, state.latest.version)
        with reading(dataset, what, remedy=MEND):
            found = project(
                counting(
                    read.rows(self._session.spark, plan.source.table, plan.from_version, plan.to_version),
                    dataset,
                    wanted,
                ),
                plan,
            )
            problems = [row["problem"] for row in found.select("problem").limit(rows).collect()]
        return Tried(fields, tuple(problems))

    # -- what an operator asks for -----------------------------------------------------------------------------

    def accepted(self, dataset_state: DatasetState) -> list[str]:
        """Returns the columns that were accepted and count from the next batch on."""
        return accepted_columns(dataset_state)

    def refuse_accept(self) -> None:
        """Does nothing: the columns of a dataset can be confirmed."""

    def accept(self, stream: str, dataset_state: DatasetState) -> tuple[list[str], dict[str, str]]:
        """Columns outside of the row key, the natural key and the order in time; they must be such as can be delivered."""
        wanted = source_of(self._settings, stream)
        changed = accepting(stream, wanted, dataset_state)
        self.fields(stream)
        return changed, wanted.columns

    def refuse_rerun(self, stream: str, *, accept_gap: bool) -> None:
        """A snapshot rerun gives nothing up; events have no snapshot."""
        if DATASETS[stream].snapshot:
            if accept_gap:
                message = f"{stream} is mended by a plain rerun"
                raise ConfigError(message, code="rerun_refused", remedy="Leave --accept-gap out.")
        elif not accept_gap:
            message = f"{stream} has no snapshot to run again"
            remedy = "rerun --accept-gap gives up its undelivered events."
            raise ConfigError(message, code="rerun_refused", remedy=remedy)
