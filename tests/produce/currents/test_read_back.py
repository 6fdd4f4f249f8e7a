"""Files of events read back: what is in them is told as it is stored, also what Python has no value for."""

from __future__ import annotations

import io
import json
from typing import Any

import fastavro
import pyarrow as pa
import pytest

from rover_spark.contract.avro import canonical, parse
from rover_spark.encode.avro import AvroFile
from rover_spark.encode.lines import Lines
from rover_spark.produce.currents.read_back import events_wrong

CODECS = ["null", "deflate", "snappy", "zstandard"]
FIELDS: list[Any] = [{"name": "id", "type": "string"}, {"name": "time", "type": "int"}]


def text_of(*more: Any) -> str:
    named = [{"name": f"v{n}", "type": each} for n, each in enumerate(more)]
    return canonical(parse({"type": "record", "name": "Event", "fields": [*FIELDS, *named]}))


def datum(event: dict[str, Any], text: str) -> bytes:
    """Stored as it is told: no logical type changes it on its way."""
    plain = json.loads(text, object_hook=lambda tree: {k: v for k, v in tree.items() if k != "logicalType"})
    sink = io.BytesIO()
    fastavro.schemaless_writer(sink, plain, event)
    return sink.getvalue()


def file_of(datums: list[bytes], text: str, codec: str = "deflate") -> bytes:
    sink = io.BytesIO()
    file = AvroFile(sink.write, text, codec, 1, bytes(16))
    file.write(Lines(pa.array(datums, pa.binary())), 0, len(datums))
    file.close()
    return sink.getvalue()


class Stream:
    """All that every store's stream can do."""

    def __init__(self, data: bytes) -> None:
        self.read = io.BytesIO(data).read


def wrong(data: bytes, text: str | None, records: int) -> str | None:
    return events_wrong(Stream(data), text, records)  # type: ignore[arg-type]


def events(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"id": f"e{n}", "time": n, **more} for n in range(count)]


@pytest.mark.parametrize("codec", CODECS)
def test_a_file_of_many_blocks_is_whole(codec: str) -> None:
    text = text_of("string")
    datums = [datum(each, text) for each in events(40, v0="x" * 20_000)]
    data = file_of(datums, text, codec)
    assert len(list(fastavro.block_reader(io.BytesIO(data)))) > 2
    assert wrong(data, text, 40) is None


@pytest.mark.parametrize(
    ("avro", "value"),
    [
        ({"type": "long", "logicalType": "timestamp-micros"}, 2**62),
        ({"type": "long", "logicalType": "timestamp-millis"}, -(2**62)),
        ({"type": "long", "logicalType": "local-timestamp-micros"}, 2**62),
        ({"type": "long", "logicalType": "time-micros"}, 2**62),
        ({"type": "int", "logicalType": "date"}, 2**31 - 1),
        ({"type": "int", "logicalType": "time-millis"}, -1),
        ({"type": "string", "logicalType": "uuid"}, "no UUID"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 1}, b"\x7f" * 40),
        (["null", {"type": "array", "items": {"type": "int", "logicalType": "date"}}], [-(2**31)]),
    ],
    ids=str,
)  # fmt: skip
def test_a_value_that_python_cannot_hold_is_no_damage(avro: Any, value: Any) -> None:
    text = text_of(avro)
    data = file_of([datum(each, text) for each in events(3, v0=value)], text)
    assert wrong(data, text, 3) is None


def test_types_that_are_named_again_are_read() -> None:
    day = {
        "type": "record",
        "name": "Day",
        "fields": [{"name": "d", "type": {"type": "int", "logicalType": "date"}}],
    }
    text = text_of(day, {"type": "array", "items": "Day"})
    far = {"d": 2**31 - 1}
    assert wrong(file_of([datum(each, text) for each in events(2, v0=far, v1=[far])], text), text, 2) is None


def test_each_thing_that_is_wrong_is_told() -> None:
    text = text_of()
    datums = [datum(each, text) for each in events(5)]
    data = file_of(datums, text)
    assert wrong(data, text, 5) is None
    assert wrong(data, text, 6) == "holds 5 events where the ledger says 6"
    assert wrong(file_of([*datums, datums[0]], text), text, 6) == "holds 1 ids more than once"
    for other in (None, text_of("int")):
        assert (
            wrong(data, other, 5) == "its header holds another schema than the registry under its schema id"
        )
    longer = file_of([*datums[:4], datums[4] + b"\0"], text)
    assert wrong(longer, text, 5) == "holds a block that goes on after its last event"
    assert wrong(b"obj" + data[3:], text, 5) == "does not begin as an Avro file"
    with pytest.raises(Exception):  # noqa: B017 - whatever the reader meets first
        wrong(data[:-20], text, 5)
