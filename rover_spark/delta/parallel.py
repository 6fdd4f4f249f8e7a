"""Work on many tables: several calls at once in threads, and lists cut to what one Spark job takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

THREADS = 8
BATCH = 25
T = TypeVar("T")
R = TypeVar("R")


def side_by_side(act: Callable[[T], R], each: Iterable[T]) -> list[R]:
    """The results of ``act`` in the order of its arguments, from eight threads: such calls mostly wait for Spark.

    Raises:
        Exception: what the first call that failed raised.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(act, each))


def batched(each: Sequence[T]) -> list[Sequence[T]]:
    """The items in their order, in lists of 25: a task of a Spark job carries the plans of all tables of that job."""
    return [each[first : first + BATCH] for first in range(0, len(each), BATCH)]
