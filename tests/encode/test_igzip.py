"""igzip's output depends on no address: the same text at another place in memory gives the same bytes."""

from __future__ import annotations

import ctypes
import zlib
from itertools import product
from string import ascii_letters

import pytest

from rover_spark.encode.igzip import GZIP, RAW, Deflater

PAGE = 1 << 16
SLOTS = {1: 0x1FFF, 2: 0x7FFF}
PAGES = 200
_STREAM = 48  # where igzip's own state begins in the compressor's object

malloc = ctypes.CDLL(None).malloc
malloc.restype, malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]


def crc32c(value: int) -> int:
    """The processor's instruction, of four octets."""
    for _ in range(32):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value


def page_of(deflater: Deflater) -> int:
    return (id(deflater._stream) + _STREAM) >> 16 & 0xFFFFFFFF


def ill_fated(level: int, wbits: int) -> tuple[bytes, int]:
    """A text of which igzip would lose the first octet at one of the next pages of memory, and that page."""
    begin = page_of(Deflater(level, wbits)) + 8
    slots = {crc32c(page) & SLOTS[level]: page for page in range(begin, begin + PAGES)}
    for name in product(ascii_letters, repeat=2):
        first = f'{{"{"".join(name)}'.encode()
        page = slots.get(crc32c(int.from_bytes(first, "little")) & SLOTS[level])
        if page is not None:
            line = first + b'":%d,"name":"user %d","score":%d}\n'
            return b"".join(line % (n * 7919 % 10007, n * 31 % 97, n * n % 53) for n in range(40)), page
    raise AssertionError("no text has its slot among these pages")


def made_page_by_page(text: bytes, level: int, wbits: int, page: int) -> tuple[set[bytes], bool]:
    """What compressors make of the text, each a page further on; and whether one of them lay at this page, the last."""
    found = set()
    for _ in range(40 * PAGES):
        deflater = Deflater(level, wbits)
        reached = page_of(deflater) == page
        found.add(deflater.compress(text) + deflater.flush())
        if reached:
            return found, True
        del deflater
        malloc(PAGE - 16)  # the next one lies a page further on
    return found, False


@pytest.mark.parametrize("wbits", [GZIP, RAW])
@pytest.mark.parametrize("level", [1, 2])
def test_a_text_has_the_same_bytes_wherever_the_compressor_lies_in_memory(level: int, wbits: int) -> None:
    for _ in range(5):  # memory may have holes: then the page is never met, and another one is looked for
        text, page = ill_fated(level, wbits)
        found, reached = made_page_by_page(text, level, wbits, page)
        if reached:
            break
    assert reached, "no page was met: this test has seen nothing"
    (packed,) = found
    assert zlib.decompressobj(wbits).decompress(packed) == text
