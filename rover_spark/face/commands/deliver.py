"""Commands that deliver, or show what they would deliver: export, export --every, plan, redeliver."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING

from rover_spark.config.settings import Settings
from rover_spark.deliver.adoption import Adoption
from rover_spark.deliver.batch import Delivery
from rover_spark.deliver.progress import LoggedProgress, Progress
from rover_spark.deliver.run import Exporter
from rover_spark.deliver.schedule import Sources, stay
from rover_spark.delta.engine_errors import engine
from rover_spark.delta.session import Session
from rover_spark.errors import ConfigError, Problem, RunError
from rover_spark.face.commands.opened import chosen, instant_of, ledger_of, store_of, unopened
from rover_spark.face.pinned import pinned
from rover_spark.face.results import ExportResult, PlannedRows, PlanResult, RedeliverResult
from rover_spark.ledger.side_tables import QUARANTINE
from rover_spark.model.dataset_state import BatchRecord
from rover_spark.model.wording import counted
from rover_spark.produce import port

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def export(
    spark: SparkSession | Session,
    settings: Settings,
    *,
    datasets: Sequence[str] = (),
    now: datetime | None = None,
    strict: bool = False,
    adopt_empty_ledger: bool = False,
    progress: Progress | None = None,
) -> ExportResult:
    """Delivers what is due. Raises ConfigError before anything is written.

    ``adopt_empty_ledger`` lets a ledger begin anew over a bucket that holds this export's files. With ``strict`` the
    result is not ``ok`` where rows went to the quarantine or another run held a dataset.
    """
    session = Session.of(spark)
    names, instant = chosen(settings, datasets), instant_of(now)
    # a destination that the environment contradicts is refused here, not in a task
    adoption = Adoption(store_of(settings), settings, port.owner(settings), adopt_empty_ledger)
    with pinned(session):
        outcome = _exporter(session, settings, instant, now is not None, progress, adoption).run(names)
    broken = _sum(outcome.batches, "quarantined")
    noticed = [
        *adoption.notices,
        *_quarantined(broken, unopened(session, settings).beside(QUARANTINE)),
        *_replaced(_sum(outcome.batches, "replaced")),
    ]
    # runs of a schedule may overlap, and that is no fault: the other run delivers the dataset
    busy = [each for each in outcome.problems if each.code == "dataset_busy"]
    failed = len(busy) < len(outcome.problems) or (strict and bool(broken or busy))
    return ExportResult(
        result="failed" if failed else "done" if outcome.batches else "nothing to do",
        ok=not failed,
        batches=tuple(outcome.batches),
        problems=(*outcome.problems, *noticed),
    )


def export_every(
    spark: SparkSession | Session,
    settings: Settings,
    every: timedelta,
    *,
    on_result: Callable[[ExportResult], None],
    stop: Event,
    strict: bool = False,
    progress: Progress | None = None,
) -> ExportResult:
    """Keeps running until ``stop`` is set; delivers when enough rows wait, or the oldest waits for ``every``.

    ``on_result`` gets the result of each delivery. Raises ConfigError for what only the operator can mend.
    """
    session = Session.of(spark)
    ledger = unopened(session, settings)
    producer = port.producer(session, settings, ledger, instant_of(None))
    sources = Sources(session, settings.tables, settings.delivers, ledger, producer)

    def is_due() -> bool:
        try:
            with engine("export"):
                return sources.waiting().is_due(instant_of(None), every, producer.enough)
        except RunError:
            return True  # the delivery meets the same error and reports it

    def deliver() -> ExportResult:
        try:
            with engine("export"):
                return export(session, settings, strict=strict, progress=progress)
        except RunError as error:
            return ExportResult(result="failed", ok=False, problems=(error.problem,))

    well = stay(is_due, deliver, on_result, stop)
    return ExportResult(result="done" if well else "failed", ok=well)


def plan(
    spark: SparkSession | Session,
    settings: Settings,
    *,
    datasets: Sequence[str] = (),
    now: datetime | None = None,
    progress: Progress | None = None,
) -> PlanResult:
    """What ``export`` would do; changes nothing."""
    session = Session.of(spark)
    names, instant = chosen(settings, datasets), instant_of(now)
    with pinned(session):
        found = _exporter(session, settings, instant, now is not None, progress).plan(names)
    return PlanResult(
        result="failed" if found.problems else "done" if found.plans else "nothing to do",
        ok=not found.problems,
        batches=tuple(BatchRecord.of(each, "PLANNED", {}) for each in found.plans),
        problems=tuple(found.problems),
        planned={
            each.batch: PlannedRows(each.source_rows, each.chunks, each.arrangement) for each in found.plans
        },
        accepted=found.accepted,
    )


def redeliver(
    spark: SparkSession | Session,
    settings: Settings,
    batch: str,
    *,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> RedeliverResult:
    """Delivers a COMMITTED batch again: the same keys and bytes overwrite what the bucket holds."""
    session = Session.of(spark)
    ledger = ledger_of(session, settings)
    found = ledger.batches(batch)
    if not found or found[0].state != "COMMITTED":
        state = f"is {found[0].state}" if found else "is not in the ledger"
        remedy = "rover-spark status -c FILE lists the batches; only a COMMITTED one can be delivered again."
        raise ConfigError(f"batch {batch} {state}", code="batch_unknown", remedy=remedy)
    if not found[0].files:
        return RedeliverResult(result="nothing to do", batches=(found[0],))
    with pinned(session):
        outcome = _exporter(session, settings, instant_of(now), False, progress).redeliver(found[0])
    return RedeliverResult(batches=tuple(outcome.batches))


def _exporter(
    session: Session,
    settings: Settings,
    instant: int,
    asked: bool,
    progress: Progress | None,
    adoption: Adoption | None = None,
) -> Exporter:
    """One run at an instant; ``asked`` where the user gave it."""
    ledger = ledger_of(session, settings)
    adoption = adoption or Adoption(store_of(settings), settings, port.owner(settings))
    producer = port.producer(session, settings, ledger, instant, asked=asked)
    shown = progress or LoggedProgress()
    at_once = settings.files.publish_at_once
    delivery = Delivery(session, ledger, producer, settings.access_at, shown, at_once)
    return Exporter(ledger, producer, delivery, adoption, shown)


def _sum(batches: Sequence[BatchRecord], count: str) -> int:
    return sum(batch.counts.get(count, 0) for batch in batches)


def _quarantined(rows: int, where: str) -> list[Problem]:
    if not rows:
        return []
    has = "it with its reason" if rows == 1 else "them with their reasons"
    return [
        Problem(
            "rows_quarantined",
            f"{counted(rows, 'row')} could not be delivered; {where} has {has}",
            "rover-spark quarantine -c FILE shows them. Mend them at the source: the change is delivered then.",
        )
    ]


def _replaced(records: int) -> list[Problem]:
    if not records:
        return []
    what = "octets that are no UTF-8, or half a surrogate pair"
    return [
        Problem(
            "text_replaced",
            f"in {counted(records, 'record')} U+FFFD replaces {what}",
            "They were delivered; mend the text at the source.",
        )
    ]
