"""Whose is a file of events: this export's, where its key names this integration, cluster, connection and zone.

No two exports share these. A new ledger over such files would find its keys taken, so offsets and schema ids continue
above the highest ones in the bucket.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from rover_spark.config.settings import Settings
from rover_spark.contract.currents import (
    EVENTS_PER_FILE_BACKLOG,
    CurrentsKey,
    Integration,
    parse_currents_key,
)
from rover_spark.model.dataset_state import DatasetState
from rover_spark.produce.currents.plan import event_plan
from rover_spark.produce.port import LOOKED_AT, Earlier
from rover_spark.store import Store, below, prefix_of


@dataclass
class Taken:
    """What the keys of an earlier ledger used up: free offsets by event type and partition, the highest schema id."""

    free: dict[str, dict[int, int]] = field(default_factory=dict)
    schema_id: int = 0

    def offsets(self, event_type: str) -> tuple[int, ...]:
        """Returns the first free offset of each partition for an event type that starts over."""
        found = self.free.get(event_type, {})
        return tuple(found.get(partition, 0) for partition in range(max(found, default=-1) + 1))

    def take(self, key: CurrentsKey) -> None:
        """Counts a file in. Its name does not say how many events it holds: no more than a file can."""
        free = self.free.setdefault(key.event_type, {})
        free[key.partition] = max(free.get(key.partition, 0), key.offset + EVENTS_PER_FILE_BACKLOG)
        self.schema_id = max(self.schema_id, key.schema_id)


def owner(settings: Settings) -> EventOwner:
    """The owner of this integration's files."""
    assert settings.currents is not None
    prefix, events = prefix_of(settings.destination), tuple(settings.events)
    manifests = prefix_of(settings.manifests_at or settings.destination)
    return EventOwner(settings.currents.integration, prefix, events, manifests)


@dataclass(frozen=True)
class EventOwner:
    """Recognises the files of ``integration`` below ``prefix``; ``events`` are the types that today's settings name.

    Its manifests lie below ``manifests``.
    """

    integration: Integration
    prefix: str
    events: tuple[str, ...]
    manifests: str = ""

    reads_all = True
    adopted = (
        "Events count from `start` on, with the ids they had; offsets and schema ids go on above those of before",
        "Tell receivers; what came between the last delivery and `start` is not delivered.",
    )

    def parts(self, key: str) -> CurrentsKey | None:
        """The parts of a key of this very integration."""
        found = parse_currents_key(self.prefix, key)
        return found if found is not None and found.integration == self.integration else None

    def batch_of(self, key: str) -> str | None:
        """None: a key does not hold its batch."""
        return None

    def planned(self, key: str, instants: set[tuple[str, int]]) -> bool:
        """An integration's folder is its own."""
        return key.startswith((self._root, below(self.manifests, self.integration.name, "")))

    @property
    def _root(self) -> str:
        return below(self.prefix, self.integration.name, "")

    def earlier(self, store: Store, stream: str, dataset_state: DatasetState) -> Earlier | None:
        """A file of the integration, or of an event type that is new to the ledger."""
        for folder, about in self._unknown(stream, dataset_state):
            for each in islice(store.listing(f"{self._root}{folder}"), LOOKED_AT):
                if self.parts(each.key) is not None:
                    return Earlier(about, each.key)
        return None

    def _unknown(self, stream: str, dataset_state: DatasetState) -> Iterator[tuple[str, str]]:
        """Folders to look into, and whose they are: all of the integration, or the event types that are new."""
        plans = [plan for plan in (dataset_state.last, dataset_state.open) if plan is not None]
        if not plans:
            yield "", stream
            return
        known = {each.event_type for plan in plans for each in event_plan(plan).slices}
        for event_type in self.events:
            if event_type not in known:
                yield f"event_type={event_type}/", f'events."{event_type}"'
