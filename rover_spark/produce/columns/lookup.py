"""Constant tables that rows are looked up in: one literal of the plan, one step per dimension for a row. Column -> Column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F


def lookup(table: Sequence[Any], *indexes: Column) -> Column:
    """``table[i][j]…`` of constant integers nested as deep as there are indexes, each from 0: a bigint.

    A dimension of one entry takes no step, so a table of one integer is that constant.
    """
    steps: list[Column] = []
    for index in indexes:
        if _width(table, len(steps)) > 1:
            steps.append(index)
        else:
            table = _without(table, len(steps))
    found = F.expr(_literal(table))
    for index in steps:
        found = F.element_at(found, index.cast("int") + 1)
    return found


def _width(table: Any, depth: int) -> int:
    """How many entries the dimension at ``depth`` has."""
    return _width(table[0], depth - 1) if depth else len(table)


def _without(table: Any, depth: int) -> Any:
    """The table without the dimension at ``depth``, which has one entry."""
    return [_without(each, depth - 1) for each in table] if depth else table[0]


def _literal(table: Any) -> str:
    if isinstance(table, int):
        return f"{table}L"
    return f"array({','.join(_literal(each) for each in table)})"
