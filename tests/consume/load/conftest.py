"""Every engine of the loader, one after the other; that which is Spark only with ``--full``, since a load takes it seconds."""

from __future__ import annotations

import pytest

from tests.consume.load.delta import DELTA
from tests.consume.load.engines import ENGINES
from tests.consume.load.loading import DUCKDB, Engine


@pytest.fixture(params=[DUCKDB.name, pytest.param(DELTA.name, marks=pytest.mark.full)], scope="module")
def engine(request: pytest.FixtureRequest) -> Engine:
    """An engine of the loader."""
    if request.param == DELTA.name:
        request.getfixturevalue("spark")
    return ENGINES[request.param]


@pytest.fixture
def in_process() -> Engine:
    """An engine that reads in this process, so that a test can come between."""
    return DUCKDB
