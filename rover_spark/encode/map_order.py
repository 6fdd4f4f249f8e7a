"""The order in which JSON has the entries of maps: by the octets of their keys, in each row by itself.

Most maps of a table have one sequence of keys, or are in order already: neither is sorted again row by row.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rover_spark.encode.pieces import Index, Mask, as_binary, sums_before


def in_order(ids: Index, keys: pa.Array, offsets: Index) -> tuple[Index | None, Mask | None]:
    """The entries in the order of their keys, and the rows in which a key stands twice; None for as they are, and for none.

    Entry n has the key ``keys[ids[n]]``; those of row m begin at ``offsets[m]``, and end where the next row's begin.
    """
    if not len(ids):
        return None, None
    ranks = np.empty(len(keys), np.int32)
    ranks[pc.array_sort_indices(as_binary(keys)).to_numpy()] = np.arange(len(keys), dtype=np.int32)
    sizes = np.diff(offsets)
    width = int(sizes[0])
    if width and (sizes == width).all() and (ids.reshape(-1, width) == ids[:width]).all():
        return _one_sequence(ranks[ids[:width]], len(sizes))
    placed = ranks[ids]
    rising = placed[1:] > placed[:-1]
    begins = offsets[1:-1]
    rising[begins[(begins > 0) & (begins < len(ids))] - 1] = True
    if rising.all():
        return None, None
    by_row = np.repeat(np.arange(len(sizes), dtype=np.int64) * len(keys), sizes) + placed
    order = np.argsort(by_row, kind="stable")
    by_row = by_row[order]
    again = np.flatnonzero(by_row[1:] == by_row[:-1])
    if not len(again):
        return order, None
    twice = np.zeros(len(sizes), bool)
    twice[by_row[again] // len(keys)] = True
    return order, twice


def last_of_each(order: Index, ids: Index, offsets: Index) -> tuple[Index, Index]:
    """The entries without those that another one of their row and key follows, and where each row's begin now.

    ``order`` is what ``in_order`` gave: entries of one key are neighbours, in the order in which they are stored.
    """
    placed = ids[order]
    stays = np.ones(len(order), bool)
    stays[:-1] = placed[1:] != placed[:-1]
    ends = offsets[1:][np.diff(offsets) > 0] - 1
    stays[ends] = True
    return order[stays], sums_before(offsets, stays)


def _one_sequence(ranks: Index, rows: int) -> tuple[Index | None, Mask | None]:
    twice = np.ones(rows, bool) if len(set(ranks.tolist())) < len(ranks) else None
    if (ranks[1:] > ranks[:-1]).all():
        return None, twice
    order = np.argsort(ranks, kind="stable")
    begins = np.arange(rows, dtype=np.int32)[:, None] * np.int32(len(ranks))
    return (begins + order.astype(np.int32)).ravel(), twice
