"""Gzip NDJSON: one gzip member per file, the same bytes for the same text however it was cut on the way in.

Source: Rover, "File format" (UTF-8, a single concatenated gzip stream per file, one object a line).
"""

from __future__ import annotations

from collections.abc import Callable

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
