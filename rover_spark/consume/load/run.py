"""A run of the loader: look, decide, load group by group, note, make the views.

Objects of a dataset are loaded some at once: many small ones share a transaction, a large one has its own. What is committed
stays, so a run that is killed is finished by the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from functools import cached_property

from rover_spark.consume.keys import EventFile, RoverFile
from rover_spark.consume.load.due import LOOK_BACK, Decision, Due, decide, is_loaded
from rover_spark.consume.load.look import Looked, look
from rover_spark.consume.load.objects import Part, parts, unreadable, why_unread
from rover_spark.consume.load.port import Counts, Read, Warehouse
from rover_spark.consume.load.report import Loaded, LoadedDataset, Unread
from rover_spark.consume.place import Place
from rover_spark.errors import ConfigError, StoreError
from rover_spark.store import Store

_UNREAD = 5  # objects in a row: then the place is out of reach

Notice = Callable[[Counts, int], object]
Watching = Callable[[int], AbstractContextManager[Notice]]


@contextmanager
def unwatched(objects: int) -> Iterator[Notice]:
    """Nobody looks."""
    yield lambda counts, size: None


def load(
    place: Place,
    warehouse: Warehouse,
    *,
    now: datetime,
    manifests: Place | None = None,
    look_back: timedelta = LOOK_BACK,
    watching: Watching = unwatched,
) -> Loaded:
    """Loads what is new at a place.

    ``manifests`` is where completion manifests are, if neither below the place nor beside it. ``watching`` gets the
    number of objects to be loaded, and what it gives is called with what each group of objects did, and its bytes.

    Raises:
        ConfigError: the place holds more than one export. StoreError: it cannot be listed.
        RunError: several objects in a row cannot be read.
    """
    known, newest = warehouse.manifests()
    found = look(place, manifests, warehouse.folders(now), known, now, look_back, warehouse.unread())
    _refuse_several(place, found)
    decision = _decided(found, warehouse, newest, now)
    with watching(len(decision.objects)) as notice:
        counts = _loaded(decision, warehouse, Reading(place), notice)
    there = warehouse.kept({key for each in decision.complete for key in each.keys})
    whole = [each for each in decision.complete if is_loaded(each, there)]
    waiting = [each for each in decision.complete if not is_loaded(each, there)]
    waiting += decision.waiting
    warehouse.note(whole, waiting, found.refused)
    warehouse.finish()
    return Loaded(
        datasets=_datasets(counts),
        batches=len(whole),
        waiting=len(waiting),
        unnamed=len(decision.unnamed),
        manifests_refused=len(found.refused),
        strays=found.strays,
        unread=_unread(counts),
    )


def load_files(
    place: Place, warehouse: Warehouse, files: Sequence[RoverFile | EventFile], *, now: datetime
) -> Loaded:
    """Loads those of some files of a place that are not loaded, without a look at anything else. Raises as ``load``."""
    found = Looked(list(files), [], [])
    _refuse_several(place, found)
    counts = _loaded(
        _decided(found, warehouse, {}, now), warehouse, Reading(place), lambda counts, size: None
    )
    warehouse.finish()
    return Loaded(_datasets(counts), 0, 0, 0, 0, 0, _unread(counts))


def _loaded(decision: Decision, warehouse: Warehouse, read: Read, notice: Notice) -> dict[str, Counts]:
    counts: dict[str, Counts] = {}
    for group in groups(decision.objects, warehouse.group_bytes, warehouse.group_objects):
        dataset = group[0].dataset
        done = warehouse.load(group, read)
        counts[dataset] = counts.get(dataset, Counts()) + done
        notice(done, sum(each.bytes for each in group))
    return counts


class Reading:
    """Reads objects, and gives up where several in a row cannot be read: the next ones could not either.

    Picklable: each process opens its own store.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._failed = 0

    @cached_property
    def _store(self) -> Store:
        return self._place.store()

    def __reduce__(self) -> tuple[type[Reading], tuple[Place]]:
        return Reading, (self._place,)

    def __call__(self, due: Due) -> Iterator[Part]:
        """What the object holds. Raises RunError where it gives up, and what ``parts`` raises."""
        try:
            yield from parts(self._store, due)
        except FileNotFoundError:
            raise
        except (StoreError, OSError) as error:
            self._failed += 1
            if self._failed < _UNREAD:
                raise
            raise unreadable(
                f"{due.key} and those before it cannot be read: {why_unread(error)}; what was loaded before is kept"
            ) from None
        self._failed = 0


def groups(objects: Sequence[Due], most_bytes: int, most_objects: int) -> Iterator[list[Due]]:
    """Objects of one dataset that share a transaction, in order."""
    group: list[Due] = []
    size = 0
    for each in objects:
        full = size + each.bytes > most_bytes or len(group) >= most_objects
        if group and (full or (each.contract, each.dataset) != (group[0].contract, group[0].dataset)):
            yield group
            group, size = [], 0
        group.append(each)
        size += each.bytes
    if group:
        yield group


def _decided(found: Looked, warehouse: Warehouse, newest: Mapping[str, datetime], now: datetime) -> Decision:
    keys = {each.key for each in found.files} | {key for each in found.manifests for key in each.keys}
    return decide(found.files, found.manifests, warehouse.kept(keys), newest, now)


def _refuse_several(place: Place, found: Looked) -> None:
    """Records of two exports in one table would be one company's to whoever reads the views."""
    for kind in (RoverFile, EventFile):
        places = sorted({each.place for each in found.files if isinstance(each, kind)})
        if len(places) > 1:
            raise ConfigError(
                f"{place.destination} holds {len(places)} exports: {', '.join(each or '/' for each in places[:5])};"
                " nothing was loaded",
                code="place_ambiguous",
                remedy="Name one of them, and a file for each.",
            )


def _datasets(found: Mapping[str, Counts]) -> tuple[LoadedDataset, ...]:
    return tuple(
        LoadedDataset(
            dataset=name,
            objects=counts.objects,
            new=counts.new,
            repeated=counts.repeated,
            bad_lines=counts.bad_lines,
            damaged=counts.damaged,
            gone=len(counts.gone),
        )
        for name, counts in sorted(found.items())
    )


def _unread(found: Mapping[str, Counts]) -> tuple[Unread, ...]:
    return tuple(Unread(*pair) for each in found.values() for pair in each.unread)
