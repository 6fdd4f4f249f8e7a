"""The lines of a Rover file, sorted into right and wrong ones as they stream by: for whoever loads them.

Promises that right lines come many at once, as the text that they are, and that a wrong one stops nothing: it comes with its
number and what is wrong with it. Nothing else is made of a right line, so a loader's own parser reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from rover_spark.consume.columns import columns
from rover_spark.consume.lines import LINE_BYTES, TEXT_BYTES, LongLine, Piece, pieces
from rover_spark.consume.records import BadLine, judged, too_long
from rover_spark.contract.rover import Dataset


def checked(
    stream: BinaryIO, dataset: Dataset, *, text_bytes: int = TEXT_BYTES, line_bytes: int = LINE_BYTES
) -> Iterator[Piece | BadLine]:
    """Every line of a file, in order: right ones together, each that is wrong by itself.

    Raises:
        NotOneMember: the object is not one whole gzip member; lines before the end were given.
    """
    for piece in pieces(stream, text_bytes=text_bytes, line_bytes=line_bytes):
        if isinstance(piece, LongLine):
            yield BadLine(piece.number, (too_long(piece.bytes),), b"")
        elif columns(piece.text, piece.count, dataset.name) is not None:
            yield piece
        else:
            yield from _sorted(piece, dataset)


def _sorted(piece: Piece, dataset: Dataset) -> Iterator[Piece | BadLine]:
    right: list[bytes] = []
    number = piece.number
    for number, line in piece.lines():
        wrong = judged(line, dataset).wrong
        if not wrong:
            right.append(line)
            continue
        yield from _together(right, number)
        right = []
        yield BadLine(number, wrong, line)
    yield from _together(right, number + 1)


def _together(lines: list[bytes], end: int) -> Iterator[Piece]:
    """Lines whose last one precedes number ``end``."""
    if lines:
        yield Piece(end - len(lines), b"\n".join(lines) + b"\n", len(lines))
