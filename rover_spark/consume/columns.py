"""The fields by which records are held against the contract, read from many lines at once.

Promises that lines which it takes are right: ``records.judged`` would find nothing. Whatever it is not sure of it refuses,
and those lines are judged one by one; so it is faster, and never decides that something is wrong. Without msgspec it
refuses everything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

from rover_spark.contract.rover import DATASETS

try:
    import msgspec
except ModuleNotFoundError:  # an extra: slower without
    msgspec = None  # type: ignore[assignment]

_TIMES = re.compile(r"(?:\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?Z\n)*", re.ASCII)
_HYPHENS = (8, 13, 18, 23)
_MICROS = len("2026-11-21T04:05:06.123456Z")
_MARKS = ((4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":"), (19, "."), (26, "Z"))
_TENS = (14, 17)  # of minutes and seconds
_NO_DIGITS = str.maketrans("", "", "-T:.Z")
_DAY_HOUR = 13


@dataclass(frozen=True)
class Columns:
    """The fields of lines that are right, one value a line. Times are texts, to be compared up to their seconds."""

    ids: Sequence[str]
    emitted: Sequence[str]
    times: Sequence[str]


def is_fast() -> bool:
    """Whether msgspec is here."""
    return bool(msgspec)


def columns(text: bytes, count: int, dataset: str) -> Columns | None:
    """The columns of ``count`` whole lines of a dataset; None where they have to be judged one by one."""
    if not is_fast():
        return None
    # newlines stand between objects, and nowhere else: inside of a JSON value none follows } and precedes {
    if not (text.startswith(b"{") and text.endswith((b"}", b"}\n")) and text.count(b"}\n{") == count - 1):
        return None
    try:
        text.decode()  # the decoder passes over the strings of fields that it does not know
        found = _decoder(dataset).decode_lines(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if len(found) != count or not all(_right(found, dataset)):
        return None
    times = [each.time for each in found]
    emitted = [each.emittedAt for each in found]
    return Columns([each.id for each in found], emitted, times)


def _right(found: list[Any], dataset: str) -> Iterator[bool]:
    """What types alone do not say."""
    yield _ids([each.id for each in found])
    yield _uuids([each.roverID for each in found])
    yield _instants(list({each.emittedAt for each in found}))
    yield _instants([each.time for each in found])
    if dataset == "fan_profile_merges":
        yield _uuids([each.mergedRoverID for each in found])
    if dataset == "fan_profiles":
        yield all(each.traits is not None or each.deleted is True for each in found)


# Texts of one length are looked at all together, place by place: a slice of their concatenation is the same place of each.


def _ids(texts: list[str]) -> bool:
    return set(map(len, texts)) == {32} and _hexadecimal("".join(texts), 16 * len(texts))


def _uuids(texts: list[str]) -> bool:
    if set(map(len, texts)) != {36}:
        return False
    joined, count = "".join(texts), len(texts)
    marked = all(joined[place::36] == "-" * count for place in _HYPHENS)
    return marked and _hexadecimal(joined.replace("-", ""), 16 * count)


def _hexadecimal(digits: str, octets: int) -> bool:
    try:
        return len(bytes.fromhex(digits)) == octets  # it passes over blanks
    except ValueError:
        return False


def _instants(texts: list[str]) -> bool:
    count = len(texts)
    if set(map(len, texts)) == {_MICROS}:
        joined = "".join(texts)
        digits = joined.translate(_NO_DIGITS)
        shaped = (
            all(joined[place::_MICROS] == mark * count for place, mark in _MARKS)
            and all(set(joined[place::_MICROS]) <= set("012345") for place in _TENS)
            and (len(digits) == 20 * count and digits.isascii() and digits.isdigit())
        )
    else:
        joined = "\n".join(texts) + "\n"
        shaped = joined.count("\n") == count and _TIMES.fullmatch(joined) is not None
    return shaped and all(map(_exists, {text[:_DAY_HOUR] for text in texts}))


@lru_cache(maxsize=1 << 16)
def _exists(hour: str) -> bool:
    """Whether there is such a day and hour."""
    try:
        datetime.fromisoformat(hour)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=len(DATASETS))
def _decoder(dataset: str) -> Any:
    """A decoder of the fields that are looked at; values of others are checked to be JSON, and made into nothing."""

    class AnObject(msgspec.Struct, gc=False):
        pass

    def of(name: str, *own: tuple[str, Any] | tuple[str, Any, Any], time: str) -> Any:
        # no default, so required
        envelope = [("id", str), ("version", Literal[1]), ("roverID", str), ("emittedAt", str)]
        return msgspec.defstruct(name, [*envelope, ("time", str), *own], rename={"time": time}, gc=False)

    kinds: dict[str, Callable[[], Any]] = {
        "fan_profiles": lambda: of(
            "Profile", ("traits", AnObject | None, None), ("deleted", Any, None), time="updatedAt"
        ),
        "fan_identity_graph": lambda: of(
            "Identifier",
            ("identifierType", str),
            ("identifier", str),
            ("operation", Literal["create", "update", "delete"]),
            time="updatedAt",
        ),
        "fan_profile_merges": lambda: of("Merge", ("mergedRoverID", str), time="occurredAt"),
        "fan_track_events": lambda: of(
            "Event",
            ("name", str),
            ("attributes", AnObject),
            ("namespace", str | None, None),
            ("device", AnObject | None, None),
            time="timestamp",
        ),
    }
    return msgspec.json.Decoder(kinds[dataset]())
