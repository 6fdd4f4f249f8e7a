"""The worlds of the end-to-end tests."""

from tests.e2e.conftest import stream, world

__all__ = ["stream", "world"]
