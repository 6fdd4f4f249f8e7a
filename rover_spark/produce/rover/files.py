"""What a file of a Rover batch is: gzip NDJSON under an opaque token, cut by bytes. Source: Rover, "Bucket layout"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rover_spark.contract.keys import file_token, rover_key
from rover_spark.encode.counted import CountedFile
from rover_spark.encode.lines import Lines
from rover_spark.encode.ndjson import NdjsonFile
from rover_spark.model.dataset_state import FLOORS
from rover_spark.produce.port import Mark
from rover_spark.produce.rover import text
from rover_spark.produce.rover.plan import BatchPlan
from rover_spark.store.base import prefix_of


@dataclass(frozen=True)
class RoverFiles:
    """Cuts a batch; a file ends before it would pass the limit of bytes."""

    plan: BatchPlan

    @property
    def marks(self) -> tuple[Mark, ...]:
        """What is counted beside outcomes."""
        # a deleted key, and a row that repeats an id, leave a floor although no record is delivered
        return (Mark(FLOORS, "floor", "rows"), Mark("replaced", "mended"), *text.marks(self.plan.text))

    def begin(
        self, chunk: int, part: int, before: int
    ) -> tuple[str, Callable[[Callable[[bytes], object]], CountedFile]]:
        """Every file of a batch has its own token."""
        plan = self.plan
        token = file_token(plan.export, plan.epoch, plan.dataset, plan.batch, chunk, part)
        key = rover_key(prefix_of(plan.destination), plan.dataset, plan.emitted_at, token)
        return key, lambda sink: NdjsonFile(sink, plan.files.compression_level)

    def end(self, chunk: int, lines: Lines, start: int, stop: int, records: int, raw_bytes: int) -> int:
        """Ends the file before it would pass ``max_bytes``, or ``max_records`` where a chunk is a data file."""
        files = self.plan.files
        if files.max_records:
            stop = lines.take(start, stop, files.max_records - records)
        return lines.fit(start, stop, files.max_bytes - raw_bytes)
