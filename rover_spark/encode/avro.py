"""Avro object container files of datums that are encoded already: the same bytes however the rows came in.

Source: Apache Avro 1.12, "Object Container Files" and "Required Codecs"/"Optional Codecs". What a datum says is not
looked at: it is the caller who promises that each was written with the schema that the header holds.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import partial

import isal
import pyarrow as pa

from rover_spark.encode.counted import CountedFile
from rover_spark.encode.igzip import RAW, Deflater
from rover_spark.encode.lines import Lines

ENCODER = f"isal {isal.__version__}, pyarrow {pa.__version__}"
BLOCK_BYTES = 1 << 18  # of datums, before compression: what a reader holds in memory at once
_MAGIC = b"Obj\x01"
_SYNC_BYTES = 16


class AvroFile(CountedFile):
    """One file on its way to ``sink``: counts, hashes, packs and compresses whole datums.

    A block takes records as long as they fit into ``BLOCK_BYTES``, so where it ends depends on their lengths alone.
    ``sink`` gets nothing before the first block is whole; ``bytes`` and ``sha256`` are final after ``close``.
    ``level`` means something to deflate (0 to 3) and zstandard (1 to 22; 0 is zstd's own default) only.

    Raises:
        ValueError: no such codec or level, or a sync marker that is not of 16 bytes.
    """

    def __init__(
        self, sink: Callable[[bytes], object], schema: str, codec: str, level: int, sync: bytes
    ) -> None:
        if len(sync) != _SYNC_BYTES:
            raise ValueError(f"a sync marker has {_SYNC_BYTES} bytes, not {len(sync)}")
        super().__init__(sink)
        self._sync = sync
        self._compress = _compressor(codec, level)
        self._head = _header(schema, codec, sync)
        self._count = 0  # of the open block, whose datums wait
        self.records = 0

    def write(self, datums: Lines, start: int, stop: int) -> None:
        """Appends rows start..stop, one record each; null rows are no records."""
        while start < stop:
            end = datums.fit(start, stop, BLOCK_BYTES - len(self._waiting))
            if end == start and self._count:
                self._flush()
                continue
            end = max(end, start + 1)  # a record larger than a block has one of its own
            self._append(datums.text(start, end), datums.records(start, end))
            start = end

    def close(self) -> None:
        """Writes the last block.

        Raises:
            ValueError: the file has no records; nothing of it was written.
        """
        if not self.records:
            raise ValueError("an Avro file without records: open one when there is a record to write")
        # a full block waits too: records of no bytes may still belong to it
        if self._count:
            self._flush()

    def _append(self, data: memoryview, records: int) -> None:
        self._take(data)
        self.records += records
        self._count += records

    def _flush(self) -> None:
        packed = self._compress(bytes(self._waiting))
        self._emit(b"".join((self._head, _long(self._count), _long(len(packed)), packed, self._sync)))
        self._head = b""
        self._waiting.clear()
        self._count = 0


def _header(schema: str, codec: str, sync: bytes) -> bytes:
    metadata = {"avro.codec": codec, "avro.schema": schema}
    pairs = b"".join(_octets(key) + _octets(value) for key, value in metadata.items())
    return _MAGIC + _long(len(metadata)) + pairs + _long(0) + sync


def _octets(text: str) -> bytes:
    data = text.encode()
    return _long(len(data)) + data


def _long(value: int) -> bytes:
    """A count or a size, never negative: zigzag, then seven bits a byte, the lowest first."""
    rest, octets = value << 1, bytearray()
    while rest > 0x7F:
        octets.append(rest & 0x7F | 0x80)
        rest >>= 7
    octets.append(rest)
    return bytes(octets)


def _compressor(codec: str, level: int) -> Callable[[bytes], bytes]:
    match codec:
        case "null":
            return bytes
        case "deflate" if level in range(4):
            return partial(_deflate, level=level)
        case "snappy":
            return partial(_snappy, pa.Codec("snappy"))
        case "zstandard" if level in range(23):
            return partial(_zstandard, pa.Codec("zstd", compression_level=level))
    raise ValueError(f"no codec {codec!r} with level {level} for an Avro file")


def _deflate(block: bytes, level: int) -> bytes:
    # a new one each time, fed at once: its output depends on what came before and on how its input is cut
    deflater = Deflater(level, RAW)
    return deflater.compress(block) + deflater.flush()


def _snappy(codec: pa.Codec, block: bytes) -> bytes:
    packed: bytes = codec.compress(block, asbytes=True)
    return packed + zlib.crc32(block).to_bytes(4, "big")


def _zstandard(codec: pa.Codec, block: bytes) -> bytes:
    packed: bytes = codec.compress(block, asbytes=True)
    return packed
