"""The ledger's table by ``deltalake``: no JVM, some milliseconds a commit, and a compare-and-swap that needs no lock.

A commit is put only where its version is free, and of two commits that begin at one version and name one transaction the
second is refused. So one that begins after a look at the newest transition is a compare-and-swap, in every process and on
every store that takes conditional puts. The file lock is taken all the same: Spark's engine, in another driver, needs it.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rover_spark.config.access import TableAccess
from rover_spark.delta.log.folder import commit_path
from rover_spark.delta.native_errors import NativeFailed, native_errors
from rover_spark.delta.session import Session
from rover_spark.delta.storage import Reached, reached
from rover_spark.ledger.lease import lock_beside, locked
from rover_spark.ledger.rows import COLUMNS, FORMAT, FORMAT_KEY, NAMES
from rover_spark.ledger.storage.conditions import require_conditional_puts
from rover_spark.ledger.storage.failure import failed
from rover_spark.ledger.storage.port import LOOKED_AT, PROPERTIES, Row

if TYPE_CHECKING:
    from deltalake import DeltaTable

_LOG = logging.getLogger("rover_spark")
_TYPES = {"STRING": "string", "BIGINT": "long", "INT": "integer"}  # Spark's names of types, and Delta's
_COLUMNS = {name: _TYPES[kind] for name, kind in (column.split() for column in COLUMNS.split(", "))}
_WRITTEN_BY = {"appendOnly", "invariants"}  # writer features that ask nothing of commits that only add rows
_FILE_BYTES = (
    2 << 20
)  # larger ones are not compacted again: a compaction costs the same after ten thousand batches
_TRIES, _RETRIES = 5, 50
_HANDLE_SECONDS = 300  # a bucket's credentials hold longer than that
_NAMED = 500  # more names than these are no part of a query


class NativeStorage:
    """A table by path."""

    compact_every = 20

    def __init__(self, session: Session, location: str, access: TableAccess, place: Reached) -> None:
        self._session, self._location, self._access = session, location, access
        self._place = place
        self._lock = lock_beside(f"file:{place.url}") if place.is_local else None
        self._spare: list[
            tuple[float, DeltaTable]
        ] = []  # handles that no thread uses, and when they were opened

    @property
    def place(self) -> Reached:
        """With the credentials of the last look."""
        return self._place

    @property
    def lock(self) -> Path | None:
        """The same file that Spark's engine locks."""
        return self._lock

    def properties(self) -> Mapping[str, str] | None:
        """As the newest version has them.

        Raises:
            NativeFailed: it cannot be opened, or has what this engine must not write.
        """
        try:
            with native_errors(self._place), self._newest() as table:
                self._require_ours(table)
                return dict(table.metadata().configuration)
        except NativeFailed as failure:
            if failure.absent:
                return None
            raise

    def _require_ours(self, table: DeltaTable) -> None:
        """Raises NativeFailed where columns or protocol are others than a ledger is made with: Spark knows more of them."""
        if FORMAT_KEY not in table.metadata().configuration:
            return  # another's table
        protocol = table.protocol()
        features = {*(protocol.reader_features or ()), *(protocol.writer_features or ())} - _WRITTEN_BY
        if (
            protocol.min_reader_version not in (1, 3)
            or protocol.min_writer_version not in (1, 2, 7)
            or features
        ):
            raise NativeFailed(
                f"its protocol asks for more than this engine knows: {', '.join(sorted(features))}",
                beyond=True,
            )
        found = {each.name: getattr(each.type, "type", "") for each in table.schema().fields}
        if found != _COLUMNS:
            raise NativeFailed("its columns are not those of a ledger", beyond=True)

    def create(self) -> None:
        """With the columns and properties that Spark's engine gives it. After a failure it looks whether the table is there."""
        from deltalake import DeltaTable, Field, Schema
        from deltalake.schema import PrimitiveType

        fields = [Field(name, PrimitiveType(kind)) for name, kind in _COLUMNS.items()]
        with failed("make it", self._location):
            try:
                with native_errors(self._place):
                    DeltaTable.create(
                        self._place.url,
                        Schema(fields),
                        mode="ignore",
                        partition_by=["kind"],
                        configuration={FORMAT_KEY: str(FORMAT), **PROPERTIES},
                        storage_options=dict(self._place.options),
                        raise_if_key_not_exists=False,
                    )
            except NativeFailed:
                if self.properties() is None:
                    raise  # else another driver made it at the same time, or only the answer was lost

    def take(self, rows: Iterable[Row], app: str, number: int) -> bool:
        """One commit; after a failure it looks whether the commit is there: the answer may be lost."""
        # marks this commit: another driver's may be equal to it
        mark = uuid.uuid4().hex  # noqa: TID251 - names this attempt only, never a key or a record
        written = list(rows)
        with failed(f"record transition {number}", self._location), locked(self._lock):
            for attempt in range(1, _TRIES + 1):
                try:
                    with native_errors(self._place), self._newest() as table:
                        if (table.transaction_version(app) or 0) >= number:
                            return False
                        require_conditional_puts(self._place, table.version())
                        self._commit(table, written, mark, app, number)
                        return True
                except NativeFailed as failure:
                    if self._holds(mark):
                        return True
                    if failure.is_taken:
                        return False
                    if attempt == _TRIES or not failure.is_contended:
                        raise
        raise AssertionError("the last attempt returns or raises")

    def append(self, rows: Iterable[Row]) -> bool:
        """One commit, without a transaction."""
        try:
            with native_errors(self._place), locked(self._lock), self._newest() as table:
                require_conditional_puts(self._place, table.version())
                self._commit(table, list(rows))
        except NativeFailed as failure:
            _LOG.debug("ledger: %s", failure)
            return False
        return True

    def rows(
        self,
        columns: Sequence[str],
        export: str,
        kinds: Sequence[str],
        *,
        named: Collection[str] = (),
        having: str = "",
    ) -> list[Row]:
        """One query of DataFusion, which ``deltalake`` holds: only these columns and kinds are read."""
        from deltalake import QueryBuilder

        wanted = list(dict.fromkeys((*columns, *(("batch", "key") if len(named) > _NAMED else ()))))
        where = [f'"export" = {_literal(export)}', f'"kind" IN ({_literals(kinds)})']
        if named and len(named) <= _NAMED:
            names = _literals(named)
            where.append(f'("batch" IN ({names}) OR "key" IN ({names}))')
        if having:
            where.append(f'"{having}" IS NOT NULL')
        selected = ", ".join(f'"{name}"' for name in wanted)
        with failed("read it", self._location), native_errors(self._place), self._newest() as table:
            query = QueryBuilder().register("ledger", table)
            found = query.execute(f"SELECT {selected} FROM ledger WHERE {' AND '.join(where)}").read_all()
            values = [found.column(position).to_pylist() for position in range(len(wanted))]
        rows = [dict(zip(wanted, row, strict=True)) for row in zip(*values, strict=True)]
        if len(named) > _NAMED:
            among = set(named)
            rows = [row for row in rows if row["batch"] in among or row["key"] in among]
        return rows

    def compact(self) -> None:
        """Joins files that are small. Another driver's compaction may come first."""
        try:
            with native_errors(self._place), locked(self._lock), self._newest() as table:
                table.optimize.compact(target_size=_FILE_BYTES)
        except NativeFailed as failure:
            _LOG.debug("ledger: it was not compacted: %s", failure)

    @contextmanager
    def _newest(self) -> Iterator[DeltaTable]:
        """The newest version, in a handle that no other thread has; after a failure the handle is not used again."""
        opened, table = time.monotonic(), None
        with suppress(IndexError):
            kept = self._spare.pop()
            if self._place.is_local or opened - kept[0] < _HANDLE_SECONDS:
                opened, table = kept
        if table is None:
            opened, table = time.monotonic(), self._open()
        else:
            table.update_incremental()
        yield table
        self._spare.append((opened, table))

    def _open(self) -> DeltaTable:
        """The newest version. Credentials of a bucket are asked for each time: they expire."""
        from deltalake import DeltaTable

        place = self._place if self._place.is_local else reached(self._location, self._access, self._session)
        self._place = place
        return DeltaTable(place.url, storage_options=dict(place.options))

    def _commit(
        self, table: DeltaTable, rows: list[Row], mark: str = "", app: str = "", number: int = 0
    ) -> None:
        from deltalake import CommitProperties, PostCommitHookProperties, Transaction, write_deltalake

        properties = CommitProperties(
            custom_metadata={"userMetadata": mark} if mark else None,
            app_transactions=[Transaction(app, number)] if app else None,
            max_commit_retries=_RETRIES,
        )
        write_deltalake(
            table,
            _arrow(rows),
            mode="append",
            commit_properties=properties,
            # else the log is listed after each commit; a compaction removes what is older than the table's property says
            post_commithook_properties=PostCommitHookProperties(cleanup_expired_logs=False),
        )

    def _holds(self, mark: str) -> bool:
        """Whether one of the newest commits has that mark. Their files are read: ``deltalake`` finds none below some paths."""
        import obstore

        with native_errors(self._place):
            newest = self._open().version()
            objects = self._place.objects()
            for version in range(newest, max(newest - LOOKED_AT, -1), -1):
                try:
                    text = bytes(obstore.get(objects, commit_path(version)).bytes())
                except FileNotFoundError:
                    return False  # older ones were cleaned
                lines = (json.loads(line) for line in text.splitlines() if b"commitInfo" in line)
                if any(line.get("commitInfo", {}).get("userMetadata") == mark for line in lines):
                    return True
        return False


def _arrow(rows: list[Row]) -> Any:
    from arro3.core import Array, DataType, Table

    types = {"string": DataType.utf8(), "long": DataType.int64(), "integer": DataType.int32()}
    return Table.from_pydict(
        {name: Array([row.get(name) for row in rows], types[_COLUMNS[name]]) for name in NAMES}
    )


def _literals(values: Iterable[str]) -> str:
    return ", ".join(_literal(value) for value in values)


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
