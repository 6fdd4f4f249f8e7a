"""A Spark session is made once, by the first who asks, and its values are pinned wherever it is made."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from rover_spark.delta.session import Session
from rover_spark.face.pinned import PINNED, pinned


class Conf(dict[str, str]):
    """What ``pinned`` asks of a session's settings."""

    def set(self, name: str, value: str) -> None:
        self[name] = value

    def unset(self, name: str) -> None:
        del self[name]


class Fake:
    """A session that only has settings."""

    def __init__(self) -> None:
        self.conf = Conf({"spark.sql.ansi.enabled": "true"})


def made_by(fakes: list[Any]) -> Session:
    def make() -> Any:
        fakes.append(Fake())
        return fakes[-1]

    return Session(make)


def test_many_threads_get_one_session() -> None:
    fakes: list[Any] = []
    session = made_by(fakes)
    assert not session.started
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: session.spark, range(64)))
    assert len(fakes) == 1 and all(each is fakes[0] for each in found) and session.started


@pytest.mark.parametrize("when", ["before", "inside", "never"])
def test_values_are_pinned_in_the_block_whenever_the_session_is_made(when: str) -> None:
    fakes: list[Any] = []
    session = made_by(fakes)
    if when == "before":
        session.spark  # noqa: B018 - the property makes it
    with pinned(session):
        if when == "inside":
            with ThreadPoolExecutor(1) as pool:
                pool.submit(lambda: session.spark).result()
        if when != "never":
            assert {name: fakes[0].conf[name] for name in PINNED} == PINNED
    assert session.started == (when != "never")
    for fake in fakes:
        assert fake.conf == {"spark.sql.ansi.enabled": "true"}, "what was there is restored"


def test_a_session_made_after_the_block_is_not_pinned() -> None:
    fakes: list[Any] = []
    session = made_by(fakes)
    with pinned(session):
        pass
    assert session.spark.conf == {"spark.sql.ansi.enabled": "true"}  # type: ignore[comparison-overlap]


def test_a_callers_own_session_is_taken_as_it_is() -> None:
    fake: Any = Fake()
    session = Session.of(fake)
    assert session.started and session.spark is fake and Session.of(session) is session
