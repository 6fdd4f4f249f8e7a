"""Right lines of a Rover file as Arrow columns, as their text has them: JSON values are cut out and never written anew.

So numbers keep their digits. What is no column of the dataset becomes one object, the column ``additional``. A line
that the contract allows and that cannot be kept as text or JSON (half of a surrogate pair) is refused by its number.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from operator import attrgetter
from typing import Any

import msgspec
import pyarrow as pa

from rover_spark.consume.lines import Piece
from rover_spark.consume.records import BadLine, Wrong
from rover_spark.contract.rover import DATASETS, ENVELOPE, VERSION, Dataset

ADDITIONAL = "additional"
BATCH_BYTES = 8 << 20  # of text that becomes one Arrow table
_MICROS = len("2026-11-21T04:05:06.123456")
_NOTHING = (b"", b"null")
_REFUSED = "no table can keep it"


Place = tuple[int, int]  # the number of an object, and that of a line in it


class Lines:
    """Pieces that become columns together: a part of a large object, or many small ones."""

    def __init__(self) -> None:
        self._pieces: list[tuple[int, Piece]] = []
        self.bytes = 0

    def add(self, number: int, piece: Piece) -> None:
        """Keeps a piece of object ``number``."""
        self._pieces.append((number, piece))
        self.bytes += len(piece.text)

    def drop(self, number: int) -> None:
        """Forgets the pieces of an object."""
        self._pieces = [each for each in self._pieces if each[0] != number]
        self.bytes = sum(len(piece.text) for _, piece in self._pieces)

    @property
    def text(self) -> bytes:
        """All lines; each ends with a newline."""
        texts = (piece.text for _, piece in self._pieces)
        return b"".join(each if each.endswith(b"\n") else each + b"\n" for each in texts)

    def places(self) -> list[Place]:
        """Where each line stands."""
        return [
            (number, line)
            for number, piece in self._pieces
            for line in range(piece.number, piece.number + piece.count)
        ]

    def lines(self) -> Iterator[tuple[Place, bytes]]:
        """Each line, and where it stands."""
        for number, piece in self._pieces:
            for line, text in piece.lines():
                yield (number, line), text


def kinds(dataset: Dataset) -> dict[str, str]:
    """The columns of a dataset with the kind of each: ``text``, ``json``, ``time``, ``version`` or ``flag``."""
    found = {"id": "text", "version": "version", "roverID": "text", "emittedAt": "time"}
    found |= {field.name: "json" if field.kind == "json" else "text" for field in dataset.own}
    if dataset.name == "fan_profiles":
        found["deleted"] = "flag"
    if dataset.operation:
        found["operation"] = "text"
    found[dataset.event_time] = "time"
    return found


def arrow(lines: Lines, dataset: str) -> tuple[pa.Table, list[Place], list[tuple[int, BadLine]]]:
    """The columns of the lines, where the line of each row stands, and the lines that are refused with their objects."""
    text = lines.text
    try:
        return _table(_closed(dataset).decode_lines(text), None, dataset), lines.places(), []
    except msgspec.ValidationError:  # fields that are no columns
        pass
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _one_by_one(lines, dataset)
    try:
        records, rest = _open(dataset).decode_lines(text), _rest(_anything().decode_lines(text), dataset)
        return _table(records, rest, dataset), lines.places(), []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _one_by_one(lines, dataset)


def _one_by_one(lines: Lines, dataset: str) -> tuple[pa.Table, list[Place], list[tuple[int, BadLine]]]:
    records, rests, places, refused = [], [], [], []
    for place, line in lines.lines():
        try:
            record = _open(dataset).decode(line)
            rest = _rest([_anything().decode(line)], dataset)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            refused.append((place[0], refusal(place[1], line, _why(line, error))))
        else:
            records.append(record)
            rests += rest
            places.append(place)
    return _table(records, rests, dataset), places, refused


def _why(line: bytes, error: Exception) -> str:
    """Why a line that is right by the contract cannot be kept, as far as it is known better than the decoder says it."""
    try:
        json.dumps(json.loads(line), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return "holds half of a surrogate pair"
    except (ValueError, RecursionError):
        pass
    return str(error)


def refusal(number: int, line: bytes, why: str = "") -> BadLine:
    """A line that is right by the contract and cannot be kept."""
    return BadLine(number, (Wrong("text_refused", f"{_REFUSED}{': ' if why else ''}{why}"),), line)


def _table(records: Sequence[Any], rest: Sequence[bytes | None] | None, dataset: str) -> pa.Table:
    columns: dict[str, pa.Array] = {}
    for name, kind in kinds(DATASETS[dataset]).items():
        values = list(map(attrgetter(name), records))
        match kind:
            case "version":
                columns[name] = pa.repeat(VERSION, len(records))
            case "json":
                texts = map(bytes, values)
                columns[name] = pa.array([None if each in _NOTHING else each for each in texts], pa.string())
            case "flag":
                columns[name] = pa.array([True if each is True else None for each in values], pa.bool_())
            case "time":
                columns[name] = pa.array(_micros(values), pa.string())
            case _:
                columns[name] = pa.array(values, pa.string())
    columns[ADDITIONAL] = pa.array(rest, pa.string()) if rest else pa.nulls(len(records), pa.string())
    return pa.table(columns)


def _micros(times: list[str]) -> list[str]:
    """The instants with six digits of a second at the most."""
    if max(map(len, times), default=0) <= _MICROS + 1:
        return times
    return [each[:_MICROS] + "Z" if len(each) > _MICROS and each[19:20] == "." else each for each in times]


def _rest(records: list[dict[str, Any]], dataset: str) -> list[bytes | None]:
    """Of each record what is no column, as one JSON object."""
    known = tuple(kinds(DATASETS[dataset]))
    for each in records:
        for name in known:
            each.pop(name, None)
    encode = msgspec.json.encode
    return [encode(each) if each else None for each in records]


@cache
def _anything() -> Any:
    return msgspec.json.Decoder(dict[str, msgspec.Raw])


@cache
def _closed(dataset: str) -> Any:
    return _decoder(dataset, closed=True)


@cache
def _open(dataset: str) -> Any:
    return _decoder(dataset, closed=False)


def _decoder(dataset: str, *, closed: bool) -> Any:
    """A decoder of the columns; a closed one refuses other fields."""
    contract = DATASETS[dataset]
    required = {*ENVELOPE, *(field.name for field in contract.own if field.required), contract.event_time}
    fields: list[Any] = []
    for name, kind in kinds(contract).items():
        match kind:
            case "version" | "json":
                fields.append((name, msgspec.Raw, msgspec.Raw(b"")))
            case "flag":
                fields.append((name, Any, None))
            case _ if name in required or name == "operation":
                fields.append((name, str, ""))
            case _:
                fields.append((name, str | None, None))
    made = msgspec.defstruct(dataset, fields, forbid_unknown_fields=closed, gc=False)
    return msgspec.json.Decoder(made)
