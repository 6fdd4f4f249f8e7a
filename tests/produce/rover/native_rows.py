"""Random rows of every type that the native reader serves, as Arrow tables: extremes, odd texts, octets that are no UTF-8."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pyarrow as pa

TEXTS = [
    *(chr(code).encode() for code in range(32)),
    *(text.encode() for text in ("plain", '"', "\\", "\x7f", "é", "\u2028\u2029", "\ufffd", "😀", "null", ",", "/", "ß𝔘")),
]  # fmt: skip
BROKEN = [
    b"\xff", b"\xc0\x80", b"\xe1\x80", b"\xe1\x80A", b"\xed\xa0\x80", b"\xed\xa0", b"\xed\xa0A", b"\xed\xb0\x80\xed",
    b"\xf0\x90\x80", b"\xf0\x90A", b"\xf0\x80\x80\x80", b"\xf4\x90\x80\x80", b"\xf5\x80", b"\x80", b"\xe0\x80\x80",
    b"\xf0\x90\x80\x80\x80",
]  # fmt: skip
NAMES = ["", "a", "A", "b", "zz", "é", "𝔘", "\uffff", "\x00", 'quo"te', "null", "\u2028", "aa", "Z"]
_INNER = pa.struct([("d", pa.date32()), ("e", pa.decimal128(18, 4)), ("n", pa.map_(pa.string(), pa.int32()))])
_STRUCT = pa.struct(
    [
        ("a", pa.string()),
        ("B", pa.int64()),
        ("c", _INNER),
        ("l", pa.list_(pa.string())),
        ("o", pa.list_(_INNER)),
        ("ts", pa.timestamp("us", tz="UTC")),
        ("nt", pa.timestamp("us")),
        ("by", pa.binary()),
        ("mm", pa.map_(pa.string(), pa.timestamp("us", tz="UTC"))),
    ]
)
SCHEMA = pa.schema(
    [
        ("rover_id", pa.string()),
        ("other_id", pa.string()),
        ("traits", pa.map_(pa.string(), pa.string())),
        ("deep", pa.map_(pa.string(), pa.map_(pa.string(), pa.string()))),
        ("s", _STRUCT),
        ("t8", pa.int8()),
        ("t16", pa.int16()),
        ("t32", pa.int32()),
        ("t64", pa.int64()),
        ("flag", pa.bool_()),
        ("day", pa.date32()),
        ("dec", pa.decimal128(20, 6)),
        ("whole", pa.decimal128(38, 0)),
        ("text", pa.string()),
        ("arr", pa.list_(pa.list_(pa.string()))),
        ("updated_at", pa.timestamp("us", tz="UTC")),
        ("local", pa.timestamp("us")),
    ]
)


class Rows:
    """Random values of every type; ``broken`` with octets that are no UTF-8 and, in maps, with keys that stand twice."""

    def __init__(self, seed: int, *, broken: bool, twice: bool = True) -> None:
        self.by, self.broken, self.twice = random.Random(seed), broken, broken and twice

    def text(self) -> bytes:
        kind = self.by.random()
        if kind < 0.1:
            return b""
        if kind < 0.5:
            return b"word%d" % self.by.randrange(1000)
        pool = [*TEXTS, *BROKEN] if self.broken and kind > 0.9 else TEXTS
        return b"".join(self.by.choice(pool) for _ in range(self.by.randrange(1, 5)))

    def uuid(self) -> bytes | None:
        kind = self.by.random()
        if kind < 0.03:
            return None
        if kind < 0.08:
            return self.by.choice([b"no-uuid", b"00000000-0000-4000-8000-00000000000g", b"0" * 36, "é".encode() * 18, b"00000000-0000-4000-8000-0000000000001", b"0000000K-0000-4000-8000-000000000000"])  # fmt: skip
        found = f"{self.by.randrange(1 << 32):08x}-0000-4000-8000-{self.by.randrange(1 << 48):012x}"
        return (found.upper() if kind < 0.3 else found).encode()

    def instant(self, *, outside: bool = False) -> int:
        low, high = -62_135_596_800_000_000, 253_402_300_799_999_999
        edges = [low, high, 0, -1, -12_219_292_800_000_000, -12_219_292_800_000_001]
        if outside and self.by.random() < 0.05:
            return self.by.choice([low - 1, high + 1])
        return self.by.choice(edges) if self.by.random() < 0.3 else self.by.randint(low, high)

    def day(self) -> int:
        return self.by.choice([-719_162, 2_932_896, -141_428, -141_427, self.by.randint(-719_162, 2_932_896)])

    def whole(self, bits: int) -> int:
        top = 1 << (bits - 1)
        return self.by.choice([-top, top - 1, 0, -1, self.by.randrange(-top, top)])

    def decimal(self, digits: int, scale: int) -> Decimal:
        unscaled = self.by.choice([0, 1, -1, 10**digits - 1, 1 - 10**digits, self.by.randrange(10**digits)])
        return Decimal(f"{unscaled}e-{scale}")

    def names(self) -> list[str]:
        if self.by.random() < 0.5:
            return ["lastName", "email", "city"][: self.by.randrange(4)]
        found = self.by.sample(NAMES, self.by.randrange(6))
        if self.twice and found and self.by.random() < 0.03:
            found.append(found[0])
        return found

    def of(self, kind: pa.DataType, *, nulls: bool = True) -> Any:
        if nulls and self.by.random() < 0.1:
            return None
        if pa.types.is_map(kind):
            return [(name, self.of(kind.item_type)) for name in self.names()]
        if pa.types.is_list(kind):
            return [self.of(kind.value_type) for _ in range(self.by.randrange(4))]
        if pa.types.is_struct(kind):
            return {kind.field(n).name: self.of(kind.field(n).type) for n in range(kind.num_fields)}
        if pa.types.is_string(kind) or pa.types.is_binary(kind):
            return self.text()
        if pa.types.is_integer(kind):
            return self.whole(kind.bit_width)
        if pa.types.is_boolean(kind):
            return self.by.random() < 0.5
        if pa.types.is_decimal(kind):
            return self.decimal(kind.precision, kind.scale)
        return self.day() if pa.types.is_date(kind) else self.instant()

    def row(self) -> dict[str, Any]:
        found = {field.name: self.of(field.type) for field in SCHEMA}
        times = {"updated_at": self.instant(outside=True), "local": self.instant(outside=True)}
        if self.by.random() < 0.03:
            times["updated_at"] = None
        return {**found, "rover_id": self.uuid(), "other_id": self.uuid(), **times}


def as_octets(kind: pa.DataType) -> pa.DataType:
    """The type with octets in place of text: Arrow makes no string of octets that are no UTF-8."""
    if pa.types.is_string(kind):
        return pa.binary()
    if pa.types.is_map(kind):
        return pa.map_(kind.key_type, as_octets(kind.item_type))
    if pa.types.is_list(kind):
        return pa.list_(as_octets(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(f.name, as_octets(f.type)) for f in kind])
    return kind


def as_text(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """The octets as text, whatever they are."""
    if pa.types.is_string(kind):
        return values.view(pa.string())
    buffers, nulls = values.buffers(), values.null_count
    if pa.types.is_map(kind):
        entries = pa.StructArray.from_arrays(
            [values.keys, as_text(values.items, kind.item_type)],
            fields=[pa.field("key", pa.string(), nullable=False), pa.field("value", kind.item_type)],
        )
        return pa.Array.from_buffers(kind, len(values), buffers[:2], nulls, 0, [entries])
    if pa.types.is_list(kind):
        inner = as_text(values.values, kind.value_type)
        return pa.Array.from_buffers(kind, len(values), buffers[:2], nulls, 0, [inner])
    if pa.types.is_struct(kind):
        parts = [as_text(values.field(n), field.type) for n, field in enumerate(kind)]
        return pa.Array.from_buffers(kind, len(values), buffers[:1], nulls, 0, parts)
    return values


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    columns = [
        as_text(pa.array([row[field.name] for row in rows], as_octets(field.type)), field.type)
        for field in SCHEMA
    ]
    return pa.table(columns, schema=SCHEMA)
