"""Types that several settings share: SQL expressions with repeatable values, numbers, places of tables."""

from __future__ import annotations

import posixpath
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

_IDENTIFIER = re.compile(r"[\w-]+(\.[\w-]+){0,2}")
_CREDENTIALS = re.compile(r"(?!file:)[^/]*://([^/]*:[^/]*@|.*\?)")
# a path from the root, or an address of another file system; file://name/path would name a host
_ABSOLUTE = re.compile(r"/|file:(/(?!/)|///)|(?!file:)[A-Za-z][A-Za-z0-9+.-]*:/")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
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
_TYPE = re.compile(r"\b(map|array|struct)\s*<[^<>]*>", re.IGNORECASE)
_OTHER_ROWS = re.compile(r"\bover\s*\(|\(\s*select\b", re.IGNORECASE)
_SEVERAL = re.compile(
    r"\b(explode|explode_outer|posexplode|posexplode_outer|inline|inline_outer|stack|json_tuple)\s*\(",
    re.IGNORECASE,
)
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
            f"{found[0].strip()} asks for other rows, so its value is not known from a change alone"
        )
    if found := _SEVERAL.search(bare):
        raise ValueError(
            f"{found[1]} makes several rows or values of one: that belongs into the job that writes the table"
        )
    if _is_list(bare):
        raise ValueError(
            f"is one SQL expression, and this is a list of several; one object of them is struct({expression.strip()})"
        )
    return expression


def _is_list(bare: str) -> bool:
    """Whether there is a comma outside of all brackets; ``bare`` holds no literals."""
    while (inner := _TYPE.sub(r"\1", bare)) != bare:
        bare = inner
    depth = 0
    for sign in bare:
        depth += (sign in "([") - (sign in ")]")
        if sign == "," and depth == 0:
            return True
    return False


def _no_flag(value: object) -> object:
    """Refuses true and false where a number belongs: Python counts them as 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("takes a number")
    return value


def _location(value: str, info: ValidationInfo) -> str:
    """An absolute Delta path (it holds a slash) or a name of one to three parts."""
    if any(ord(char) < 32 for char in value):
        raise ValueError("must not hold control characters")
    if _CREDENTIALS.match(value):
        # not repeated: messages, plans and the ledger would show it
        raise ValueError(
            "must hold no key, password or SAS: they belong into Spark's own settings or the environment"
        )
    if "/" in value:
        if not _ABSOLUTE.match(value):
            raise ValueError(_relative(value, info.context))
        if ".." in value.split("/") or not value.strip("/"):
            raise ValueError("must name a directory and not hold '..'")
        return value.rstrip("/")
    if not _IDENTIFIER.fullmatch(value):
        raise ValueError("takes a Delta path with a slash in it, or catalog.schema.table")
    return value


def scheme_of(path: str) -> str:
    """The scheme of a table's path, with one slash behind it or two: ``hdfs:/x`` is not of this machine either."""
    found = _SCHEME.match(path)
    return found[1] if found else "file"


def place_of(table: str) -> str:
    """One text for a table, however its place is spelled."""
    if "/" not in table:
        return table.casefold()
    if scheme_of(table) != "file":
        return table
    return posixpath.normpath("/" + re.sub(r"^file:/*", "", table).lstrip("/"))


def _relative(value: str, directory: object) -> str:
    """Says why a relative path is refused, and what it likely means; ``directory`` is that of the configuration file."""
    meant = posixpath.normpath(posixpath.join(str(directory or "/data"), re.sub(r"^file:/*", "", value)))
    how = "give an absolute path" if directory else "give an absolute path, such as"
    return f"{value} depends on where the run is started; {how}: {meant}"


def _start(value: object) -> object:
    """A word or a version."""
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    is_version = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if value not in ("enable", "earliest") and not is_version:
        raise ValueError('takes "enable", "earliest", or a version of the table: a number from 0 on')
    return value


Table = Annotated[str, AfterValidator(_location)]
Expression = Annotated[str, AfterValidator(_steady)]
Number = Annotated[int, BeforeValidator(_no_flag)]
Start = Annotated[Literal["enable", "earliest"] | int, BeforeValidator(_start)]
