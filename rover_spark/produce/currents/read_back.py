"""Avro files read back by a reader that is not ours: fastavro.

Whoever calls has made sure that the bytes are those that were written: only then is what a block unpacks to known.
Values are read as they are stored: what a logical type makes of them (a date, a UUID) may not exist in Python.
"""

from __future__ import annotations

import json
from typing import Any, BinaryIO, cast

from rover_spark.contract.avro import canonical, parse
from rover_spark.errors import ConfigError


def events_wrong(stream: BinaryIO, schema: str | None, records: int) -> str | None:
    """What is wrong with a file of events, or None.

    Looked at: the header's schema against the registry's, the number of events, that each has an id of its own and a
    time, that the file is whole to a reader.

    Raises:
        ConfigError: no fastavro here.
        Exception: the file is not whole; of what kind depends on the place and the codec.
    """
    try:
        import fastavro
    except ModuleNotFoundError:
        raise ConfigError(
            "verify reads Avro files with fastavro, which is not installed",
            code="no_sdk",
            remedy="Install rover_spark[currents] on the driver.",
        ) from None
    placed = _Placed(stream)
    # the type of its blocks does not declare their bytes
    reader: Any = fastavro.block_reader(cast("BinaryIO", placed))
    if placed.first != b"Obj\x01":  # fastavro passes over it
        return "does not begin as an Avro file"
    header = reader.metadata["avro.schema"]
    if schema is None or canonical(parse(header, registered=True)) != schema:
        return "its header holds another schema than the registry under its schema id"
    plain = fastavro.parse_schema(json.loads(header, object_hook=_plain))
    seen: set[object] = set()
    count = 0
    for block in reader:
        for _ in range(block.num_records):
            event: Any = fastavro.schemaless_reader(block.bytes_, plain, None)
            if not isinstance(event["time"], int):
                return "holds an event without a time"
            seen.add(event["id"])
        count += block.num_records
        if block.bytes_.read(1):
            return "holds a block that goes on after its last event"
    if len(seen) != count:
        return f"holds {count - len(seen)} ids more than once"
    return None if count == records else f"holds {count} events where the ledger says {records}"


def _plain(tree: dict[str, Any]) -> dict[str, Any]:
    """A type without its logical type and its default."""
    return {name: value for name, value in tree.items() if name not in {"logicalType", "default"}}


class _Placed:
    """A stream that knows its position: fastavro asks for it, and not every store's stream knows it. ``first`` is what it gave first."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._place = stream, 0
        self.first = b""

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self.first = self.first or data
        self._place += len(data)
        return data

    def tell(self) -> int:
        return self._place
