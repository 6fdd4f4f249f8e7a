"""A table's log read without Spark: ``deltalake`` opens the table, the commits' files are read here.

``deltalake`` says what a table is at a version, from checkpoints of every kind. Times of commits, and what one commit did,
are in no checkpoint: the log's own files say them. Each file is read once, and only what is asked for is kept. Any
failure is a NotAnswered: Spark is asked then, and what Spark says counts.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import RLock
from typing import Any, TypeVar

from rover_spark.delta.log import times
from rover_spark.delta.log.columns import as_read
from rover_spark.delta.log.entry import entry_of, info_of
from rover_spark.delta.log.folder import CHECKPOINT, COMMIT, Directory, Folder, LogFile, Objects, commit_name
from rover_spark.delta.log.opened import Opened, data_files, opened, table_at
from rover_spark.delta.log.port import NotAnswered
from rover_spark.delta.log.values import Change, Commit, CommitFiles, DataFile, Detail, Entry, Info
from rover_spark.delta.native_errors import NativeFailed, native_errors
from rover_spark.delta.parallel import side_by_side
from rover_spark.delta.shape import Shape
from rover_spark.delta.storage import Reached

T = TypeVar("T")
_SMALL = 64 << 10  # a commit's file that is read whole where its first line is asked for
_WHOLE_SECONDS = re.compile(r"s3|abfs|az")  # there Hadoop takes times from HTTP headers


class NativeLog:
    """The log of a table at a place that ``deltalake`` reaches, as it was when it was first asked. Safe in threads."""

    def __init__(self, table: str, place: Reached) -> None:
        self._place = place
        self._location = _as_spark_spells(table, place)
        self._folder = self._found()
        self._lock = RLock()
        self._opened: dict[int | None, Opened] = {}
        self._listed: tuple[int, list[LogFile]] | None = None
        self._entries: dict[int, Entry] = {}
        self._infos: dict[int, Info | None] = {}

    def _found(self) -> Folder:
        if self._place.is_local:
            return Directory(self._place.url)
        with self._answering():
            seconds = _WHOLE_SECONDS.match(self._place.url) is not None
            return Objects(self._place.objects(), whole_seconds=seconds)

    def ends_at(self, version: int) -> bool:
        """Whether this version is the newest: one listing. A table of a million files takes seconds to open."""
        with self._answering():
            names = [file.name for file in self._folder.files(version)]
            return [name for name in names if COMMIT.fullmatch(name)] == [commit_name(version)]

    def detail(self) -> Detail:
        """The table as it is now."""
        with self._answering():
            table = self._open(None)
            return Detail(table.table_id, dict(table.properties), table.bytes, self._location)

    def commits(self, reach: int | None, since: int | None) -> list[Commit]:
        """The newest commits from ``since`` on, the oldest first; times as of a listing that reaches ``reach``."""
        with self._answering():
            table = self._open(None)
            newest = table.version  # what came since may follow rules that this version does not know
            files = self._files(max(min(newest if reach is None else reach, newest) - times.LISTED + 1, 0))
            commits = ((int(found[1]), file) for file in files if (found := COMMIT.fullmatch(file.name)))
            written = {version: file for version, file in commits if version <= newest}
            if newest not in written:
                raise NotAnswered(f"its log has no file of version {newest}")
            begin = times.begins(list(written), reach)
            in_commit = times.first_in_commit(table.properties)
            rising = times.rising(
                (version, file.at)
                for version, file in written.items()
                if version >= begin and (in_commit is None or version < in_commit)
            )
            first = max(begin, newest if since is None else min(since, newest))
            wanted = [version for version in written if version >= first]
            infos = self._side_by_side(self._info, [written[version] for version in wanted])
            return [
                Commit(
                    version, rising[version] if version in rising else _own_time(version, info), *_said(info)
                )
                for version, info in zip(wanted, infos, strict=True)
            ]

    def changes(self, first: int, last: int) -> list[Change]:
        """What the commits of versions first..last say besides rows; only those that say something."""
        with self._answering():
            return [
                Change(version, entry.metadata, entry.features, entry.bare)
                for version, entry in self._read(first, last)
                if entry.metadata is not None or entry.features is not None or entry.bare
            ]

    def vectors(self, first: int, last: int) -> int | None:
        """The first of these commits that added or removed rows by a deletion vector, or None."""
        with self._answering():
            return next((version for version, entry in self._read(first, last) if entry.vectored), None)

    def shape_at(self, version: int) -> Shape | None:
        """The table's columns, protocol and properties at a version, or None where the log does not reach back so far."""
        with self._answering():
            if not self._reaches(version):
                return None
            table = self._open(version)
            return Shape(table.schema, table.partitions, dict(table.properties), table.features)

    def schema_at(self, version: int) -> dict[str, Any]:
        """The columns of the table's rows at a version, as Spark's reader gives them."""
        with self._answering():
            return as_read(self._open(version).schema)

    def files(self, first: int, last: int) -> list[CommitFiles]:
        """The files that the commits of versions first..last added, one value a commit, in their order."""
        with self._answering():
            return [entry.files for _, entry in self._read(first, last)]

    def data_files(self, version: int) -> list[DataFile] | None:
        """The files that hold the rows of a version, by path."""
        with self._answering():
            return data_files(table_at(self._place, version))

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Raises NotAnswered for any failure: whether the table is at fault, Spark says."""
        try:
            with native_errors(self._place):
                yield
        except NativeFailed as error:
            raise NotAnswered(str(error)) from None

    def _open(self, version: int | None) -> Opened:
        """The table at a version, None for the newest one.

        Raises:
            NotAnswered: its commits are not all in the log, or the log has lost its beginning.
        """
        with self._lock:
            if version not in self._opened:
                found = opened(table_at(self._place, version))
                if version is None and not self._begins(found.version):
                    raise NotAnswered("its log begins neither with version 0 nor with a checkpoint")
                self._opened[version] = self._opened[found.version] = found
            return self._opened[version]

    def _files(self, first: int) -> list[LogFile]:
        with self._lock:
            if self._listed is None or self._listed[0] > first:
                self._listed = first, self._folder.files(first)
            return [file for file in self._listed[1] if int(file.name[:20]) >= first]

    def _begins(self, newest: int) -> bool:
        """Whether the log has a version 0 or a checkpoint: ``deltalake`` asks for neither, Delta does."""
        latest = self._files(max(newest - times.LISTED + 1, 0))
        return any(CHECKPOINT.fullmatch(file.name) for file in latest) or self._reaches(newest)

    def _reaches(self, version: int) -> bool:
        files = self._files(0)
        checkpoints = {int(found[1]) for file in files if (found := CHECKPOINT.fullmatch(file.name))}
        begin = max((each for each in checkpoints if each <= version), default=-1)
        commits = {int(found[1]) for file in files if (found := COMMIT.fullmatch(file.name))}
        return begin <= version and all(each in commits for each in range(begin + 1, version + 1))

    def _read(self, first: int, last: int) -> Iterator[tuple[int, Entry]]:
        self._open(None)
        versions = range(first, last + 1)
        missing = [version for version in versions if version not in self._entries]
        self._entries.update(zip(missing, self._side_by_side(self._entry, missing), strict=True))
        return ((version, self._entries[version]) for version in versions)

    def _entry(self, version: int) -> Entry:
        return entry_of(version, self._folder.lines(commit_name(version)))

    def _info(self, file: LogFile) -> Info | None:
        version = int(file.name[:20])
        if version not in self._entries and file.size <= _SMALL:
            self._entries[version] = self._entry(version)
        if version in self._entries:
            return self._entries[version].info
        if version not in self._infos:
            self._infos[version] = info_of(self._folder.lines(file.name))
        return self._infos[version]

    def _side_by_side(self, act: Callable[[Any], T], each: Sequence[Any]) -> list[T]:
        if self._place.is_local or len(each) < 2:
            return [act(one) for one in each]
        return side_by_side(act, each)


def _said(info: Info | None) -> tuple[str | None, int]:
    return (None, 0) if info is None else (info.operation, info.rows)


def _own_time(version: int, info: Info | None) -> int:
    if info is None or info.timestamp is None:
        raise NotAnswered(f"version {version} has no in-commit timestamp")
    return info.timestamp


def _as_spark_spells(table: str, place: Reached) -> str:
    """The table's location as DESCRIBE DETAIL gives it."""
    if place.is_local:
        return f"file:{posixpath.normpath(place.url)}"
    return table.rstrip("/")
