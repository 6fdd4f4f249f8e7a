"""The commands as functions: what the command line, jobs and notebooks call. Each gives a Result, none prints.

with a session and settings:  result = export(spark, settings);  result.document()
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from threading import Event
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from rover_spark.audit.preflight import Finding, findings
from rover_spark.audit.status import DatasetStatus, statuses
from rover_spark.audit.verify import verify as hold_against
from rover_spark.config.mistakes import likely
from rover_spark.config.settings import Settings
from rover_spark.deliver.adoption import Adoption
from rover_spark.deliver.batch import Delivery
from rover_spark.deliver.pages import put
from rover_spark.deliver.progress import LoggedProgress, Progress, file_by_file
from rover_spark.deliver.run import Exporter
from rover_spark.deliver.schedule import Sources, stay
from rover_spark.deliver.sweep import sweep as remove_abandoned
from rover_spark.delta.engine_errors import engine
from rover_spark.errors import ConfigError, Problem, RunError
from rover_spark.face.pinned import pinned
from rover_spark.face.result import Result, iso
from rover_spark.ledger.side_tables import QUARANTINE, newest_first, quarantined
from rover_spark.ledger.table import Ledger
from rover_spark.model.head import BatchRecord, Head
from rover_spark.model.wording import counted
from rover_spark.produce import port
from rover_spark.store import Store, open_store

_SHOWN = 5


def export(
    spark: SparkSession,
    settings: Settings,
    *,
    datasets: Sequence[str] = (),
    now: datetime | None = None,
    strict: bool = False,
    adopt_empty_ledger: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Delivers what is due. Raises ConfigError before anything is written.

    ``adopt_empty_ledger`` is the word that a ledger begins anew over a bucket that holds this export's files.
    """
    chosen, instant = _chosen(settings, datasets), _instant(now)
    # a destination that the environment contradicts is refused here, not in a task
    adoption = Adoption(_store(settings), settings, port.owner(settings), adopt_empty_ledger)
    with pinned(spark):
        outcome = _exporter(spark, settings, instant, now is not None, progress, adoption).run(chosen)
    problems = [*outcome.problems, *adoption.notices]
    broken = sum(batch.counts.get("quarantined", 0) for batch in outcome.batches)
    if broken:
        where = _unopened(spark, settings).beside(QUARANTINE)
        message = f"{counted(broken, 'row')} could not be delivered; {where} has {'it with its reason' if broken == 1 else 'them with their reasons'}"
        problems.append(
            Problem(
                "rows_quarantined",
                message,
                "rover-spark quarantine -c FILE shows them. Mend them at the source: the change is delivered then.",
            )
        )
    mended = sum(batch.counts.get("replaced", 0) for batch in outcome.batches)
    if mended:
        message = f"in {counted(mended, 'record')} U+FFFD stands for octets that are no UTF-8, or for half a surrogate pair"
        problems.append(
            Problem("text_replaced", message, "They were delivered; mend the text at the source.")
        )
    # runs of a schedule that overlap are no fault: the other run delivers
    busy = [each for each in outcome.problems if each.code == "dataset_busy"]
    failed = len(busy) < len(outcome.problems) or (strict and bool(broken or busy))
    word = "failed" if failed else "done" if outcome.batches else "nothing to do"
    return Result("export", word, not failed, tuple(outcome.batches), tuple(problems))


def export_every(
    spark: SparkSession,
    settings: Settings,
    every: timedelta,
    *,
    told: Callable[[Result], None],
    stop: Event,
    strict: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Stays up and delivers until ``stop`` is set: when enough waits, or the oldest of it for ``every``.

    ``told`` gets the result of each delivery. Raises ConfigError for what only the operator can mend.
    """

    ledger = _unopened(spark, settings)
    producer = port.producer(spark, settings, ledger, _instant(None))
    sources = Sources(spark, settings.delivers, ledger, producer)

    def look() -> bool:
        try:
            with engine("export"):
                return sources.waiting().is_due(_instant(None), every, producer.enough)
        except RunError:
            return True  # the delivery meets it too, and tells of it

    def deliver() -> Result:
        try:
            with engine("export"):
                return export(spark, settings, strict=strict, progress=progress)
        except RunError as error:
            return Result("export", "failed", ok=False, problems=(error.problem,))

    well = stay(look, deliver, told, stop)
    return Result("export", "done" if well else "failed", well)


def plan(
    spark: SparkSession,
    settings: Settings,
    *,
    datasets: Sequence[str] = (),
    now: datetime | None = None,
    progress: Progress | None = None,
) -> Result:
    """What ``export`` would do; changes nothing."""
    chosen, instant = _chosen(settings, datasets), _instant(now)
    with pinned(spark):
        found = _exporter(spark, settings, instant, now is not None, progress).plan(chosen)
    records = tuple(BatchRecord.of(each, "PLANNED", {}) for each in found.plans)
    rows = {each.batch: {"source_rows": each.source_rows, "chunks": each.chunks} for each in found.plans}
    word = "failed" if found.problems else "done" if found.plans else "nothing to do"
    more = {"planned": rows, "accepted": found.accepted}
    return Result("plan", word, not found.problems, records, tuple(found.problems), more)


def rerun(spark: SparkSession, settings: Settings, dataset: str, *, accept_gap: bool = False) -> Result:
    """Asks for a snapshot rerun of a dataset, or for its changes up to now to be given up, at the next export."""
    _chosen(settings, [dataset])
    ledger = _ledger(spark, settings)
    head = ledger.heads().get(dataset, Head())
    port.producer(spark, settings, ledger, _instant(None)).refuse_rerun(dataset, accept_gap=accept_gap)
    if head.last is None:
        message = f"{dataset} was never delivered: the next export begins it anyway"
        raise ConfigError(message, code="rerun_refused", remedy="rover-spark export -c FILE")
    if head.open is not None and head.open.phase == "snapshot":
        message = f"{dataset}: snapshot {head.open.batch} is under way"
        raise ConfigError(message, code="rerun_refused", remedy="Export first, then ask again.")
    if not head.rerun:
        with ledger.delivering(dataset, "rerun"):
            ledger.request_rerun(head, dataset)
    return Result("rerun", "requested", more={"dataset": dataset})


def accept(spark: SparkSession, settings: Settings, dataset: str) -> Result:
    """Confirms a change of a dataset's columns: it counts from the next batch on, without a snapshot."""
    _chosen(settings, [dataset])
    ledger = _ledger(spark, settings)
    producer = port.producer(spark, settings, ledger, _instant(None))
    with pinned(spark), ledger.delivering(dataset, "accept"):
        head = ledger.heads().get(dataset, Head())
        columns, agreed = producer.accept(dataset, head)
        ledger.accept(head, dataset, agreed)
    return Result("accept", "accepted", more={"dataset": dataset, "columns": columns})


def redeliver(
    spark: SparkSession,
    settings: Settings,
    batch: str,
    *,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> Result:
    """The same keys and bytes again, in place of what is there."""
    ledger = _ledger(spark, settings)
    found = ledger.batches(batch)
    if not found or found[0].state != "COMMITTED":
        state = f"is {found[0].state}" if found else "is not in the ledger"
        remedy = "rover-spark status -c FILE lists the batches; only a COMMITTED one can be delivered again."
        raise ConfigError(f"batch {batch} {state}", code="batch_unknown", remedy=remedy)
    if not found[0].files:
        return Result("redeliver", "nothing to do", True, (found[0],))
    with pinned(spark):
        outcome = _exporter(spark, settings, _instant(now), False, progress).redeliver(found[0])
    return Result("redeliver", "done", True, tuple(outcome.batches))


def status(spark: SparkSession, settings: Settings, *, now: datetime | None = None) -> Result:
    """Phase, last version, lag and last batches of each dataset."""
    ledger = _ledger(spark, settings)
    transitions = ledger.transitions()
    heads = ledger.heads(transitions)
    batches = {each.record.batch: each.dataset for each in transitions if each.record.batch}
    last = [batch for name in settings.delivers for batch in _last(batches, name)]
    producer = port.producer(spark, settings, ledger, _instant(now))
    with ThreadPoolExecutor(2) as pool:  # a large ledger is read while the tables are looked at
        reading = pool.submit(ledger.batches, *last) if last else None
        counting = pool.submit(_set_aside, spark, settings, ledger)
        rows = statuses(producer, settings.delivers, heads)
    shown, aside = reading.result() if reading else [], counting.result()
    problems = tuple(each for row in rows for each in (row.problem, row.waits) if each)
    standing = [{**_status_document(row), "quarantined": aside.get(row.dataset, 0)} for row in rows]
    return Result("status", "done", True, tuple(shown), problems, {"datasets": standing})


def _set_aside(spark: SparkSession, settings: Settings, ledger: Ledger) -> dict[str, int]:
    """Rows in quarantine, by dataset or event type. The ledger counts by stream: event types are counted from the rows."""
    counts = ledger.quarantined()
    if not counts or not settings.parts:
        return counts
    return {each["dataset"]: each["rows"] for each in _by(("dataset",), quarantined(spark, ledger))}


def quarantine(
    spark: SparkSession, settings: Settings, *, dataset: str = "", batch: str = "", limit: int = 20
) -> Result:
    """Rows that could not be delivered: counts by dataset and reason, and the newest of them; all of them stay there."""
    known = [*settings.delivers, *settings.parts]
    if dataset and dataset not in known:
        raise _unknown(dataset, known)
    ledger = _ledger(spark, settings)
    place = ledger.beside(QUARANTINE)
    rows = quarantined(spark, ledger) if ledger.quarantined() else None
    if rows is not None and dataset and (dataset not in settings.delivers or not settings.parts):
        rows = rows.where(F.col("dataset") == dataset)
    if rows is not None and batch:
        rows = rows.where(F.col("batch") == batch)
    reasons = _by(("dataset", "reason"), rows)
    newest = newest_first(rows, limit) if rows is not None and reasons else []
    total = sum(each["rows"] for each in reasons)
    found = {"place": place, "total": total, "reasons": reasons, "rows": newest}
    return Result("quarantine", "done" if total else "nothing to do", more={"quarantine": found})


def _by(names: Sequence[str], rows: DataFrame | None) -> list[dict[str, Any]]:
    if rows is None:
        return []
    counts = rows.groupBy(*names).agg(F.count("*").alias("rows")).collect()
    return sorted((row.asDict() for row in counts), key=lambda each: [each[name] or "" for name in names])


def schemas(spark: SparkSession, settings: Settings, *, publish: bool = False) -> Result:
    """The history of an integration's schemas; with ``publish`` also put beside its prefix, for receivers."""
    pages = port.schema_pages(settings)
    ledger = _ledger(spark, settings)
    found = ledger.schemas()
    more: dict[str, Any] = {"schemas": pages.documents(found)}
    if publish and found:
        place = pages.place()
        store = open_store(place, settings.name, settings.access)
        texts = pages.pages(store.prefix, found, ledger.batches())
        more |= {"place": place, "published": put(store, texts)}
    return Result("schemas", "done" if found else "nothing to do", more=more)


def verify(spark: SparkSession, settings: Settings, *, progress: Progress | None = None) -> Result:
    """The bucket held against the ledger. Raises ConfigError where the role may not read it."""
    store = _store(settings)
    if not store.can_read:
        raise ConfigError(
            f"store.can_read is false: {settings.destination} may not be read, so nothing can be verified",
            code="store_unreadable",
            remedy="Grant the role reading and listing, and set store.can_read = true.",
        )
    ledger = _ledger(spark, settings)
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
            notice=lambda file: more_read(file.records, file.bytes),
        )
    more = {"verified": {name: each for name, each in asdict(found).items() if name != "problems"}}
    ok = not found.problems
    return Result("verify", "done" if ok else "failed", ok, problems=found.problems, more=more)


def check(spark: SparkSession, settings: Settings, *, now: datetime | None = None) -> Result:
    """Tries all that delivery needs; receivers see nothing of it. ``ok`` is False where delivery would fail."""
    zone = spark.conf.get("spark.sql.session.timeZone")
    ledger = _unopened(spark, settings)
    with pinned(spark):
        producer = port.producer(spark, settings, ledger, _instant(now))
        found = list(findings(spark, settings, ledger, producer, port.owner(settings)))
    told = f"expressions see UTC; this session's own is {zone}"
    found.append(Finding("clock", "time zone", "ok", told))
    problems = tuple(
        Problem("check_failed", f"{each.about}: {each.tried}: {each.found}", each.remedy)
        for each in found
        if each.state == "failed"
    )
    more = {"checks": [asdict(each) for each in found]}
    return Result("check", "failed" if problems else "done", not problems, problems=problems, more=more)


def sweep(
    spark: SparkSession,
    settings: Settings,
    *,
    older_than: timedelta = timedelta(days=7),
    now: datetime | None = None,
) -> Result:
    """Removes what abandoned runs staged, but nothing that an open batch still needs; ``left`` says what it cannot."""
    before = datetime.fromtimestamp(_instant(now) / 1000, timezone.utc) - older_than
    store = _store(settings)
    ledger = _ledger(spark, settings)
    removed = remove_abandoned(store, ledger, port.owner(settings), before, settings.destination)
    more = {"removed": removed, "left": store.unswept}
    return Result("sweep", "done" if removed else "nothing to do", more=more)


def _exporter(
    spark: SparkSession,
    settings: Settings,
    instant: int,
    asked: bool,
    progress: Progress | None,
    adoption: Adoption | None = None,
) -> Exporter:
    ledger = _ledger(spark, settings)
    adoption = adoption or Adoption(_store(settings), settings, port.owner(settings))
    producer = port.producer(spark, settings, ledger, instant, asked=asked)
    shown = progress or LoggedProgress()
    delivery = Delivery(spark, ledger, producer, settings.access_at, shown)
    return Exporter(ledger, producer, delivery, adoption, shown)


def _store(settings: Settings) -> Store:
    return open_store(settings.destination, settings.name, settings.access)


def _ledger(spark: SparkSession, settings: Settings) -> Ledger:
    ledger = _unopened(spark, settings)
    ledger.open(create=False)
    return ledger


def _unopened(spark: SparkSession, settings: Settings) -> Ledger:
    return Ledger(spark, settings.ledger, settings.name, port.decode)


def _chosen(settings: Settings, datasets: Sequence[str]) -> list[str]:
    for name in datasets:
        if name not in settings.delivers:
            raise _unknown(name, settings.delivers)
    return [name for name in settings.delivers if not datasets or name in datasets]


def _unknown(name: str, known: Sequence[str]) -> ConfigError:
    return ConfigError(
        f"--dataset {name}: the configuration has no such dataset{likely(name, known)}",
        code="dataset_unknown",
        remedy=f"There are {', '.join(known)}.",
    )


def _instant(now: datetime | None) -> int:
    if now is None:
        now = datetime.now(timezone.utc)  # noqa: TID251 - the one clock: above every plan
    elif now.tzinfo is None:
        raise ConfigError(
            "--now has no time zone", code="now_without_zone", remedy="Write it as 2026-11-21T10:15:00Z."
        )
    return int(now.timestamp() * 1000)


def _last(batches: dict[str, str], dataset: str) -> list[str]:
    return [batch for batch, name in batches.items() if name == dataset][-_SHOWN:]


def _status_document(row: DatasetStatus) -> dict[str, Any]:
    tree = asdict(row)
    tree["last_instant"] = iso(row.last_instant) if row.last_instant is not None else None
    return tree
