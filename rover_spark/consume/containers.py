"""Avro object container files read block by block, whoever wrote them: header, codec, blocks, events.

Promises bounded memory: of a header, of a block as it is stored, of what it unpacks to and of the values that it becomes.
Refuses a schema that is none of an event, and arrays whose items take no octets. Where there are arrays or maps, a block may
be as large as the smallest items that it could hold have room in a GiB: 6 MB of records of one field, 20 MB of records of
seven fields, so no writer's usual block comes near it; but 3 kB of records of 9,000 fields that are always null. Values are
read as they are stored: what a logical type makes of them (a date, a UUID) may not exist in Python.

Source: Apache Avro 1.12, "Object Container Files", "Required Codecs", "Optional Codecs".
"""

from __future__ import annotations

import bz2
import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, BinaryIO, NamedTuple

from rover_spark.contract.avro import Schema, parse
from rover_spark.errors import ConfigError

HEADER_BYTES = 4 << 20
BLOCK_BYTES = 64 << 20  # stored, and unpacked
REFERENCES = 128 << 20  # of eight octets each: what the items of a block may take in memory
# references that a record or a map takes, and each of its fields beside the value's own one
A_DICT, A_FIELD = 16, 4
CODECS = ("null", "deflate", "snappy", "zstandard", "bzip2", "xz")
_MAGIC = b"Obj\x01"
_SYNC_BYTES = 16
_LONG_OCTETS = 10
_CRC_BYTES = 4


class BrokenContainer(ValueError):
    """A file that is no whole container, or whose events cannot be read. ``code`` says in which way."""

    def __init__(self, code: str, what: str) -> None:
        super().__init__(what)
        self.code = code


@dataclass(frozen=True)
class Header:
    """What a container says of itself. ``text`` is its schema as it stands there, ``schema`` the same as a tree.

    ``items`` is how many references an octet of an array or a map may become, 0 where there are none.
    """

    text: str
    schema: Schema
    codec: str
    sync: bytes
    bytes: int
    items: float


class Event(NamedTuple):
    """One event: its number in the file, from 1, its fields, and the octets that encode it."""

    number: int
    fields: dict[str, Any]
    datum: memoryview


class Container:
    """A container whose header is read. ``events`` gives the rest, once.

    Raises:
        BrokenContainer: no Avro file, a header that is too large or cut, an unknown codec, a schema that does not resolve.
        ConfigError: no fastavro here.
    """

    def __init__(self, stream: BinaryIO, notice: Callable[[bytes], object] = len) -> None:
        """``notice`` gets what each block unpacks to: the events' encodings, one after the other."""
        self._stream = _Counted(stream)
        self._notice = notice
        self.header = _header(self._stream)
        self._read, self._plain = _decoder(self.header.text)

    def events(self) -> Iterator[Event]:
        """Each event, in order. Raises BrokenContainer where the file is not whole."""
        number = 1
        while (count := self._stream.long(end_is_none=True)) is not None:
            block = self._block(count)
            self._notice(block)
            data = memoryview(block)
            stream, end = io.BytesIO(block), 0
            for _ in range(count):
                start = end
                try:
                    fields = self._read(stream, self._plain, None)
                except Exception as error:  # noqa: BLE001 - of what kind depends on the type that cannot be read
                    raise BrokenContainer(
                        "utf8_invalid" if isinstance(error, UnicodeDecodeError) else "block_broken",
                        f"holds an event that its schema cannot read: number {number}",
                    ) from None
                end = stream.tell()
                yield Event(number, fields, data[start:end])
                number += 1
            if end != len(block):
                raise BrokenContainer("block_broken", "holds a block that goes on after its last event")

    def _block(self, count: int) -> bytes:
        size = self._stream.long() or 0
        if count < 0 or size < 0:
            raise BrokenContainer("block_broken", "holds a block of a negative size")
        if size > BLOCK_BYTES:
            raise BrokenContainer("block_too_large", f"holds a block of {size:,} bytes")
        block = _unpacked(self.header.codec, self._stream.exactly(size))
        if self._stream.exactly(_SYNC_BYTES) != self.header.sync:
            raise BrokenContainer(
                "sync_differs", "holds a block that does not end with the header's sync marker"
            )
        if len(block) * self.header.items > REFERENCES:
            raise BrokenContainer(
                "block_too_large", f"holds a block of {len(block):,} bytes whose items could be too many"
            )
        return block


def _header(stream: _Counted) -> Header:
    if stream.some(len(_MAGIC)) != _MAGIC:
        raise BrokenContainer("not_avro", "does not begin as an Avro file")
    metadata = dict[bytes, bytes]()
    while count := stream.long():
        if count < 0:
            count = -count
            stream.long()
        for _ in range(count):
            name = stream.octets()
            metadata[name] = stream.octets()
            if stream.taken > HEADER_BYTES:
                raise BrokenContainer("header_too_large", f"has a header of more than {HEADER_BYTES:,} bytes")
    sync = stream.exactly(_SYNC_BYTES)
    codec = metadata.get(b"avro.codec", b"null").decode(errors="replace")
    if codec not in CODECS:
        raise BrokenContainer("codec_unknown", f"has the codec {codec[:40]!r}")
    try:
        text = metadata[b"avro.schema"].decode()
        schema = parse(text, registered=True)
    except KeyError:
        raise BrokenContainer("schema_unresolved", "has no schema in its header") from None
    except (ValueError, RecursionError) as error:
        raise BrokenContainer("schema_unresolved", f"has a schema that does not resolve: {error}") from None
    if path := _unbounded(schema, ""):
        raise BrokenContainer("schema_unresolved", f"has a schema whose {path} repeats values of no octets")
    return Header(text, schema, codec, sync, stream.taken, _items(schema))


def _unbounded(schema: Schema, path: str) -> str:
    """The place of an array whose items take no octets: a few octets of it stand for billions of values."""
    if schema.kind == "array" and not _octets(schema.parts[0]):
        return path or "record"
    inside = [(f"{path}.{field.name}".strip("."), field.type) for field in schema.fields]
    inside += [(path, part) for part in schema.parts]
    return next(filter(None, (_unbounded(part, where) for where, part in inside)), "")


def _octets(schema: Schema) -> bool:
    """Whether each value takes an octet at least."""
    match schema.kind:
        case "null":
            return False
        case "fixed":
            return schema.size > 0
        case "record":
            return any(_octets(field.type) for field in schema.fields)
        case _:
            return True


def _items(schema: Schema) -> float:
    """How many references an octet of an array or a map may become."""
    inside = [_items(part) for part in (*(field.type for field in schema.fields), *schema.parts)]
    if schema.kind in ("array", "map"):
        references, octets = _least(schema.parts[0])
        own = (references + A_FIELD, octets + 1) if schema.kind == "map" else (references, octets)
        inside.append(own[0] / own[1])
    return max(inside, default=0.0)


def _least(schema: Schema) -> tuple[int, int]:
    """The references and the octets of the value that is largest in memory for its octets, arrays and maps left empty."""
    match schema.kind:
        case "null":
            return 1, 0
        case "fixed":
            return 1, schema.size
        case "float" | "double":
            return 1, 4 if schema.kind == "float" else 8
        case "record":
            fields = [_least(field.type) for field in schema.fields]
            return A_DICT + sum(A_FIELD - 1 + each for each, _ in fields), sum(each for _, each in fields)
        case "array" | "map":
            return A_DICT, 1
        case "union":
            parts = [_least(part) for part in schema.parts]
            return max(((each, octets + 1) for each, octets in parts), key=lambda part: part[0] / part[1])
        case _:
            return 1, 1


@lru_cache(maxsize=64)
def _decoder(text: str) -> tuple[Any, Any]:
    """What reads one event from a stream, and the schema that it takes."""
    try:
        import fastavro
    except ModuleNotFoundError:
        raise ConfigError(
            "Avro files are read with fastavro, which is not installed",
            code="no_sdk",
            remedy="Install rover_spark[currents].",
        ) from None
    try:
        plain = fastavro.parse_schema(json.loads(text, object_hook=_plain))
    except Exception as error:  # noqa: BLE001 - a schema that one reader takes and another refuses
        raise BrokenContainer("schema_unresolved", f"has a schema that fastavro refuses: {error}") from None
    return fastavro.schemaless_reader, plain


def _plain(tree: dict[str, Any]) -> dict[str, Any]:
    """A type without its logical type and its default."""
    return {name: value for name, value in tree.items() if name not in {"logicalType", "default"}}


def _unpacked(codec: str, block: bytes) -> bytes:
    """What a stored block holds. Raises BrokenContainer for more than the bound, and for what the codec cannot read."""
    try:
        found = _unpack(codec, block)
    except BrokenContainer:
        raise
    except ModuleNotFoundError as missing:
        raise ConfigError(
            f"Avro files of codec {codec} need a package that is not installed: {missing.name}",
            code="no_sdk",
            remedy="Install rover_spark[currents].",
        ) from None
    except Exception as error:  # noqa: BLE001 - each codec has errors of its own
        raise BrokenContainer("block_broken", f"holds a block that is no {codec}: {error}") from None
    if len(found) > BLOCK_BYTES:
        raise BrokenContainer("block_too_large", f"holds a block that unpacks to over {BLOCK_BYTES:,} bytes")
    return found


def _unpack(codec: str, block: bytes) -> bytes:
    most = BLOCK_BYTES + 1
    match codec:
        case "null":
            return block
        case "deflate":
            stream = zlib.decompressobj(-15)
            return _whole(stream.decompress(block, most), stream.eof)
        case "bzip2":
            packed = bz2.BZ2Decompressor()
            return _whole(packed.decompress(block, most), packed.eof)
        case "xz":
            xz = lzma.LZMADecompressor()
            return _whole(xz.decompress(block, most), xz.eof)
        case "snappy":
            return _snappy(block)
        case _:
            return _zstandard(block, most)


def _whole(found: bytes, ended: bool) -> bytes:
    if not ended and len(found) <= BLOCK_BYTES:
        raise ValueError("it is cut short")
    return found


def _snappy(block: bytes) -> bytes:
    import cramjam

    packed, crc = block[:-_CRC_BYTES], block[-_CRC_BYTES:]
    length = shift = 0
    for octet in packed[:5]:  # the length that it unpacks to stands first
        length |= (octet & 0x7F) << shift
        shift += 7
        if octet < 0x80:
            break
    if length > BLOCK_BYTES:
        raise BrokenContainer("block_too_large", f"holds a block that unpacks to {length:,} bytes")
    found = bytes(cramjam.snappy.decompress_raw(packed))
    if zlib.crc32(found).to_bytes(_CRC_BYTES, "big") != crc:
        raise ValueError("its checksum differs")
    return found


def _zstandard(block: bytes, most: int) -> bytes:
    try:
        from backports.zstd import ZstdDecompressor
    except ModuleNotFoundError:
        import zstandard  # type: ignore[import-not-found, unused-ignore]

        found: bytes = zstandard.ZstdDecompressor().stream_reader(block).read(most)
        return found
    stream = ZstdDecompressor()
    return _whole(stream.decompress(block, most), stream.eof)


class _Counted:
    """A stream that knows how much was taken, and that reads what Avro's parts are made of."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.taken = 0

    def some(self, size: int) -> bytes:
        """Up to ``size`` octets: less at the end."""
        parts, wanted = [], size
        while wanted and (data := self._stream.read(min(wanted, 1 << 20))):
            parts.append(data)
            wanted -= len(data)
        self.taken += size - wanted
        return b"".join(parts)

    def exactly(self, size: int) -> bytes:
        found = self.some(size)
        if len(found) < size:
            raise BrokenContainer("avro_cut", "is cut short")
        return found

    def octets(self) -> bytes:
        """A length and so many octets, of a header."""
        size = self.long() or 0
        if not 0 <= size <= HEADER_BYTES:
            raise BrokenContainer("header_too_large", f"has a header of more than {HEADER_BYTES:,} bytes")
        return self.exactly(size)

    def long(self, *, end_is_none: bool = False) -> int | None:
        """An Avro long; at the end None where that is allowed."""
        value = shift = 0
        for place in range(_LONG_OCTETS):
            data = self.some(1)
            if not data:
                if end_is_none and not place:
                    return None
                raise BrokenContainer("avro_cut", "is cut short")
            value |= (data[0] & 0x7F) << shift
            if data[0] < 0x80:
                return (value >> 1) ^ -(value & 1)
            shift += 7
        raise BrokenContainer("block_broken", "holds a number that is no Avro long")
