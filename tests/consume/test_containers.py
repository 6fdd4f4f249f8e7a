"""Avro containers of other writers, whole and damaged."""

from __future__ import annotations

import io
import json
from typing import Any

import fastavro
import pytest

from rover_spark.consume import containers
from rover_spark.consume.containers import CODECS, BrokenContainer, Container
from tests.consume.written import SCHEMA, container, events

WHOLE = container(events(0, 50), codec="null")


def read(data: bytes) -> list[dict[str, Any]]:
    return [each.fields for each in Container(io.BytesIO(data)).events()]


def refused(data: bytes) -> str:
    with pytest.raises(BrokenContainer) as met:
        read(data)
    return met.value.code


@pytest.mark.parametrize("codec", CODECS)
def test_events_of_every_codec_are_read(codec: str) -> None:
    data = container(events(0, 5000), codec=codec)
    assert read(data) == events(0, 5000)


def test_an_event_knows_its_number_and_its_octets() -> None:
    found = list(Container(io.BytesIO(WHOLE)).events())
    assert [each.number for each in found] == list(range(1, 51))
    again = [fastavro.schemaless_reader(io.BytesIO(each.datum), SCHEMA, None) for each in found]
    assert again == events(0, 50)


def test_a_file_without_events_is_whole() -> None:
    assert read(container([])) == []


@pytest.mark.parametrize("end", [0, 3, 40, len(WHOLE) - 1, len(WHOLE) - 17, len(WHOLE) - 200])
def test_a_file_that_is_cut_short_is_refused(end: int) -> None:
    assert refused(WHOLE[:end]) in {"avro_cut", "not_avro"}


def test_no_avro_is_refused() -> None:
    assert refused(b"PAR1" + WHOLE[4:]) == "not_avro"


def test_another_sync_marker_is_refused() -> None:
    assert refused(WHOLE[:-1] + bytes([WHOLE[-1] ^ 1])) == "sync_differs"


def test_a_changed_block_is_refused() -> None:
    packed = container(events(0, 50), codec="snappy")
    assert refused(packed[:-30] + b"\x00" + packed[-29:]) == "block_broken"


def test_an_unknown_codec_is_refused() -> None:
    assert refused(WHOLE.replace(b"\x08null", b"\x08lzip", 1)) == "codec_unknown"


def header(schema: Any, *, codec: bytes = b"null") -> bytes:
    def octets(data: bytes) -> bytes:
        return long(len(data)) + data

    text = schema if isinstance(schema, bytes) else json.dumps(schema).encode()
    return (
        b"Obj\x01"
        + long(2)
        + octets(b"avro.schema")
        + octets(text)
        + octets(b"avro.codec")
        + octets(codec)
        + b"\0"
        + bytes(16)
    )


def long(value: int) -> bytes:
    rest, found = (value << 1) ^ (value >> 63), bytearray()
    while rest > 127:
        found.append(rest & 127 | 128)
        rest >>= 7
    return bytes([*found, rest])


FIELDS = [{"name": "id", "type": "string"}, {"name": "time", "type": "long"}]


@pytest.mark.parametrize(
    "schema",
    [
        b"{",
        b"\xff",
        {"type": "record", "name": "E", "fields": FIELDS[:1]},
        {"type": "record", "name": "E", "fields": [*FIELDS, {"name": "x", "type": "Missing"}]},
        {"type": "record", "name": "E", "fields": [*FIELDS, {"name": "x", "type": "E"}]},
        {
            "type": "record",
            "name": "E",
            "fields": [*FIELDS, {"name": "x", "type": {"type": "array", "items": "null"}}],
        },
    ],
    ids=["no JSON", "no text", "no time", "unknown type", "recursive", "items of no octets"],
)
def test_a_schema_that_does_not_resolve_is_refused(schema: Any) -> None:
    assert refused(header(schema)) == "schema_unresolved"


@pytest.mark.parametrize("name", ["", "a b", "a.b", "a`b", 'a"b', "a,b", "a\n", "a\x00", "1a", "ä"])
def test_a_name_that_avro_does_not_allow_is_refused(name: str) -> None:
    odd = {"type": "record", "name": "E", "fields": [*FIELDS, {"name": name, "type": "string"}]}
    assert refused(header(odd)) == "schema_unresolved"


def test_sizes_that_lie_are_refused_before_they_are_taken() -> None:
    begun = header({"type": "record", "name": "E", "fields": FIELDS})
    assert refused(begun + long(1) + long(1 << 60)) == "block_too_large"
    assert refused(begun + long(1) + long(-1)) == "block_broken"
    assert refused(begun + long(1 << 60) + long(2) + b"\0\0" + bytes(16)) == "block_broken"
    assert refused(b"Obj\x01" + long(1) + long(1 << 60)) == "header_too_large"
    assert refused(b"Obj\x01" + b"\xff" * 20) == "block_broken"


@pytest.mark.parametrize("codec", [each for each in CODECS if each != "null"])
def test_a_bomb_in_a_block_is_not_unpacked(codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = container([{**events(0, 1)[0], "user_id": "0" * 200_000}], codec=codec)
    assert read(packed)
    monkeypatch.setattr(containers, "BLOCK_BYTES", 100_000)
    assert refused(packed) == "block_too_large"


def an_item(*kinds: Any) -> dict[str, Any]:
    fields = [{"name": f"f{number}", "type": kind} for number, kind in enumerate(kinds)]
    return {"type": "record", "name": "Item", "fields": fields}


@pytest.mark.parametrize(
    ("kind", "octets", "whole"),
    [
        ({"type": "array", "items": an_item("boolean", *["null"] * 9000)}, 3_000, True),
        ({"type": "array", "items": an_item("boolean", *["null"] * 9000)}, 4_000, False),
        ({"type": "array", "items": ["null", an_item(*["null"] * 9000)]}, 4_000, False),
        ({"type": "map", "values": an_item(*["null"] * 9000)}, 4_000, False),
        ({"type": "array", "items": {"type": "array", "items": an_item(*["null"] * 900, "int")}}, 40_000, False),
        ({"type": "array", "items": an_item("boolean")}, 6_000_000, True),
        ({"type": "array", "items": an_item(*["string"] * 7)}, 20_000_000, True),
        ({"type": "array", "items": "boolean"}, 60_000_000, True),
        ("string", 60_000_000, True),
    ],
)  # fmt: skip
def test_a_block_whose_items_could_be_too_many_is_refused_before_one_is_read(
    kind: Any, octets: int, whole: bool
) -> None:
    schema = {"type": "record", "name": "E", "fields": [*FIELDS, {"name": "x", "type": kind}]}
    block = b"\0" * octets  # one event, and more behind it
    data = header(schema) + long(1) + long(octets) + block + bytes(16)
    assert refused(data) == ("block_broken" if whole else "block_too_large")


def test_text_that_is_no_utf8_is_told() -> None:
    assert refused(WHOLE.replace(b"Europe/Berlin", b"Europe/\xff\xff\xff\xff\xff\xff", 1)) == "utf8_invalid"


def test_data_after_the_last_event_of_a_block_is_told() -> None:
    begun = header({"type": "record", "name": "E", "fields": FIELDS})
    assert refused(begun + long(1) + long(3) + b"\0\0\0" + bytes(16)) == "block_broken"
