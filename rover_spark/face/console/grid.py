"""Rows and columns that fit a width: no cell is ever cut.

Where the columns are too wide together, the most dispensable ones are left out. Where that is not enough, the first
column gets a line of its own above the others.
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
    """A column. One whose ``spare`` is 0 is always shown; of the others the highest ``spare`` is left out first."""

    name: str
    cells: Sequence[str | Text]
    right: bool = False
    spare: int = 0

    @property
    def width(self) -> int:
        """The width of its widest cell."""
        return max(cell_len(str(cell)) for cell in (self.name, *self.cells))

    def padded(self, cell: str | Text) -> Text:
        """A cell as wide as the column."""
        text, room = cell if isinstance(cell, Text) else plain(cell), " " * (self.width - cell_len(str(cell)))
        return Text.assemble(room, text) if self.right else Text.assemble(text, room)


def fitting(columns: Sequence[Column], width: int) -> list[Column]:
    """The columns that are shown, in their order."""
    shown = list(columns)
    while natural(shown) > width and any(column.spare for column in shown):
        shown.remove(max(reversed(shown), key=lambda column: column.spare))
    return shown


def fits(columns: Sequence[Column], width: int) -> bool:
    """Whether the columns that are always shown fit side by side."""
    return natural(fitting(columns, width)) <= width


def grid(columns: Sequence[Column], width: int, below: Sequence[Sequence[Text]] = ()) -> Text:
    """The names of the columns, then the rows; after each row its lines in ``below``, wrapped at words."""
    shown = fitting(columns, width)
    stacked = natural(shown) > width and len(shown) > 1
    names = [Text(column.name, "bold") for column in shown]
    lines = _row(shown, names, stacked)
    for number in range(len(columns[0].cells)):
        lines += _row(shown, [column.cells[number] for column in shown], stacked)
        for text in below[number] if below else ():
            lines += indented(text, width)
    return Text("\n").join(lines)


def natural(columns: Sequence[Column]) -> int:
    """The width of these columns side by side."""
    return sum(column.width for column in columns) + len(_GAP) * (len(columns) - 1)


def _row(columns: Sequence[Column], cells: Sequence[str | Text], stacked: bool) -> list[Text]:
    padded = [column.padded(cell) for column, cell in zip(columns, cells, strict=True)]
    lines = [Text(_GAP).join(padded)]
    if stacked:
        lines = [padded[0], Text.assemble(_GAP, Text(_GAP).join(padded[1:]))]
    for line in lines:
        line.rstrip()
    return lines
