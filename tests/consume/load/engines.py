"""Every engine of the loader."""

from __future__ import annotations

from tests.consume.load.delta import DELTA
from tests.consume.load.loading import DUCKDB, Engine

ENGINES: dict[str, Engine] = {each.name: each for each in (DUCKDB, DELTA)}
