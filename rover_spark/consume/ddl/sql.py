"""Small parts of SQL that every statement is made of: quoted names, literals, remarks, the first row of each group.

Promises that a name or a text from outside ends where it ends: sqlglot quotes both as the dialect wants it, and a remark
stays on its line. Refuses names that no warehouse can hold.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from sqlglot import exp

from rover_spark.errors import ConfigError

_BREAKS = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # what ends a line to some reader, or turns the order of the text


def checked(what: str, name: str) -> str:
    """The name. Raises ConfigError where it is empty, longer than 120 characters, or holds what no name should hold."""
    odd = any(unicodedata.category(char) in _BREAKS or char == "\\" for char in name)
    if not name.strip() or odd or len(name) > 120:
        raise ConfigError(
            f"{what} {name[:120]!r}: not a name that every warehouse can hold",
            code="name_invalid",
            remedy="Name it without control characters and backslashes, in at most 120 characters.",
        )
    return name


def identifier(name: str) -> exp.Identifier:
    """A name, always quoted: the contract's names have capitals, and any name may be a keyword."""
    return exp.to_identifier(name, quoted=True)


def column(name: str, of: str = "") -> exp.Column:
    """A column, of the table with that alias where one is named."""
    return exp.column(identifier(name), table=identifier(of) if of else None)


def quoted(name: str, dialect: str) -> str:
    """A name as text of a dialect."""
    return identifier(name).sql(dialect)


def literal(text: str, dialect: str) -> str:
    """A string literal as text of a dialect."""
    return exp.Literal.string(text).sql(dialect)


def remark(text: str) -> str:
    """One comment line; whatever would end the line is a blank."""
    return "-- " + "".join(" " if unicodedata.category(char) in _BREAKS else char for char in text)


def unused(name: str, taken: Iterable[str]) -> str:
    """The name, with as many ``_`` behind it as it needs to differ from the others in more than case."""
    folded = {each.casefold() for each in taken}
    while name.casefold() in folded:
        name += "_"
    return name


def newest(*columns: exp.Expr) -> list[exp.Expr]:
    """An order: the greatest values first, null last."""
    return [exp.Ordered(this=each, desc=True, nulls_first=False) for each in columns]


def first_of_each(
    names: Sequence[str],
    rows: exp.Select,
    by: Sequence[exp.Expr],
    order: Sequence[exp.Expr],
) -> exp.Select:
    """The columns ``names`` of the first row of each group; ``by`` and ``order`` are columns of what ``rows`` reads."""
    rank = unused("place", names)
    window = exp.Window(this=exp.RowNumber(), partition_by=list(by), order=exp.Order(expressions=list(order)))
    ranked = rows.select(window.as_(rank, quoted=True)).subquery(identifier("ranked"))
    chosen = exp.select(*(column(each) for each in names)).from_(ranked)
    return chosen.where(exp.EQ(this=column(rank), expression=exp.Literal.number(1)))
