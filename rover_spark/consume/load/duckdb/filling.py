"""Rows on their way into a raw table: kept aside object by object, then merged by id.

Of records with one id the one with the greatest ``emittedAt`` is kept, of these the greatest by its other columns, of equal
ones that of the first object by its key: so the order in which objects are loaded decides nothing. The columns of events are
compared as JSON texts: their types may change from load to load.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import pyarrow as pa

from rover_spark.consume.ddl.engines.port import raw
from rover_spark.consume.ddl.tables import Column, Table
from rover_spark.consume.load.duckdb.tables import evolve, name_of, types
from rover_spark.consume.load.port import reason_of, text_of
from rover_spark.consume.records import BadLine

REFUSED = "refused"  # the temporary table of what is refused: object, line, code, reason, text
_ROWS, _BEST, _MET, _BETTER = "incoming", "best", "met", "better"
_NUMBER = "object number"
_BAD_LINES = 10_000  # that are held in memory


class Filling:
    """The rows of some objects of one table. Temporary tables hold them, on disk where they are many.

    The table itself is widened when the rows are put into it, by the columns of objects that are whole.
    """

    def __init__(
        self, connection: Any, table: Table, keys: Sequence[str], lowered: Collection[str] = ()
    ) -> None:
        """``keys`` are those of the objects, by number; ``lowered`` are columns whose text is kept in lower case."""
        self._connection, self._table, self._keys, self._lowered = connection, raw(table), keys, lowered
        self._are_events = table.avro
        self._types = types(connection, self._table)
        self._new: Sequence[Column] = ()  # columns that the next rows have
        self._met: list[tuple[Sequence[Column], set[int]]] = []  # columns, and the objects that have them
        self._bad: list[tuple[int, int, str, str, str]] = []
        for each in (_ROWS, REFUSED, _BEST, _MET, _BETTER):
            connection.execute(f"DROP TABLE IF EXISTS temp.{each}")
        connection.execute(
            f'CREATE TEMP TABLE {_ROWS} AS SELECT *, 0::BIGINT AS "{_NUMBER}" FROM {name_of(self._table)} LIMIT 0'
        )
        connection.execute(
            f"CREATE TEMP TABLE {REFUSED} (object BIGINT, line BIGINT, code VARCHAR, reason VARCHAR, text VARCHAR)"
        )

    @property
    def columns(self) -> Collection[str]:
        """The names of the columns of the table and of the rows."""
        return self._types

    def evolve(self, columns: Sequence[Column]) -> None:
        """Takes these columns from now on."""
        self._new = columns
        self._met.append((columns, set()))

    def _widen(self) -> None:
        evolve(self._connection, _ROWS, self._new, temporary=True)
        self._types = types(self._connection, _ROWS, temporary=True)
        del self._types[_NUMBER]
        self._new = ()

    # -- object by object ----------------------------------------------------------------------------------------

    def add(self, rows: pa.Table, as_json: Collection[str], numbers: Sequence[int]) -> set[int]:
        """Takes rows, each with the number of its object; returns the places of those that DuckDB cannot keep.

        ``as_json`` are the columns whose text is JSON.
        """
        import duckdb

        if self._new:
            self._widen()
        if self._met:
            self._met[-1][1].update(numbers)
        keys = pa.array([self._keys[each] for each in numbers], pa.string())
        rows = rows.append_column("object_key", keys).append_column(_NUMBER, pa.array(numbers, pa.int64()))
        try:
            self._insert(rows, as_json)
        except (duckdb.ConversionException, duckdb.InvalidInputException):
            unkept = self._unkept(rows, as_json)
            kept = [place for place in range(rows.num_rows) if place not in unkept]
            self._insert(rows.take(kept), as_json)
            return unkept
        return set()

    def _insert(self, rows: pa.Table, as_json: Collection[str]) -> None:
        into = ", ".join(map(name_of, rows.column_names))
        chosen = ", ".join(self._cast(each, as_json) for each in rows.column_names)
        self._connection.register("batch", rows)
        try:
            self._connection.execute(f"INSERT INTO {_ROWS} ({into}) SELECT {chosen} FROM batch")
        finally:
            self._connection.unregister("batch")

    def _cast(self, name: str, as_json: Collection[str], *, attempt: bool = False) -> str:
        column = name_of(name)
        if name == _NUMBER:
            return column
        if name in self._lowered:
            return f"lower({column})"
        if self._types[name] == "JSON" and name not in as_json:
            return f"to_json({column})"
        return f"{'TRY_CAST' if attempt else 'CAST'}({column} AS {self._types[name]})"

    def _unkept(self, rows: pa.Table, as_json: Collection[str]) -> set[int]:
        numbered = rows.append_column("place of row", pa.array(range(rows.num_rows)))
        wrong = " OR ".join(
            f"({name_of(each)} IS NOT NULL AND {self._cast(each, as_json, attempt=True)} IS NULL)"
            for each in rows.column_names
        )
        self._connection.register("batch", numbered)
        try:
            found = self._connection.execute(f'SELECT "place of row" FROM batch WHERE {wrong}').fetchall()
        finally:
            self._connection.unregister("batch")
        return {place for (place,) in found}

    def refuse(self, bad: BadLine, number: int) -> None:
        """Takes a line of object ``number`` for the quarantine."""
        self._bad.append((number, bad.number, bad.wrong[0].code, reason_of(bad), text_of(bad)))
        if len(self._bad) >= _BAD_LINES:
            self._put_bad()

    def _put_bad(self) -> None:
        if not self._bad:
            return
        columns = zip(("object", "line", "code", "reason", "text"), zip(*self._bad, strict=True), strict=True)
        self._connection.register("bad", pa.table({name: pa.array(values) for name, values in columns}))
        self._connection.execute(f"INSERT INTO {REFUSED} SELECT * FROM bad")
        self._connection.unregister("bad")
        self._bad = []

    def drop(self, number: int) -> None:
        """Forgets all of an object."""
        self._put_bad()
        for _, numbers in self._met:
            numbers.discard(number)
        self._connection.execute(f'DELETE FROM {_ROWS} WHERE "{_NUMBER}" = ?', [number])
        self._connection.execute(f"DELETE FROM {REFUSED} WHERE object = ?", [number])

    def bad_lines(self) -> dict[int, int]:
        """How many lines of each object are refused."""
        self._put_bad()
        found = self._connection.execute(f"SELECT object, count(*) FROM {REFUSED} GROUP BY object")
        return dict(found.fetchall())

    def counted(self) -> dict[int, int]:
        """How many rows each object has."""
        found = self._connection.execute(f'SELECT "{_NUMBER}", count(*) FROM {_ROWS} GROUP BY ALL')
        return dict(found.fetchall())

    # -- inside of the transaction -------------------------------------------------------------------------------

    def merge(self) -> tuple[int, int]:
        """Puts the rows into the table; returns how many ids were new, and how many records repeated one."""
        self._widen_table()
        count, distinct = self._one(f"SELECT count(*), count(DISTINCT id) FROM {_ROWS}")
        rows = _ROWS if distinct == count else self._best()
        table, names = name_of(self._table), ", ".join(map(name_of, self._types))
        self._connection.execute(
            f"CREATE TEMP TABLE {_MET} AS"
            f" SELECT r.rowid AS old, i.rowid AS new FROM {table} r JOIN {rows} i ON r.id = i.id"
        )
        (met,) = self._one(f"SELECT count(*) FROM {_MET}")
        chosen = ""
        if met:
            ours, theirs = (
                ", ".join(f"{each} IS NOT NULL, {each}" for each in self._content(f"{mine}."))
                + f", {other}.object_key"
                for mine, other in ("ir", "ri")
            )
            self._connection.execute(
                f"CREATE TEMP TABLE {_BETTER} AS SELECT m.old, m.new FROM {_MET} m"
                f" JOIN {rows} i ON i.rowid = m.new JOIN {table} r ON r.rowid = m.old"
                f" WHERE row({ours}) > row({theirs})"
            )
            self._connection.execute(f"DELETE FROM {table} WHERE rowid IN (SELECT old FROM {_BETTER})")
            chosen = f" WHERE rowid NOT IN (SELECT new FROM {_MET}) OR rowid IN (SELECT new FROM {_BETTER})"
        self._connection.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM {rows}{chosen}")
        return distinct - met, count - (distinct - met)

    def _best(self) -> str:
        """Of rows with one id the one that is kept."""
        order = ", ".join((*(f"{each} DESC NULLS LAST" for each in self._content()), "object_key"))
        self._connection.execute(
            f"CREATE TEMP TABLE {_BEST} AS SELECT * FROM {_ROWS}"
            f" QUALIFY row_number() OVER (PARTITION BY id ORDER BY {order}) = 1"
        )
        return _BEST

    def _widen_table(self) -> None:
        """The table as the rows are: its columns are those of whole objects, its types those that the rows have."""
        for columns, numbers in self._met:
            if numbers:
                evolve(self._connection, self._table, columns)
        there = types(self._connection, self._table)
        turned = [Column(name, "json") for name in there if self._types[name] == "JSON"]
        evolve(self._connection, self._table, turned)
        self._types = types(self._connection, self._table)

    def _content(self, side: str = "") -> list[str]:
        """What decides between records with one id before the keys of their objects: the instant of their batch, all other columns.

        Null is the least: of an event that comes under two schemas the one with the added field is kept.
        """
        names = set(self._types) - {"id", "object_key"}
        if self._are_events:
            return [self._as_json(each, side) for each in sorted(names)]
        return [f"{side}{name_of(each)}" for each in ("emittedAt", *sorted(names - {"emittedAt"}))]

    def _as_json(self, name: str, side: str) -> str:
        column = f"{side}{name_of(name)}"
        return column if self._types[name] == "JSON" else f"to_json({column})"

    def _one(self, statement: str) -> tuple[Any, ...]:
        found: tuple[Any, ...] = self._connection.execute(statement).fetchone()
        return found
