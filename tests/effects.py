"""One double for source, store and ledger: a journal of what a run does to them, and failures before or after an effect.

An effect is named by where it happens and what it is: ``source state``, ``source commits``, ``source snapshot``,
``source changes``, ``staging``, ``ledger PLANNED``, ``side table floors``, ``store publish``, ``store overwrite``,
``store abort``. What executors do by themselves is theirs: ``crash/troubled.py`` strikes the bytes of a file.

This is the only place of the tests that knows where in the package effects begin.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from threading import Lock
from typing import Any, Literal
from unittest import mock

from pyspark.errors import PySparkException

from rover_spark.deliver import staging
from rover_spark.delta import history, read
from rover_spark.errors import PublishUnknown
from rover_spark.ledger.table import Ledger
from rover_spark.store import Store
from rover_spark.store.local import LocalStore

When = Literal["before", "after"]
WRITES = ("ledger", "side table", "staging", "store")
ALWAYS = 1 << 30


class Killed(BaseException):
    """The process ends here: nothing of the package catches it."""


def no_answer() -> PublishUnknown:
    """What a store raises where the answer to a request never came."""
    return PublishUnknown("no answer", code="store_refused", remedy="Run export again.")


def slow_down() -> PySparkException:
    """What Spark raises where a table's store is busy."""
    return PySparkException("SlowDown: reduce your request rate")


@dataclass
class Fault:
    """Fails ``times`` effects whose name begins so, or so, from the ``number``-th on.

    It strikes before they happen, or after; of ``either`` the two moments count one by one. ``about`` names the batch,
    the key or the table; without it, any. What ``error`` gives is raised; it may also act by itself and give None.
    """

    effect: str | tuple[str, ...]
    when: When | Literal["either"] = "before"
    number: int = 1
    times: int = 1
    error: Callable[[], BaseException | None] = Killed
    about: str = ""
    seen: int = 0

    def strike(self, name: str, about: str, when: When) -> None:
        """Raises where it is this effect's turn."""
        if self.when not in {when, "either"} or not name.startswith(self.effect) or self.about not in about:
            return
        self.seen += 1
        if self.number <= self.seen < self.number + self.times and (error := self.error()) is not None:
            raise error


def killed_at(step: int) -> list[Fault]:
    """The process ends at that step of all that it writes, the first is 1; at 0 it does not."""
    return [Fault(WRITES, "either", number=step)] if step else []


@dataclass
class Journal:
    """The effects in the order in which they ended, and those that were tried, each with what it is about.

    ``gave`` has what they returned, by name.
    """

    entries: list[tuple[str, str]] = field(default_factory=list)
    tried: list[tuple[str, str]] = field(default_factory=list)
    gave: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))

    def names(self, *besides: str) -> list[str]:
        """The effects in order, equal neighbours once; without those whose names begin so."""
        kept = [name for name, _ in self.entries if not besides or not name.startswith(besides)]
        return [name for name, _ in groupby(kept)]


# where effects begin: object, attribute, name of the effect, what it is about
Effect = tuple[Any, str, Callable[..., str], Callable[..., str]]


def _effects(store: type[Store]) -> list[Effect]:
    return [
        (history, "table_state", lambda *_: "source state", lambda _, __, table, ___: table),
        (history, "commits_after", lambda *_: "source commits", lambda _, table, __: table),
        (read, "snapshot", lambda *_: "source snapshot", lambda _, table, *__: table),
        (read, "changes", lambda *_: "source changes", lambda _, table, *__: table),
        (staging, "stage", lambda *_: "staging", lambda _, plan, *__: plan.batch),
        (staging, "write_once", lambda _, suffix, *__: f"side table {suffix}", lambda _, __, plan, ___: plan.batch),
        (Ledger, "record", lambda _, __, ___, state: f"ledger {state}", lambda _, __, plan, ___: plan.batch),
        (Ledger, "record_published", lambda *_: "ledger published", lambda _, __, plan, ___: plan.batch),
        (Ledger, "record_journal", lambda *_: "ledger journal", lambda _, plan, *__: plan.batch),
        (store, "publish", lambda *_: "store publish", lambda _, file: file.key),
        (store, "overwrite", lambda *_: "store overwrite", lambda _, file: file.key),
        (store, "abort", lambda *_: "store abort", lambda *_: ""),
    ]  # fmt: skip


@contextmanager
def effects(
    *faults: Fault, store: type[Store] = LocalStore, look: Callable[[str], None] | None = None
) -> Iterator[Journal]:
    """While the block runs, writes each effect down, and fails where a fault says so; ``look`` is called after each.

    ``store`` is the adapter of the destination's kind.
    """
    journal, lock = Journal(), Lock()

    def step(name: str, about: str, when: When) -> None:
        with lock:
            for fault in faults:
                fault.strike(name, about, when)

    def watched(act: Any, name_of: Callable[..., str], about_of: Callable[..., str]) -> Any:
        def acting(*args: Any, **named: Any) -> Any:
            name, about = name_of(*args), about_of(*args)
            journal.tried.append((name, about))
            step(name, about, "before")
            done = act(*args, **named)
            journal.entries.append((name, about))
            journal.gave[name].append(done)
            if look is not None:
                look(name)
            step(name, about, "after")
            return done

        return acting

    with ExitStack() as stack:
        for place, attribute, name_of, about_of in _effects(store):
            double = watched(getattr(place, attribute), name_of, about_of)
            stack.enter_context(mock.patch.object(place, attribute, double))
        yield journal
