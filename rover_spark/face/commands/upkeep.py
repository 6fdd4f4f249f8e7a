"""Commands by which the operator decides: rerun, accept, sweep. They deliver nothing."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from rover_spark.config.settings import Settings
from rover_spark.deliver.sweep import sweep as remove_abandoned
from rover_spark.delta.session import Session
from rover_spark.errors import ConfigError
from rover_spark.face.commands.opened import chosen, instant_of, ledger_of, store_of, unopened
from rover_spark.face.pinned import pinned
from rover_spark.face.results import AcceptResult, RerunResult, SweepResult
from rover_spark.model.dataset_state import DatasetState
from rover_spark.produce import port
from rover_spark.store import open_store

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def rerun(
    spark: SparkSession | Session, settings: Settings, dataset: str, *, accept_gap: bool = False
) -> RerunResult:
    """Asks for a snapshot rerun of a dataset, or for its changes up to now to be given up, at the next export."""
    session = Session.of(spark)
    chosen(settings, [dataset])
    ledger = ledger_of(session, settings)
    dataset_state = ledger.dataset_states().get(dataset, DatasetState())
    port.producer(session, settings, ledger, instant_of(None)).refuse_rerun(dataset, accept_gap=accept_gap)
    if dataset_state.last is None:
        message = f"{dataset} was never delivered: the next export begins it anyway"
        raise ConfigError(message, code="rerun_refused", remedy="rover-spark export -c FILE")
    if dataset_state.open is not None and dataset_state.open.phase == "snapshot":
        message = f"{dataset}: snapshot {dataset_state.open.batch} is under way"
        raise ConfigError(message, code="rerun_refused", remedy="Export first, then ask again.")
    if not dataset_state.rerun:
        with ledger.delivering(dataset, "rerun"):
            ledger.request_rerun(dataset_state, dataset)
    return RerunResult(result="requested", dataset=dataset)


def accept(spark: SparkSession | Session, settings: Settings, dataset: str) -> AcceptResult:
    """Confirms a change of a dataset's columns: it counts from the next batch on, without a snapshot."""
    session = Session.of(spark)
    chosen(settings, [dataset])
    ledger = unopened(session, settings)
    producer = port.producer(session, settings, ledger, instant_of(None))
    producer.refuse_accept()
    ledger.open(create=False)
    with pinned(session), ledger.delivering(dataset, "accept"):
        dataset_state = ledger.dataset_states().get(dataset, DatasetState())
        columns, agreed = producer.accept(dataset, dataset_state)
        ledger.accept(dataset_state, dataset, agreed)
    return AcceptResult(result="accepted", dataset=dataset, columns=tuple(columns))


def sweep(
    spark: SparkSession | Session,
    settings: Settings,
    *,
    older_than: timedelta = timedelta(days=7),
    now: datetime | None = None,
) -> SweepResult:
    """Removes what abandoned runs staged, but nothing that an open batch still needs; ``left`` says what it cannot."""
    session = Session.of(spark)
    before = datetime.fromtimestamp(instant_of(now) / 1000, timezone.utc) - older_than
    store = store_of(settings)
    ledger = ledger_of(session, settings)
    owner, removed = port.owner(settings), list[str]()
    for url in dict.fromkeys((settings.destination, settings.manifests_at or settings.destination)):
        place = open_store(url, settings.name, settings.access_at(url))
        removed += remove_abandoned(place, ledger, owner, before, url)
    return SweepResult(
        result="done" if removed else "nothing to do", removed=tuple(removed), left=store.unswept
    )
