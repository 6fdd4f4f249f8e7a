"""Ctrl-C and SIGTERM: says what was interrupted and what is true now, then ends the process; no stack trace.

Promises that what it says stays true until the process has ended: meanwhile no batch takes its next step. Exit
codes are those of a shell: 130 after SIGINT, 143 after SIGTERM. A second signal ends the process at once. Removes
nothing: a process may die anywhere, and the next run goes on from the ledger.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Event
from types import FrameType

from rover_spark.deliver.progress import Counter, Progress
from rover_spark.errors import Problem

_WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "stopped by SIGTERM"}
# where no batch is under way: by command, what is true and what to do
_READING = ("nothing was changed", "")
_TRUE = {
    "plan": _READING,
    "status": _READING,
    "verify": _READING,
    "conform": _READING,
    "load": ("what was loaded is kept", "Run load again: it goes on from there."),
    "check": (
        "a probe may be left in the staging place, where receivers do not look",
        "rover-spark sweep -c FILE removes it in time.",
    ),
    "sweep": ("what it removed stays removed", ""),
    "rerun": ("rover-spark status -c FILE shows whether the rerun is asked for", ""),
    "schemas": ("what it put stays", ""),
    "demo": ("its directory is half made", "Remove the directory first, or name another one with --dir."),
}
_STAGING, _PUBLISHING, _REDELIVERING = "staging", "publishing", "redelivering"
_BEGINS = {"planned": _STAGING, "publishing": _PUBLISHING, "redelivering": _REDELIVERING}
_LAST_WORD_SECONDS = 15.0
_ENDS = {"committed", "lost", "aborted"}


class UnderWay:
    """A Progress that also keeps which batches are under way, and how far each is."""

    def __init__(self, shown: Progress) -> None:
        self.starting = True
        self._shown = shown
        self._lock = threading.Lock()
        self._batches: dict[str, str] = {}

    def step(self, event: str, **fields: object) -> None:
        """Keeps the batch's step, then shows it."""
        batch = str(fields.get("batch", ""))
        with self._lock:
            if event in _BEGINS:
                self._batches[batch] = _BEGINS[event]
            elif event == "staged" and self._batches.get(batch) == _STAGING:
                self._batches[batch] = _PUBLISHING  # from here on the ledger may hold its manifest
            elif event in _ENDS:
                self._batches.pop(batch, None)
        self._shown.step(event, **fields)

    def doing(self, what: str) -> AbstractContextManager[None]:
        """Passes on to the progress that is shown."""
        return self._shown.doing(what)

    def watch(self, what: str, total: int, done: Counter, unit: str = "rows") -> AbstractContextManager[None]:
        """Passes on to the progress that is shown."""
        return self._shown.watch(what, total, done, unit)

    def quiet(self) -> AbstractContextManager[None]:
        """Passes on to the progress that is shown."""
        return self._shown.quiet()

    def settle(self) -> None:
        """Returns at once. Blocks for ever once ``halt`` was called, so that nothing is printed after the interrupt message."""
        with self._lock:
            pass

    def halt(self) -> dict[str, str]:
        """The batches under way. From now on every step waits, so that none of them goes further."""
        self._lock.acquire()
        return dict(self._batches)


def interrupted(word: str, command: str, batches: dict[str, str], starting: bool) -> Problem:
    """What is true of a command that was interrupted with these batches under way."""

    def those(how: str) -> str:
        return ", ".join(batch for batch, each in batches.items() if each == how)

    again = f"Run {command} again"
    if again_of := those(_REDELIVERING):
        what = f"{word} while redelivering {again_of}; each of its keys holds a whole file, and equal bytes"
        return Problem("interrupted", what, f"{again}: it puts back the rest.")
    parts = []
    if staging := those(_STAGING):
        parts.append(f"while staging {staging}; nothing of it is visible")
    if publishing := those(_PUBLISHING):
        parts.append(
            f"while publishing {publishing}; it is staged, and a part of it may be visible: the next export goes on"
        )
    if parts:
        return Problem(
            "interrupted", f"{word} {'; and '.join(parts)}", f"{again}: it goes on where it stopped."
        )
    if starting:
        return Problem("interrupted", f"{word} before it began; nothing was done", f"{again}.")
    true, first = _TRUE.get(command, ("no batch was under way, and what was delivered is whole", ""))
    return Problem("interrupted", f"{word}; {true}", f"{first} {again}.".strip())


class Signals:
    """Handles the signals of one command, and says what is true when one ends it."""

    def __init__(
        self,
        command: str,
        under_way: UnderWay,
        show: Callable[[Problem], None],
        end: Callable[[], None],
        stop: Event | None = None,
    ) -> None:
        """``show`` prints a problem, ``end`` stops what must not outlive the process.

        With ``stop`` the first SIGTERM only sets it: the command ends after the batch under way.
        """
        self._command, self._under_way = command, under_way
        self._show, self._end, self._stop = show, end, stop
        self._ending = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Handles signals while the block runs; only a main thread can."""
        before = {each: signal.getsignal(each) for each in _WORDS}
        self.take()
        try:
            yield
        except KeyboardInterrupt:  # raised by a handler that Spark put in place of ours
            self.end(signal.SIGINT)
        finally:
            if threading.current_thread() is threading.main_thread():
                for each, handler in before.items():
                    signal.signal(each, handler)

    def take(self) -> None:
        """Puts the handlers in place, again where Spark has put its own."""
        if threading.current_thread() is threading.main_thread():
            for each in _WORDS:
                signal.signal(each, self._come)

    def _come(self, number: int, frame: FrameType | None) -> None:
        if self._ending:
            os._exit(128 + number)
        if number == signal.SIGTERM and self._stop is not None and not self._stop.is_set():
            # in its own thread: the interrupted code may hold the event's lock
            threading.Thread(target=self._stop.set, daemon=True).start()
            return
        self._ending = True
        # in its own thread: the interrupted code may hold the locks that printing needs
        threading.Thread(target=self.end, args=(number,), daemon=True).start()

    def end(self, number: int) -> None:
        """Says what is true, stops what must not outlive the process, and ends it."""
        self._ending = True
        # a full pipe that nobody reads would block the last message for ever
        last = threading.Timer(_LAST_WORD_SECONDS, os._exit, (128 + number,))
        last.daemon = True
        last.start()
        try:
            batches = self._under_way.halt()
            word = _WORDS[signal.Signals(number)]
            with self._under_way.quiet():  # never left: this message is the last
                self._show(interrupted(word, self._command, batches, self._under_way.starting))
                sys.stderr.flush()
                sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - later errors say nothing new
                self._end()
                os._exit(128 + number)
        finally:
            os._exit(128 + number)
