"""What tests of a store may ask for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat

import pytest

_PAUSE = 0.05  # seconds


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """SDKs that try as often as ever, without their pauses: what is asked and answered decides, not how long it takes."""
    from azure.storage.blob import ExponentialRetry
    from botocore.retries.standard import ExponentialBackoff
    from google.api_core.retry import retry_unary

    def pauses(*_: float, multiplier: float) -> Iterator[float]:
        return repeat(_PAUSE)

    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: _PAUSE)
    monkeypatch.setattr(ExponentialRetry, "get_backoff_time", lambda *_: _PAUSE)
    monkeypatch.setattr(retry_unary, "exponential_sleep_generator", pauses)
