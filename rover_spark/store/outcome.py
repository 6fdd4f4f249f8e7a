"""What a publish request came to: one decision table for every kind of destination. Pure: no SDK, no request.

An adapter translates its SDK's answer into an ``Answer`` and what is at the key into a ``Seen``; the table gives the
``Outcome``, and ``settle`` raises the error of that outcome.

UNKNOWN is no failure: the object may be visible, now or later. Nothing is removed after it, neither the staged bytes
nor what is at the key; the next run publishes the file again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, auto

from rover_spark.errors import KeyTaken, PublishUnknown, StagedLost, StoreError
from rover_spark.model.file import StagedFile


class Answer(Enum):
    """What the store answers to a publish request."""

    DONE = auto()  # the object is published; some S3 servers say so of an upload that is gone
    NOT_FREE = auto()  # the request asks for a free key, and an object is there
    GONE = auto()  # the staged bytes are gone: lost, or used up by a request whose answer was lost
    UNCLEAR = auto()  # all else: a refusal, a timeout, an answer that was cut


class Seen(Enum):
    """What a look at the key shows after the answer."""

    NOT_LOOKED = auto()  # the role may not look, or the answer alone decides
    UNSEEN = auto()  # the look fails
    FREE = auto()  # no object
    OURS = auto()  # the object of this very try
    EQUAL = auto()  # the same bytes, of another try
    OTHER = auto()  # another payload


class Outcome(Enum):
    """What is true after a publish request."""

    PUBLISHED = auto()  # the key holds the file
    TAKEN = auto()  # the key holds another payload, which stays
    LOST = auto()  # the staged bytes are gone, and the file is not known to be visible
    UNKNOWN = auto()  # the file may be visible, now or later


_P, _T, _L, _U = Outcome.PUBLISHED, Outcome.TAKEN, Outcome.LOST, Outcome.UNKNOWN
Table = Mapping[Answer, Mapping[Seen, Outcome]]


def _table(rows: Mapping[Answer, tuple[Outcome, ...]]) -> Table:
    return {answer: dict(zip(Seen, row, strict=True)) for answer, row in rows.items()}


PUBLISH = _table(
    {  #                NOT_LOOKED, UNSEEN, FREE, OURS, EQUAL, OTHER
        Answer.DONE: (_P, _U, _L, _P, _P, _T),
        Answer.NOT_FREE: (_U, _U, _U, _P, _P, _T),
        Answer.GONE: (_L, _U, _L, _P, _P, _T),
        Answer.UNCLEAR: (_U, _U, _U, _P, _P, _U),
    }
)
# another payload at the key is what an overwrite is for: it says no more than a free key does
OVERWRITE: Table = {answer: {**row, Seen.OTHER: row[Seen.FREE]} for answer, row in PUBLISH.items()}


def settle(
    table: Table, file: StagedFile, answer: Answer, cause: StoreError | None, look: Callable[[], Seen] | None
) -> Seen:
    """Looks at the key where a look is given, and returns what it shows where the file is published; else raises.

    ``cause`` says what went wrong with the request, unless the answer is DONE.

    Raises:
        KeyTaken, StagedLost, PublishUnknown: as the table says.
    """
    seen = Seen.NOT_LOOKED
    if look is not None:
        try:
            seen = look()
        except StoreError as error:
            # of an unclear request its own error says more: an answer to HEAD has no body
            seen, cause = Seen.UNSEEN, cause if answer is Answer.UNCLEAR else error
    outcome = table[answer][seen]
    if outcome is Outcome.TAKEN:
        raise key_taken(file) from None
    if outcome is Outcome.LOST:
        raise staged_lost(file) from None
    if outcome is Outcome.UNKNOWN:
        assert cause is not None, "of an answer that is DONE only a look that fails makes an unknown"
        raise PublishUnknown(cause.message, code=cause.code, remedy=cause.remedy) from None
    return seen


def key_taken(file: StagedFile) -> KeyTaken:
    """The key holds another payload."""
    return KeyTaken(
        f"{file.key} holds other bytes than batch file {file.sha256[:12]}…; it was left as it is",
        code="key_taken",
        remedy="Find out who wrote it, move it away and run export again: the batch waits, staged.",
    )


def staged_lost(file: StagedFile) -> StagedLost:
    """The staged bytes are gone."""
    return StagedLost(
        f"the staged bytes of {file.key} are gone and the key is not known to be visible",
        code="staged_lost",
        remedy="Run export again: the batch is staged anew from its plan.",
    )
