"""The session as commands pin it: what records depend on is the same as in production."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from rover_spark.delta.session import Session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(autouse=True)
def _pinned(request: pytest.FixtureRequest) -> Iterator[None]:
    if "spark" not in request.fixturenames:
        yield
        return
    from rover_spark.face.pinned import pinned

    spark: SparkSession = request.getfixturevalue("spark")
    with pinned(Session.of(spark)):
        yield
