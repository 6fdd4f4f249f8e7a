"""Deflate by igzip, whose bytes depend on the text and on how the caller cuts it: on nothing else.

By itself igzip does not promise that. At levels 1 and 2 it hashes, at the very beginning of a stream, a part of its own
address where the third octet should be; about one process in ten thousand then misses a match to the first octet,
and the same text takes a few bytes more. A stream that goes on after a flush takes another way: so the first octets are
flushed by themselves, which costs some five bytes a stream.
Source: isa-l 2.32, igzip_icf_body_h1_gr_bt.asm, ``write_first_byte``.
"""

from __future__ import annotations

from isal import isal_zlib

GZIP, RAW = 31, -15  # window bits: one gzip member without time or name; deflate without header and checksum
_FIRST = 16  # few enough for the code that ends a stream, which hashes the text and nothing else
_CONCERNED = {1, 2}


class Deflater:
    """One stream; ``wbits`` is GZIP or RAW.

    What ``compress`` is given first must have 16 octets or be the whole text.
    """

    def __init__(self, level: int, wbits: int) -> None:
        self._stream = isal_zlib.compressobj(level, isal_zlib.DEFLATED, wbits)
        self._begins = level in _CONCERNED

    def compress(self, text: bytes | memoryview) -> bytes:
        """The output that is ready for the text so far."""
        if not self._begins or not text:
            return self._packed(text)
        self._begins = False
        first = self._packed(text[:_FIRST]) + self._stream.flush(isal_zlib.Z_SYNC_FLUSH)
        return first + self._packed(memoryview(text)[_FIRST:])

    def _packed(self, text: bytes | memoryview) -> bytes:
        packed: bytes = self._stream.compress(text)
        return packed

    def flush(self) -> bytes:
        """The rest; the stream ends."""
        rest: bytes = self._stream.flush()
        return rest
