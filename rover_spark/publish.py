"""Driver side: staged files become visible, one whole object after the other. Only ever called for a STAGED batch.

A failure says nothing about what is visible: the caller looks again or runs again, and never cleans up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from rover_spark.store import StagedFile, Store

AT_ONCE = 8


def publish(
    store: Store, files: Sequence[StagedFile], notice: Callable[[StagedFile], None] | None = None
) -> None:
    """Makes every file visible under its key. Repeating it is harmless.

    Raises:
        StagedLost, KeyTaken, StoreError: from the first file that failed; those not yet begun are left as they are.
    """
    _each(store.publish, files, notice)


def replace(
    store: Store, files: Sequence[StagedFile], notice: Callable[[StagedFile], None] | None = None
) -> None:
    """Puts every file at its key whatever stood there: redelivery."""
    _each(store.replace, files, notice)


def _each(
    act: Callable[[StagedFile], None],
    files: Sequence[StagedFile],
    notice: Callable[[StagedFile], None] | None,
) -> None:
    def one(file: StagedFile) -> None:
        act(file)
        if notice is not None:
            notice(file)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        pending = [pool.submit(one, file) for file in files]
        _, waiting = wait(pending, return_when=FIRST_EXCEPTION)
        for future in waiting:
            future.cancel()
    for future in pending:
        if not future.cancelled():
            future.result()
