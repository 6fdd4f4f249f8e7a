"""A gzip object as text, in pieces of bounded size. Promises that a decompression bomb is never expanded.

Source: Rover, "File format" (a single gzip stream per file); RFC 1952.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, Literal

from isal import isal_zlib

from rover_spark.encode.igzip import GZIP

_BLOCK = 1 << 20
_FAILURES: tuple[Any, ...] = (isal_zlib.error,)
_MAGIC, _FLAGS = b"\x1f\x8b\x08", b"\x1f"  # how a member begins; all flags that there are


class NotOneMember(ValueError):
    """A gzip object that is not one whole member of a bounded size. ``code`` says in which way."""

    def __init__(
        self, code: Literal["not_gzip", "gzip_cut", "gzip_trailing", "text_too_large"], what: str
    ) -> None:
        super().__init__(what)
        self.code = code


def inflate(stream: BinaryIO, limit: int) -> Iterator[bytes]:
    """The text of a gzip object in pieces of bounded size.

    Inflates at most ``limit`` bytes, so a decompression bomb is never expanded.

    Raises:
        NotOneMember: not one whole gzip member, or more than ``limit`` bytes of text.
    """
    inflater = isal_zlib.decompressobj(GZIP)
    begun, given = False, 0
    while block := inflater.unconsumed_tail or stream.read(_BLOCK):
        # igzip would wait for a whole header, and passes over flags that no reader knows
        if not begun and not (block.startswith(_MAGIC[: len(block)]) and not block[3:4] > _FLAGS):
            raise NotOneMember("not_gzip", "not gzip: it does not begin as a member")
        begun = True
        try:
            text = inflater.decompress(block, _BLOCK)
        except _FAILURES as error:
            raise NotOneMember("not_gzip", f"not gzip: {error}") from None
        given += len(text)
        if given > limit:
            raise NotOneMember("text_too_large", f"holds more than {limit} bytes of text")
        if text:
            yield text
        if inflater.eof:
            if inflater.unused_data or stream.read(1):
                raise NotOneMember("gzip_trailing", "bytes follow the gzip member")
            return
    raise NotOneMember("gzip_cut", "the gzip member is cut short")
