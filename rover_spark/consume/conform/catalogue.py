"""What was listed and read, in a temporary SQLite file: memory does not grow with the number of objects.

Keys are kept as octets: those of a file system may be no text.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from rover_spark.consume.keys import EventFile, RoverFile
from rover_spark.contract.manifests import DeliveredFile

_TABLES = """
CREATE TABLE listed (key BLOB PRIMARY KEY, bytes INT, name TEXT, place TEXT, dataset TEXT, hour INT, stamp INT,
    schema_id INT, zone TEXT, partition INT, start INT) WITHOUT ROWID;
CREATE TABLE read (number INTEGER PRIMARY KEY, records INT, text_bytes INT, sha256 TEXT, text_sha256 TEXT, schema TEXT);
CREATE TABLE named (key BLOB, manifest BLOB, records INT, bytes INT, sha256 TEXT, text_bytes INT, text_sha256 TEXT);
"""
_AT_ONCE = 1000


@dataclass(frozen=True)
class Numbered:
    """A file and its number, which is its place in the order of keys. ``name`` is that of its dataset in the report."""

    number: int
    name: str
    file: RoverFile | EventFile
    named: bool  # by a manifest, whose hashes it is held against


class Catalogue:
    """Files of a run. ``add`` each, ``close_list``, then the rest."""

    def __init__(self, home: Path) -> None:
        # one process writes it, and nobody needs it after a crash
        self._db = sqlite3.connect(home / "catalogue.sqlite", isolation_level=None)
        self._db.executescript(f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; {_TABLES} BEGIN;")

    def add(self, name: str, file: RoverFile | EventFile) -> None:
        """One file that was listed, under the name of its dataset."""
        own: tuple[object, ...]
        if isinstance(file, RoverFile):
            own = (file.dataset, _seconds(file.hour), _seconds(file.stamp), None, file.token, None, None)
        else:
            numbers = (file.schema_id, file.zone, file.partition, file.offset)
            own = (file.event_type, _seconds(file.hour), None, *numbers)
        row = (
            octets(file.key),
            file.bytes,
            name,
            _safe(file.place),
            _safe(own[0]),
            *own[1:4],
            _safe(own[4]),
            *own[5:],
        )
        self._db.execute(f"INSERT OR REPLACE INTO listed VALUES ({','.join('?' * len(row))})", row)

    def close_list(self, sample: int | None) -> None:
        """Numbers the files in the order of their keys, and chooses which are read: all, or ``sample`` of each name, spread evenly."""
        self._db.execute(
            "CREATE TABLE files AS SELECT *, row_number() OVER (PARTITION BY name ORDER BY key) - 1 AS place_in,"
            " count(*) OVER (PARTITION BY name) AS of_name, 1 AS chosen FROM listed ORDER BY key"
        )
        self._db.execute("DROP TABLE listed")
        self._db.execute("CREATE UNIQUE INDEX by_key ON files (key)")
        if sample is not None:
            self._db.execute(
                "UPDATE files SET chosen = (place_in * ?1) / of_name <> ((place_in - 1) * ?1) / of_name OR place_in = 0"
                " WHERE of_name > ?1",
                (sample,),
            )

    def name(self, manifest: str, files: Iterable[tuple[str, DeliveredFile]]) -> None:
        """What a manifest says of files, each with its key."""
        self._db.executemany(
            "INSERT INTO named VALUES (?,?,?,?,?,?,?)",
            (
                (
                    octets(key),
                    octets(manifest),
                    each.records,
                    each.bytes,
                    each.sha256,
                    each.text_bytes,
                    each.text_sha256,
                )
                for key, each in files
            ),
        )

    def chosen(self) -> Iterator[Numbered]:
        """The files to read, in the order of their keys."""
        self._db.execute("CREATE INDEX IF NOT EXISTS by_named ON named (key)")
        query = "SELECT rowid, *, EXISTS (SELECT 1 FROM named WHERE named.key = files.key) FROM files WHERE chosen"
        after = 0
        while rows := self._db.execute(
            f"{query} AND rowid > ? ORDER BY rowid LIMIT {_AT_ONCE}", (after,)
        ).fetchall():
            for row in rows:
                yield _numbered(row)
            after = rows[-1][0]

    def file(self, number: int) -> Numbered:
        """The file of that number."""
        return _numbered(
            self._db.execute("SELECT rowid, *, 0 FROM files WHERE rowid = ?", (number,)).fetchone()
        )

    def read(self, rows: Iterable[tuple[int, int, int, str, str, str]]) -> None:
        """What reading found: number, records, text's bytes, sha256, text's sha256, the schema's fingerprint."""
        self._db.executemany("INSERT OR REPLACE INTO read VALUES (?,?,?,?,?,?)", rows)

    def totals(self) -> list[tuple[str, int, int, int, int, int, int, int]]:
        """By name: files, files read, records, bytes, bytes of text, first and last hour in seconds since 1970."""
        return self._db.execute(
            "SELECT name, count(*), count(number), coalesce(sum(records), 0), sum(bytes), coalesce(sum(text_bytes), 0),"
            " min(hour), max(hour) FROM files LEFT JOIN read ON number = files.rowid GROUP BY name ORDER BY name"
        ).fetchall()

    def select(self, query: str, *values: object) -> Iterator[tuple[object, ...]]:
        """Rows of a query over ``files``, ``read`` and ``named``."""
        yield from self._db.execute(query, values)

    def estimate(self) -> tuple[int, int]:
        """How many files are read, and their bytes."""
        found = self._db.execute(
            "SELECT count(*), coalesce(sum(bytes), 0) FROM files WHERE chosen"
        ).fetchone()
        return found[0], found[1]

    def close(self) -> None:
        """Closes the file."""
        self._db.close()


def octets(key: str) -> bytes:
    """A key as octets, also where it is no text."""
    return key.encode("utf-8", "surrogatepass")


def text(key: object) -> str:
    """A key as it was."""
    assert isinstance(key, bytes)
    return key.decode("utf-8", "surrogatepass")


def _safe(value: object) -> object:
    return octets(value) if isinstance(value, str) else value


def _numbered(row: tuple[object, ...]) -> Numbered:
    number, key, size, name, place, dataset, hour, stamp, schema_id, zone, partition, start = row[:12]
    assert isinstance(number, int) and isinstance(size, int) and isinstance(name, str)
    at = _instant(hour)
    file: RoverFile | EventFile
    if stamp is not None:
        file = RoverFile(text(key), size, text(place), text(dataset), at, _instant(stamp), text(zone))
    else:
        assert isinstance(schema_id, int) and isinstance(partition, int) and isinstance(start, int)
        file = EventFile(
            text(key), size, text(place), text(dataset), at, schema_id, text(zone), partition, start
        )
    return Numbered(number, name, file, bool(row[-1]))


def _seconds(at: datetime) -> int:
    return int(at.timestamp())


def _instant(seconds: object) -> datetime:
    assert isinstance(seconds, int)
    return datetime.fromtimestamp(seconds, timezone.utc)
