"""From the ledger's head and the sources as they stand to the next plan. Counts rows, reads none, writes nothing.

What a source looks like is read once per run, so a run ends even where a source never stops changing.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from rover_spark import __version__
from rover_spark.config.settings import Settings
from rover_spark.contract.rover import DATASETS
from rover_spark.delta import gaps, read
from rover_spark.delta.engine_errors import MEND, reading
from rover_spark.delta.history import require_feed
from rover_spark.delta.names import span
from rover_spark.delta.tables import Tables
from rover_spark.delta.used_columns import used
from rover_spark.encode.ndjson import ENCODER
from rover_spark.errors import ConfigError, SourceGap, SourceUnread
from rover_spark.ledger.side_tables import floors_before
from rover_spark.ledger.table import Ledger
from rover_spark.model.head import Head
from rover_spark.model.plan import BatchPlan, HistoryRow, Plan, Source, Step, TableState, rerun_remedy
from rover_spark.produce.rover.records import counting, described, mapped, project, units
from rover_spark.produce.rover.steps import (
    agreed,
    begin_later,
    check_anchor,
    first_step,
    last_of,
    next_step,
    plan_batch,
    reach,
    refuse_changed,
    source_of,
)

T = TypeVar("T")
# What expressions and JSON text depend on in a session, set for the time of a command and put back after it.
PINNED = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "false",
    "spark.sql.caseSensitive": "false",
    "spark.sql.legacy.timeParserPolicy": "CORRECTED",
    "spark.sql.mapKeyDedupPolicy": "EXCEPTION",
    # what finds a name twice in JSON text
    "spark.sql.variant.allowDuplicateKeys": "false",
    # a feed's dates pass through objects of Java: the older ones know another calendar
    "spark.sql.datetime.java8API.enabled": "true",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.avro.datetimeRebaseModeInWrite": "CORRECTED",
    # a source file that is gone or damaged is an error, never fewer rows
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
    # many commits of a log are looked for by so many tasks, not by one each
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "32",
    # the ledger's rows go to the JVM as they are: see local_rows
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}


@contextmanager
def pinned(spark: SparkSession) -> Iterator[None]:
    """Sets the session's values that records depend on, and puts back what was there."""
    before: dict[str, str | None] = {name: spark.conf.get(name, None) for name in PINNED}
    for name, value in PINNED.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, earlier in before.items():
            if earlier is None:
                spark.conf.unset(name)
            else:
                spark.conf.set(name, earlier)


def versions(spark: SparkSession) -> dict[str, str]:
    """Of the package, the engine, its Java and the encoder: kept in each plan, to explain bytes that differ one day."""
    try:
        java = spark.sql("SELECT reflect('java.lang.System', 'getProperty', 'java.version')").collect()[0][0]
    except PySparkException:
        java = "not told"  # where sessions are shared, Java is out of reach
    python = platform.python_version()
    return {
        "rover_spark": __version__,
        "spark": spark.version,
        "java": java,
        "python": python,
        "encoder": ENCODER,
    }


def second_look(read: Callable[[], T]) -> T:
    """What ``read`` gives. It is tried twice where it failed and nobody knows why, before a rerun gives its range up.

    Raises:
        SourceUnread: it failed again.
    """
    try:
        return read()
    except SourceUnread:
        return read()


class Planner:
    """Plans one run at one instant (ms since 1970), ``asked`` for by the user or read from a clock."""

    def __init__(
        self, spark: SparkSession, settings: Settings, ledger: Ledger, now: int, *, asked: bool
    ) -> None:
        self._spark = spark
        self._settings = settings
        self._ledger = ledger
        self.now = now
        self._asked = asked
        self._versions = cache(lambda: versions(spark))
        self._given_up: set[str] = set()
        self.refresh()

    def refresh(self) -> None:
        """Forgets what the tables looked like: another driver may have gone further than this run saw."""
        self._tables = Tables(self._spark)

    def state(self, dataset: str, table: str, since: int | HistoryRow | None) -> TableState:
        """The table's state as this run first saw it, its history back to ``since`` as far as it reaches."""
        return self._tables.state(f"datasets.{dataset}.table", table, since)

    def confirm(self, plan: Plan) -> None:
        """Raises SourceGap unless the table still holds the commits that the plan pinned, and can still tell them."""
        assert isinstance(plan, BatchPlan)
        state = self.state(plan.dataset, plan.source.table, plan.commits[0])
        read.confirm(plan, state)
        if plan.phase == "changes" and plan.from_version is not None:
            since, by = plan.from_version - 1, state.read_by(plan.to_version)
            self._require_told(
                plan.dataset, plan.source, since, state, plan.to_version, delivered=False, read_by=by
            )

    def give_up(self, dataset: str) -> None:
        """Where a rerun was asked for: the outstanding changes of a dataset turned out not to be readable."""
        self._given_up.add(dataset)

    def require_told(self, dataset: str, last: BatchPlan, state: TableState) -> None:
        """Raises SourceGap where the log says that what came after the last batch cannot be told by its feed."""
        if last.to_version < state.latest.version and state.row(last.to_version) == last.anchor:
            self._require_told(dataset, source_of(self._settings, dataset), last.to_version, state)

    def _require_told(
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
        with reading(dataset, span(wanted.table, since + 1, to)):
            found = self._tables.gaps([one])
        gaps.refuse(dataset, one, found[0], rerun_remedy(dataset))

    def check(self, dataset: str, head: Head) -> None:
        """Raises ConfigError for what must be mended before any row is read: settings, table, feed, columns, types."""
        wanted, last = source_of(self._settings, dataset), last_of(head)
        if last is not None and not head.rerun:
            refuse_changed(dataset, wanted, head)
        if self._asked and self.now < head.instant:
            raise ConfigError(
                f"the instant of this run lies before that of the last batch of {dataset}",
                code="now_too_early",
                remedy="Leave --now out, or name a later one.",
            )
        state = self.state(dataset, wanted.table, self._since(dataset, head))
        require_feed(f"datasets.{dataset}.table", wanted.table, state)
        if last is None:
            first_step(DATASETS[dataset], self._settings.datasets[dataset].start, state)
        if last is not None and not head.rerun and state.latest.version == last.to_version:
            return  # nothing will be read
        if last is not None and not head.rerun:
            self.require_told(dataset, last, state)
        self.fields(dataset)

    def fields(self, dataset: str) -> DataFrame:
        """The contract's fields of the table as it is now, as ``mapped`` gives them; nothing is read yet.

        Raises:
            ConfigError: an expression that cannot be evaluated, or whose type cannot serve.
        """
        wanted = source_of(self._settings, dataset)
        state = self.state(dataset, wanted.table, None)
        what = span(wanted.table, None, state.latest.version)
        with reading(dataset, what, again=MEND):
            rows = read.snapshot(self._spark, wanted.table, state.latest.version)
            return mapped(counting(rows, dataset, wanted), DATASETS[dataset], wanted)

    def described(self, dataset: str) -> str:
        """What its fields are made of, names and types only."""
        return described(self.fields(dataset), DATASETS[dataset], source_of(self._settings, dataset))

    def tried(self, dataset: str, rows: int) -> list[str | None]:
        """Of the first so many rows that count, why each could not be delivered, or None.

        Raises:
            RunError: an expression that fails on a row.
        """
        wanted = source_of(self._settings, dataset)
        state = self.state(dataset, wanted.table, None)
        step = Step("snapshot", 1, None, state.latest.version)
        plan = self._plan(step, dataset, Head(), wanted, state, {}, 0)
        what = span(wanted.table, None, state.latest.version)
        with reading(dataset, what, again=MEND):
            found = project(counting(read.planned(self._spark, plan), dataset, wanted), plan)
            return [row["problem"] for row in found.select("problem").limit(rows).collect()]

    def next_plan(self, dataset: str, head: Head) -> BatchPlan | None:
        """The next batch that is due, or None.

        Raises:
            SourceGap: changes that cannot be read whole, unless a rerun was asked for: then the range is LOST.
            SourceChanged: another driver's batch, which this run follows, was made of something else.
        """
        wanted = source_of(self._settings, dataset)
        state = self.state(dataset, wanted.table, self._since(dataset, head))
        last = last_of(head)
        if last is None:
            step = first_step(DATASETS[dataset], self._settings.datasets[dataset].start, state)
            try:
                if step.phase == "changes" and step.from_version is not None:
                    self._require_told(dataset, wanted, step.from_version - 1, state, delivered=False)
                return self._pin(dataset, step, head, wanted, state)
            except SourceGap as gap:
                remedy = begin_later([f"datasets.{dataset}.start"])
                raise SourceGap(gap.message, code=gap.code, remedy=remedy) from gap
        if not head.rerun:
            refuse_changed(dataset, wanted, head)
            due = self._changes(dataset, head, wanted, state)
        elif dataset in self._given_up:
            due = next_step(head, None, state.latest.version)
        else:
            try:
                # what changes rows or ids is as before, or outstanding under what a rerun replaces
                due = second_look(lambda: self._changes(dataset, head, agreed(head), state))
            except (SourceGap, SourceUnread, ConfigError):
                due = next_step(head, None, state.latest.version)
        return self._pin(dataset, due, head, wanted, state) if isinstance(due, Step) else due

    def _changes(self, dataset: str, head: Head, read: Source, state: TableState) -> BatchPlan | Step | None:
        """The outstanding changes, pinned; else what is due in their place."""
        last, before = last_of(head), self._outstanding(dataset, head)
        due = next_step(head, before.latest.version, state.latest.version)
        if last is None or due is None or due.phase != "changes":
            return due
        self._require_told(dataset, read, last.to_version, before)
        return self._pin(dataset, due, head, read, before)

    def _since(self, dataset: str, head: Head) -> int | HistoryRow | None:
        start = self._settings.datasets[dataset].start
        if (last := last_of(head)) is not None:
            return last.anchor
        return reach(start)

    def _outstanding(self, dataset: str, head: Head) -> TableState:
        last = last_of(head)
        assert last is not None
        state = self.state(dataset, last.source.table, last.anchor)
        check_anchor(dataset, last, state)
        return state

    def _pin(self, dataset: str, step: Step, head: Head, wanted: Source, state: TableState) -> BatchPlan:
        found = {} if step.phase in {"enable", "lost"} else self._count(dataset, step, wanted)
        told = sum(rows for change, rows in found.items() if change != "update_preimage")
        plan = self._plan(step, dataset, head, wanted, state, found, told)
        repeats = "delete" in found or (wanted.identifiers and "update_preimage" in found)
        if repeats and plan.files.chunks > 1:
            # an overwrite or a RESTORE repeats most rows, an update of a wide row most identifiers: without a closer
            # look it would make a thousand tiny files
            with reading(dataset, span(wanted.table, step.from_version, step.to_version)):
                rows = units(
                    read.planned(self._spark, plan), plan, floors_before(self._spark, self._ledger, plan)
                )
                delivered = rows.where(F.col("outcome") == "delivered").count()
                plan = self._plan(step, dataset, head, wanted, state, found, delivered)
        return plan

    def _plan(
        self,
        step: Step,
        dataset: str,
        head: Head,
        wanted: Source,
        state: TableState,
        found: dict[str, int],
        records: int,
    ) -> BatchPlan:
        return plan_batch(
            step,
            self._settings,
            dataset,
            head,
            wanted,
            state,
            now=self.now,
            source_rows=sum(found.values()),
            records=records,
            inserts_only=set(found) <= {"insert"},
            versions=self._versions(),
        )

    def _count(self, dataset: str, step: Step, wanted: Source) -> dict[str, int]:
        """Source rows by change type; a snapshot's rows count as inserts."""
        again = MEND if step.from_version is None else None
        what = span(wanted.table, step.from_version, step.to_version)
        with reading(dataset, what, again=again):
            if step.from_version is None:
                rows = read.snapshot(self._spark, wanted.table, step.to_version)
                return {"insert": counting(rows, dataset, wanted).count()}
            rows = read.changes(self._spark, wanted.table, step.from_version, step.to_version)
            counted = counting(rows, dataset, wanted).groupBy("_change_type").count().collect()
            return {row["_change_type"]: row["count"] for row in counted}
