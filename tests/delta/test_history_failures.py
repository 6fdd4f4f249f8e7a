"""Which failures of DESCRIBE HISTORY are answered from the log's files, and which reach the caller: Spark is not asked here."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.errors import PySparkException

from rover_spark.delta.log import spark_files
from rover_spark.delta.log.spark import SparkLog
from rover_spark.delta.log.values import Commit, Detail

SPARK: Any = None  # nothing here reaches it
COMMITS = [Commit(0, 1_000, "WRITE", 1)]
A_LIST = (
    "Job aborted due to stage failure: com.fasterxml.jackson.databind.exc.MismatchedInputException: Cannot deserialize "
    "value of type `java.lang.String` from Array value (token `JsonToken.START_ARRAY`)"
)


def listed(monkeypatch: pytest.MonkeyPatch, text: str, logged: list[Commit]) -> list[Commit]:
    def fails(*_: object) -> list[Commit]:
        raise PySparkException(text)

    monkeypatch.setattr(SparkLog, "_described", fails)
    monkeypatch.setattr(SparkLog, "detail", lambda _: Detail("id", {}, 0, "/t"))
    monkeypatch.setattr(spark_files, "history", lambda *_: logged)
    return SparkLog(SPARK, "t")._listed(10)


@pytest.mark.parametrize("text", [A_LIST, A_LIST.replace("Array", "Object").replace("ARRAY", "OBJECT")])
def test_a_commit_whose_parameters_are_no_text_is_read_from_the_log(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    assert listed(monkeypatch, text, COMMITS) == COMMITS


def test_where_the_log_lists_nothing_either_the_failure_of_delta_remains(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(PySparkException, match="MismatchedInputException"):
        listed(monkeypatch, A_LIST, [])


@pytest.mark.parametrize(
    "text",
    [
        "java.lang.NullPointerException",
        "SlowDown: reduce your request rate",
        "[MALFORMED_RECORD_IN_PARSING] x",
    ],
)
def test_any_other_failure_is_not_taken_for_one_of_the_parameters(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    with pytest.raises(PySparkException):
        listed(monkeypatch, text, COMMITS)
