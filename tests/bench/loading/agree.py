"""Whether a contender's table is what it must be: as many rows as ids, and every row, by a sum over all of them.

The sum was made by plain Python while the export was written. A figure counts only where it agrees.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from tests.bench.loading.contenders import RAW, Contender
from tests.bench.loading.export import Export, Facts, candidates

_ROW = """
    concat_ws('|', id, version, "roverID", epoch_us("emittedAt"), CAST(traits AS VARCHAR), coalesce(CAST(deleted AS VARCHAR), ''),
        epoch_us("updatedAt"))"""
_CHECKED = 1000  # rows that are looked at where the sum differs


def differences(contender: Contender, into: Path, export: Export, facts: Facts) -> list[str]:
    """What is wrong with a table; an empty list where it is as it should be."""
    with duckdb.connect() as connection:
        table = _table(connection, contender, into / contender.table)
        rows, ids, digest, objects = connection.execute(
            f"SELECT count(*), count(DISTINCT id), sum(md5_number_lower({_ROW})), count(object_key) FROM {table}"
        ).fetchone()
        wrong = []
        if (rows, ids) != (facts.table_rows, facts.table_rows):
            wrong.append(f"{rows:,} rows of {ids:,} ids instead of {facts.table_rows:,}")
        if objects != rows:
            wrong.append(f"{rows - objects:,} rows do not say which object they are from")
        if digest != facts.table_digest:
            found = connection.execute(f"SELECT {_ROW} FROM {table} ORDER BY id LIMIT {_CHECKED}").fetchall()
            strange = [row for (row,) in found if row not in candidates(export, row.split("|")[2])]
            wrong.append(f"such a row is in no file: {strange[0]}" if strange else "its rows are other ones")
        return wrong


def _table(connection: Any, contender: Contender, path: Path) -> str:
    if contender.engine == "duckdb":
        connection.execute(f"ATTACH '{path}' AS loaded (READ_ONLY)")
        return f"loaded.{RAW}"
    from deltalake import DeltaTable

    connection.register("loaded", DeltaTable(path).to_pyarrow_dataset())
    return "loaded"
