"""Avro container files: other readers get the datums back, and no cut of the rows into batches shows in the bytes."""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import fastavro
import isal
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rover_spark.encode import avro
from rover_spark.encode.avro import BLOCK_BYTES, ENCODER, AvroFile
from rover_spark.encode.lines import Lines

Values = Sequence[bytes | None]

SYNC = bytes(range(0xA0, 0xB0))
EVENT = {
    "type": "record",
    "name": "Event",
    "fields": [{"name": "id", "type": "string"}, {"name": "time", "type": "int"}],
}
SCHEMA = json.dumps(EVENT)
CODECS = [
    ("null", 0),
    *(("deflate", n) for n in range(4)),
    ("snappy", 0),
    *(("zstandard", n) for n in (0, 1, 9)),
]
UNPACK: dict[str, Callable[[bytes, int], bytes]] = {
    "null": lambda data, size: data,
    "deflate": lambda data, size: zlib.decompress(data, -15),
    "snappy": lambda data, size: pa.Codec("snappy").decompress(data[:-4], size, asbytes=True),
    "zstandard": lambda data, size: pa.Codec("zstd").decompress(data, size, asbytes=True),
}
# the strings "a" and "b" in a file made by hand, after the specification
GOLDEN_DATUMS = [b"\x02a", b"\x02b"]
GOLDEN_HEAD = b'Obj\x01\x04\x14avro.codec\x08null\x16avro.schema\x10"string"\x00' + SYNC
GOLDEN = GOLDEN_HEAD + b"\x04\x08\x02a\x02b" + SYNC
# a block of three datums by isal 1.9.1 at level 1; zlib reads it. Another encoder version may need another vector
GOLDEN_DEFLATE = "624a64862000000000ffff0300"


@dataclass(frozen=True)
class Parts:
    """A container file taken apart by hand, without any of our code."""

    metadata: dict[str, bytes]
    blocks: list[tuple[int, bytes]]  # count of records, bytes as they are stored
    syncs: list[bytes]  # of the header, then of each block


def apart(data: bytes) -> Parts:
    stream = io.BytesIO(data)

    def number() -> int:
        shift, value = 0, 0
        while True:
            (octet,) = stream.read(1)
            value |= (octet & 0x7F) << shift
            shift += 7
            if octet < 0x80:
                return (value >> 1) ^ -(value & 1)

    assert stream.read(4) == b"Obj\x01"
    metadata: dict[str, bytes] = {}
    while pairs := number():
        assert pairs > 0
        for _ in range(pairs):
            key = stream.read(number()).decode()
            assert key not in metadata
            metadata[key] = stream.read(number())
    blocks, syncs = [], [stream.read(16)]
    while stream.tell() < len(data):
        count, size = number(), number()
        blocks.append((count, stream.read(size)))
        syncs.append(stream.read(16))
    return Parts(metadata, blocks, syncs)


def naive_blocks(values: Values, limit: int = BLOCK_BYTES) -> list[tuple[int, bytes]]:
    """Record by record: (count, datums) of each block."""
    found: list[tuple[int, bytes]] = []
    for value in values:
        if value is None:
            continue
        if found and len(found[-1][1]) + len(value) <= limit:
            found[-1] = (found[-1][0] + 1, found[-1][1] + value)
        else:
            found.append((1, value))
    return found


def packed(
    *batches: pa.Array, codec: str = "null", level: int = 0, schema: str = SCHEMA
) -> tuple[bytes, AvroFile]:
    sink = io.BytesIO()
    file = AvroFile(sink.write, schema, codec, level, SYNC)
    for batch in batches:
        file.write(Lines(batch), 0, len(batch))
    file.close()
    return sink.getvalue(), file


def column(values: Values) -> pa.Array:
    return pa.array(values, pa.binary())


def datum(record: dict[str, Any]) -> bytes:
    sink = io.BytesIO()
    fastavro.schemaless_writer(sink, EVENT, record)
    return sink.getvalue()


RECORDS = [{"id": f"{n * 2**90:032x}", "time": n * 37 % 2**31} for n in range(20_000)]
EVENTS = [datum(record) for record in RECORDS]  # more than two blocks


# -- what other readers see ----------------------------------------------------------------------------------


@pytest.mark.law(4)
def test_the_golden_bytes_of_a_small_file() -> None:
    data, file = packed(column(GOLDEN_DATUMS), schema='"string"')
    assert data == GOLDEN
    assert list(fastavro.reader(io.BytesIO(data))) == ["a", "b"]
    assert file.sha256 == hashlib.sha256(GOLDEN).hexdigest()


def test_the_golden_bytes_of_a_deflated_block() -> None:
    data, _ = packed(column([b"\x02a\x03"] * 3), codec="deflate", level=1)
    ((count, block),) = apart(data).blocks
    assert (count, block.hex()) == (3, GOLDEN_DEFLATE)


@pytest.mark.parametrize(("codec", "level"), CODECS)
def test_fastavro_reads_the_records_back(codec: str, level: int) -> None:
    data, _ = packed(column(EVENTS), codec=codec, level=level)
    reader = fastavro.reader(io.BytesIO(data))
    assert reader.codec == codec
    assert list(reader) == RECORDS
    assert sum(block.num_records for block in fastavro.block_reader(io.BytesIO(data))) == len(RECORDS)


@pytest.mark.parametrize(("codec", "level"), CODECS)
def test_each_block_unpacks_alone_and_is_what_record_by_record_says(codec: str, level: int) -> None:
    data, _ = packed(column(EVENTS), codec=codec, level=level)
    wanted = naive_blocks(EVENTS)
    blocks = apart(data).blocks
    assert len(wanted) > 2
    assert [
        (count, UNPACK[codec](block, len(text)))
        for (count, block), (_, text) in zip(blocks, wanted, strict=True)
    ] == wanted


@pytest.mark.parametrize(
    "values", [[b"x" * 40], [b"", b""], [b"x" * BLOCK_BYTES]], ids=["40", "none", "256k"]
)
@pytest.mark.parametrize(("codec", "level"), CODECS)
def test_blocks_of_any_size_unpack(codec: str, level: int, values: list[bytes]) -> None:
    data, _ = packed(column(values), codec=codec, level=level)
    ((count, block),) = apart(data).blocks
    assert count == len(values)
    assert UNPACK[codec](block, len(b"".join(values))) == b"".join(values)


def test_a_snappy_block_ends_with_the_checksum_of_its_datums() -> None:
    data, _ = packed(column(EVENTS), codec="snappy")
    for (_, block), (_, text) in zip(apart(data).blocks, naive_blocks(EVENTS), strict=True):
        assert int.from_bytes(block[-4:], "big") == zlib.crc32(text)


def test_deflate_is_raw_and_complete() -> None:
    data, _ = packed(column(EVENTS), codec="deflate", level=1)
    for _, block in apart(data).blocks:
        inflater = zlib.decompressobj(-15)
        inflater.decompress(block)
        assert inflater.eof
        assert inflater.unused_data == b""


@pytest.mark.parametrize(("codec", "level"), CODECS)
def test_the_header_holds_schema_and_codec_only(codec: str, level: int) -> None:
    schema = '{"type": "string", "doc": "größe 😀"}' + " " * 9000
    metadata = apart(packed(column([b"\x02a"]), codec=codec, level=level, schema=schema)[0]).metadata
    assert metadata == {"avro.schema": schema.encode(), "avro.codec": codec.encode()}


def test_a_sync_marker_ends_the_header_and_every_block() -> None:
    parts = apart(packed(column(EVENTS))[0])
    assert len(parts.blocks) == len(naive_blocks(EVENTS)) > 2
    assert parts.syncs == [SYNC] * (len(parts.blocks) + 1)


@pytest.mark.parametrize("size", [1, 31, 32, 63, 64, 65, 8191, 8192, 8193, 200_000])
def test_counts_and_sizes_are_written_as_avro_writes_a_long(size: int) -> None:
    data, _ = packed(column([b"x"] * size))
    long = io.BytesIO()
    fastavro.schemaless_writer(long, "long", size)
    wanted = long.getvalue() * 2 + b"x" * size + SYNC  # as many records as bytes
    assert data.endswith(SYNC + wanted)


@pytest.mark.parametrize(("codec", "one", "other"), [("deflate", 1, 3), ("zstandard", 1, 9)])
def test_the_level_reaches_the_compressor(codec: str, one: int, other: int) -> None:
    sizes = [packed(column(EVENTS), codec=codec, level=level)[1].bytes for level in (one, other)]
    assert sizes[0] != sizes[1]


@pytest.mark.law(4)
@pytest.mark.parametrize(("codec", "level"), CODECS)
def test_equal_blocks_are_stored_alike_whatever_came_before(codec: str, level: int) -> None:
    block = b"".join(EVENTS)[:BLOCK_BYTES]
    data, _ = packed(column([block, b"other" * 9999, block, block]), codec=codec, level=level)
    first, other, *again = apart(data).blocks
    assert again == [first, first] != [other, other]


# -- where a block ends --------------------------------------------------------------------------------------


def test_the_size_of_a_block_is_part_of_the_bytes() -> None:
    assert BLOCK_BYTES == 256 * 1024  # another one gives every file other bytes


@pytest.mark.parametrize(
    ("sizes", "counts"),
    [
        ([1], [1]),
        ([0], [1]),
        # exactly full is not past the limit, and a record of no bytes still belongs to a full block
        ([BLOCK_BYTES - 1, 1], [2]),
        ([BLOCK_BYTES - 1, 1, 0, 0, 1], [4, 1]),
        ([BLOCK_BYTES, 1], [1, 1]),
        ([BLOCK_BYTES - 1, 2], [1, 1]),
        # a record larger than a block has one of its own
        ([BLOCK_BYTES + 1], [1]),
        ([1, BLOCK_BYTES + 1, 1], [1, 1, 1]),
        ([0, BLOCK_BYTES + 1, 0, 1], [1, 1, 2]),
        ([3 * BLOCK_BYTES, 3 * BLOCK_BYTES, 5], [1, 1, 1]),
        ([None, BLOCK_BYTES + 1, None, 1, None], [1, 1]),
        ([1, None, 1, None], [2]),
    ],
)
@pytest.mark.parametrize("batch", [1, 2, 100])
def test_where_a_block_ends(sizes: list[int | None], counts: list[int], batch: int) -> None:
    values = column([None if size is None else b"x" * size for size in sizes])
    data, file = packed(*(values.slice(start, batch) for start in range(0, len(values), batch)))
    assert [count for count, _ in apart(data).blocks] == counts
    assert file.records == sum(counts)


SMALL = 50
SIZES = st.one_of(st.integers(0, SMALL + 10), st.sampled_from([0, 1, SMALL - 1, SMALL, SMALL + 1, 3 * SMALL]))
ROWS = st.lists(
    st.one_of(st.none(), st.tuples(st.integers(0, 255), SIZES).map(lambda pair: bytes([pair[0]]) * pair[1])),
    max_size=40,
).filter(lambda values: any(value is not None for value in values))


@settings(deadline=None, max_examples=150)
@given(
    values=ROWS,
    cuts=st.lists(st.integers(0, 40), max_size=12),
    codec=st.sampled_from(CODECS),
    sliced=st.booleans(),
)
def test_the_bytes_do_not_depend_on_how_rows_came_in(
    values: Values, cuts: list[int], codec: tuple[str, int], sliced: bool
) -> None:
    edges = [0, *sorted(min(cut, len(values)) for cut in cuts), len(values)]
    whole = column(values)
    name, level = codec
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(avro, "BLOCK_BYTES", SMALL)
        if sliced:  # as arrays of their own whose offsets do not begin with zero
            batches = [whole.slice(start, stop - start) for start, stop in pairwise(edges)]
        else:
            batches = [column(values[start:stop]) for start, stop in pairwise(edges)]
        data, file = packed(*batches, codec=name, level=level)
        # without the null rows, all at once
        records = [value for value in values if value is not None]
        again, other = packed(column(records), codec=name, level=level)
    assert data == again
    assert (file.sha256, file.raw_sha256, file.records) == (other.sha256, other.raw_sha256, other.records)
    wanted = naive_blocks(values, SMALL)
    assert [
        (count, UNPACK[name](block, len(text)))
        for (count, block), (_, text) in zip(apart(data).blocks, wanted, strict=True)
    ] == wanted


WHOLE = {codec: packed(column(EVENTS), codec=codec, level=1)[0] for codec in UNPACK}


@pytest.mark.parametrize("codec", UNPACK)
@pytest.mark.parametrize("batch", [1, 7, 1000, 10_000])
def test_the_size_of_the_batches_does_not_show_at_full_size(codec: str, batch: int) -> None:
    whole = column(EVENTS)
    batches = [whole.slice(start, batch) for start in range(0, len(whole), batch)]
    assert packed(*batches, codec=codec, level=1)[0] == WHOLE[codec]


def test_a_part_of_a_slice_is_read_from_where_it_begins() -> None:
    values = [b"not", b"one", None, b"two", b"", b"three", b"not"]
    sink = io.BytesIO()
    file = AvroFile(sink.write, SCHEMA, "null", 0, SYNC)
    lines = Lines(column(values).slice(1))
    file.write(lines, 0, 2)
    file.write(lines, 2, 2)
    file.write(lines, 2, 5)
    file.close()
    assert apart(sink.getvalue()).blocks == [(4, b"onetwothree")]


def test_large_binary_gives_the_same_bytes() -> None:
    values = [b"one", None, b"two", b"", b"three"]
    wide = pa.array(values, pa.large_binary())
    assert packed(wide, codec="deflate", level=1)[0] == packed(column(values), codec="deflate", level=1)[0]
    assert packed(wide.slice(1))[0] == packed(column(values[1:]))[0]


# -- counts, memory, refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(("codec", "level"), CODECS)
def test_sizes_counts_and_hashes_are_those_of_the_bytes(codec: str, level: int) -> None:
    raw = b"".join(EVENTS)
    data, file = packed(column([None, *EVENTS, None]), codec=codec, level=level)
    assert (file.bytes, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert (file.raw_bytes, file.raw_sha256) == (len(raw), hashlib.sha256(raw).hexdigest())
    assert file.records == len(EVENTS)


def test_what_was_written_counts_before_its_block_is_full() -> None:
    file = AvroFile(io.BytesIO().write, SCHEMA, "null", 0, SYNC)
    file.write(Lines(column([b"one", None, b"two"])), 0, 3)
    assert (file.records, file.raw_bytes) == (2, 6)


def test_a_block_leaves_as_soon_as_a_record_does_not_fit() -> None:
    sink = io.BytesIO()
    file = AvroFile(sink.write, SCHEMA, "null", 0, SYNC)
    rows = Lines(column([b"x" * (BLOCK_BYTES // 2)] * 9))
    for row in range(9):
        file.write(rows, row, row + 1)
        assert file.raw_bytes - BLOCK_BYTES <= sink.tell(), "more than one block would be held in memory"


@pytest.mark.parametrize("values", [[], [None, None]], ids=["nothing", "nulls"])
def test_a_file_without_records_is_refused_and_nothing_of_it_written(values: Values) -> None:
    sink = io.BytesIO()
    file = AvroFile(sink.write, SCHEMA, "null", 0, SYNC)
    file.write(Lines(column(values)), 0, len(values))
    with pytest.raises(ValueError, match="without records"):
        file.close()
    assert sink.getvalue() == b""


def test_closing_again_adds_nothing() -> None:
    sink = io.BytesIO()
    file = AvroFile(sink.write, SCHEMA, "null", 0, SYNC)
    file.write(Lines(column([b"one"])), 0, 1)
    file.close()
    data = sink.getvalue()
    file.close()
    assert sink.getvalue() == data


@pytest.mark.parametrize(
    ("codec", "level"),
    [("bzip2", 1), ("", 0), ("deflate", 4), ("deflate", -1), ("zstandard", -1), ("zstandard", 23)],
)
def test_a_codec_or_level_that_is_not_there_is_refused_at_once(codec: str, level: int) -> None:
    with pytest.raises(ValueError, match="no codec"):
        AvroFile(io.BytesIO().write, SCHEMA, codec, level, SYNC)


@pytest.mark.parametrize("length", [0, 15, 17])
def test_a_sync_marker_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        AvroFile(io.BytesIO().write, SCHEMA, "null", 0, bytes(length))


def test_the_encoder_names_what_made_the_bytes() -> None:
    assert f"isal {isal.__version__}, pyarrow {pa.__version__}" == ENCODER
