"""What a process does in a race for transitions: one of several that commit each of them at the same instant."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any
from unittest import mock

from rover_spark.config.access import TableAccess
from rover_spark.delta.session import Session
from rover_spark.delta.storage import reached
from rover_spark.ledger.storage import native
from rover_spark.ledger.storage.native import NativeStorage

APP = "rover_spark/acme/fan_profiles"
LIMIT = 120


def no_spark() -> Any:
    raise AssertionError("a race asked for Spark")


def storage_at(location: str, endpoint: str | None) -> NativeStorage:
    access = TableAccess(engine="auto", endpoint=endpoint)
    return NativeStorage(Session(no_spark), location, access, reached(location, access))


def race(name: str, location: str, endpoint: str | None, rounds: int, barrier: Any, won: Any) -> None:
    """Puts the transitions that it won. In every other round all have looked at the newest one before any commits."""
    storage, found = storage_at(location, endpoint), []
    commit = storage._commit
    with mock.patch.object(native, "locked", lambda _: nullcontext()):
        for number in range(1, rounds + 1):
            waits = [barrier.wait]

            def aligned(*args: Any, waits: list[Any] = waits) -> None:
                if waits:
                    waits.pop()(LIMIT)
                commit(*args)

            if number % 2:
                waits.pop()(LIMIT)
            storage._commit = aligned  # type: ignore[method-assign]
            row = {
                "kind": "batch",
                "export": "acme",
                "dataset": "fan_profiles",
                "transition": number,
                "note": name,
            }
            if storage.take([row], APP, number):
                found.append(number)
                if number % 10 == 0:
                    storage.compact()  # while the others go on
    won.put((name, found))
