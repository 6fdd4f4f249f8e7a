"""When the feed is read as it is, in place of the frame inside of it: only where that frame is out of reach."""

from __future__ import annotations

from typing import Any

import pytest
from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import AnalysisException, PySparkAttributeError
from pyspark.sql.types import MapType, StringType, StructField, StructType

from rover_spark.delta.feed import as_written


class _Thrown:
    """What the JVM threw, as far as an error of the gateway asks for it."""

    _target_id = "o1"

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text


class _Feed:
    """A feed with a map, of which what Java holds fails."""

    schema = StructType([StructField("traits", MapType(StringType(), StringType()))])
    columns = ("traits",)

    def __init__(self, error: Exception) -> None:
        self.error = error

    @property
    def _jdf(self) -> Any:
        raise self.error


def thrown(text: str) -> Py4JJavaError:
    return Py4JJavaError("An error occurred", _Thrown(text))


@pytest.mark.parametrize(
    "error",
    [
        AttributeError("_jdf"),
        PySparkAttributeError("[JVM_ATTRIBUTE_NOT_SUPPORTED]"),
        TypeError("no such argument"),
        StopIteration(),
        Py4JError("Method changesToBatchDF([class X]) does not exist"),
        thrown("java.lang.ClassNotFoundException: org.apache.spark.sql.delta.commands.cdc.CDCReader$"),
        thrown("java.lang.NoSuchFieldException: MODULE$"),
    ],
)
def test_a_frame_that_is_out_of_reach_is_done_without(error: Exception) -> None:
    feed: Any = _Feed(error)
    assert as_written(feed) is feed


@pytest.mark.parametrize(
    "error",
    [
        thrown("java.net.SocketTimeoutException: Read timed out"),
        thrown("java.lang.NullPointerException"),
        AnalysisException("[DELTA_MISSING_CHANGE_DATA] Error getting change data for range [2 , 5]"),
    ],
)
def test_what_delta_says_of_reading_it_goes_up(error: Exception) -> None:
    feed: Any = _Feed(error)
    with pytest.raises(type(error)):
        as_written(feed)
