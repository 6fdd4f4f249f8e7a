"""Tries a stream's tables: history, change feed, columns, first rows, retention, and the clocks of their commits."""

from __future__ import annotations

from collections.abc import Iterator

from rover_spark.audit.found import Finding
from rover_spark.audit.status import WARN_BELOW_DAYS, kept_days
from rover_spark.delta.engine_errors import engine
from rover_spark.delta.parallel import side_by_side
from rover_spark.errors import RoverSparkError
from rover_spark.model.dataset_state import DatasetState
from rover_spark.model.wording import counted
from rover_spark.produce.port import Place, Producer

_SOURCE = "table, feed, columns"
_FIRST = 20  # rows that are tried
_SKEW_SECONDS = 60


def tables(producer: Producer, stream: str, dataset_state: DatasetState) -> Iterator[Finding]:
    """The settings of a stream held against its dataset state, then each of its tables."""
    try:
        with engine(stream):
            producer.check(stream, dataset_state)
    except RoverSparkError as error:
        yield Finding.failed(stream, _SOURCE, error.problem)
        return
    # today's settings name the tables: what was delivered before does not count
    for found in side_by_side(
        lambda place: list(_table(producer, place)), producer.places(stream, DatasetState())
    ):
        yield from found


def _table(producer: Producer, place: Place) -> Iterator[Finding]:
    about = place.name
    try:
        state, tried = producer.state(place), producer.try_rows(place, _FIRST)
    except RoverSparkError as error:
        yield Finding.failed(about, _SOURCE, error.problem)
        return
    yield Finding(about, _SOURCE, "ok", f"version {state.latest.version} can be read")
    if tried is not None:
        yield Finding(about, "fields", "ok", tried.fields)
        yield _first_rows(about, tried.rows)
    days = kept_days(state)
    kept = f"changes stay readable for {days:g} {'day' if days == 1 else 'days'}"
    if days < WARN_BELOW_DAYS:
        remedy = "Raise delta.deletedFileRetentionDuration and delta.logRetentionDuration on the table."
        yield Finding(about, "retention", "warning", kept, remedy)
    else:
        yield Finding(about, "retention", "ok", kept)
    ahead = (state.latest.timestamp - producer.now) / 1000
    if ahead > _SKEW_SECONDS:
        yield Finding.skewed(about, "the newest commit", ahead)


def _first_rows(about: str, tried: tuple[str | None, ...]) -> Finding:
    """How delivery would end for the first rows. The finding shows none of their values: they are personal data."""
    rows, reasons = counted(len(tried), "row"), sorted({reason for reason in tried if reason})
    if not reasons:
        found = f"{rows} tried: each can be delivered" if tried else "there are none"
        return Finding(about, "first rows", "ok", found)
    broken = sum(reason is not None for reason in tried)
    return Finding(
        about,
        "first rows",
        "warning",
        f"of {rows} tried {broken} would go to the quarantine: {', '.join(reasons)}",
        "Mend the expressions in columns, or the rows at their source. A time that cannot be parsed is a missing one.",
    )
