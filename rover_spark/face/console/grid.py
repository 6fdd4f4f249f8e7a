"""Rows and columns that fit a width: no cell is ever cut.

Where all columns are too wide, those that can best be done without are left out; where even that is too wide, the first
one stands on a line of its own above the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from rover_spark.face.console import indented, plain

_GAP = "  "


@dataclass(frozen=True)
class Column:
    """A column. ``spare`` is 0 where it always stands; of the others those with the highest go first."""

    name: str
    cells: Sequence[str | Text]
    right: bool = False
    spare: int = 0

    @property
    def width(self) -> int:
        """Of its widest cell."""
        return max(cell_len(str(cell)) for cell in (self.name, *self.cells))

    def padded(self, cell: str | Text) -> Text:
        """A cell as wide as the column."""
        text, room = cell if isinstance(cell, Text) else plain(cell), " " * (self.width - cell_len(str(cell)))
        return Text.assemble(room, text) if self.right else Text.assemble(text, room)


def fitting(columns: Sequence[Column], width: int) -> list[Column]:
    """The columns that stand, in their order."""
    shown = list(columns)
    while natural(shown) > width and any(column.spare for column in shown):
        shown.remove(max(reversed(shown), key=lambda column: column.spare))
    return shown


def fits(columns: Sequence[Column], width: int) -> bool:
    """Whether those that always stand do so side by side."""
    return natural(fitting(columns, width)) <= width


def grid(columns: Sequence[Column], width: int, below: Sequence[Sequence[Text]] = ()) -> Text:
    """The rows below their names; after each row the lines that belong ``below`` it, wrapped at words."""
    shown = fitting(columns, width)
    stacked = natural(shown) > width and len(shown) > 1
    heads = [Text(column.name, "bold") for column in shown]
    lines = _row(shown, heads, stacked)
    for number in range(len(columns[0].cells)):
        lines += _row(shown, [column.cells[number] for column in shown], stacked)
        for text in below[number] if below else ():
            lines += indented(text, width)
    return Text("\n").join(lines)


def natural(columns: Sequence[Column]) -> int:
    """As wide as all of these columns are."""
    return sum(column.width for column in columns) + len(_GAP) * (len(columns) - 1)


def _row(columns: Sequence[Column], cells: Sequence[str | Text], stacked: bool) -> list[Text]:
    padded = [column.padded(cell) for column, cell in zip(columns, cells, strict=True)]
    lines = [Text(_GAP).join(padded)]
    if stacked:
        lines = [padded[0], Text.assemble(_GAP, Text(_GAP).join(padded[1:]))]
    for line in lines:
        line.rstrip()
    return lines
