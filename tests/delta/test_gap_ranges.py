"""What is looked for in a range of commits, and what is done where its log cannot be read: Spark is not asked here."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pyspark.errors import AnalysisException

from rover_spark.delta import gaps
from rover_spark.delta.gaps import Range
from rover_spark.delta.log.values import Change, Place
from rover_spark.delta.shape import Shape
from rover_spark.delta.used_columns import used

READS = used(["who", "k"])
WHOLE, OTHER, WITHOUT = ("who k", "who k z", "who")
OVERLAP = "[INVALID_PARAMETER_VALUE.LOCATION_OVERLAP] Input path url 's3://b/t/_delta_log' overlaps"
REFUSED = "PERMISSION_DENIED: User does not have READ FILES on External Location"
TIMED_OUT = "java.net.SocketTimeoutException: Read timed out"


def schema(names: str) -> dict[str, Any]:
    fields = [{"name": name, "type": "string", "nullable": True, "metadata": {}} for name in names.split()]
    return {"type": "struct", "fields": fields}


def change(version: int, names: str | None = None, partitions: str = "", **more: Any) -> Change:
    """A commit that sets the columns, or only what ``more`` says."""
    if names is None:
        return Change(version, **more)
    properties = {"delta.enableChangeDataFeed": "true"}
    return Change(version, (json.dumps(schema(names)), partitions.split(), properties), **more)


def failing(text: str) -> Callable[..., Any]:
    def fails(*_: object) -> Any:
        raise AnalysisException(text)

    return fails


class _Logs:
    """The logs of a run, of which each says this."""

    def __init__(self, changes: Any, before: Shape | None, vectors: Callable[[int, int], int | None]) -> None:
        self.changes, self._before, self.vectors = changes, before, vectors

    def of(self, _: str) -> _Logs:
        return self

    def shape_at(self, _: int) -> Shape | None:
        return self._before


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str | None]:
    """What is found in a range whose log, and whose table as Spark sees it, say this."""

    def found(
        one: Range,
        changes: Any = (),
        before: Shape | None = None,
        seen: Callable[..., Any] | None = None,
        vectors: Callable[[Place], int | None] = lambda _: None,
    ) -> str | None:
        found = changes if callable(changes) else lambda places: [list(changes) for _ in places]
        logs: Any = _Logs(found, before, lambda first, last: vectors(Place("/t", "/t", first, last)))
        monkeypatch.setattr(gaps, "_seen", seen or failing("nobody asks for it"))
        (first, second) = gaps.found_in(logs, [one, one])
        assert first == second
        return first

    return found


def known(names: str, features: frozenset[str] | None = None) -> Shape:
    return Shape(schema(names), features=features, properties={"delta.enableChangeDataFeed": "true"})


def seen_as(columns: dict[int, str]) -> Callable[..., Shape]:
    return lambda _, table, version: Shape(schema(columns[version]), partitions=None)


@pytest.mark.parametrize(
    "why", [OVERLAP, REFUSED, "[INSUFFICIENT_PERMISSIONS]", "[PATH_NOT_FOUND] x", "who knows"]
)
def test_a_log_that_a_catalog_keeps_to_itself_is_no_failure_its_ends_are_compared(
    log: Callable[..., str | None], why: str
) -> None:
    one = Range("main.a.b", "s3://b/t", 4, 6, READS)
    assert log(one, failing(why), seen=seen_as({4: WHOLE, 6: OTHER})) is None
    assert log(one, failing(why), seen=seen_as({4: WHOLE, 6: WITHOUT})) == "column k was dropped"


@pytest.mark.parametrize(
    "why", [TIMED_OUT, "No space left on device", "No FileSystem for scheme", "ExecutorLostFailure"]
)
def test_what_is_not_the_logs_own_is_raised(log: Callable[..., str | None], why: str) -> None:
    one = Range("main.a.b", "s3://b/t", 4, 6, READS)
    with pytest.raises(AnalysisException):
        log(one, failing(why), seen=seen_as({4: WHOLE, 6: WHOLE}))


def test_ends_that_spark_does_not_see_are_no_gap_only_where_the_feed_says_the_same(
    log: Callable[..., str | None],
) -> None:
    one = Range("main.a.b", "s3://b/t", 4, 6, READS)
    for why in ("[DELTA_VERSION_NOT_FOUND] 4", REFUSED):
        assert log(one, failing(OVERLAP), seen=failing(why)) is None
    for why in (TIMED_OUT, "who knows"):
        with pytest.raises(AnalysisException):
            log(one, failing(OVERLAP), seen=failing(why))
    assert log(Range("main.a.b", "s3://b/t", -1, 6, READS), failing(OVERLAP)) is None, (
        "there is no version -1"
    )


def test_partitions_are_not_compared_where_spark_alone_knows_what_came_before(
    log: Callable[..., str | None],
) -> None:
    one, spark = Range("/t", "/t", 4, 6, READS), seen_as({4: WHOLE})
    assert log(one, [change(5, WHOLE, partitions="k")], seen=spark) is None
    assert log(one, [change(5, WITHOUT)], seen=spark) == "in version 5 column k was dropped"
    assert "became a partition" in str(log(one, [change(5, WHOLE, partitions="k")], known(WHOLE)))


def test_what_was_told_before_is_judged_by_the_version_that_it_is_read_by(
    log: Callable[..., str | None],
) -> None:
    again, next_one = Range("/t", "/t", 4, 6, READS, read_by=50), Range("/t", "/t", 4, 50, READS)
    there_and_back = [change(20, WITHOUT), change(30, WHOLE)]
    assert log(again, there_and_back, known(WHOLE)) is None
    assert log(next_one, there_and_back, known(WHOLE)) == "in version 20 column k was dropped"
    for changes in ([change(20, WITHOUT)], [change(30, WHOLE), change(50, WITHOUT)]):
        assert log(again, changes, known(WHOLE)) == "by version 50 column k was dropped"
    bare = [change(50, bare=True)]
    assert log(again, bare, known(WHOLE)) is None, "not a file of its own"
    assert "version 50 removed a file without extended file metadata" in str(
        log(next_one, bare, known(WHOLE))
    )
    assert "version 6 removed a file without extended file metadata" in str(
        log(again, [change(6, bare=True)], known(WHOLE))
    )


def test_deletion_vectors_count_in_the_range_itself(log: Callable[..., str | None]) -> None:
    again, next_one = Range("/t", "/t", 4, 6, READS, read_by=50), Range("/t", "/t", 4, 50, READS)
    dropped, before = [change(40, features=frozenset())], known(WHOLE, frozenset({"deletionVectors"}))

    def in_version_50(place: Place) -> int | None:
        return 50 if place.first <= 50 <= place.last else None

    assert log(again, dropped, before, vectors=in_version_50) is None
    assert "version 50 removed rows" in str(log(next_one, dropped, before, vectors=in_version_50))
    assert "version 5 removed rows" in str(log(again, dropped, before, vectors=lambda _: 5))
