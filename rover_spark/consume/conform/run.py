"""A bucket held against the contract: lists it, reads its files once, compares ids, offsets and manifests; gives a report.

Memory grows neither with the number of objects nor with that of records: what must be kept for later lies in a temporary
directory, about 200 bytes an object and 28 bytes a record.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

from rover_spark.consume.conform.catalogue import Catalogue, text
from rover_spark.consume.conform.doubled import bounded, compare
from rover_spark.consume.conform.ids import Content, parts_of
from rover_spark.consume.conform.manifests import Changed, hold_against, hold_changed, read_manifests
from rover_spark.consume.conform.report import Conformed, HeldDataset, Tally, name_of, place_and_dataset
from rover_spark.consume.conform.workers import SMALL, Job, Setting, Workers
from rover_spark.consume.keys import EventFile, ManifestFile, Other, RoverFile, Stray
from rover_spark.consume.place import Place, apart, listed, listed_since

_RECORD_BYTES = 40  # of a compressed record, at the least that is usual
_AT_ONCE = 500
_HOMES: set[str] = set()  # of the runs of this process

Notice = Callable[[int, int], object]  # records and bytes of text of a file that was read


def conform(
    place: Place,
    *,
    now: datetime,
    since: datetime | None = None,
    sample: int | None = None,
    engine: str = "",
    manifests: Place | None = None,
    processes: int = 0,
    notice: Notice = lambda records, size: None,
) -> Conformed:
    """Holds a place against the contract.

    ``since`` leaves out files and manifests of earlier hours, ``sample`` reads so many files of each dataset, ``engine`` names
    a loader for which it lints (``LOADERS``). ``manifests`` is where completion manifests are, if neither below the place nor
    beside it. ``processes`` is by default the number of cores.

    Raises:
        StoreError: the place cannot be listed. ConfigError: a package that it needs is missing.
    """
    with tempfile.TemporaryDirectory(prefix="rover-conform-") as home, _known(home):
        run = _Run(place, manifests, Path(home), now, since)
        try:
            return run.report(sample, engine, processes or os.cpu_count() or 1, notice)
        finally:
            run.catalogue.close()


@contextmanager
def _known(home: str) -> Iterator[None]:
    _HOMES.add(home)
    try:
        yield
    finally:
        _HOMES.discard(home)


def abandon() -> None:
    """Removes the temporary directories of runs in this process, which is about to end in the middle of them."""
    for home in list(_HOMES):
        shutil.rmtree(home, ignore_errors=True)


class _Run:
    """One run over a place, and what it keeps."""

    def __init__(
        self, place: Place, manifests: Place | None, home: Path, now: datetime, since: datetime | None
    ) -> None:
        self.places = apart(place, place.beside("manifests", "completions"), manifests)
        self.place, self.home, self.now = place, home, now
        self.hours = None if since is None else (since, now + timedelta(days=1))  # a clock may be ahead
        self.catalogue = Catalogue(home)
        self.tally, self.noted = Tally(), Tally()
        self.others = 0
        self.groups: dict[str, int] = {}
        self.repeats: dict[str, int] = {}
        self.uncompared = Counter[str]()

    def report(self, sample: int | None, engine: str, processes: int, notice: Notice) -> Conformed:
        manifests = self.list_all()
        self.catalogue.close_list(sample)
        count, changed = 0, list[Changed]()
        for at, found in manifests:
            read = read_manifests(at.store(), found, self.catalogue, self.tally, self.place, self.hours)
            count += read.manifests
            changed += read.changed
        self.read_all(engine, processes, notice)
        self.hold_schemas()
        self.hold_offsets()
        hold_against(self.catalogue, self.tally, self.now)
        hold_changed(changed, self.catalogue, self.tally, self.noted)
        return self.assembled(count)

    def list_all(self) -> list[tuple[Place, list[ManifestFile]]]:
        """Lists everything into the catalogue; returns the manifests of each place."""
        mine: list[ManifestFile] = []
        every = listed(self.place) if self.hours is None else listed_since(self.place, *self.hours)
        for found in every:
            match found:
                case RoverFile() | EventFile():
                    self.catalogue.add(self.name(found.place, _dataset(found)), found)
                case Stray():
                    self.tally.add(
                        self.name(found.place, found.dataset), "key_malformed", found.key, 0, found.reason
                    )
                case ManifestFile():
                    mine.append(found)
                case Other():
                    self.others += 1
        found_at = [(self.place, mine)]
        for number, at in enumerate(self.places[1:], 1):
            theirs = [found for found in listed(at) if isinstance(found, ManifestFile)]
            before = self.places[:number]
            found_at.append(
                (at, [found for found in theirs if not any(each.shows(at, found.key) for each in before)])
            )
        return found_at

    def name(self, place: str, dataset: str) -> str:
        """A dataset's name, with its place below the one that is looked at."""
        prefix = self.place.prefix
        inside = place.removeprefix(prefix).strip("/") if prefix else place
        return name_of(inside, dataset)

    def read_all(self, engine: str, processes: int, notice: Notice) -> None:
        files, size = self.catalogue.estimate()
        if size <= SMALL or files == 1 or self.place.destination.startswith("memory:"):
            processes = 1
        spill = self.home / "ids"
        spill.mkdir()
        setting = Setting(self.place, spill, parts_of(size // _RECORD_BYTES), engine)
        workers = Workers(setting, processes)
        try:
            self.hold_files(workers, notice)
            self.hold_ids(workers)
        finally:
            workers.close()

    def hold_files(self, workers: Workers, notice: Notice) -> None:
        """Every chosen file, by itself."""
        rows: list[tuple[int, int, int, str, str, str]] = []
        for each in workers.examined(self.jobs()):
            self.tally.take(each.breaches)
            rows.append(
                (each.number, each.records, each.text_bytes, each.sha256, each.text_sha256, each.schema)
            )
            if len(rows) == _AT_ONCE:
                self.catalogue.read(rows)
                rows.clear()
            notice(each.records, each.text_bytes)
        self.catalogue.read(rows)

    def jobs(self) -> Iterator[Job]:
        for numbered in self.catalogue.chosen():
            yield Job(numbered, self.groups.setdefault(numbered.name, len(self.groups)))

    def hold_ids(self, workers: Workers) -> None:
        """Ids that come again: whether they say the same."""
        names = {number: name for name, number in self.groups.items()}
        doubled: dict[str, list[tuple[Content, ...]]] = {}
        for each in workers.repeated():
            name = names[each.group]
            self.repeats[name] = self.repeats.get(name, 0) + each.equal
            mine = doubled.setdefault(name, [])
            mine += each.doubled
            self.uncompared[name] += each.uncompared + bounded(mine)
        store = self.place.store()
        for name, mine in sorted(doubled.items()):
            found = compare(store, self.catalogue, self.tally, mine)
            self.repeats[name] += found.equal
            self.uncompared[name] += found.uncompared

    def hold_schemas(self) -> None:
        """Of the files of an event type under one schema id those whose schema is not the first one's."""
        for name, key, first in self.catalogue.select(
            "SELECT name, key, first FROM (SELECT name, key, schema,"
            " first_value(schema) OVER w AS known, first_value(key) OVER w AS first"
            " FROM files JOIN read ON number = files.rowid WHERE schema <> ''"
            " WINDOW w AS (PARTITION BY place, dataset, schema_id ORDER BY key)) WHERE schema <> known"
        ):
            found = f"has another schema than {text(first)} under the same schema id"
            self.tally.add(str(name), "schema_differs", text(key), 0, found)

    def hold_offsets(self) -> None:
        """Files of an hour that have the offset of another one: the contract promises no more of it than that they differ.

        Offsets are counted in a partition of an event type.
        """
        for name, key, before in self.catalogue.select(
            "SELECT name, key, before FROM (SELECT name, key, lag(key) OVER w AS before FROM files WHERE start IS NOT NULL"
            " WINDOW w AS (PARTITION BY place, dataset, hour, partition, start ORDER BY key)) WHERE before IS NOT NULL"
        ):
            self.tally.add(str(name), "offset_repeated", text(key), 0, f"has the offset of {text(before)}")

    def assembled(self, manifests: int) -> Conformed:
        breaches = self.tally.breaches()
        wrong: Counter[tuple[str, str]] = Counter()
        for each in breaches:
            wrong[each.place, each.dataset] += each.count
        datasets = (
            HeldDataset(
                *place_and_dataset(name),
                files,
                read,
                records,
                self.repeats.get(name, 0),
                size,
                text_bytes,
                _instant(first),
                _instant(last),
                wrong[place_and_dataset(name)],
                self.uncompared[name],
            )
            for name, files, read, records, size, text_bytes, first, last in self.catalogue.totals()
        )
        return Conformed(tuple(datasets), breaches, manifests, self.others, self.noted.breaches())


def _dataset(found: RoverFile | EventFile) -> str:
    return found.dataset if isinstance(found, RoverFile) else found.event_type


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)
