"""What several parts of the settings are made of: SQL expressions that repeat themselves, numbers, places of tables."""

from __future__ import annotations

import posixpath
import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

_IDENTIFIER = re.compile(r"[\w-]+(\.[\w-]+){0,2}")
_LITERALS = re.compile(
    r"[rR]'[^']*'|[rR]\"[^\"]*\"|'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`(?!\s*\()", re.DOTALL
)
_UNSTEADY = re.compile(
    r"\b(rand|randn|random|uuid|shuffle|monotonically_increasing_id|spark_partition_id|input_file_name|"
    r"aes_encrypt|input_file_block_start|input_file_block_length|randstr|uniform|now|curdate|current_date|current_timestamp|"
    r"current_time|localtimestamp|current_user|session_user|user|current_timezone|first_value|any_value)`?\s*\("
    r"|\b(current_date|current_timestamp|current_time|localtimestamp|current_user|session_user)\b"
    r"|\bunix_timestamp\s*\(\s*\)|\b(reflect|java_method|try_reflect)\s*\(",
    re.IGNORECASE,
)
_OTHER_ROWS = re.compile(r"\bover\s*\(|\(\s*select\b", re.IGNORECASE)
# literals such as timestamp'now' and date'today' read the clock too
_MOVING_LITERAL = re.compile(
    r"\b(date|timestamp\w*)\s*(['\"])\s*(now|today|tomorrow|yesterday)\b", re.IGNORECASE
)


def _steady(expression: str) -> str:
    """Refuses an expression whose value depends on when, where or how often it is evaluated."""
    if not expression.strip():
        raise ValueError("is an empty expression")
    bare = _LITERALS.sub("''", expression)
    if "--" in bare or "/*" in bare:
        raise ValueError("holds a comment; put it behind # in the TOML file")
    if found := _UNSTEADY.search(bare) or _MOVING_LITERAL.search(expression):
        raise ValueError(
            f"{found[0].strip('( ')} gives another value at each run, so a retry could not repeat itself"
        )
    if found := _OTHER_ROWS.search(bare):
        raise ValueError(
            f"{found[0].strip()} asks for other rows, so a batch of changes could not tell its value"
        )
    return expression


def _no_flag(value: object) -> object:
    """Refuses true and false where a number belongs: Python counts them as 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("takes a number")
    return value


def _location(value: str) -> str:
    """A Delta path (it holds a slash) or a name of one to three parts."""
    if any(ord(char) < 32 for char in value):
        raise ValueError("must not hold control characters")
    if "/" in value:
        if ".." in value.split("/") or not value.strip("/"):
            raise ValueError("must name a directory and not hold '..'")
        return value.rstrip("/")
    if not _IDENTIFIER.fullmatch(value):
        raise ValueError("takes a Delta path with a slash in it, or catalog.schema.table")
    return value


def place_of(table: str) -> str:
    """The same text for each way in which one table may be written."""
    if "/" not in table:
        return table.casefold()
    if "://" in table and not table.startswith("file:"):
        return table
    return posixpath.normpath("/" + re.sub(r"^file:/*", "", table).lstrip("/"))


Table = Annotated[str, AfterValidator(_location)]
Expression = Annotated[str, AfterValidator(_steady)]
Number = Annotated[int, BeforeValidator(_no_flag)]
