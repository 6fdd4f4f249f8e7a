"""What each command's JSON document adds, for docs/commands.md: made from the types of the results and the document of a sample."""

from __future__ import annotations

import inspect
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import datetime, timezone
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from rover_spark.face import results
from rover_spark.face.document import tree
from tests.documents.blocks import table


def adds() -> str:
    """One row for each command with fields of its own."""
    shared = {each.name for each in fields(results.Result)}
    rows = []
    for _, kind in sorted(inspect.getmembers(results, inspect.isclass), key=lambda each: _line(each[1])):
        if not issubclass(kind, results.Result) or kind is results.Result:
            continue
        hints = get_type_hints(kind)
        own = [each for each in fields(kind) if each.name not in shared]
        parts = [f"`{each.name}`{_may_lack(each)}{_shown(tree(_sample(hints[each.name])))}" for each in own]
        if parts:
            command = next(each.default for each in fields(kind) if each.name == "command")
            rows.append((f"`{command}`", "; ".join(parts)))
    return table(("command", "adds"), rows)


def _line(kind: type) -> int:
    return inspect.getsourcelines(kind)[1] if kind.__module__ == results.__name__ else 0


def _may_lack(field: Field[Any]) -> str:
    return " (may be absent)" if field.default is None and field.default is not MISSING else ""


def _shown(value: object) -> str:
    """A value's structure: the names of its fields, not their values."""
    text = _structure(value)
    return f" `{text}`" if text else ""


def _structure(value: object) -> str:
    if isinstance(value, Mapping):
        inside = (
            f"{name}{(': ' + part) if (part := _structure(each)) else ''}" for name, each in value.items()
        )
        return "{" + ", ".join(inside) + "}"
    if isinstance(value, list):
        return f"[{_structure(value[0]) or '…'}]"
    return ""


_NAME = "NAME"


def _sample(hint: Any) -> Any:
    """A value of a type; an optional one is there, and text is a JSON object, for fields that hold one."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _sample(next(each for each in arguments if each is not type(None)))
    if origin is Literal:
        return arguments[0]
    if origin is tuple:
        return (_sample(arguments[0]),)
    if origin is list:
        return [_sample(arguments[0])]
    if origin is not None and issubclass(origin, Mapping):
        return {_NAME: _sample(arguments[1])}
    if is_dataclass(hint):
        assert isinstance(hint, type)
        hints = get_type_hints(hint)
        return hint(**{each.name: _sample(hints[each.name]) for each in fields(hint)})
    if hint is datetime:
        return datetime(2026, 1, 1, tzinfo=timezone.utc)
    return "1" if hint is str else hint(1)
