"""The lines of a gzip NDJSON object, as they stream by: bounded, numbered from 1, split at ``\\n`` and nothing else.

Promises at most one piece and one bounded line in memory, whatever the object holds. A line is given as its octets: what
is in it is for others to judge.

Source: Rover, "File format" (one object a line, ``\\n``-terminated, a trailing newline is not guaranteed).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from rover_spark.encode.inflated import inflate

TEXT_BYTES = 4 << 30  # of one object, inflated: what a receiver loads in one piece
LINE_BYTES = 16 << 20  # of one line: no reader of JSON takes more without being told so


@dataclass(frozen=True)
class Piece:
    """Whole lines in a row, about a megabyte of them. Only the last line of an object may lack its newline.

    ``number`` is that of the first line, ``newlines`` how many ``text`` has.
    """

    number: int
    text: bytes
    newlines: int

    @property
    def count(self) -> int:
        """How many lines there are."""
        return self.newlines + (not self.text.endswith(b"\n"))

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Each line without its newline, with its number."""
        texts = self.text.split(b"\n")
        if not texts[-1]:
            texts.pop()
        return enumerate(texts, self.number)


@dataclass(frozen=True)
class LongLine:
    """A line over the bound, which is not kept. ``bytes`` is its length."""

    number: int
    bytes: int


def pieces(
    stream: BinaryIO, *, text_bytes: int = TEXT_BYTES, line_bytes: int = LINE_BYTES
) -> Iterator[Piece | LongLine]:
    """The lines of a gzip object.

    Raises:
        NotOneMember: not one whole gzip member, or more than ``text_bytes`` of text.
    """
    return split(inflate(stream, text_bytes), line_bytes)


def split(blocks: Iterable[bytes], line_bytes: int = LINE_BYTES) -> Iterator[Piece | LongLine]:
    """Whole lines of a text that comes in blocks cut anywhere."""
    number, waiting, passed = 1, bytearray(), 0  # passed: octets of a long line that are gone
    for block in blocks:
        begin = 0
        if passed or len(waiting) + len(block) > line_bytes:  # a line may pass the bound here
            end = block.find(b"\n") + 1
            length = passed + len(waiting) + (end - 1 if end else len(block))
            if length > line_bytes:
                waiting.clear()
                if not end:
                    passed = length
                    continue
                yield LongLine(number, length)
                number, passed, begin = number + 1, 0, end
        end = block.rfind(b"\n", begin) + 1
        if end <= begin:
            waiting += block[begin:]
            continue
        text = bytes(waiting) + block[begin:end] if waiting else block[begin:end]
        waiting[:] = block[end:]
        newlines = text.count(b"\n")
        if len(text) > line_bytes:
            yield from _within(text, number, line_bytes)
        else:
            yield Piece(number, text, newlines)
        number += newlines
    if passed:
        yield LongLine(number, passed)
    elif len(waiting) > line_bytes:
        yield LongLine(number, len(waiting))
    elif waiting:
        yield Piece(number, bytes(waiting), 0)


def _within(text: bytes, number: int, line_bytes: int) -> Iterator[Piece | LongLine]:
    """A text of whole lines, of which some may be too long: only where the bound is smaller than a block."""
    begin = start = 0
    for end in _ends(text):
        if end - start - 1 > line_bytes:
            if start > begin:
                yield (found := _piece(number, text[begin:start]))
                number += found.newlines
            yield LongLine(number, end - start - 1)
            number, begin = number + 1, end
        start = end
    if start > begin:
        yield _piece(number, text[begin:start])


def _piece(number: int, text: bytes) -> Piece:
    return Piece(number, text, text.count(b"\n"))


def _ends(text: bytes) -> Iterator[int]:
    end = 0
    while end := text.find(b"\n", end) + 1:
        yield end
