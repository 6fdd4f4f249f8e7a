"""A DuckDB file: opened, with its bookkeeping in the schema ``rover_load``, and what that says. One process at a time.

The bookkeeping is four tables. ``objects`` has a row for each object that was read, ``manifests`` one for each manifest,
``quarantine`` one for each line that was refused; ``line`` is null for an object of which nothing was loaded.
``event_types`` says in which table an event type is kept.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rover_spark.errors import ConfigError, RunError

FORMAT = 1
_MEMORY = "2GB"
_TABLES = """
CREATE SCHEMA IF NOT EXISTS rover_load;
CREATE TABLE IF NOT EXISTS rover_load.format (version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS rover_load.objects (
  key VARCHAR NOT NULL, dataset VARCHAR NOT NULL, folder VARCHAR NOT NULL, hour TIMESTAMP NOT NULL, bytes BIGINT NOT NULL,
  sha256 VARCHAR, records BIGINT NOT NULL, bad_lines BIGINT NOT NULL, damaged VARCHAR, loaded_at TIMESTAMP NOT NULL
);
CREATE TABLE IF NOT EXISTS rover_load.manifests (
  key VARCHAR NOT NULL, sha256 VARCHAR NOT NULL, stream VARCHAR NOT NULL, folder VARCHAR NOT NULL, batch VARCHAR NOT NULL,
  instant TIMESTAMP NOT NULL, loaded BOOLEAN NOT NULL
);
CREATE TABLE IF NOT EXISTS rover_load.quarantine (
  key VARCHAR NOT NULL, line BIGINT, dataset VARCHAR NOT NULL, code VARCHAR NOT NULL, reason VARCHAR NOT NULL, text VARCHAR
);
CREATE TABLE IF NOT EXISTS rover_load.event_types (event_type VARCHAR NOT NULL, name VARCHAR NOT NULL);
"""


def opened(path: Path) -> Any:
    """A connection to the file, which is made where there is none.

    Raises:
        ConfigError: DuckDB is not installed; no such directory; not a DuckDB file; written by a later version.
        RunError: another process has the file open.
    """
    import duckdb

    if not path.parent.is_dir():
        raise ConfigError(
            f"--into {path}: there is no directory {path.parent}",
            code="into_invalid",
            remedy="Make the directory, or name another file.",
        )
    try:
        found = duckdb.connect(str(path))
    except duckdb.IOException as error:
        raise _refused(path, error) from None
    except duckdb.Error as error:
        raise ConfigError(
            f"--into {path}: DuckDB cannot open it: {_first_line(error)}",
            code="into_invalid",
            remedy="Name a DuckDB file, or one that does not exist.",
        ) from None
    with writing(path):
        _prepare(found, path)
    return found


def _refused(path: Path, error: Exception) -> Exception:
    text = _first_line(error)
    if "lock" in text.lower():
        return RunError(
            f"--into {path}: another process has the file open; nothing was changed",
            code="into_busy",
            remedy="Close it there and run load again.",
        )
    return ConfigError(
        f"--into {path}: DuckDB cannot open it: {text}",
        code="into_invalid",
        remedy="Name a DuckDB file, or one that does not exist, in a directory where this user may write.",
    )


def _prepare(found: Any, path: Path) -> None:
    found.execute("SET TimeZone = 'UTC'")
    found.execute(f"SET memory_limit = '{_MEMORY}'")
    found.execute("SET preserve_insertion_order = false")
    # where a Jupyter kernel can draw no bar, it is off, and setting it is refused
    if found.execute("SELECT current_setting('enable_progress_bar')").fetchone()[0]:
        found.execute("SET enable_progress_bar = false")
    found.execute(_TABLES)
    version = found.execute("SELECT max(version) FROM rover_load.format").fetchone()[0]
    if version is None:
        found.execute("INSERT INTO rover_load.format VALUES (?)", [FORMAT])
    elif version > FORMAT:
        raise ConfigError(
            f"--into {path}: a newer version of rover_spark made it; nothing was changed",
            code="into_newer",
            remedy="Update rover_spark, or load into another file.",
        )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Maps what DuckDB says of a file that cannot be written. What was committed before stays."""
    import duckdb

    try:
        yield
    except duckdb.CatalogException as error:
        raise ConfigError(
            f"--into {path}: a name that load needs is taken: {_first_line(error)}",
            code="into_invalid",
            remedy="Load into another file, or rename what has that name.",
        ) from None
    except (duckdb.IOException, duckdb.OutOfMemoryException, duckdb.FatalException, OSError) as error:
        full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        raise RunError(
            f"--into {path}: DuckDB cannot go on: {'no space left' if full else _first_line(error)};"
            " what was loaded before is kept",
            code="into_failed",
            remedy="Free memory or space on that disk, and run load again.",
        ) from None


@contextmanager
def transaction(connection: Any) -> Iterator[None]:
    """All that the block writes, or none of it."""
    connection.execute("BEGIN TRANSACTION")
    try:
        yield
    except BaseException:
        with suppress(Exception):
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:300]
