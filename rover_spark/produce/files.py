"""What one file of a batch is: its key, its bytes, and where it ends. One class a contract; each knows only the plan."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

from rover_spark.contract.currents import currents_key, sync_marker
from rover_spark.contract.keys import file_token, rover_key
from rover_spark.encode.avro import AvroFile
from rover_spark.encode.lines import Lines
from rover_spark.encode.ndjson import NdjsonFile
from rover_spark.model.plan import BatchPlan, Plan
from rover_spark.produce.currents.plan import EventPlan

Sink = Callable[[bytes], object]
Begun = tuple[str, Callable[[Sink], NdjsonFile | AvroFile]]  # the key of a file, and how to open it


class RoverFiles:
    """Gzip NDJSON; a file ends before it would pass the limit of bytes. Source: Rover, "Bucket layout"."""

    def __init__(self, plan: BatchPlan, prefix: str) -> None:
        self._plan, self._prefix = plan, prefix

    def begin(self, chunk: int, part: int, before: int) -> Begun:
        """An opaque token tells the files of a batch apart."""
        plan = self._plan
        token = file_token(plan.export, plan.epoch, plan.dataset, plan.batch, chunk, part)
        key = rover_key(self._prefix, plan.dataset, plan.emitted_at, token)
        return key, lambda sink: NdjsonFile(sink, plan.files.compression_level)

    def end(self, chunk: int, lines: Lines, start: int, stop: int, records: int, raw_bytes: int) -> int:
        """By bytes."""
        return lines.fit(start, stop, self._plan.files.max_bytes - raw_bytes)


class EventFiles:
    """Avro; a file ends at the limit of events. Source: Currents, "Avro write threshold" and the format of its keys."""

    def __init__(self, plan: EventPlan, prefix: str, texts: dict[str, str]) -> None:
        self._plan, self._prefix, self._texts = plan, prefix, texts

    def begin(self, chunk: int, part: int, before: int) -> Begun:
        """The offset of the first event tells the files of a type and hour apart."""
        plan, group = self._plan, self._plan.groups[chunk]
        part_of = plan.slices[group.slice]
        hour = datetime.fromtimestamp(group.hour // 1000, timezone.utc)
        place = (part_of.event_type, hour, part_of.schema_id, group.partition, group.offset + before)
        key = currents_key(self._prefix, plan.integration, *place)
        text = self._texts[part_of.event_type]
        level, sync = plan.compression_level, sync_marker(text, key)
        return key, lambda sink: AvroFile(sink, text, plan.codec, level, sync)

    def end(self, chunk: int, lines: Lines, start: int, stop: int, records: int, raw_bytes: int) -> int:
        """By count."""
        per_file = self._plan.slices[self._plan.groups[chunk].slice].per_file
        return lines.take(start, stop, per_file - records)


def files_of(plan: Plan, prefix: str, texts: dict[str, str] | None) -> RoverFiles | EventFiles:
    """How a plan cuts; ``texts`` are the schemas of its event types."""
    if isinstance(plan, EventPlan):
        return EventFiles(plan, prefix, texts or {})
    assert isinstance(plan, BatchPlan)
    return RoverFiles(plan, prefix)
