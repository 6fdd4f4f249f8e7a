"""Lines of an object as they stream by."""

from __future__ import annotations

import gzip
import io
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rover_spark.consume.lines import LongLine, Piece, pieces, split
from rover_spark.encode.inflated import NotOneMember

BLOCKS = st.lists(st.sampled_from([b"a", b"\n", b"bb\n", b"\r", b"cccccccccc", b"\n\n", b""]), max_size=30)


def read(found: Iterator[Piece | LongLine]) -> list[tuple[int, bytes | int]]:
    rows: list[tuple[int, bytes | int]] = []
    for each in found:
        rows += [(each.number, each.bytes)] if isinstance(each, LongLine) else list(each.lines())
    return rows


@given(BLOCKS, st.integers(1, 12))
def test_lines_are_those_of_the_text_however_it_is_cut(blocks: list[bytes], most: int) -> None:
    texts = b"".join(blocks).split(b"\n")
    if not texts[-1]:
        texts.pop()
    wanted = [(n, line if len(line) <= most else len(line)) for n, line in enumerate(texts, 1)]
    assert read(split(blocks, most)) == wanted


def test_a_missing_last_newline_is_tolerated() -> None:
    assert read(pieces(io.BytesIO(gzip.compress(b"{}\n{}")))) == [(1, b"{}"), (2, b"{}")]


class Endless(io.RawIOBase):
    """A gzip member of ``octets`` zeros on one line, made as it is read."""

    def __init__(self, octets: int) -> None:
        packed = gzip.compress(b"0" * octets + b"\n{}\n", 9)
        self._stream = io.BytesIO(packed)

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(size)


def test_two_hundred_megabytes_on_one_line_take_no_memory() -> None:
    stream = Endless(200_000_000)
    tracemalloc.start()
    found = read(pieces(stream))  # type: ignore[arg-type]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == [(1, 200_000_000), (2, b"{}")]
    assert peak < 40_000_000


def test_a_bomb_is_not_inflated() -> None:
    stream = io.BytesIO(gzip.compress(b"{}\n" * 1_000_000))
    with pytest.raises(NotOneMember, match="more than 1000 bytes") as met:
        read(pieces(stream, text_bytes=1000))
    assert met.value.code == "text_too_large"
