"""Arrow string and binary columns as text: the value buffer already is the file's bytes, or its blocks'.

Nothing is copied and no row is looped over: offsets say where records begin.
"""

from __future__ import annotations

from bisect import bisect_right

import pyarrow as pa


class Lines:
    """A column of lines; null is a row that is not delivered and takes no bytes."""

    def __init__(self, column: pa.Array) -> None:
        wide = pa.types.is_large_string(column.type) or pa.types.is_large_binary(column.type)
        _, offsets, values = column.buffers()
        width = 8 if wide else 4
        start = column.offset * width
        octets = memoryview(offsets)[start : start + (len(column) + 1) * width]
        self._column = column
        self._offsets = octets.cast("q") if wide else octets.cast("i")
        self._values = memoryview(values) if values is not None else memoryview(b"")

    @property
    def offsets(self) -> memoryview:
        """Where each row begins in the value buffer, and at last where the last one ends."""
        return self._offsets

    def text(self, start: int, stop: int) -> memoryview:
        """The bytes of rows start..stop."""
        return self._values[self._offsets[start] : self._offsets[stop]]

    def records(self, start: int, stop: int) -> int:
        """How many of rows start..stop are not null."""
        return (stop - start) - int(self._column.slice(start, stop - start).null_count)

    def take(self, start: int, stop: int, room: int) -> int:
        """The greatest end ≤ stop such that rows start..end hold at most ``room`` values that are not null."""
        if self.records(start, stop) <= room:
            return stop
        low, high = start, stop  # records(start, high) > room, always
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.records(start, middle) <= room else (low, middle)
        return low

    def fit(self, start: int, stop: int, room: int) -> int:
        """The greatest end ≤ stop such that rows start..end take at most ``room`` bytes; ``start`` where none fits."""
        end = bisect_right(self._offsets, self._offsets[start] + room, start, stop + 1) - 1
        return max(start, end)
