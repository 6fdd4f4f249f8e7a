"""Destinations behind one port. ``open_store`` is what everything else calls, on the driver and in tasks alike."""

from __future__ import annotations

from rover_spark.errors import ConfigError
from rover_spark.store.base import ObjectInfo, StagedFile, Staging, Store
from rover_spark.store.local import LocalStore
from rover_spark.store.memory import MemoryStore

__all__ = ["ObjectInfo", "StagedFile", "Staging", "Store", "open_store"]


def open_store(destination: str, export: str) -> Store:
    """The store at a destination URL. ``export`` names whose staging it uses.

    Raises:
        ConfigError: no adapter for that scheme.
    """
    scheme, _, rest = destination.partition("://")
    if scheme == "file":
        return LocalStore(rest, export)
    if scheme == "memory":
        return MemoryStore(rest)
    raise ConfigError(
        f"destination: no store for the scheme {scheme!r}",
        code="config_invalid",
        remedy="Use file:// or memory://.",
    )
