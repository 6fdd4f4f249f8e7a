"""Delta tables of very many data files: the log is written by hand, the files are missing or one and the same."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

AT = 1_790_000_000_000  # of all files, ms since 1970
SCHEMA = {
    "type": "struct",
    "fields": [
        {"name": name, "type": kind, "nullable": True, "metadata": {}}
        for name, kind in (
            ("roverID", "string"),
            ("traits", {"type": "map", "keyType": "string", "valueType": "string", "valueContainsNull": True}),
            ("updatedAt", "timestamp"),
        )
    ],
}  # fmt: skip


def write_log(table: Path, files: int, rows: int, size: int) -> list[str]:
    """A Delta table of one commit that added so many data files, and their names; none of them is there."""
    log = table / "_delta_log"
    log.mkdir(parents=True)
    times = {"min": "2024-01-01T00:00:00.000Z", "max": "2026-01-01T00:00:00.000Z"}
    stats = json.dumps({
        "numRecords": rows,
        "minValues": {"roverID": "0" * 36, "updatedAt": times["min"]},
        "maxValues": {"roverID": "f" * 36, "updatedAt": times["max"]},
        "nullCount": {"roverID": 0, "traits": 0, "updatedAt": 0},
    })  # fmt: skip
    metadata = {
        "id": str(uuid.UUID(int=files)),
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps(SCHEMA),
        "partitionColumns": [],
        "configuration": {"delta.enableChangeDataFeed": "true"},
        "createdTime": AT,
    }
    names = [f"part-{number:05d}-{uuid.UUID(int=number)}-c000.snappy.parquet" for number in range(files)]
    add = {"partitionValues": {}, "size": size, "modificationTime": AT, "dataChange": True, "stats": stats}
    actions: list[dict[str, Any]] = [
        {"commitInfo": {"timestamp": AT, "operation": "WRITE", "operationParameters": {}}},
        {"protocol": {"minReaderVersion": 1, "minWriterVersion": 4}},
        {"metaData": metadata},
        *({"add": {"path": name, **add}} for name in names),
    ]
    (log / f"{0:020d}.json").write_text("".join(json.dumps(action) + "\n" for action in actions))
    return names


def write_small_files(table: Path, files: int) -> None:
    """A table of so many data files of one row, all of which are one file under other names."""
    table.mkdir(parents=True)
    row = {
        "roverID": "00000000-0000-4000-8000-000000000000",
        "traits": [("tier", "gold")],
        "updatedAt": AT * 1000,
    }
    types = [pa.string(), pa.map_(pa.string(), pa.string()), pa.timestamp("us", "UTC")]
    schema = pa.schema(list(zip(row, types, strict=True)))
    first = table / "first"
    pq.write_table(pa.Table.from_pylist([row], schema), first)
    for name in write_log(table, files, 1, first.stat().st_size):
        (table / name).hardlink_to(first)
