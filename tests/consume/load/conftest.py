"""Every engine of the loader, one after the other."""

from __future__ import annotations

import pytest

from tests.consume.load.loading import ENGINES, Engine


@pytest.fixture(params=ENGINES, scope="module")
def engine(request: pytest.FixtureRequest) -> Engine:
    """An engine of the loader."""
    return ENGINES[request.param]
