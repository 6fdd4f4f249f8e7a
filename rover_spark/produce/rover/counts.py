"""How many rows a step has, and what its chunks are: from the log where it says so, else Spark counts. Stages nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rover_spark.config.settings import Settings
from rover_spark.contract.rover import DATASETS
from rover_spark.delta import read
from rover_spark.delta.engine_errors import MEND, reading
from rover_spark.delta.log.values import DataFile
from rover_spark.delta.logged import feed_reads, inserted, rows_in
from rover_spark.delta.names import span
from rover_spark.delta.session import Session
from rover_spark.delta.tables import Tables
from rover_spark.model.dataset_state import DatasetState
from rover_spark.model.table import TableState
from rover_spark.produce.rover.data_files import chunkable
from rover_spark.produce.rover.identifiers import counting
from rover_spark.produce.rover.plan import BatchPlan, Source, Step, remedy_of
from rover_spark.produce.rover.steps import Layout, of_data_files

_FEW_ROWS, _FEW_FILES, _FEW_BYTES = 10_000, 32, 16 << 20


class Counts:
    """Counts the rows of one run's steps, from its tables."""

    def __init__(self, session: Session, settings: Settings, tables: Tables) -> None:
        self._session, self._settings, self._tables = session, settings, tables

    def measured(
        self, dataset: str, step: Step, dataset_state: DatasetState, wanted: Source, state: TableState
    ) -> tuple[dict[str, int], Layout]:
        """Source rows by change type, and what the chunks are. Where the log says how many rows there are, none is read.

        Rows of data files that are chunks count before the filter.
        """
        target, plain = self._settings.files.target_records, not (wanted.where or wanted.identifiers)
        files, why = self._chunkable(dataset, step, dataset_state, wanted, state)
        logged = self._logged(step, dataset_state, wanted)
        layout = of_data_files(files, logged, target) if files and logged is not None else Layout(why=why)
        if logged is not None and (plain or (layout.files and not wanted.identifiers)):
            return {"insert": logged}, replace(layout, raw=wanted.where is not None and bool(layout.files))
        found = self._count(dataset, step, wanted)
        if files and logged is None and set(found) <= {"insert"}:
            layout = of_data_files(files, sum(found.values()), target)
        return found, layout

    def _chunkable(
        self, dataset: str, step: Step, dataset_state: DatasetState, wanted: Source, state: TableState
    ) -> tuple[Sequence[DataFile], str]:
        """The data files that may be the chunks of a step; none where they may not, and why."""
        if self._settings.files.layout == "hash":
            return (), 'files.layout is "hash"'
        if self._settings.datasets[dataset].dedupe:
            return (), "dedupe compares the ids of the whole batch"
        if step.from_version is not None and not DATASETS[dataset].append_only:
            return (), "changes are compared by row key"
        if step.from_version is None and dataset_state.floors:
            return (), "earlier batches left floors"
        first = step.to_version if step.from_version is None else step.from_version
        commits = tuple(row for row in state.rows if first <= row.version <= step.to_version)
        return chunkable(self._tables, wanted, commits, snapshot=step.from_version is None)

    def _count(self, dataset: str, step: Step, wanted: Source) -> dict[str, int]:
        """Source rows by change type, after the filter; a snapshot's rows count as inserts."""
        remedy = MEND if step.from_version is None else remedy_of(dataset)
        what = span(wanted.table, step.from_version, step.to_version)
        with reading(dataset, what, remedy=remedy):
            if step.from_version is None:
                rows = read.snapshot(self._session.spark, wanted.table, step.to_version)
                return {"insert": counting(rows, dataset, wanted).count()}
            rows = read.changes(self._session.spark, wanted.table, step.from_version, step.to_version)
            counted = counting(rows, dataset, wanted).groupBy("_change_type").count().collect()
            return {row["_change_type"]: row["count"] for row in counted}

    def _logged(self, step: Step, dataset_state: DatasetState, wanted: Source) -> int | None:
        """How many rows a snapshot has, or a range that only inserted rows, before the filter; None where rows must be counted.

        The log does not know that a file is gone or holds other rows than it says: then staging fails. So rows are counted
        where that would need a decision (a rerun, a first batch), and after a batch that was aborted.
        """
        if dataset_state.seq in dataset_state.aborted:
            return None
        if step.from_version is None:
            return rows_in(self._tables.data_files(wanted.table, step.to_version))
        if dataset_state.last is None or dataset_state.rerun:
            return None
        if not self._tables.unaltered(wanted.table, step.from_version - 1):
            return None  # Delta's feed may refuse the range
        files = self._tables.files(wanted.table, step.from_version, step.to_version)
        return None if files is None else inserted(files)

    def in_one_task(self, plan: BatchPlan) -> bool:
        """Whether one task reads, sorts and stages a batch: of few rows in few files, shuffles cost more than all else."""
        few = plan.source_rows <= _FEW_ROWS and len(plan.commits) <= _FEW_FILES
        if plan.from_version is None or plan.chunks > 1 or not few:
            return False
        commits = self._tables.files(plan.source.table, plan.from_version, plan.to_version)
        found = None if commits is None else feed_reads(commits)
        return found is not None and found[0] <= _FEW_FILES and found[1] <= _FEW_BYTES
