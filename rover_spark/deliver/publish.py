"""Driver side: makes staged files visible, several at a time, each as a whole object. Its batch must be STAGED.

They are begun in the order in which they are given; with one at a time, none is visible before those that come before it:
where the staged bytes of one are gone, those after it wait until they are made again.

A failure says nothing about what is visible: the caller runs again, and removes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from rover_spark.errors import StagedLost
from rover_spark.model.file import StagedFile
from rover_spark.store import Store

AT_ONCE = 8


def publish(
    store: Store,
    files: Sequence[StagedFile],
    notice: Callable[[StagedFile], None] | None = None,
    at_once: int = AT_ONCE,
) -> list[StagedFile]:
    """Makes every file visible under its key; returns those whose staged bytes are gone. It may be repeated.

    With one at a time it also returns all files after the first of those.

    ``notice`` is called with each file after it became visible, in the pool's threads.

    Raises:
        KeyTaken, PublishUnknown: from the first file that failed; files not yet begun stay as they are.
    """
    lost = set[str]()

    def one(file: StagedFile) -> None:
        if lost and at_once == 1:
            lost.add(file.key)
            return
        try:
            store.publish(file)
        except StagedLost:
            lost.add(file.key)
        else:
            _call(notice, file)

    _each(one, files, at_once)
    return [file for file in files if file.key in lost]


def overwrite(
    store: Store,
    files: Sequence[StagedFile],
    notice: Callable[[StagedFile], None] | None = None,
    at_once: int = AT_ONCE,
) -> None:
    """Puts every file at its key whatever is there: redelivery.

    Raises:
        StagedLost, PublishUnknown: from the first file that failed; files not yet begun stay as they are.
    """

    def one(file: StagedFile) -> None:
        store.overwrite(file)
        _call(notice, file)

    _each(one, files, at_once)


def _call(notice: Callable[[StagedFile], None] | None, file: StagedFile) -> None:
    if notice is not None:
        notice(file)


def _each(act: Callable[[StagedFile], None], files: Sequence[StagedFile], at_once: int) -> None:
    if at_once == 1:  # a pool would begin the next file before it knows that one failed
        for file in files:
            act(file)
        return
    with ThreadPoolExecutor(at_once) as pool:
        pending = [pool.submit(act, file) for file in files]
        _, waiting = wait(pending, return_when=FIRST_EXCEPTION)
        for future in waiting:
            future.cancel()
    for future in pending:
        if not future.cancelled():
            future.result()
