"""Chunks as Spark's hash partitioning takes them: the chunk of a value, and a task for each chunk."""

from __future__ import annotations

from functools import lru_cache

from pyspark.sql import Column
from pyspark.sql import functions as F

_MASK = 0xFFFFFFFF


def chunk_of(column: Column, n: int) -> Column:
    """``pmod(hash(column), n)`` with Spark's own 32-bit Murmur3."""
    return F.pmod(F.hash(column), F.lit(n)).cast("int")


@lru_cache(maxsize=8)
def salts(n: int) -> tuple[int, ...]:
    """Per chunk the smallest s ≥ 0 with ``pmod(hash(s), n)`` = chunk: hash partitioning by it uses all n partitions."""
    found: dict[int, int] = {}
    salt = 0
    while len(found) < n:
        found.setdefault(murmur3_long(salt) % n, salt)
        salt += 1
    return tuple(found[chunk] for chunk in range(n))


def murmur3_long(value: int) -> int:
    """Spark's ``hash`` of one bigint (Murmur3 x86, 32 bit, seed 42), as a signed 32-bit integer."""
    state = 42
    for word in (value & _MASK, value >> 32 & _MASK):
        mixed = word * 0xCC9E2D51 & _MASK
        mixed = (mixed << 15 | mixed >> 17) & _MASK
        state ^= mixed * 0x1B873593 & _MASK
        state = (state << 13 | state >> 19) & _MASK
        state = (state * 5 + 0xE6546B64) & _MASK
    state ^= 8
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        state = (state ^ state >> shift) * factor & _MASK
    return state - (1 << 32) if state >> 31 else state
