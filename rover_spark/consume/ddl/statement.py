"""One statement for a warehouse as a value. Loads nothing: results hold it where sqlglot is missing, too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Purpose = Literal["schema", "table", "load", "view", "contract"]


@dataclass(frozen=True)
class Statement:
    """One statement without its semicolon, and the remarks above it; ``dataset`` is empty where it serves all of them.

    ``each_object`` is true of one that is run for every object that arrives: in a script it is a remark.
    """

    dataset: str
    purpose: Purpose
    text: str
    remarks: tuple[str, ...] = ()
    each_object: bool = False
