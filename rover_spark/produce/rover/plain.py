"""Plain expressions as values that evaluate themselves over Arrow columns, as Spark would. Picklable; pure.

A Value gives a column of its ``kind``, a Condition a column of booleans in SQL's three-valued logic. What is plain,
``grammar`` decides; here nothing is refused but days that have no exact text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rover_spark.encode.instants import NO_TEXT, days_in_range, days_text
from rover_spark.errors import ReaderRefused

_COMPARED = {
    "=": pc.equal,
    "<>": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
PLAIN_SCALE = 6  # with more decimals Spark writes small numbers as 1E-7
Comparison = Literal["=", "<>", "<", "<=", ">", ">="]


class Value(Protocol):
    """An expression that gives a value of ``kind`` for each row."""

    @property
    def kind(self) -> pa.DataType:
        """The type of its values."""
        ...

    def of(self, rows: pa.RecordBatch) -> pa.Array:
        """Its values."""
        ...


@dataclass(frozen=True)
class Column:
    """A column of the table, or a field inside of it: ``path`` are the places of the fields on the way down."""

    name: str
    path: tuple[int, ...]
    kind: pa.DataType

    def of(self, rows: pa.RecordBatch) -> pa.Array:
        """Its values; null where a struct on the way is null."""
        values = rows.column(self.name)
        for number in self.path:
            values = values.flatten()[number]
        return values


@dataclass(frozen=True)
class Constant:
    """The same value in every row."""

    value: str | int | bool
    kind: pa.DataType

    def of(self, rows: pa.RecordBatch) -> pa.Array:
        """It, once a row."""
        return pa.repeat(pa.scalar(self.value, self.kind), len(rows))


@dataclass(frozen=True)
class Text:
    """A value as text: a cast to string."""

    value: Value

    @property
    def kind(self) -> pa.DataType:
        """Text."""
        return pa.string()

    def of(self, rows: pa.RecordBatch) -> pa.Array:
        """The texts. Raises ReaderRefused for a day outside of the years 1 to 9999."""
        return text_of(self.value.of(rows))


@dataclass(frozen=True)
class Struct:
    """A struct of these fields, in their order; never null."""

    names: tuple[str, ...]
    values: tuple[Value, ...]

    @property
    def kind(self) -> pa.DataType:
        """Its type."""
        return pa.struct(
            [pa.field(name, each.kind) for name, each in zip(self.names, self.values, strict=True)]
        )

    def of(self, rows: pa.RecordBatch) -> pa.Array:
        """The structs."""
        return pa.StructArray.from_arrays([each.of(rows) for each in self.values], fields=list(self.kind))


@dataclass(frozen=True)
class Map:
    """A map of these entries, in their order; keys are constants, all values of one kind. Never null."""

    keys: tuple[str, ...]
    values: tuple[Value, ...]

    @property
    def kind(self) -> pa.DataType:
        """Its type."""
        return pa.map_(pa.string(), self.values[0].kind)

    def of(self, rows: pa.RecordBatch) -> pa.Array:
        """The maps."""
        width, count = len(self.keys), len(rows)
        columns = pa.concat_arrays([each.of(rows) for each in self.values])
        places = np.arange(count)[:, None] + np.arange(width) * count
        keys = pa.array(self.keys, pa.string()).take(pa.array(np.tile(np.arange(width), count)))
        offsets = pa.array(np.arange(count + 1, dtype=np.int32) * np.int32(width))
        return pa.MapArray.from_arrays(offsets, keys, columns.take(pa.array(places.ravel())))


def text_of(values: pa.Array) -> pa.Array:
    """Values as a cast to string gives them. Raises ReaderRefused for a day outside of the years 1 to 9999."""
    if not pa.types.is_date(values.type):
        return values.cast(pa.string())
    days = values.cast(pa.int32()).fill_null(0).to_numpy()
    if not days_in_range(days).all():
        raise ReaderRefused(NO_TEXT)
    texts = days_text(days).view(pa.string())
    return pc.if_else(values.is_valid(), texts, pa.scalar(None, pa.string()))


# -- conditions --------------------------------------------------------------------------------------------------


class Condition(Protocol):
    """A filter: true, false or null for each row."""

    def of(self, rows: pa.RecordBatch) -> pa.Array:
        """Its values."""
        ...


@dataclass(frozen=True)
class IsTrue:
    """A boolean column by itself."""

    value: Value

    def of(self, rows: pa.RecordBatch) -> pa.Array:
        """Its values."""
        return self.value.of(rows)


@dataclass(frozen=True)
class Compared:
    """A value compared with a constant of its kind."""

    value: Value
    by: Comparison
    constant: Constant

    def of(self, rows: pa.RecordBatch) -> pa.Array:
        """Null where the value is."""
        other = pa.scalar(self.constant.value, self.constant.kind)
        return _COMPARED[self.by](_wide(self.value.of(rows)), other)


@dataclass(frozen=True)
class OneOf:
    """Whether a value is one of some constants of its kind."""

    value: Value
    constants: tuple[Constant, ...]

    def of(self, rows: pa.RecordBatch) -> pa.Array:
        """Null where the value is."""
        values = _wide(self.value.of(rows))
        known = pa.array([each.value for each in self.constants], self.constants[0].kind)
        return pc.if_else(values.is_valid(), pc.is_in(values, value_set=known), pa.scalar(None, pa.bool_()))


@dataclass(frozen=True)
class IsNull:
    """Whether a value is null."""

    value: Value

    def of(self, rows: pa.RecordBatch) -> pa.Array:
        """Never null."""
        return self.value.of(rows).is_null()


@dataclass(frozen=True)
class Not:
    """The opposite of a condition."""

    condition: Condition

    def of(self, rows: pa.RecordBatch) -> pa.Array:
        """Null where the condition is."""
        return pc.invert(self.condition.of(rows))


@dataclass(frozen=True)
class Both:
    """Two conditions joined by AND, or by OR."""

    left: Condition
    right: Condition
    either: bool

    def of(self, rows: pa.RecordBatch) -> pa.Array:
        """Null where the one that is known does not decide it."""
        joined = pc.or_kleene if self.either else pc.and_kleene
        return joined(self.left.of(rows), self.right.of(rows))


def _wide(values: pa.Array) -> pa.Array:
    """Integers of every width as the widest: a constant may lie outside of the column's range."""
    return values.cast(pa.int64()) if pa.types.is_integer(values.type) else values
