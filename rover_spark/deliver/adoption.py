"""Before a ledger's first batch of a dataset: does the bucket already hold what this export delivered?

A ledger that was lost, or whose path has a typo, looks like one that was never used: the export would begin anew, and
receivers would get all of it a second time. So, where the ledger knows no batch of a dataset and the store can be
listed, the dataset's folder is looked at first; what is found there is refused until the operator adopts it.

What is this export's own:
* a Rover file, where its token is that of a batch of this export and dataset (``contract/keys.py``): another export
  may deliver into the same folder, and its tokens differ because its name does;
* a Currents file, where its key names this integration, cluster, connection and zone: no two exports share these.

The look costs nothing once a dataset has a batch, one request where the folder is empty, and never more than
``LOOKED_AT`` objects; it ends at the first file that it knows. Decides and lists; writes nothing.

What adopting means: a Rover dataset begins with epoch 1 again, in files of other stamps. The same row has the same id, so
whoever loads by id sees repeats and what changed; deletes in between are told by nobody, as after a range that is LOST.
Events count from ``start`` on; their keys would be taken, so offsets and schema ids go on above all that stand there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice, product

from rover_spark.config.settings import Settings
from rover_spark.contract.currents import EVENTS_PER_FILE_BACKLOG, CurrentsKey, parse_currents_key
from rover_spark.contract.keys import file_token, parse_rover_key
from rover_spark.errors import ConfigError, Problem
from rover_spark.model.head import Head
from rover_spark.produce.currents.plan import EventPlan
from rover_spark.store import Store

LOOKED_AT = 50_000
# Batches and epochs whose files are looked for, the likely ones first; older files may be gone by a lifecycle rule.
_FEW, _MANY, _RERUN_OFTEN = range(1, 51), range(1, 50_001), range(1, 2_001)
_EPOCHS, _LATER_EPOCHS = range(1, 4), range(4, 51)


@dataclass(frozen=True)
class Earlier:
    """A file that stands in the bucket though the ledger knows no batch of ``about``; ``batch`` where its token tells."""

    about: str
    key: str
    batch: str | None = None

    @property
    def message(self) -> str:
        """What stands where, in half a sentence."""
        whose = f"batch {self.batch} of this export" if self.batch else "this integration"
        return f"{self.key} is a file of {whose}"


@dataclass
class Taken:
    """What the keys of an earlier ledger used up: free offsets by event type and partition, the highest schema id."""

    free: dict[str, dict[int, int]] = field(default_factory=dict)
    schema_id: int = 0

    def offsets(self, event_type: str) -> tuple[int, ...]:
        """Where an event type that begins anew begins in each partition: above all that was ever delivered."""
        found = self.free.get(event_type, {})
        return tuple(found.get(partition, 0) for partition in range(max(found, default=-1) + 1))

    def take(self, key: CurrentsKey) -> None:
        """Counts a file in. Its name does not tell how many events it holds: no more than a file can."""
        free = self.free.setdefault(key.event_type, {})
        free[key.partition] = max(free.get(key.partition, 0), key.offset + EVENTS_PER_FILE_BACKLOG)
        self.schema_id = max(self.schema_id, key.schema_id)


@dataclass
class Adoption:
    """The look before a first batch. ``adopt`` is the operator's word that this ledger begins anew.

    ``adopted`` is what it took over, ``taken`` what its own keys must keep clear of: those of events are no digests.
    """

    store: Store
    settings: Settings
    adopt: bool = False
    adopted: list[Earlier] = field(default_factory=list)
    taken: Taken = field(default_factory=Taken)

    def look(self, dataset: str, head: Head) -> None:
        """Raises ConfigError where the bucket holds files of the dataset, the ledger no batch, and nobody adopted them."""
        found = earlier(self.store, self.settings, dataset, head)
        if found is None:
            return
        if not self.adopt:
            raise _refused(self.settings, found)
        self.adopted.append(found)
        if self.settings.contract == "currents":
            for each in self.store.listing(_root(self.store, self.settings)):
                if (key := _event_key(self.store, self.settings, each.key)) is not None:
                    self.taken.take(key)

    @property
    def notices(self) -> list[Problem]:
        """What the operator tells receivers of a ledger that began anew."""
        events = self.settings.contract == "currents"
        return [_began_anew(each, _EVENTS_ANEW if events else _ROWS_ANEW) for each in self.adopted]


_ROWS_ANEW = (
    "Records that did not change have the ids they had; what was deleted in between is not told",
    "Tell receivers to empty {about} before they load this run's files.",
)
_EVENTS_ANEW = (
    "Events count from `start` on, with the ids they had; offsets and schema ids go on above those of before",
    "Tell receivers; what came between the last delivery and `start` is not delivered.",
)


def _began_anew(found: Earlier, words: tuple[str, str]) -> Problem:
    seen, tell = words
    return Problem(
        "ledger_adopted",
        f"{found.about} began anew: {found.message}, which this ledger does not know. {seen}",
        f"{tell.format(about=found.about)} `verify` calls the files of before foreign until they are moved away.",
    )


def _refused(settings: Settings, found: Earlier) -> ConfigError:
    return ConfigError(
        f"ledger: {settings.ledger} knows no batch of {found.about}, but {settings.destination} holds what was delivered: "
        f"{found.message}. Nothing was delivered by this run",
        code="ledger_unaware",
        remedy="Name the ledger that delivered them, or bring it back from a backup. Only if it is lost for good, begin "
        "anew: rover-spark export -c FILE --adopt-empty-ledger",
    )


def earlier(store: Store, settings: Settings, dataset: str, head: Head) -> Earlier | None:
    """A file of this export in the bucket, of what ``head`` has no batch of; None also where the store cannot be listed."""
    if not store.can_read:
        return None
    root = _root(store, settings)
    if settings.contract == "rover":
        if _began(head):
            return None
        return _of_dataset(store, settings.name, dataset, _keys(store, f"{root}{dataset}/"))
    for folder, about in _unknown_events(settings, dataset, head):
        for key in _keys(store, f"{root}{folder}"):
            if _event_key(store, settings, key) is not None:
                return Earlier(about, key)
    return None


def _root(store: Store, settings: Settings) -> str:
    return f"{store.prefix}/{settings.receives}/".lstrip("/")


def _event_key(store: Store, settings: Settings, key: str) -> CurrentsKey | None:
    """The parts of a key of this very integration."""
    parts = parse_currents_key(store.prefix, key)
    mine = (
        settings.currents is not None
        and parts is not None
        and parts.integration == settings.currents.integration
    )
    return parts if mine else None


def _began(head: Head) -> bool:
    return head.last is not None or head.open is not None


def _unknown_events(settings: Settings, dataset: str, head: Head) -> Iterator[tuple[str, str]]:
    """Folders to look into, and whose they are: all of the integration, or the event types that are new in the ledger."""
    if not _began(head):
        yield "", dataset
        return
    known = {
        each.event_type
        for plan in (head.last, head.open)
        if isinstance(plan, EventPlan)
        for each in plan.slices
    }
    for event_type in settings.events:
        if event_type not in known:
            yield f"event_type={event_type}/", f'events."{event_type}"'


def _keys(store: Store, folder: str) -> Iterator[str]:
    return (each.key for each in islice(store.listing(folder), LOOKED_AT))


def _of_dataset(store: Store, export: str, dataset: str, keys: Iterable[str]) -> Earlier | None:
    early = tokens(export, dataset, _FEW)
    seen: dict[str, str] = {}
    for key in keys:
        parts = parse_rover_key(key)
        if parts is None or parts.prefix != store.prefix or parts.dataset != dataset:
            continue
        if parts.token in early:
            return Earlier(dataset, key, early[parts.token])
        seen[parts.token] = key
    if not seen:
        return None
    likely = _tokens(export, dataset, _MANY, _EPOCHS, chunks=1)
    for token, batch in chain(likely, _tokens(export, dataset, _RERUN_OFTEN, _LATER_EPOCHS, chunks=1)):
        if token in seen:
            return Earlier(dataset, seen[token], batch)
    return None


def tokens(export: str, dataset: str, batches: Iterable[int]) -> dict[str, str]:
    """Token → batch of the first files of these batches: what a key of this export and dataset may carry."""
    return dict(_tokens(export, dataset, batches, _EPOCHS, chunks=4))


def _tokens(
    export: str, dataset: str, batches: Iterable[int], epochs: Iterable[int], *, chunks: int
) -> Iterator[tuple[str, str]]:
    for seq, epoch, chunk in product(batches, epochs, range(chunks)):
        if epoch <= seq:  # each epoch takes at least one batch
            batch = f"{dataset}.{epoch}.{seq}"
            yield file_token(export, epoch, dataset, batch, chunk, 0), batch
