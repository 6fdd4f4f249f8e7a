"""Avro files read back by a reader that is not ours: fastavro.

Whoever calls has made sure that the bytes are those that were written: only then is what a block unpacks to known.
"""

from __future__ import annotations

from typing import BinaryIO

from rover_spark.contract.avro import canonical, parse
from rover_spark.errors import ConfigError


def events_wrong(stream: BinaryIO, schema: str | None, records: int) -> str | None:
    """What is wrong with a file of events, or None.

    Looked at: that it is whole to a reader, the header's schema against the registry's, the number of events, that each
    has an id of its own and a time.

    Raises:
        ConfigError: no fastavro here.
    """
    try:
        import fastavro
    except ModuleNotFoundError:
        raise ConfigError(
            "verify reads Avro files with fastavro, which is not installed",
            code="no_sdk",
            remedy="pip install 'rover-spark[currents]', on the driver.",
        ) from None
    try:
        reader = fastavro.reader(stream)
        if schema is None or canonical(parse(reader.metadata["avro.schema"])) != schema:
            return "its header holds another schema than the registry under its schema id"
        seen: set[object] = set()
        count = 0
        for event in reader:
            count += 1
            if not isinstance(event, dict) or not isinstance(event["time"], int):
                return "holds an event without a time"
            seen.add(event["id"])
    except (ValueError, EOFError, KeyError, TypeError) as error:
        return f"is no whole Avro file: {type(error).__name__}"
    if len(seen) != count:
        return f"holds {count - len(seen)} ids more than once"
    return None if count == records else f"holds {count} events where the ledger says {records}"
