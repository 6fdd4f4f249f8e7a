"""A column of JSON lines, mended for loaders that refuse what JSON allows. Lines that need nothing are not looked at one by one.

Tests over the whole buffer find the lines with an escaped NUL and those with long integers. Which lines have a name twice the
caller knows: to find that out is to read them all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rover_spark.encode.json_integers import quoted_integers
from rover_spark.encode.json_mended import last_members, nul_in_a_name, without_nul
from rover_spark.encode.lines import Lines
from rover_spark.encode.pieces import Index, Mask


@dataclass(frozen=True)
class Mended:
    """The lines, and in which of them what was mended."""

    lines: pa.Array
    names: Mask
    nul: Mask
    integers: Mask


def mended(
    lines: pa.Array, twice: Mask | None, *, nul: bool, integers: bool, without_nulls: str | None = None
) -> Mended:
    """The lines, those that are ``twice`` with the last member of each name; with ``nul`` and ``integers`` mended if asked for.

    A null line stays one. Names that are one without their NUL are mended, too. ``without_nulls`` is that of ``last_members``.
    """
    names = np.zeros(len(lines), bool) if twice is None else twice & _there(lines)
    with_nul = _escaped_nuls(lines) if nul else np.zeros(len(lines), bool)
    if names.any() or with_nul.any():
        lines = _one_by_one(lines, names, with_nul, without_nulls)
    if not integers:
        return Mended(lines, names, with_nul, np.zeros(len(lines), bool))
    lines, quoted = quoted_integers(lines)
    return Mended(lines, names, with_nul, quoted)


def _one_by_one(lines: pa.Array, names: Mask, nul: Mask, without_nulls: str | None) -> pa.Array:
    """The lines with these mended; both masks tell afterwards in which lines something was."""
    binary = lines.view(pa.large_binary() if pa.types.is_large_string(lines.type) else pa.binary())
    mask, made = pa.array(names | nul), []
    for row, text in zip(np.flatnonzero(mask).tolist(), binary.filter(mask).to_pylist(), strict=True):
        plain = without_nul(text) if nul[row] else text
        nul[row] = plain != text
        whole = plain
        if names[row] or (nul[row] and nul_in_a_name(text)):
            whole = last_members(plain, without_nulls if names[row] else None)
            names[row] |= whole != plain
        made.append(whole)
    return pc.replace_with_mask(binary, mask, pa.array(made, binary.type)).view(lines.type)


def _there(lines: pa.Array) -> Mask:
    return lines.is_valid().to_numpy(zero_copy_only=False)


def _escaped_nuls(lines: pa.Array) -> Mask:
    """The lines that hold what may be an escaped NUL."""
    column = Lines(lines)
    octets, ends = np.frombuffer(column.text(0, len(lines)), np.uint8), np.asarray(column.offsets)
    places: Index = np.flatnonzero(octets == ord("\\"))
    for distance, sign in enumerate(b"u0000", 1):
        places = places[places < len(octets) - distance]
        places = places[octets[places + distance] == sign]
    found = np.zeros(len(lines), bool)
    found[np.searchsorted(ends - ends[0], places, side="right") - 1] = True
    return found
