"""Checks an integration's files against their plans and against each other: keys, schema ids, thresholds, offsets. Pure.

Offsets of an event type and partition rise without overlap. The files of a group follow on each other from the group's
first offset. The only gap is at the end of a group, or of one of its data files where these are its chunks: offsets of
events that were quarantined, repeated or filtered out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone

from rover_spark.contract.currents import (
    EVENTS_PER_FILE,
    EVENTS_PER_FILE_BACKLOG,
    CurrentsKey,
    parse_currents_key,
)
from rover_spark.errors import Problem, RoverSparkError
from rover_spark.model.dataset_state import BY_HAND, BatchRecord
from rover_spark.model.file import StagedFile
from rover_spark.model.schema import RegisteredSchema
from rover_spark.produce.currents.plan import ADOPTED, EventPlan, Group, event_plan
from rover_spark.produce.currents.read_back import events_wrong
from rover_spark.produce.port import Read
from rover_spark.store.base import prefix_of

_THRESHOLDS = (EVENTS_PER_FILE, EVENTS_PER_FILE_BACKLOG)


def auditor(schemas: Mapping[int, RegisteredSchema]) -> EventAuditor:
    """The auditor of an integration; ``schemas`` is the registry, by id."""
    return EventAuditor(schemas)


class EventAuditor:
    """Takes delivered batches in their order."""

    def __init__(self, schemas: Mapping[int, RegisteredSchema]) -> None:
        self._schemas = schemas
        self._free: dict[tuple[str, int], int] = {}  # the next offset of each event type and partition

    def content(self, record: BatchRecord, file: StagedFile, read: Read) -> str | None:
        """Holds the file against the schema of its id."""
        plan = record.plan
        key = parse_currents_key(prefix_of(plan.destination) if plan else "", file.key)
        schema = self._schemas.get(key.schema_id) if key else None
        try:
            with read() as stream:
                return events_wrong(stream, schema.text if schema else None, file.records)
        except (OSError, RoverSparkError):
            raise
        except Exception as error:  # noqa: BLE001 - each codec's library has errors of its own; the store's passed above
            return f"is no whole Avro file: {type(error).__name__}"

    def problems(self, batch: BatchRecord) -> list[Problem]:
        """What of the batch's files cannot be."""
        assert batch.plan is not None
        plan = event_plan(batch.plan)
        for one in plan.slices:  # enabled above what an earlier ledger delivered, where that was adopted
            for partition, free in enumerate(one.offsets if one.from_version is None else ()):
                self._free.setdefault((one.event_type, partition), free)
        found: list[tuple[str, str]] = []
        files: dict[int, list[StagedFile]] = {}
        for file in batch.files:
            number = _group_of(plan, file)
            if number is None:
                found.append(("key_differs", f"{file.key}: belongs to nothing that its batch planned"))
            else:
                files.setdefault(number, []).append(file)
        for number, group in enumerate(plan.groups):
            found += self._reserved(batch.batch, plan, group)
            found += self._files(plan, group, files.get(number, ()))
        return [Problem(code, message, BY_HAND) for code, message in found]

    def _reserved(self, batch: str, plan: EventPlan, group: Group) -> Iterator[tuple[str, str]]:
        one = plan.slices[group.slice]
        place = (one.event_type, group.partition)
        due = self._free.get(place, group.offset if plan.note == ADOPTED else 0)
        if group.offset != due:
            what = f"{batch}: offsets of {one.event_type}, partition {group.partition}"
            yield "offsets_differ", f"{what}, begin at {group.offset} where {due} is next"
        self._free[place] = group.offset + group.rows
        if one.per_file not in _THRESHOLDS:
            yield "threshold_differs", f"{batch}: files of {one.event_type} of {one.per_file} events each"

    def _files(self, plan: EventPlan, group: Group, files: Iterable[StagedFile]) -> Iterator[tuple[str, str]]:
        one = plan.slices[group.slice]
        hour = datetime.fromtimestamp(group.hour // 1000, timezone.utc)
        due, chunk = group.offset, None
        room = one.per_file  # of the file before
        for file in files:
            key = parse_currents_key(prefix_of(plan.destination), file.key)
            planned = (one.event_type, hour, one.schema_id, group.partition)
            if key is None or key != CurrentsKey(plan.integration, *planned, key.offset):
                yield "key_differs", f"{file.key}: its batch planned another key"
            elif one.data_files and file.chunk != chunk and key.offset > due:
                due = key.offset  # the data file before held rows that are no events
            elif key.offset != due:
                yield "offsets_differ", f"{file.key}: begins at offset {key.offset} where {due} is next"
            if file.chunk != chunk:
                chunk, room = file.chunk, one.per_file
            registered = self._schemas.get(one.schema_id)
            if registered is None or registered.event_type != one.event_type:
                whose = f"that of {registered.event_type}" if registered else "not in the registry"
                yield "schema_differs", f"{file.key}: schema {one.schema_id} is {whose}"
            if not 0 < file.records <= one.per_file:
                yield (
                    "threshold_differs",
                    f"{file.key}: holds {file.records} events where {one.per_file} is the limit",
                )
            if room < one.per_file:
                yield (
                    "threshold_differs",
                    f"{file.key}: the file before it ends at {room} of {one.per_file} events",
                )
            due += file.records
            room = file.records
            if due > group.offset + group.rows:
                reserved = group.offset + group.rows
                yield "offsets_differ", f"{file.key}: reaches offset {due} where {reserved} were reserved"


def _group_of(plan: EventPlan, file: StagedFile) -> int | None:
    """The number of the group that a file's events are of; None where its chunk, or its key, is of none."""
    if file.chunk < len(plan.groups):
        return file.chunk
    key = parse_currents_key(prefix_of(plan.destination), file.key)
    if key is None or file.chunk >= len(plan.groups) + sum(each.data_files for each in plan.slices):
        return None
    slice_ = plan.slice_of(file.chunk)
    found = (
        number
        for number, each in enumerate(plan.groups)
        if (each.slice, each.partition) == (slice_, key.partition)
        and datetime.fromtimestamp(each.hour // 1000, timezone.utc) == key.hour
    )
    return next(found, None)
