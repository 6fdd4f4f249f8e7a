"""Gzip NDJSON: one member, the same bytes for the same text; reading never takes more than it was told."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rover_spark.encode.inflated import inflate
from rover_spark.encode.ndjson import NdjsonFile

MIB = 1 << 20
# written by isal 1.9.1 at level 1; gzip -d reads it. Another encoder version may need another vector
GOLDEN = "1f8b08000000000000ffaa56ca4c51b2524a54aae5023301000000ffffb3524a52aae50200bcec3d4216000000"
# seeded: pseudo-random bytes that deflate cannot shrink, and text that it can
NOISE = random.Random(7).randbytes(MIB + 4096)
TEXT = b"".join(b'{"id":"%032x","version":1,"n":%d}\n' % (n * 2**90, n % 97) for n in range(50_000))[
    : 2 * MIB + 4096
]


def packed(*pieces: bytes | memoryview, level: int = 1) -> tuple[bytes, NdjsonFile]:
    sink = io.BytesIO()
    file = NdjsonFile(sink.write, level)
    for piece in pieces:
        file.append(piece)
    file.close()
    return sink.getvalue(), file


class Counted(io.BytesIO):
    """A stream that knows how much was asked of it."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.taken += len(data)
        return data


@pytest.mark.law(4)
def test_the_golden_bytes_of_a_small_file() -> None:
    data, file = packed(b'{"id":"a"}\n', b'{"id":"b"}\n')
    assert data.hex() == GOLDEN
    assert file.sha256 == hashlib.sha256(bytes.fromhex(GOLDEN)).hexdigest()


def test_the_header_carries_no_time_and_no_name() -> None:
    data, _ = packed(TEXT)
    magic, deflate, flags, time = data[:2], data[2], data[3], data[4:8]
    assert (magic, deflate, flags, time) == (b"\x1f\x8b", 8, 0, b"\0\0\0\0")


@pytest.mark.parametrize("level", [0, 1, 2, 3])
@pytest.mark.parametrize(
    "text",
    [b"{}\n", TEXT[:1000], TEXT[: MIB - 1], TEXT[:MIB], TEXT[: MIB + 1], TEXT, NOISE],
    ids=["small", "1k", "block-1", "block", "block+1", "big", "noise"],
)
def test_other_implementations_read_it_back_as_one_member(text: bytes, level: int) -> None:
    data, _ = packed(text, level=level)
    assert gzip.decompress(data) == text
    reader = zlib.decompressobj(31)
    assert reader.decompress(data) == text
    assert reader.eof
    assert reader.unused_data == b""


def test_sizes_and_hashes_are_those_of_the_bytes() -> None:
    data, file = packed(TEXT[:500_000], TEXT[500_000:])
    assert (file.bytes, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert (file.raw_bytes, file.raw_sha256) == (len(TEXT), hashlib.sha256(TEXT).hexdigest())


CUTS = st.one_of(
    st.integers(0, len(TEXT)),
    st.integers(-3, 3).map(lambda n: MIB + n),
    st.integers(-3, 3).map(lambda n: 2 * MIB + n),
)
WHOLE = {name: packed(text)[0] for name, text in (("text", TEXT), ("noise", NOISE))}


@settings(deadline=None, max_examples=25)
@given(cuts=st.lists(CUTS, max_size=6).map(sorted), which=st.sampled_from(["text", "noise"]))
def test_the_bytes_do_not_depend_on_how_the_text_was_cut(cuts: list[int], which: str) -> None:
    text = memoryview(TEXT if which == "text" else NOISE)
    ends = [*cuts, len(text)]
    pieces = [text[start:end] for start, end in zip([0, *cuts], ends, strict=True)]
    data, file = packed(*pieces)
    assert data == WHOLE[which]
    assert file.raw_bytes == len(text)


def test_line_by_line_gives_the_same_bytes_as_all_at_once() -> None:
    lines = TEXT.splitlines(keepends=True)
    assert packed(*lines)[0] == WHOLE["text"]


def test_the_bytes_leave_while_the_text_comes_in() -> None:
    sink = io.BytesIO()
    file = NdjsonFile(sink.write, 1)
    for start in range(0, len(NOISE), 4096):
        file.append(NOISE[start : start + 4096])
    assert sink.tell() > MIB // 2, "a whole file would be held in memory"


# -- reading -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [b"", b"{}\n", TEXT, NOISE], ids=["empty", "small", "big", "noise"])
def test_inflate_gives_the_text_in_bounded_pieces(text: bytes) -> None:
    pieces = list(inflate(io.BytesIO(packed(text)[0]), len(text)))
    assert b"".join(pieces) == text
    assert max(map(len, pieces), default=0) <= MIB


@settings(deadline=None)
@given(st.binary(max_size=2000), st.integers(0, 9))
def test_inflate_reads_what_others_wrote(text: bytes, level: int) -> None:
    assert b"".join(inflate(io.BytesIO(gzip.compress(text, level)), len(text))) == text


def test_a_bomb_is_left_at_the_limit() -> None:
    bomb = gzip.compress(bytes(64 * MIB))
    stream, given_out = Counted(bomb), 0
    with pytest.raises(ValueError, match="more than 100 bytes"):
        for piece in inflate(stream, 100):
            given_out += len(piece)
    assert given_out <= 100


def test_a_bomb_of_many_blocks_is_not_read_to_its_end() -> None:
    stream = Counted(gzip.compress(NOISE * 8, 0))
    with pytest.raises(ValueError, match="more than"):
        list(inflate(stream, MIB))
    assert stream.taken <= 4 * MIB


@pytest.mark.parametrize("limit", [len(TEXT) - 1, 0])
def test_one_byte_more_than_the_limit_is_too_much(limit: int) -> None:
    with pytest.raises(ValueError, match=f"more than {limit} bytes"):
        list(inflate(io.BytesIO(packed(TEXT)[0]), limit))


@pytest.mark.parametrize("end", [0, 1, 9, 10, 11, 1000, -9, -8, -4, -1])
def test_a_truncated_member_is_refused(end: int) -> None:
    data, _ = packed(TEXT)
    with pytest.raises(ValueError, match="cut short"):
        list(inflate(io.BytesIO(data[:end]), len(TEXT)))


@pytest.mark.parametrize(
    "tail", [b"\0", b"\n", b"garbage", gzip.compress(b"{}\n")], ids=["nul", "nl", "text", "member"]
)
@pytest.mark.parametrize("text", [b"{}\n", NOISE[: MIB - 18]], ids=["small", "about a block"])
def test_bytes_after_the_member_are_refused(text: bytes, tail: bytes) -> None:
    with pytest.raises(ValueError, match="follow"):
        list(inflate(io.BytesIO(packed(text)[0] + tail), 10 * MIB))


@pytest.mark.parametrize(
    "data",
    [b"{}\n", b"PK\x03\x04 zip", zlib.compress(b"{}\n"), b"\x1f\x8b\x07" + bytes(20)],
    ids=["text", "zip", "zlib", "method"],
)
def test_what_is_not_gzip_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not gzip"):
        list(inflate(io.BytesIO(data), 100))


def test_a_flipped_bit_is_noticed() -> None:
    data = bytearray(packed(TEXT)[0])
    data[-6] ^= 1  # in the CRC
    with pytest.raises(ValueError, match="not gzip"):
        list(inflate(io.BytesIO(data), len(TEXT)))
