"""A commit's file of a Delta log, line by line, to what is kept of it. Pure.

Gives the values that Spark's JSON reader gives of the same file. Refuses, with ValueError, what is no JSON.
Source: Delta transaction log protocol, "Actions".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from rover_spark.delta.log.values import (
    ChangeFile,
    CommitFiles,
    DataFile,
    Entry,
    Info,
    features_of,
    rows_written,
)

# most writers begin the statistics with it; a column of the same name could only come later
_RECORDS = re.compile(r'\s*\{\s*"numRecords"\s*:\s*(\d+)\s*[,}]')


def entry_of(version: int, lines: Iterable[bytes]) -> Entry:
    """What the whole file of a commit says."""
    info: Info | None = None
    metadata: tuple[str, list[str], dict[str, str]] | None = None
    features: frozenset[str] | None = None
    added, changes = list[DataFile](), list[ChangeFile]()
    removes = bare = vectored = False
    for action in _actions(lines):
        add, remove, cdc = action.get("add"), action.get("remove"), action.get("cdc")
        if add is not None:
            changed, vector = add.get("dataChange"), add.get("deletionVector")
            if changed:
                added.append(_added(version, add, vector))
            removes = removes or bool(changed and vector is not None)
            vectored = vectored or (vector is not None and changed is not False)
        elif remove is not None:
            changed = remove.get("dataChange")
            removes = removes or bool(changed)
            bare = bare or (changed is not False and not remove.get("extendedFileMetadata"))
            vectored = vectored or (remove.get("deletionVector") is not None and changed is not False)
        elif cdc is not None:
            removes = True
            values = _partition(cdc.get("partitionValues"))
            changes.append(ChangeFile(cdc["path"], version, cdc.get("size") or 0, values))
        elif (found := action.get("metaData")) is not None:
            configuration = {name: str(value) for name, value in (found.get("configuration") or {}).items()}
            metadata = (found["schemaString"], list(found.get("partitionColumns") or ()), configuration)
        elif (found := action.get("protocol")) is not None:
            features = features_of(
                found.get("minReaderVersion"),
                found.get("minWriterVersion"),
                found.get("readerFeatures"),
                found.get("writerFeatures"),
            )
        elif info is None and (found := action.get("commitInfo")) is not None:
            info = _info(found)
    # a commit that wrote change files of its own: the feed reads those, not the files that it removed
    bare = bare and not changes
    files = CommitFiles(version, tuple(added), tuple(changes), removes)
    return Entry(info, metadata, features, files, bare, vectored)


def info_of(lines: Iterable[bytes]) -> Info | None:
    """What the ``commitInfo`` of a commit says, mostly its first line; what follows is not read. None where it has none."""
    found = (action["commitInfo"] for action in _actions(lines) if action.get("commitInfo") is not None)
    return next((_info(each) for each in found), None)


def _actions(lines: Iterable[bytes]) -> Iterable[dict[str, Any]]:
    for line in lines:
        if not line.strip():
            continue
        action = json.loads(line)
        if not isinstance(action, dict):
            raise ValueError("a line of a commit is no JSON object")
        yield action


def _info(said: dict[str, Any]) -> Info:
    return Info(
        said.get("operation"), said.get("inCommitTimestamp"), rows_written(said.get("operationMetrics"))
    )


def _added(version: int, add: dict[str, Any], vector: dict[str, Any] | None) -> DataFile:
    records = _records(add.get("stats"))
    if records is not None and vector is not None:
        records -= vector["cardinality"]
    return DataFile(
        add["path"], version, add.get("size") or 0, _partition(add.get("partitionValues")), records
    )


def _records(stats: str | None) -> int | None:
    if not stats:
        return None
    begun = _RECORDS.match(stats)
    if begun:
        return int(begun[1])
    try:
        found = json.loads(stats).get("numRecords")
    except (ValueError, AttributeError):
        return None
    return found if isinstance(found, int) else None


def _partition(values: dict[str, Any] | None) -> dict[str, str | None]:
    return {
        name: value if value is None or isinstance(value, str) else json.dumps(value)
        for name, value in (values or {}).items()
    }
