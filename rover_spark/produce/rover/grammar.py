"""The small part of Spark SQL that is evaluated without Spark: a text of the settings → a plain expression. Pure.

    value       a column, a field of a struct column (``a.b.c``), a literal of text, integer or boolean,
                ``cast(value as string)`` of text, integers, booleans, days and decimals with at most six decimals,
                ``map('key', value, …)``, ``named_struct('name', value, …)``, ``struct(column, value AS name, …)``
    condition   a boolean column, ``value = literal`` (also <>, <, <=, >, >=), ``value IN (literal, …)``,
                ``value IS NULL``, and NOT, AND, OR, brackets of conditions

Anything else is NotNative with its reason: lower() and upper() too, whose letters depend on the version of Unicode.
``sqlglot`` reads the text; what it reads differently from Spark is refused before.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from rover_spark.delta.file_types import column_type
from rover_spark.delta.storage import NotNative
from rover_spark.produce.rover.plain import (
    PLAIN_SCALE,
    Both,
    Column,
    Compared,
    Comparison,
    Condition,
    Constant,
    IsNull,
    IsTrue,
    Map,
    Not,
    OneOf,
    Struct,
    Text,
    Value,
)

if TYPE_CHECKING:
    from sqlglot.expressions import Expr

# escapes, other quotes, comments, parameters
_UNFIT = re.compile(r"""\\|"|--|/\*|\$""")
_QUOTED = re.compile("'[^']*'|`[^`]*`")
_CAST = re.compile(r"\bas\s+string\s*\)|\bstring\s*\(|::\s*string\b", re.IGNORECASE)
_INTEGER = re.compile(r"\d{1,18}", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_COMPARISONS: dict[str, Comparison] = {
    "EQ": "=", "NEQ": "<>", "LT": "<", "LTE": "<=", "GT": ">", "GTE": ">=",
}  # fmt: skip


class Grammar:
    """Reads expressions over the columns of a schema, as Delta's log writes one, and notes which columns they read."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._fields: list[dict[str, Any]] = schema["fields"]
        self._read: dict[str, pa.DataType] = {}

    @property
    def columns(self) -> tuple[tuple[str, pa.DataType], ...]:
        """The columns that the expressions so far read, with their types."""
        return tuple(self._read.items())

    def value(self, text: str) -> Value:
        """The expression of a field. Raises NotNative."""
        return self._value(_parsed(text))

    def condition(self, text: str) -> Condition:
        """The expression of a filter. Raises NotNative."""
        return self._condition(_parsed(text))

    # -- values --------------------------------------------------------------------------------------------------

    def _value(self, node: Expr) -> Value:
        match type(node).__name__:
            case "Paren":
                return self._value(node.this)
            case "Column" | "Dot":
                return self._column(_names(node))
            case "Literal" | "Neg" | "Boolean":
                return _constant(node)
            case "Cast" | "TryCast":
                return self._cast(node)
            case "VarMap":
                return self._map(node)
            case "Struct":
                return self._struct(node)
        raise _not_plain(node)

    def _column(self, names: Sequence[str]) -> Column:
        field, path = _named(self._fields, names[0]), list[int]()
        if field is None:
            raise NotNative(f"the table has no column {names[0]}")
        dtype, kind = field["type"], column_type(field)
        self._read[field["name"]] = kind
        for name in names[1:]:
            if not isinstance(dtype, dict) or dtype["type"] != "struct":
                raise NotNative(f"{'.'.join(names)} takes a part of a value that is no struct")
            inner = _named(dtype["fields"], name)
            if inner is None:
                raise NotNative(f"{'.'.join(names)}: there is no field {name}")
            number = dtype["fields"].index(inner)
            path.append(number)
            dtype, kind = inner["type"], kind.field(number).type
        return Column(field["name"], tuple(path), kind)

    def _cast(self, node: Expr) -> Value:
        if node.args["to"].sql() != "TEXT" or node.args.get("safe") or node.args.get("format"):
            raise _not_plain(node)
        value = self._value(node.this)
        kind = value.kind
        exact = (
            pa.types.is_string(kind)
            or pa.types.is_integer(kind)
            or pa.types.is_boolean(kind)
            or pa.types.is_date(kind)
            or (pa.types.is_decimal(kind) and kind.scale <= PLAIN_SCALE)
        )
        if not exact:
            raise NotNative(f"{node.sql('spark')}: the text of a {kind} is Spark's")
        return Text(value)

    def _map(self, node: Expr) -> Value:
        keys, values = (node.args[name].expressions for name in ("keys", "values"))
        if not keys or len(keys) != len(values):
            raise _not_plain(node)
        texts = tuple(_text(key) for key in keys)
        parts = tuple(self._value(each) for each in values)
        if len(set(texts)) < len(texts):
            raise NotNative(f"{node.sql('spark')} has a key twice")
        if any(each.kind != parts[0].kind for each in parts):
            raise NotNative(f"{node.sql('spark')} has values of different types")
        return Map(texts, parts)

    def _struct(self, node: Expr) -> Value:
        names, values = list[str](), list[Value]()
        for part in node.expressions:
            if type(part).__name__ != "PropertyEQ":
                raise NotNative(f"{node.sql('spark')} has a field without a name")
            value = self._value(part.expression)
            name = part.this.name
            if type(part.expression).__name__ in {"Column", "Dot"}:
                self._require_same_case(node, name, _names(part.expression))
            names.append(name)
            values.append(value)
        if not names or len({name.casefold() for name in names}) < len(names):
            raise NotNative(f"{node.sql('spark')} has two fields of one name, or none")
        return Struct(tuple(names), tuple(values))

    def _require_same_case(self, node: Expr, name: str, names: Sequence[str]) -> None:
        """Raises NotNative where a field is named after a column that the table spells in another case."""
        fields = self._fields
        spelled = names[-1]
        for each in names:
            field = _named(fields, each)
            if field is None:
                return
            spelled, dtype = field["name"], field["type"]
            fields = dtype["fields"] if isinstance(dtype, dict) and dtype["type"] == "struct" else []
        if name.casefold() == spelled.casefold() and name != spelled:
            raise NotNative(f"{node.sql('spark')} spells {spelled} otherwise than the table")

    # -- conditions ----------------------------------------------------------------------------------------------

    def _condition(self, node: Expr) -> Condition:
        name = type(node).__name__
        match name:
            case "Paren":
                return self._condition(node.this)
            case "Not":
                return Not(self._condition(node.this))
            case "And" | "Or":
                left, right = self._condition(node.this), self._condition(node.expression)
                return Both(left, right, either=name == "Or")
            case "Column" | "Dot":
                value = self._column(_names(node))
                if not pa.types.is_boolean(value.kind):
                    raise _not_plain(node)
                return IsTrue(value)
            case "Is" if type(node.expression).__name__ == "Null":
                return IsNull(self._operand(node.this))
            case "In" if node.expressions and set(node.args) <= {"this", "expressions"}:
                value = self._operand(node.this)
                return OneOf(value, tuple(_alike(value, each) for each in node.expressions))
        if name in _COMPARISONS:
            value = self._operand(node.this)
            return Compared(value, _COMPARISONS[name], _alike(value, node.expression))
        raise _not_plain(node)

    def _operand(self, node: Expr) -> Column:
        """What a condition is about: a column."""
        if type(node).__name__ not in {"Column", "Dot"}:
            raise _not_plain(node)
        return self._column(_names(node))


def _parsed(text: str) -> Expr:
    try:
        from sqlglot import parse_one
    except ModuleNotFoundError:
        raise NotNative("sqlglot is not installed: pip install 'rover_spark[native]'") from None
    if unfit := _UNFIT.search(text):
        raise NotNative(f"{text} holds {unfit[0]}")
    if "+" in _QUOTED.sub("", text):  # sqlglot drops a sign that makes a number of a text
        raise NotNative(f"{text} is more than a plain expression")
    try:
        node = parse_one(text, read="spark")
    except Exception:  # noqa: BLE001 - what the library trips over, whatever it raises, is not plain
        raise NotNative(f"{text} is no plain expression") from None
    casts = sum(type(each).__name__ in {"Cast", "TryCast"} for each in node.walk())
    days = sum(type(each).__name__ == "Cast" and each.args["to"].sql() == "DATE" for each in node.walk())
    if casts - days != len(_CAST.findall(text)):  # CHAR(5) and STRING are one type to sqlglot
        raise NotNative(f"{text} casts to another type than string")
    return node


def _not_plain(node: Expr) -> NotNative:
    return NotNative(f"{node.sql('spark')} is more than a plain expression")


def _names(node: Expr) -> list[str]:
    """The parts of ``a.b.c``."""
    match type(node).__name__:
        case "Column":
            return [str(part.name) for part in getattr(node, "parts", ())]
        case "Dot":
            return [*_names(node.this), *_names(node.expression)]
        case "Identifier":
            return [str(node.name)]
    raise _not_plain(node)


def _named(fields: list[dict[str, Any]], name: str) -> dict[str, Any] | None:
    """The field of that name in any case, as Spark finds it. Raises NotNative where two have it."""
    found = [each for each in fields if each["name"].casefold() == name.casefold()]
    if len(found) > 1:
        raise NotNative(f"{name} names several columns")
    return found[0] if found else None


def _text(node: Expr) -> str:
    if type(node).__name__ != "Literal" or not node.is_string:
        raise _not_plain(node)
    return str(node.this)


def _constant(node: Expr) -> Constant:
    match type(node).__name__:
        case "Boolean":
            return Constant(bool(node.this), pa.bool_())
        case "Literal" if node.is_string:
            return Constant(str(node.this), pa.string())
        case "Neg":
            whole = _constant(node.this)
            if not pa.types.is_integer(whole.kind):
                raise _not_plain(node)
            return Constant(-int(whole.value), whole.kind)
    if type(node).__name__ != "Literal" or not _INTEGER.fullmatch(node.this):
        raise _not_plain(node)
    number = int(node.this)
    return Constant(number, pa.int32() if number < 2**31 else pa.int64())


def _alike(value: Value, node: Expr) -> Constant:
    """A literal to compare a value with. Raises NotNative where it is of another type: Spark would convert one of them."""
    if type(node).__name__ == "Cast" and node.args["to"].sql() == "DATE" and value.kind == pa.date32():
        text = _text(node.this)
        try:
            days = (date.fromisoformat(text) - date(1970, 1, 1)).days if _DAY.fullmatch(text) else None
        except ValueError:
            days = None
        if days is not None:
            return Constant(days, pa.date32())
    elif type(node).__name__ in {"Literal", "Neg", "Boolean"}:
        constant = _constant(node)
        if pa.types.is_integer(constant.kind) and pa.types.is_integer(value.kind):
            return Constant(constant.value, pa.int64())
        if constant.kind == value.kind:
            return constant
    raise NotNative(f"{node.sql('spark')} is compared with a {value.kind}")
