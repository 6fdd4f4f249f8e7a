"""The schedule of ``export --every``: it delivers when enough rows wait, or when the oldest has waited long enough.

Between deliveries it reads the sources' histories only. It tries a failed delivery again, with growing pauses, before
anything later: undelivered changes wait in Delta.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from threading import Event
from typing import Protocol, TypeVar

from rover_spark.config.access import TableAccess
from rover_spark.delta import history
from rover_spark.delta.log.chosen import Logs
from rover_spark.delta.log.values import Commit
from rover_spark.delta.parallel import side_by_side
from rover_spark.delta.session import Session
from rover_spark.errors import SourceGap
from rover_spark.ledger.table import Ledger
from rover_spark.model.dataset_state import BatchRecord, DatasetState
from rover_spark.produce.port import Producer

REST = timedelta(seconds=5)
_LONGEST_PAUSE = timedelta(minutes=5)
_LOG = logging.getLogger("rover_spark")


class Ended(Protocol):
    """What ``stay`` asks of a delivery's result: whether it went well, and whether it has batches."""

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        ...

    @property
    def batches(self) -> tuple[BatchRecord, ...]:
        """What was delivered."""
        ...


R = TypeVar("R", bound=Ended)


@dataclass(frozen=True)
class Waiting:
    """The undelivered commits of the sources: ``rows`` of the table with most of them, before any filter; ``oldest`` in ms.

    ``at_once`` is true where a delivery is due in any case: an open batch, a rerun, a first delivery.
    """

    rows: int = 0
    oldest: int | None = None
    at_once: bool = False

    def is_due(self, now: int, every: timedelta, enough: int) -> bool:
        """True where a delivery should begin at ``now`` (ms since 1970)."""
        waited = now - self.oldest if self.oldest is not None else 0
        old = self.oldest is not None and waited >= every / timedelta(milliseconds=1)
        return self.at_once or old or self.rows >= enough


class Sources:
    """The sources of one export. It remembers the commits that it has seen, and lists only later ones."""

    def __init__(
        self,
        session: Session,
        access: TableAccess,
        streams: Sequence[str],
        ledger: Ledger,
        producer: Producer,
    ) -> None:
        self._streams, self._ledger, self._producer = streams, ledger, producer
        self._logs = Logs(session, access)
        self._seen: dict[str, list[Commit]] = {}

    def waiting(self) -> Waiting:
        """What waits now, from the ledger's dataset states and the tables' histories."""
        self._ledger.open(create=False)
        dataset_states = self._ledger.dataset_states()
        tables: dict[str, int] = {}
        for name in self._streams:
            dataset_state = dataset_states.get(name, DatasetState())
            if dataset_state.open is not None or dataset_state.rerun or dataset_state.last is None:
                return Waiting(at_once=True)
            for place in self._producer.places(name, dataset_state):
                if place.delivered is None:
                    return Waiting(at_once=True)
                tables[place.table] = min(place.delivered, tables.get(place.table, place.delivered))
        self._logs = self._logs.afresh()
        found = [commits for commits in side_by_side(self._after, tables.items()) if commits]
        return Waiting(
            rows=max((sum(commit.rows for commit in commits) for commits in found), default=0),
            oldest=min((commits[0].timestamp for commits in found), default=None),
        )

    def _after(self, place: tuple[str, int]) -> list[Commit]:
        table, version = place
        seen = [commit for commit in self._seen.get(table, ()) if commit.version > version]
        try:
            after, log = seen[-1].version if seen else version, self._logs.of(table)
            if table not in self._seen or not log.ends_at(after):  # a large table takes seconds to open
                seen += history.commits_after(log, table, after)
        except SourceGap:
            self._seen.pop(table, None)  # of a table that was made anew
            raise
        self._seen[table] = seen
        return seen


def stay(
    look: Callable[[], bool], deliver: Callable[[], R], on_result: Callable[[R], None], stop: Event
) -> bool:
    """Delivers whenever ``look`` says so, until ``stop`` is set; the batch under way is finished first.

    ``on_result`` gets each result that did something. True where the last delivery went well.
    """
    well, pause = True, REST
    while not stop.is_set():
        if not well or look():
            result = deliver()
            well = result.ok
            if result.batches or not well:
                on_result(result)
            if not well:
                _LOG.warning("trying again in %.0f s", pause.total_seconds())
                stop.wait(pause.total_seconds())
                pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            pause = REST
        stop.wait(REST.total_seconds())
    return well
