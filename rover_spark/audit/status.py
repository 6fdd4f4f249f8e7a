"""The state of each dataset: phase, last version, lag, and how long undelivered changes stay readable."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from rover_spark.audit.found import DatasetStatus
from rover_spark.delta.parallel import side_by_side
from rover_spark.errors import Problem, RoverSparkError, SourceChanged
from rover_spark.model.dataset_state import DatasetState
from rover_spark.model.table import TableState
from rover_spark.produce.port import Place, Producer

_DAY_MS = 86_400_000
_UNITS = {"second": 1000, "minute": 60_000, "hour": 3_600_000, "day": _DAY_MS, "week": 7 * _DAY_MS}
WARN_BELOW_DAYS = 2.0


def statuses(
    producer: Producer, streams: Iterable[str], dataset_states: Mapping[str, DatasetState]
) -> list[DatasetStatus]:
    """One status a dataset, or event type. Its ``problem`` says what is wrong with the source; nothing is raised."""
    each = [
        (place, dataset_state)
        for stream in streams
        for dataset_state in (dataset_states.get(stream, DatasetState()),)
        for place in producer.places(stream, dataset_state)
    ]
    return side_by_side(lambda one: _standing(producer, *one), each)


def _standing(producer: Producer, place: Place, dataset_state: DatasetState) -> DatasetStatus:
    last, now, delivered = dataset_state.last, producer.now, place.delivered
    state: TableState | None = None
    problem: Problem | None = None
    waits: Problem | None = None
    try:
        if not dataset_state.rerun:
            producer.agree(place, dataset_state)
    except SourceChanged as error:
        waits = error.problem
    try:
        state = producer.look(place, dataset_state)
    except RoverSparkError as error:
        problem = error.problem
    latest = state.latest.version if state else None
    days = None if problem or state is None or delivered is None else _days_left(now, delivered, state)
    if days is not None and days < WARN_BELOW_DAYS:
        problem = Problem(
            "changes_expire",
            f"{place.name}: undelivered changes from version {(delivered or 0) + 1} on stay readable for {max(days, 0):.1f} days",
            "Export now, or raise delta.deletedFileRetentionDuration and delta.logRetentionDuration on the table.",
        )
    return DatasetStatus(
        dataset=place.name,
        phase=_phase(dataset_state),
        epoch=last.epoch if last else 0,
        delivered_version=delivered,
        latest_version=latest,
        lag=max(0, latest - delivered) if latest is not None and delivered is not None else None,
        oldest_minutes=None if state is None or delivered is None else _waiting(now, delivered, state),
        days_left=days,
        last_batch=last.batch if last else None,
        last_instant=last.instant if last else None,
        rerun_requested=dataset_state.rerun,
        problem=problem,
        waits=waits,
    )


def _phase(dataset_state: DatasetState) -> str:
    if dataset_state.open is not None:
        return f"{dataset_state.open.phase} {dataset_state.open_state}"
    return "not enabled" if dataset_state.last is None else "changes"


def _waiting(now: int, delivered: int, state: TableState) -> float | None:
    """Minutes since the oldest undelivered commit; a writer's clock may be ahead of this one."""
    oldest = next((row for row in state.rows if row.version > delivered), None)
    return None if oldest is None else round(max(0, now - oldest.timestamp) / 60_000, 1)


def _days_left(now: int, delivered: int, state: TableState) -> float | None:
    oldest = state.row(delivered + 1)
    if oldest is None:
        return None
    return round((oldest.timestamp - now) / _DAY_MS + kept_days(state), 2)


def kept_days(state: TableState) -> float:
    """The days after its commit for which neither VACUUM nor log clean-up may remove a change."""
    kept = min(
        interval_ms(state.properties.get("delta.deletedFileRetentionDuration", "interval 1 week")),
        interval_ms(state.properties.get("delta.logRetentionDuration", "interval 30 days")),
    )
    return kept / _DAY_MS


def interval_ms(text: str) -> int:
    """Milliseconds of a Delta interval such as ``interval 7 days``; a week where it cannot be read."""
    found = re.findall(r"(\d+)\s*(second|minute|hour|day|week)s?", text.lower())
    return sum(int(count) * _UNITS[unit] for count, unit in found) or 7 * _DAY_MS
