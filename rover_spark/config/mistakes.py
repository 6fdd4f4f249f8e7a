"""Describes what is wrong with a configuration: every key that is refused, and the key that was likely meant.

Reads what pydantic found. Repeats no value: it may be a secret that was written into the wrong place.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

_SHOWN = 5
# pydantic names the alternatives of a union in a key's place
_ALTERNATIVE = re.compile(r"(literal|function-\w+|constrained-int|int)(\[|$)")
_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "unknown key",
    "string_type": "takes text, in quotes",
    "int_type": "takes a number",
    "int_parsing": "takes a number",
    "int_from_float": "takes a whole number",
    "bool_type": "takes true or false",
    "bool_parsing": "takes true or false",
    "dict_type": "takes a table of keys and values",
    "model_type": "takes a table of keys and values",
    "model_attributes_type": "takes a table of keys and values",
    "tuple_type": 'takes a list: ["a", "b"]',
}


def likely(name: str, known: Iterable[str]) -> str:
    """``, did you mean X?`` where one of the known names is much like this one; else nothing."""
    folded = {each.casefold(): each for each in known}
    found = difflib.get_close_matches(name.casefold(), folded, 1, 0.6)
    return f", did you mean {folded[found[0]]}?" if found else ""


def described(error: ValidationError, root: type[BaseModel]) -> str:
    """``key: what is wrong`` of every key, in one line; ``root`` is the model that was validated."""
    found: dict[tuple[str, ...], list[str]] = {}
    meant = set[tuple[str, ...]]()
    for each in error.errors(include_url=False, include_input=False):
        key = tuple(str(part) for part in each["loc"] if not _ALTERNATIVE.match(str(part)))
        reason = _reason(each)
        if each["type"] == "extra_forbidden":
            hint = likely(key[-1], _keys(root, key[:-1]))
            reason += hint
            meant.add((*key[:-1], hint[len(", did you mean ") : -1]))
        if reason not in found.setdefault(key, []):
            found[key].append(reason)
    # a key that is only mistyped is not missing, too
    mistakes = [
        f"{'.'.join(key)}: {' or '.join(reasons)}" if key else " or ".join(reasons)
        for key, reasons in found.items()
        if not (key in meant and reasons == [_WORDS["missing"]])
    ]
    # what is unknown comes first: it often explains the rest
    mistakes.sort(key=lambda mistake: _WORDS["extra_forbidden"] not in mistake)
    more = len(mistakes) - _SHOWN
    return "; ".join(mistakes[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _reason(found: Mapping[str, Any]) -> str:
    if found["type"] in _WORDS:
        return _WORDS[found["type"]]
    if found["type"] == "literal_error":
        return f"takes {found['ctx']['expected']}".replace("'", '"')
    text: str = found["msg"].removeprefix("Value error, ")
    return text.replace("Input should be", "must be").replace("String should", "must")


def _keys(root: type[BaseModel], path: tuple[str, ...]) -> list[str]:
    """The keys that a table of the configuration takes; none where it is no table of a model."""
    kind: Any = root
    for part in path:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            fields = {each.alias or name: each.annotation for name, each in kind.model_fields.items()}
            kind = _plain(fields.get(part))
        else:  # a table of tables, by names of the user's own
            kind = _plain(get_args(kind)[1]) if get_origin(kind) is dict else None
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return []
    return [each.alias or name for name, each in kind.model_fields.items()]


def _plain(annotation: Any) -> Any:
    """A type without what may be left out of it: ``X | None`` is X."""
    inner = [each for each in get_args(annotation) if each is not type(None)]
    return inner[0] if type(None) in get_args(annotation) and inner else annotation
