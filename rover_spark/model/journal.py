"""What a task staged of its chunks, as text: from it a later run of the same plan goes on. Pure.

The text holds what a manifest holds, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import astuple
from types import MappingProxyType
from typing import Any

from rover_spark.model.file import StagedFile
from rover_spark.model.manifest import Manifest

Chunks = Mapping[int, Manifest]
NO_CHUNKS: Chunks = MappingProxyType({})


def chunks_to_json(chunks: Chunks) -> str:
    """A list of (chunk, rows by outcome, marks, files); counts of nought are left out."""
    return json.dumps(
        [
            (number, _some(each.rows), _some(each.marks), [astuple(file) for file in each.files])
            for number, each in chunks.items()
        ],
        separators=(",", ":"),
    )


def chunks_of(texts: Iterable[str]) -> dict[int, Manifest]:
    """By number the chunks that these texts hold whole, each with all of its files and counts.

    A chunk that two tries staged with another content is left out: neither is known to be right.
    """
    found: dict[int, Manifest] = {}
    differing = set[int]()
    for number, each in ((number, each) for text in texts for number, each in _read(text)):
        before = found.setdefault(number, each)
        if _content(before) != _content(each) or not _is_whole(each):
            differing.add(number)
    return {number: each for number, each in found.items() if number not in differing}


def _read(text: str) -> Iterable[tuple[int, Manifest]]:
    for number, rows, marks, files in json.loads(text):
        yield number, Manifest(tuple(StagedFile(*file) for file in files), rows, marks)


def _is_whole(chunk: Manifest) -> bool:
    """Whether the files follow one another from the first on, and hold as many records as are counted."""
    parts = [file.part for file in chunk.files]
    records = sum(file.records for file in chunk.files)
    return parts == list(range(len(parts))) and records == chunk.rows.get("delivered", 0)


def _content(chunk: Manifest) -> Any:
    files = [(file.key, file.records, file.raw_bytes, file.raw_sha256) for file in chunk.files]
    return chunk.rows, chunk.marks, files


def _some(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}
