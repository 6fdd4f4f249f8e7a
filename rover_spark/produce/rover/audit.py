"""What a delivered file of Rover must hold: whole gzip, as many lines, the text that was delivered."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from rover_spark.encode.inflated import inflate
from rover_spark.errors import Problem
from rover_spark.model.dataset_state import BatchRecord
from rover_spark.model.file import StagedFile
from rover_spark.model.schema import RegisteredSchema
from rover_spark.produce.port import Read


def auditor(schemas: Mapping[int, RegisteredSchema]) -> RoverAuditor:
    """Rover has no schemas."""
    return RoverAuditor()


class RoverAuditor:
    """Holds files against the ledger."""

    def problems(self, record: BatchRecord) -> list[Problem]:
        """None: a key is a digest of what the plan says."""
        return []

    def content(self, record: BatchRecord, file: StagedFile, read: Read) -> str | None:
        """Inflates at most ``raw_bytes``, so a decompression bomb is never expanded."""
        text = hashlib.sha256()
        lines = size = 0
        with read() as stream:
            for piece in inflate(stream, file.raw_bytes):
                text.update(piece)
                size += len(piece)
                lines += piece.count(b"\n")
        if (lines, size) == (file.records, file.raw_bytes) and text.hexdigest() == file.raw_sha256:
            return None
        return f"holds {lines} records where the ledger says {file.records}, or other text"
