"""Which columns SQL expressions read, found in their text: perhaps more than they read, never fewer. Pure.

A name that is a column counts as read, with all that lies below it, unless the text goes on to one of its fields. What
is in quotes is text; what a bracket follows is a function.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_COMMENT = r"--[^\n]*|/\*.*?\*/"
_TEXT = r"""[rR]'[^']*'|[rR]"[^"]*"|'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*\""""
_NAME = r"(?:`(?:[^`]|``)*`|[^\W\d]\w*)"
_TOKEN = re.compile(
    rf"(?P<text>{_COMMENT}|{_TEXT})|(?P<path>{_NAME}(?:\s*\.\s*{_NAME})*)|(?P<star>\*)", re.DOTALL
)
_PART = re.compile(_NAME)
_WHOLE_ROW = re.compile(r"[(,]\s*$")  # a star behind it means every column, any other one multiplies

Path = tuple[str, ...]


@dataclass(frozen=True)
class Used:
    """Paths of names as the expressions spell them; ``all`` where one reads the whole row."""

    paths: frozenset[Path]
    all: bool = False


def used(expressions: Iterable[str | None]) -> Used:
    """What these expressions may read."""
    paths, everything = set[Path](), False
    for text in expressions:
        for token in _TOKEN.finditer(text or ""):
            before, after = (text or "")[: token.start()], (text or "")[token.end() :].lstrip()
            if token["star"] and (not before.strip() or _WHOLE_ROW.search(before)):
                everything = True
            elif token["path"] is not None:
                parts = tuple(_plain(part) for part in _PART.findall(token["path"]))
                if after.startswith("(") and not token["path"].endswith("`"):
                    parts = parts[:-1]
                # a first part that is no column may be a name of the expression's own: its fields count by themselves
                paths.update(parts[n:] for n in range(len(parts)))
    return Used(frozenset(paths), everything)


def _plain(part: str) -> str:
    return part[1:-1].replace("``", "`") if part.startswith("`") else part


def resolved(found: Used, schema: dict[str, Any]) -> set[Path]:
    """The paths in a schema, as Delta's log writes one, that are read: each with all that lies below it."""
    columns = {field["name"].casefold(): field for field in schema["fields"]}
    if found.all:
        return {(field["name"],) for field in columns.values()}
    paths = set[Path]()
    for path in found.paths:
        field = columns.get(path[0].casefold())
        if field is not None:
            paths.add(_below(field, path[1:]))
    return {path for path in paths if not any(path[:n] in paths for n in range(1, len(path)))}


def _below(field: dict[str, Any], rest: Path) -> Path:
    dtype = field["type"]
    while isinstance(dtype, dict) and dtype["type"] == "array":
        dtype = dtype["elementType"]
    if rest and isinstance(dtype, dict) and dtype["type"] == "struct":
        for each in dtype["fields"]:
            if each["name"].casefold() == rest[0].casefold():
                return (field["name"], *_below(each, rest[1:]))
    return (field["name"],)
