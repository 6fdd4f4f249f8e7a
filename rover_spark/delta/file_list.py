"""Data files on their way to tasks: one text, of which a task reads the lines that it needs. A table may have 50,000 of them."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from itertools import accumulate

from rover_spark.delta.log.values import DataFile


@dataclass(frozen=True)
class FileList:
    """Data files by their place in a list; picklable."""

    text: bytes
    ends: array[int]

    @classmethod
    def of(cls, files: Iterable[DataFile]) -> FileList:
        """The list of these files, in their order."""
        lines = [json.dumps(astuple(each)).encode() for each in files]
        return cls(b"".join(lines), array("Q", accumulate(map(len, lines))))

    def __getitem__(self, place: int) -> DataFile:
        """The file at a place, from 0."""
        start = self.ends[place - 1] if place else 0
        return DataFile(*json.loads(self.text[start : self.ends[place]]))
