"""The JSON document of a result: the only place where a value becomes what ``--json`` prints. Loads no Spark.

A value is an object with its fields in their order; what follows below is each value that is printed otherwise.
Keys and their order are a promise to whoever reads the documents.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, timezone
from functools import singledispatch
from typing import TYPE_CHECKING, Any

from rover_spark.audit.found import DatasetStatus, Verified
from rover_spark.model.dataset_state import BatchRecord
from rover_spark.model.schema import RegisteredSchema

if TYPE_CHECKING:
    from rover_spark.face.results import Result

_SHARED = ("command", "result", "batches", "problems")  # what every document begins with
_FILE = ("key", "records", "bytes", "sha256", "raw_bytes", "raw_sha256")


def document(result: Result) -> dict[str, Any]:
    """The document of a command's result; a field of its own that is None is left out."""
    own = (each.name for each in fields(result) if each.name not in {*_SHARED, "ok"})
    names = [*_SHARED, *(name for name in own if getattr(result, name) is not None)]
    return {name: tree(getattr(result, name)) for name in names}


@singledispatch
def tree(value: object) -> Any:
    """A value as JSON has it."""
    if is_dataclass(value):
        return {each.name: tree(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {name: tree(each) for name, each in value.items()}
    if isinstance(value, (tuple, list)):
        return [tree(each) for each in value]
    return value


@tree.register
def batch_document(record: BatchRecord) -> dict[str, Any]:
    """A batch, with what its plan says of the sources it delivers."""
    versions = record.plan.document() if record.plan else {"from_version": None, "to_version": None}
    return {
        "id": record.batch,
        "dataset": record.dataset,
        "epoch": record.epoch,
        "phase": record.phase,
        "state": record.state,
        "from_version": versions.pop("from_version"),
        "to_version": versions.pop("to_version"),
        "emitted_at": iso(record.instant),
        **versions,
        "counts": record.counts,
        "files": [{name: getattr(file, name) for name in _FILE} for file in record.files],
        "note": record.note,
    }


@tree.register
def _status(status: DatasetStatus) -> dict[str, Any]:
    found = {each.name: tree(getattr(status, each.name)) for each in fields(status)}
    found["last_instant"] = iso(status.last_instant) if status.last_instant is not None else None
    return found


@tree.register
def _verified(verified: Verified) -> dict[str, Any]:
    """Leaves out what is wrong: the problems of the result list it."""
    return {each.name: getattr(verified, each.name) for each in fields(verified) if each.name != "problems"}


@tree.register
def _instant(instant: datetime) -> str:
    return iso(int(instant.timestamp() * 1000))


@tree.register
def _schema(schema: RegisteredSchema) -> dict[str, Any]:
    return {
        "id": schema.id,
        "event_type": schema.event_type,
        "fingerprint": schema.fingerprint,
        "first_batch": schema.batch,
        "changes": list(schema.changes),
        "schema": json.loads(schema.text),
    }


def iso(instant: int) -> str:
    """Milliseconds since 1970 as ISO 8601, UTC."""
    moment = datetime.fromtimestamp(instant // 1000, timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{instant % 1000:03d}Z"
