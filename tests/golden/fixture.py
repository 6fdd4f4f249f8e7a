"""Ledgers of version 0.1.0 with what they stand for: how they are archived, how they are restored, and their settings.

Restored are the bytes and the modification times of every file, which Delta takes for the times of its commits and plans
pin. Only the rows of the ledgers name directories: they stand as JSON with ``@ROOT@`` for the root, and become Parquet
files of the same names again. Needs neither Spark nor rover_spark, so that code of any version can use it.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ARCHIVE = Path(__file__).resolve().parent / "0_1_0.tar.gz"
EXPORTS = ("rover", "planned", "staged")
FINISHED = datetime(
    2026, 11, 28, 12, 30, tzinfo=timezone.utc
)  # half an hour after the open batches were planned
CUSTOM, PURCHASE = "users.behaviors.CustomEvent", "users.behaviors.Purchase"
ROOT = "@ROOT@"
_TYPES = {"string": pa.string(), "long": pa.int64(), "integer": pa.int32()}


def settings(root: Path, export: str, *, amount: bool = True) -> dict[str, Any]:
    """The settings of one export. Without its ``amount``, an integration's purchases have the schema of before."""
    base = {
        "name": export,
        "destination": f"file://{root}/buckets/{export}/acme",
        "ledger": f"{root}/control/{export}",
    }
    if export != "rover":
        return {**base, **_integration(f"{root}/tables/events", amount)}
    identities = {"roverID": "rover_id", "identifierType": "kind", "identifier": "value", "updatedAt": "at"}
    return {
        **base,
        "files": {"target_records": 8},
        "datasets": {
            "fan_profiles": {
                "table": f"{root}/tables/profiles",
                "columns": {"roverID": "rover_id", "updatedAt": "at"},
                "deletes": "tombstone",
                "extra": {"tier": "upper(tier)"},
            },
            "fan_identity_graph": {
                "table": f"{root}/tables/identities",
                "columns": identities,
                "where": "value <> 'secret'",
            },
        },
    }


def _integration(table: str, amount: bool) -> dict[str, Any]:
    place = {"cluster": "prod-01", "connection": "S3", "integration_id": "65f1c2d3", "zone": "eu"}
    columns = {"id": "event_id", "time": "at", "timezone": "zone", "user_id": "fan", "properties": "props"}
    purchase = {**columns, "amount": "n"} if amount else columns
    shared = {"table": table, "start": "earliest"}
    return {
        "contract": "currents",
        "currents": {**place, "partitions": 2},
        "events": {
            CUSTOM: {**shared, "where": "kind = 'custom'", "columns": columns},
            PURCHASE: {**shared, "where": "kind = 'purchase'", "columns": purchase},
        },
    }


def archive(root: Path) -> list[tuple[str, bytes, int]]:
    """Name, content and modification time (ns since 1970) of every file below the root; of ledgers' rows the JSON."""
    found = []
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        name = path.relative_to(root).as_posix()
        if path.suffix in {".crc", ".lock"}:
            continue  # check sums are of the files as they were; they are optional
        content = path.read_bytes()
        if _is_ledger(name) and path.suffix == ".parquet":
            rows = pq.ParquetFile(path).read().to_pylist()
            name, content = f"{name}.json", json.dumps(rows).replace(str(root), ROOT).encode()
        found.append((name, content, path.stat().st_mtime_ns))
    return found


def write(target: Path, root: Path, found: list[tuple[str, bytes, int]], expected: Any) -> None:
    """The archive, with what 0.1.0 makes of it. Refuses content that names the root."""
    text = json.dumps(expected, indent=1).replace(str(root), ROOT)
    files = [*found, ("expected.json", text.encode(), 0)]
    with gzip.GzipFile(target, "wb", mtime=0) as stream, tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content, mtime in files:
            assert str(root) not in _text(name, content), name
            member = tarfile.TarInfo(name)
            member.size = len(content)
            # as text: a float has not all digits
            member.pax_headers = {"mtime": f"{mtime // 10**9}.{mtime % 10**9:09}"}
            tar.addfile(member, io.BytesIO(content))


def restore(root: Path) -> Any:
    """Tables, ledgers and buckets below the root, as 0.1.0 left them; gives what 0.1.0 made of them."""
    expected = None
    with tarfile.open(ARCHIVE) as tar:
        for member in tar:
            stream = tar.extractfile(member)
            assert stream is not None, member.name
            content = stream.read()
            if member.name == "expected.json":
                expected = json.loads(content.replace(ROOT.encode(), str(root).encode()))
                continue
            seconds, _, fraction = member.pax_headers["mtime"].partition(".")
            path = root / member.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            os.utime(path, ns=(stamp := int(seconds) * 10**9 + int(fraction), stamp))
    for export in EXPORTS:
        _restore_ledger(root / "control" / export, root)
    return expected


def _restore_ledger(ledger: Path, root: Path) -> None:
    schema = pa.schema([])
    for log in sorted((ledger / "_delta_log").glob("*.json")):
        stamp = log.stat().st_mtime_ns
        actions = [json.loads(line) for line in log.read_text().splitlines()]
        for action in actions:
            if "metaData" in action:
                schema = _schema(action["metaData"])
            if "add" in action:
                path = ledger / action["add"]["path"]
                action["add"]["size"] = _restore_rows(path, schema, root)
        log.write_text("".join(f"{json.dumps(action)}\n" for action in actions))
        os.utime(log, ns=(stamp, stamp))


def _restore_rows(path: Path, schema: pa.Schema, root: Path) -> int:
    """Writes the Parquet file in place of its JSON; gives its size."""
    source = path.with_name(f"{path.name}.json")
    rows = json.loads(source.read_text().replace(ROOT, str(root)))
    pq.write_table(pa.Table.from_pylist(rows, schema), path)
    source.unlink()
    return path.stat().st_size


def _schema(metadata: dict[str, Any]) -> pa.Schema:
    fields = json.loads(metadata["schemaString"])["fields"]
    inside = [field for field in fields if field["name"] not in metadata["partitionColumns"]]
    return pa.schema([(field["name"], _TYPES[field["type"]]) for field in inside])


def _is_ledger(name: str) -> bool:
    return any(name.startswith(f"control/{export}/") for export in EXPORTS)


def _text(name: str, content: bytes) -> str:
    """What a file holds, in the clear."""
    if name.endswith(".parquet"):
        return str(pq.ParquetFile(io.BytesIO(content)).read().to_pylist())
    if name.endswith(".gz"):
        content = gzip.decompress(content)
    return content.decode(errors="replace")
