"""The port of a warehouse for a DuckDB file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa

from rover_spark.consume.load.duckdb import file, tables
from rover_spark.consume.load.duckdb.filling import REFUSED, Filling
from rover_spark.consume.load.due import Due, Kept, Said, folder_of
from rover_spark.consume.load.objects import Damaged, Whole, why_unread
from rover_spark.consume.load.port import TEXT, UNREAD, Counts, Folder, Read, Refused
from rover_spark.consume.load.tables import LOWERED, of_rover
from rover_spark.consume.load.taking import Taking, taking
from rover_spark.consume.records import BadLine
from rover_spark.errors import StoreError

_UNREAD = "unread"  # the code of such an object, which is in no quarantine
_NOTE = pa.schema(
    [
        ("number", pa.int64()), ("key", pa.string()), ("dataset", pa.string()), ("folder", pa.string()),
        ("hour", pa.timestamp("us")), ("bytes", pa.int64()), ("sha256", pa.string()), ("records", pa.int64()),
        ("bad_lines", pa.int64()), ("code", pa.string()), ("damaged", pa.string()), ("loaded_at", pa.timestamp("us")),
    ]
)  # fmt: skip
_SAID = pa.schema(
    [
        ("key", pa.string()), ("sha256", pa.string()), ("stream", pa.string()), ("folder", pa.string()),
        ("batch", pa.string()), ("instant", pa.timestamp("us")), ("loaded", pa.bool_()),
    ]
)  # fmt: skip


class DuckFile:
    """A DuckDB file that is loaded into."""

    group_bytes = 32 << 20
    group_objects = 500

    def __init__(self, path: Path, now: Callable[[], datetime]) -> None:
        """Opens the file; ``now`` says when something was loaded. Raises ConfigError and RunError, as ``file.opened``."""
        self._path, self._now = path, now
        self._connection = file.opened(path)

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    # -- what is known ---------------------------------------------------------------------------------------------

    def folders(self, now: datetime) -> Mapping[str, Folder]:
        """What is known of each dated folder."""
        found = self._connection.execute(
            "SELECT folder, max(hour) FILTER (damaged IS NULL), NULL FROM rover_load.objects WHERE hour <= $now GROUP BY ALL"
            " UNION ALL SELECT folder, max(instant) FILTER (loaded), min(instant) FILTER (NOT loaded)"
            " FROM rover_load.manifests WHERE instant <= $now GROUP BY ALL",
            {"now": _naive(now)},
        ).fetchall()
        return {folder: Folder(_utc(last), _utc(waiting)) for folder, last, waiting in found}

    def kept(self, keys: Collection[str]) -> Mapping[str, Kept]:
        """What is kept of each of these objects that is loaded and was whole."""
        self._connection.register("asked", pa.table({"key": pa.array(list(keys), pa.string())}))
        found = self._connection.execute(
            "SELECT key, bytes, sha256 FROM rover_load.objects SEMI JOIN asked USING (key) WHERE damaged IS NULL"
        ).fetchall()
        self._connection.unregister("asked")
        return {key: Kept(*rest) for key, *rest in found}

    def unread(self) -> Collection[str]:
        """The keys of objects that were due and could not be read."""
        found = self._connection.execute(
            "SELECT key FROM rover_load.objects WHERE starts_with(damaged, ?)", [UNREAD]
        ).fetchall()
        return [key for (key,) in found]

    def manifests(self) -> tuple[Collection[str], Mapping[str, datetime]]:
        """The keys of manifests whose batch is loaded, and the newest instant of each stream."""
        known = self._connection.execute("SELECT key FROM rover_load.manifests WHERE loaded").fetchall()
        newest = self._connection.execute(
            "SELECT stream, max(instant) FROM rover_load.manifests GROUP BY stream"
        ).fetchall()
        return {key for (key,) in known}, {stream: _aware(instant) for stream, instant in newest}

    # -- loading ---------------------------------------------------------------------------------------------------

    def load(self, objects: Sequence[Due], read: Read) -> Counts:
        """Loads objects of one dataset in one transaction."""
        with file.writing(self._path):
            first, keys = objects[0], [each.key for each in objects]
            if first.contract == "rover":
                table = of_rover(first.dataset)
                tables.make(self._connection, table)
                lowered = [each for each in LOWERED if each in table.names]
                filling = Filling(self._connection, table, keys, lowered)
            else:
                table = tables.event_table(self._connection, first.dataset)
                filling = Filling(self._connection, table, keys)
            return self._load(objects, read, filling, taking(first.contract, first.dataset, filling))

    def _load(self, objects: Sequence[Due], read: Read, filling: Filling, taken: Taking) -> Counts:
        counts, ends, unread = Counts(), dict[int, Whole | Damaged](), dict[int, str]()
        for number, due in enumerate(objects):
            try:
                ends[number] = _taken(taken, filling, number, read(due))
                continue
            except Damaged as error:
                ends[number] = error
            except FileNotFoundError:
                counts += Counts(gone=(due.key,))
            except (StoreError, OSError) as error:
                unread[number] = why_unread(error)
            taken.drop(number)
            filling.drop(number)
        taken.flush()
        bad, rows = filling.bad_lines(), filling.counted()
        notes = [
            self._note_of(objects[number], end, number, rows.get(number, 0), bad.get(number, 0))
            for number, end in ends.items()
        ]
        notes += [
            self._note_of(objects[number], Damaged(_UNREAD, f"{UNREAD}{reason}"), number, 0, 0)
            for number, reason in unread.items()
        ]
        with file.transaction(self._connection):
            new, repeated = filling.merge()
            self._keep(notes)
        damaged = sum(isinstance(each, Damaged) for each in ends.values())
        unread_keys = tuple((objects[number].key, reason) for number, reason in unread.items())
        return counts + Counts(len(ends), new, repeated, sum(bad.values()), damaged, unread=unread_keys)

    def _note_of(self, due: Due, end: Whole | Damaged, number: int, rows: int, bad: int) -> dict[str, Any]:
        whole = isinstance(end, Whole)
        return {
            "number": number,
            "key": due.key,
            "dataset": due.dataset,
            "folder": due.folder,
            "hour": _naive(due.hour),
            "bytes": end.bytes if isinstance(end, Whole) else due.bytes,
            "sha256": end.sha256 if isinstance(end, Whole) else None,
            "records": rows,
            "bad_lines": bad,
            "code": None if whole else getattr(end, "code", ""),
            "damaged": None if whole else str(end)[:TEXT],
            "loaded_at": _naive(self._now()),
        }

    def _keep(self, notes: Sequence[dict[str, Any]]) -> None:
        """Notes objects, in place of what was noted of them before, with their lines that were refused."""
        if not notes:
            return
        self._connection.register("notes", pa.Table.from_pylist(list(notes), schema=_NOTE))
        for each in ("objects", "quarantine"):
            self._connection.execute(f"DELETE FROM rover_load.{each} WHERE key IN (SELECT key FROM notes)")
        self._connection.execute(
            "INSERT INTO rover_load.objects BY NAME SELECT * EXCLUDE (number, code) FROM notes"
        )
        self._connection.execute(
            "INSERT INTO rover_load.quarantine SELECT n.key, r.line, n.dataset, r.code, r.reason, r.text"
            f" FROM {REFUSED} r JOIN notes n ON r.object = n.number"
            " UNION ALL SELECT key, NULL, dataset, code, damaged, NULL FROM notes WHERE damaged IS NOT NULL"
            f" AND code <> '{_UNREAD}'"
        )
        self._connection.unregister("notes")

    # -- the end of a run --------------------------------------------------------------------------------------------

    def note(self, loaded: Sequence[Said], waiting: Sequence[Said], refused: Sequence[Refused]) -> None:
        """Keeps which batches are loaded, which wait, and which manifests cannot be read."""
        said = [
            {
                "key": each.key,
                "sha256": each.sha256,
                "stream": each.stream,
                "folder": folder_of(each.key),
                "batch": each.completion.batch,
                "instant": _naive(each.instant),
                "loaded": done,
            }
            for group, done in ((loaded, True), (waiting, False))
            for each in group
        ]
        with file.writing(self._path), file.transaction(self._connection):
            self._connection.register("said", pa.Table.from_pylist(said, schema=_SAID))
            for each in ("manifests", "quarantine"):
                self._connection.execute(f"DELETE FROM rover_load.{each} WHERE key IN (SELECT key FROM said)")
            self._connection.execute("INSERT INTO rover_load.manifests BY NAME SELECT * FROM said")
            self._connection.unregister("said")
            for bad in refused:
                self._connection.execute("DELETE FROM rover_load.quarantine WHERE key = ?", [bad.key])
                self._connection.execute(
                    "INSERT INTO rover_load.quarantine VALUES (?, ?, '', ?, ?, ?)",
                    [bad.key, bad.line, bad.code, bad.reason[:TEXT], bad.text],
                )

    def finish(self) -> None:
        """Makes the views anew."""
        with file.writing(self._path), file.transaction(self._connection):
            tables.views(self._connection)


@contextmanager
def opened(path: Path, now: Callable[[], datetime]) -> Iterator[DuckFile]:
    """A DuckDB file, closed at the end."""
    found = DuckFile(path, now)
    try:
        yield found
    finally:
        found.close()


def _taken(taking: Taking, filling: Filling, number: int, parts: Iterator[Any]) -> Whole:
    for part in parts:
        if isinstance(part, Whole):
            return part
        if isinstance(part, BadLine):
            filling.refuse(part, number)
        else:
            taking.add(number, part)
    raise AssertionError("an object ended without its last part")


def _naive(instant: datetime) -> datetime:
    """An instant as TIMESTAMP has it: UTC without saying so."""
    return instant.astimezone(timezone.utc).replace(tzinfo=None)


def _aware(instant: datetime) -> datetime:
    return instant.replace(tzinfo=timezone.utc)


def _utc(instant: datetime | None) -> datetime | None:
    return None if instant is None else _aware(instant)
