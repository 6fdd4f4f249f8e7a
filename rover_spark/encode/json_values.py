"""Values of Arrow columns as JSON, all rows at once: the text that Spark's JSON writer gives, from map keys in their order.

Null members of a struct are absent, null elements of a list and null values of a map are ``null``. Instants are UTC with six
decimals, octets are base64. Serves strings, integers, booleans, decimals of a plain text, days, instants, octets, and
structs, lists and maps of them; the caller sees to it that there are no others.

Raises ReaderRefused for values whose text only Spark knows: times outside of the years 1 to 9999, map keys that are no UTF-8.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from rover_spark.encode.instants import NO_TEXT, days_in_range, days_text, instants_in_range, instants_text
from rover_spark.encode.json_strings import escaped, escaped_text, is_utf8
from rover_spark.encode.map_order import in_order, last_of_each
from rover_spark.encode.pieces import (
    Index,
    Mask,
    Part,
    Run,
    chosen,
    column,
    constant,
    flat,
    sums_before,
)
from rover_spark.errors import ReaderRefused

_NULL = constant(b"null")


@dataclass(frozen=True)
class Json:
    """The JSON texts of a column as the parts that they are made of.

    ``there`` is false in rows whose value is null, None where no value is. ``twice`` is true in rows in which a map has a
    key twice, at any depth; None where none has.
    """

    parts: tuple[Part, ...]
    there: Mask | None = None
    twice: Mask | None = None

    def at(self, rows: Index | None) -> Json:
        """The texts of other rows; None is the same rows."""
        if rows is None:
            return self
        there = None if self.there is None else self.there[rows]
        return Json(tuple(flat(part).at(rows) for part in self.parts), there, self.twice)

    @property
    def present(self) -> tuple[Part, ...]:
        """The parts in the rows that have a value, nothing in the others."""
        return tuple(part.where(self.there) for part in self.parts)

    @property
    def or_null(self) -> tuple[Part, ...]:
        """The parts, and ``null`` in the rows that have no value."""
        return self.present if self.there is None else (*self.present, _NULL.where(~self.there))


def json_of(values: pa.Array, *, null_members: bool = True, last: bool = False) -> Json:
    """The values as JSON. Without ``null_members`` the null values of a map are absent, in this map only.

    With ``last`` a map has one entry of a key, the last one; else all of them, where a key stands ``twice``.
    """
    kind, there = values.type, _validity(values)
    if pa.types.is_string(kind):
        return Json((constant(b'"'), column(escaped(values)), constant(b'"')), there)
    if pa.types.is_struct(kind):
        return replace(_struct(values, last=last), there=there)
    if pa.types.is_map(kind):
        return replace(_map(values, null_members=null_members, last=last), there=there)
    if pa.types.is_list(kind):
        return replace(_list(values, last=last), there=there)
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return Json((constant(b'"'), column(_time(values, there)), constant(b'"')), there)
    if pa.types.is_binary(kind):
        encoded = [None if octets is None else base64.b64encode(octets) for octets in values.to_pylist()]
        return Json((constant(b'"'), column(pa.array(encoded, pa.binary())), constant(b'"')), there)
    return Json((column(values.cast(pa.string())),), there)


def member(name: str) -> bytes:
    """A member's name, as it begins."""
    return b'"' + escaped_text(name) + b'":'


def members(named: list[tuple[str, Json]], rows: int) -> tuple[Part, ...]:
    """The members of an object without its braces; those whose value is null are absent."""
    pieces: list[Part] = []
    before: Mask | bool = False  # whether a member came before
    for name, value in named:
        texts = [member(name), b"," + member(name)]
        begin = (
            constant(texts[before]) if isinstance(before, bool) else chosen(texts, before.astype(np.int32))
        )
        pieces += [begin.where(value.there), *value.present]
        before = True if value.there is None or before is True else before | value.there
    return tuple(pieces)


def any_twice(values: list[Json]) -> Mask | None:
    """The rows in which a map has a key twice in one of these values; None where there is none."""
    found: Mask | None = None
    for value in values:
        if value.twice is not None:
            found = value.twice if found is None else found | value.twice
    return found


def _validity(values: pa.Array) -> Mask | None:
    return None if values.null_count == 0 else values.is_valid().to_numpy(zero_copy_only=False)


def _time(values: pa.Array, there: Mask | None) -> pa.Array:
    is_day = pa.types.is_date(values.type)
    numbers = values.cast(pa.int32() if is_day else pa.int64()).fill_null(0).to_numpy()
    fits = days_in_range(numbers) if is_day else instants_in_range(numbers)
    if not fits.all():
        raise ReaderRefused(NO_TEXT)
    return days_text(numbers) if is_day else instants_text(numbers, zone=values.type.tz is not None)


def _struct(values: pa.Array, *, last: bool) -> Json:
    names = [values.type.field(number).name for number in range(values.type.num_fields)]
    parts = [json_of(part, last=last) for part in values.flatten()]
    inner = members(list(zip(names, parts, strict=True)), len(values))
    return Json((constant(b"{"), *inner, constant(b"}")), twice=any_twice(parts))


def _list(values: pa.Array, *, last: bool) -> Json:
    offsets = values.offsets.to_numpy()
    items = json_of(values.values.slice(offsets[0], offsets[-1] - offsets[0]), last=last)
    offsets = offsets - offsets[0]
    items_ = tuple(flat(part) for part in items.or_null)
    run = Run((chosen([b",", b""], _first(offsets).astype(np.int32)), *items_), offsets)
    return Json((constant(b"["), run, constant(b"]")), twice=_in_rows(items.twice, offsets))


def _map(values: pa.Array, *, null_members: bool, last: bool) -> Json:
    offsets = values.offsets.to_numpy()
    begin, entries = offsets[0], offsets[-1] - offsets[0]
    offsets = offsets - begin
    keys = values.keys.slice(begin, entries).dictionary_encode()
    if not is_utf8(keys.dictionary):
        raise ReaderRefused("a map key that is no UTF-8: only Spark replaces it")
    ids = keys.indices.to_numpy()
    order, twice = in_order(ids, keys.dictionary, offsets)
    items = json_of(values.items.slice(begin, entries), last=last)
    twice_inside = _in_rows(items.twice, offsets)
    if last and twice is not None:
        order, offsets = last_of_each(np.arange(entries) if order is None else order, ids, offsets)
    if not null_members and items.there is not None:
        order = np.arange(entries) if order is None else order
        there = items.there[order]
        order, offsets = order[there], sums_before(offsets, there)
    ids, items = ids if order is None else ids[order], items.at(order)
    if not null_members:
        items = replace(items, there=None)
    begins = [b'"' + text + b'":' for text in escaped(keys.dictionary).to_pylist()]
    found = twice if twice_inside is None else twice_inside if twice is None else twice | twice_inside
    return Json((constant(b"{"), *_entries(begins, ids, items, offsets), constant(b"}")), twice=found)


def _entries(begins: list[bytes], ids: Index, items: Json, offsets: Index) -> tuple[Part, ...]:
    """A map's entries, ``begins[ids[n]]`` and the value: what all values begin and end with goes into the keys' texts."""
    values, lead, trail = tuple(flat(part) for part in items.or_null), b"", b""
    if len(values) > 2 and values[0].is_constant and values[-1].is_constant:
        lead, values, trail = values[0].values[0].as_py(), values[1:-1], values[-1].values[0].as_py()
    texts = [text + lead for text in begins]
    comma = [trail + b"," + text for text in texts]
    run = Run((chosen([*texts, *comma], ids + np.int32(len(texts)) * ~_first(offsets)), *values), offsets)
    filled = np.diff(offsets) > 0
    return run, constant(trail).where(None if filled.all() else filled)


def _first(offsets: Index) -> Mask:
    """Which items are the first of their row."""
    found = np.zeros(int(offsets[-1]), bool)
    found[offsets[:-1][np.diff(offsets) > 0]] = True
    return found


def _in_rows(marked: Mask | None, offsets: Index) -> Mask | None:
    """The rows that have a marked item; None where no item is marked."""
    return None if marked is None else np.diff(sums_before(offsets, marked)) > 0
