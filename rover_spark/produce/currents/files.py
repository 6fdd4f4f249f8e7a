"""What a file of events is: Avro, cut by the number of events. Source: Currents, "Avro write threshold" and its keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import ClassVar

from rover_spark.contract.currents import currents_key, sync_marker
from rover_spark.encode.avro import AvroFile
from rover_spark.encode.counted import CountedFile
from rover_spark.encode.lines import Lines
from rover_spark.produce.currents.plan import EventPlan
from rover_spark.produce.port import Mark
from rover_spark.store.base import prefix_of


@dataclass(frozen=True)
class EventFiles:
    """Cuts a batch; ``texts`` are the schemas of its event types.

    ``places`` has the chunks that are data files: their group, and how many rows of it come before theirs.
    """

    plan: EventPlan
    texts: Mapping[str, str]
    places: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    marks: ClassVar[tuple[Mark, ...]] = (
        Mark("replaced", "mended"),
        Mark("late", "late"),
        Mark("max_lateness_s", "lateness", "highest"),
        Mark("timezone_dropped", "invalid_timezone"),
    )

    def begin(
        self, chunk: int, part: int, before: int
    ) -> tuple[str, Callable[[Callable[[bytes], object]], CountedFile]]:
        """Every file of a type and hour has the offset of its first event."""
        plan = self.plan
        number, first = self.places.get(chunk, (chunk, 0))
        group = plan.groups[number]
        part_of = plan.slices[group.slice]
        hour = datetime.fromtimestamp(group.hour // 1000, timezone.utc)
        place = (part_of.event_type, hour, part_of.schema_id, group.partition, group.offset + first + before)
        key = currents_key(prefix_of(plan.destination), plan.integration, *place)
        text = self.texts[part_of.event_type]
        level, sync = plan.compression_level, sync_marker(text, key)
        return key, lambda sink: AvroFile(sink, text, plan.codec, level, sync)

    def end(self, chunk: int, lines: Lines, start: int, stop: int, records: int, raw_bytes: int) -> int:
        """Ends the file once it holds as many events as its slice allows."""
        number, _ = self.places.get(chunk, (chunk, 0))
        per_file = self.plan.slices[self.plan.groups[number].slice].per_file
        return lines.take(start, stop, per_file - records)
