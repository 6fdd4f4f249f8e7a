"""Ids with several contents: whether these really differ. Reads the records again, and only them.

Equal are two records whose fields are, but for ``emittedAt`` and the case of the id; of events those that are null count as
absent, because another schema may not have them. What can be read no more, or is beyond the bound, is not compared: nobody
knows whether it differs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rover_spark.consume.conform.catalogue import Catalogue, Numbered
from rover_spark.consume.conform.ids import Content, cut
from rover_spark.consume.conform.report import Tally
from rover_spark.consume.containers import BrokenContainer, Container
from rover_spark.consume.keys import EventFile
from rover_spark.consume.lines import LongLine, pieces
from rover_spark.consume.records import BOM, parsed
from rover_spark.encode.inflated import NotOneMember
from rover_spark.errors import StoreError
from rover_spark.store import Store

COMPARED = 20_000  # ids of a dataset


class Compared(NamedTuple):
    """How many records are equal to the first of their id after all, and of how many nobody knows."""

    equal: int
    uncompared: int


def bounded(doubled: list[tuple[Content, ...]]) -> int:
    """Leaves as many ids as are compared, the first ones; returns how many records of the others are not."""
    return cut(doubled, COMPARED)


def compare(
    store: Store, catalogue: Catalogue, tally: Tally, doubled: Sequence[tuple[Content, ...]]
) -> Compared:
    """Adds a breach for each record that says something else than the first of its id."""
    wanted: dict[int, set[int]] = {}
    for contents in doubled:
        for each in contents:
            wanted.setdefault(each.file, set()).add(each.line)
    said = {
        (number, line): digest
        for number in sorted(wanted)
        for line, digest in _read(store, catalogue.file(number), wanted[number])
    }
    equal = uncompared = 0
    for first, *others in doubled:
        known = said.get((first.file, first.line))
        for each in others:
            mine = said.get((each.file, each.line))
            if known is None or mine is None:
                uncompared += each.count
                continue
            if mine == known:
                equal += each.count
                continue
            earlier, file = catalogue.file(first.file), catalogue.file(each.file)
            found = f"has the id of line {first.line} of {earlier.file.key}"
            tally.add(file.name, "id_differs", file.file.key, each.line, found, count=each.count)
    return Compared(equal, uncompared)


def _read(store: Store, numbered: Numbered, lines: set[int]) -> Iterator[tuple[int, str | None]]:
    """A digest of what each of these lines or events says. What can be read no more has none."""
    try:
        with store.read(numbered.file.key) as stream:
            if isinstance(numbered.file, EventFile):
                for event in Container(stream).events():
                    if event.number in lines:
                        fields = {name: value for name, value in event.fields.items() if value is not None}
                        yield event.number, _digest(fields)
                return
            for piece in pieces(stream):
                if isinstance(piece, LongLine):
                    continue
                last = piece.number + piece.text.count(b"\n")
                if any(piece.number <= line <= last for line in lines):
                    yield from ((number, _said(line)) for number, line in piece.lines() if number in lines)
    except (OSError, StoreError, NotOneMember, BrokenContainer):
        return


def _said(line: bytes) -> str | None:
    """A digest of a line; None where it is no record, because the object is another one by now, or is nested too deeply."""
    try:
        record = parsed(line.removeprefix(BOM))
        if not isinstance(record, dict):
            return None
        record.pop("emittedAt", None)
        if isinstance(id_ := record.get("id"), str):
            record["id"] = id_.lower()
        return _digest(record)
    except (ValueError, RecursionError):
        return None


def _digest(fields: dict[str, object]) -> str:
    return hashlib.sha256(
        json.dumps(fields, sort_keys=True, default=repr).encode("utf-8", "surrogatepass")
    ).hexdigest()
