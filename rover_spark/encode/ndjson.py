"""Gzip NDJSON: one gzip member per file, the same bytes for the same text however it was cut on the way in.

Source: Rover, "File format" (UTF-8, a single concatenated gzip stream per file, one object a line).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

import isal

from rover_spark.encode.counted import CountedFile
from rover_spark.encode.igzip import GZIP, Deflater
from rover_spark.encode.lines import Lines

ENCODER = f"isal {isal.__version__}"
_BLOCK = 1 << 20


class NdjsonFile(CountedFile):
    """One file on its way to ``sink``: counts, hashes and compresses whole lines."""

    def __init__(self, sink: Callable[[bytes], object], level: int) -> None:
        super().__init__(sink)
        self._deflater = Deflater(level, GZIP)

    def write(self, lines: Lines, start: int, stop: int) -> None:
        """Appends rows start..stop, a line each."""
        self.append(lines.text(start, stop))

    def append(self, text: bytes | memoryview) -> None:
        """Appends whole lines."""
        self._measure(text)
        # igzip's output depends on how its input is cut, so it always gets blocks of one size
        text, begin = memoryview(text), 0
        if self._waiting:
            begin = _BLOCK - len(self._waiting)
            self._waiting += text[:begin]
            if len(self._waiting) < _BLOCK:
                return
            self._emit(self._deflater.compress(bytes(self._waiting)))
            self._waiting.clear()
        end = len(text) - (len(text) - begin) % _BLOCK
        for start in range(begin, end, _BLOCK):
            self._emit(self._deflater.compress(text[start : start + _BLOCK]))
        self._waiting += text[end:]

    def close(self) -> None:
        """Compresses the rest and ends the member."""
        self._emit(self._deflater.compress(bytes(self._waiting)))
        self._emit(self._deflater.flush())
        self._waiting.clear()


def inflate(stream: BinaryIO, limit: int) -> Iterator[bytes]:
    """The text of a gzip object in pieces of bounded size.

    Inflates at most ``limit`` bytes, so a decompression bomb is never expanded.

    Raises:
        ValueError: not one whole gzip member, or more than ``limit`` bytes of text.
    """
    inflater = zlib.decompressobj(GZIP)
    given = 0
    while block := inflater.unconsumed_tail or stream.read(_BLOCK):
        try:
            text = inflater.decompress(block, _BLOCK)
        except zlib.error as error:
            raise ValueError(f"not gzip: {error}") from None
        given += len(text)
        if given > limit:
            raise ValueError(f"holds more than {limit} bytes of text")
        if text:
            yield text
        if inflater.eof:
            if inflater.unused_data or stream.read(1):
                raise ValueError("bytes follow the gzip member")
            return
    raise ValueError("the gzip member is cut short")
