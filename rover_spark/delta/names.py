"""Names of tables and columns in SQL, in globs, and in messages. No name is left as SQL, whatever it holds. Pure."""

from __future__ import annotations

import re

_GLOB, _ESCAPED = re.compile(r"([\\{}\[\]*?])"), r"\\\1"  # a place is never a pattern


def literal(place: str) -> str:
    """A place as Hadoop's globs spell it."""
    return _GLOB.sub(_ESCAPED, place)


def backticked(name: str) -> str:
    """A column's name, or one part of a table's, as SQL reads it."""
    return f"`{name.replace('`', '``')}`"


def quoted(table: str) -> str:
    """A table as SQL reads it: a path becomes delta.`path`, a name is quoted part by part."""
    if "/" in table:
        return f"delta.{backticked(table)}"
    return ".".join(backticked(part) for part in table.split("."))


def span(table: str, first: int | None, last: int) -> str:
    """The versions of a table that are read, for messages: one (``first`` is None), or a range."""
    return f"version {last} of {table}" if first is None else f"versions {first} to {last} of {table}"
