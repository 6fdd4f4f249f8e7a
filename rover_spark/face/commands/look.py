"""Commands that look and change no dataset: status, quarantine, schemas, verify, check.

``schemas`` may publish its pages, and ``check`` stages a probe; receivers read neither as data.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from rover_spark.audit.found import Finding
from rover_spark.audit.preflight import findings
from rover_spark.audit.status import statuses
from rover_spark.audit.verify import verify as hold_against
from rover_spark.config.settings import Settings
from rover_spark.deliver.pages import put
from rover_spark.deliver.progress import LoggedProgress, Progress, file_by_file
from rover_spark.delta.session import Session
from rover_spark.errors import ConfigError, Problem
from rover_spark.face.commands.opened import instant_of, ledger_of, store_of, unknown, unopened
from rover_spark.face.pinned import pinned
from rover_spark.face.results import (
    CheckResult,
    QuarantineResult,
    SchemasResult,
    StatusResult,
    VerifyResult,
)
from rover_spark.ledger.quarantine_counts import quarantined_rows
from rover_spark.ledger.side_tables import QUARANTINE, by_reason, newest_first, quarantined
from rover_spark.ledger.table import Ledger
from rover_spark.model.quarantine import Quarantine
from rover_spark.produce import port
from rover_spark.store import open_store

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SHOWN = 5  # batches of each dataset


def status(spark: SparkSession | Session, settings: Settings, *, now: datetime | None = None) -> StatusResult:
    """Phase, last version, lag and last batches of each dataset."""
    session = Session.of(spark)
    ledger = ledger_of(session, settings)
    transitions = ledger.transitions()
    dataset_states = ledger.dataset_states(transitions)
    batches = {each.record.batch: each.dataset for each in transitions if each.record.batch}
    last = [batch for name in settings.delivers for batch in _last(batches, name)]
    producer = port.producer(session, settings, ledger, instant_of(now))
    with ThreadPoolExecutor(2) as pool:  # a large ledger is read while the tables' histories are
        reading = pool.submit(ledger.batches, *last) if last else None
        counting = pool.submit(_quarantined_rows, session, settings, ledger)
        rows = statuses(producer, settings.delivers, dataset_states)
    shown, broken = reading.result() if reading else [], counting.result()
    return StatusResult(
        batches=tuple(shown),
        problems=tuple(each for row in rows for each in (row.problem, row.waits) if each),
        datasets=tuple(replace(row, quarantined=broken.get(row.dataset, 0)) for row in rows),
    )


def _last(batches: dict[str, str], dataset: str) -> list[str]:
    return [batch for batch, name in batches.items() if name == dataset][-_SHOWN:]


def _quarantined_rows(session: Session, settings: Settings, ledger: Ledger) -> dict[str, int]:
    """Rows in quarantine, by dataset or event type. The ledger counts by stream: event types are counted from the rows."""
    counts = ledger.quarantined()
    if not counts or not settings.parts:
        return counts
    return quarantined_rows(session, settings.tables, ledger)


def quarantine(
    spark: SparkSession | Session, settings: Settings, *, dataset: str = "", batch: str = "", limit: int = 20
) -> QuarantineResult:
    """Rows that could not be delivered: counts by dataset and reason, and the newest of them; all of them stay there."""
    session = Session.of(spark)
    known = [*settings.delivers, *settings.parts]
    if dataset and dataset not in known:
        raise unknown(dataset, known)
    ledger = ledger_of(session, settings)
    rows = quarantined(session.spark, ledger) if ledger.quarantined() else None
    if rows is not None and dataset and (dataset not in settings.delivers or not settings.parts):
        rows = rows.where(F.col("dataset") == dataset)
    if rows is not None and batch:
        rows = rows.where(F.col("batch") == batch)
    reasons = by_reason(rows) if rows is not None else ()
    newest = newest_first(rows, limit) if rows is not None and reasons else ()
    found = Quarantine(ledger.beside(QUARANTINE), sum(each.rows for each in reasons), reasons, newest)
    return QuarantineResult(result="done" if found.total else "nothing to do", quarantine=found)


def schemas(spark: SparkSession | Session, settings: Settings, *, publish: bool = False) -> SchemasResult:
    """The history of an integration's schemas; with ``publish`` also put beside its prefix, for receivers."""
    session = Session.of(spark)
    pages = port.schema_pages(settings)
    ledger = ledger_of(session, settings)
    found = tuple(ledger.schemas())
    if not found:
        return SchemasResult(result="nothing to do", schemas=())
    if not publish:
        return SchemasResult(schemas=found)
    place = pages.place()
    store = open_store(place, settings.name, settings.access)
    keys = put(store, pages.pages(store.prefix, found, ledger.batches()))
    return SchemasResult(schemas=found, place=place, published=tuple(keys))


def verify(
    spark: SparkSession | Session, settings: Settings, *, progress: Progress | None = None
) -> VerifyResult:
    """Compares the bucket with the ledger. Raises ConfigError where the role may not read it."""
    session = Session.of(spark)
    store = store_of(settings)
    if not store.can_read:
        raise ConfigError(
            f"store.can_read is false: {settings.destination} may not be read, so nothing can be verified",
            code="store_unreadable",
            remedy="Grant the role reading and listing, and set store.can_read = true.",
        )
    ledger = ledger_of(session, settings)
    schemas = {each.id: each for each in ledger.schemas()}
    batches = ledger.batches()
    total = sum(file.records for batch in batches if batch.state == "COMMITTED" for file in batch.files)
    with file_by_file(progress or LoggedProgress(), "reading the bucket back", total) as more_read:
        found = hold_against(
            store,
            batches,
            port.owner(settings),
            settings.receives,
            schemas=schemas,
            destination=settings.destination,
            open_place=cache(lambda url: open_store(url, settings.name, settings.access_at(url))),
            notice=lambda file: more_read(file.records, file.bytes),
        )
    ok = not found.problems
    return VerifyResult(result="done" if ok else "failed", ok=ok, problems=found.problems, verified=found)


def check(spark: SparkSession | Session, settings: Settings, *, now: datetime | None = None) -> CheckResult:
    """Tries all that delivery needs; receivers see nothing of it. ``ok`` is False where delivery would fail."""
    session = Session.of(spark)
    zone = session.spark.conf.get("spark.sql.session.timeZone")
    ledger = unopened(session, settings)
    with pinned(session):
        producer = port.producer(session, settings, ledger, instant_of(now))
        found = list(findings(session, settings, ledger, producer, port.owner(settings)))
    found.append(Finding("clock", "time zone", "ok", f"expressions see UTC; this session's own is {zone}"))
    problems = tuple(
        Problem("check_failed", f"{each.about}: {each.tried}: {each.found}", each.remedy)
        for each in found
        if each.state == "failed"
    )
    ok = not problems
    return CheckResult(result="done" if ok else "failed", ok=ok, problems=problems, checks=tuple(found))
